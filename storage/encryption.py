"""Secrets at rest: Fernet under the process's secret key, and the file that keeps that key when no setting gives it."""

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class CannotDecrypt(Exception):
    """Not ciphertext of ours, or written under another secret key."""


class SecretBox:
    """Encrypts and decrypts text. `older_keys` are still read after the key was changed, never written with."""

    def __init__(self, key: str, *, older_keys: Sequence[str] = ()) -> None:
        self._box = MultiFernet([Fernet(_fernet_key(each)) for each in (key, *older_keys)])

    def encrypt(self, text: str) -> str:
        return self._box.encrypt(text.encode()).decode("ascii")

    def decrypt(self, ciphertext: str) -> str:
        """Raises CannotDecrypt for anything but what was encrypted, to the letter."""
        try:
            # Readers of base64 pass over what is behind the padding and what is no base64; only the canonical text is the one we gave.
            if base64.urlsafe_b64encode(base64.urlsafe_b64decode(ciphertext)).decode() != ciphertext:
                raise CannotDecrypt("The value was changed")
            return self._box.decrypt(ciphertext.encode()).decode()
        except (InvalidToken, ValueError) as error:
            raise CannotDecrypt("The value was changed, or encrypted with another secret key") from error


def _fernet_key(key: str) -> bytes:
    """Langflow's rule, so that its encrypted values stay readable: a long key is the Fernet key itself, a short one is hashed into it."""
    if not key:
        raise ValueError("the secret key is empty")
    if len(key) >= 32:
        padded = key + "=" * (-len(key) % 4)
        try:
            if len(base64.urlsafe_b64decode(padded)) == 32:
                return padded.encode()
        except (binascii.Error, ValueError):
            pass  # a passphrase, not base64
    return base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest())


def load_or_create_secret(path: Path) -> str:
    """The key in the file, made at the first start. Only its owner may read the file; several processes at once agree on one key."""
    return load_or_create_secrets(path)[0]


def load_or_create_secrets(path: Path) -> list[str]:
    """The key, and below it, while a change of keys is under way, the former one. A line each."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = _draft(path, [new_secret()])
        try:
            with suppress(FileExistsError):
                os.link(draft, path)  # whole or not at all, and never over another process's key
        finally:
            draft.unlink()
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    keys = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    if not keys:
        raise ValueError(f"{path} is empty: put the secret key back, or delete the file to get a new one (stored variables are lost)")
    return keys


def new_secret() -> str:
    return secrets.token_urlsafe(32)


def replace_secrets(path: Path, keys: Sequence[str]) -> None:
    """Put these keys, the newest first, in the place of those in the file; after a crash it holds the one or the other."""
    draft = _draft(path, keys)
    draft.replace(path)


def _draft(path: Path, keys: Sequence[str]) -> Path:
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write("".join(f"{key}\n" for key in keys))
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    return draft
