import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from storage.encryption import CannotDecrypt, SecretBox, load_or_create_secret


@pytest.mark.parametrize("key", ["short", "x" * 31, "a passphrase that is longer than thirty-two characters", "schlüssel" * 6, "k" * 43])
def test_what_was_encrypted_is_decrypted_with_any_length_of_key(key: str) -> None:
    ciphertext = SecretBox(key).encrypt("sécret 🔑")
    assert "cret" not in ciphertext
    assert SecretBox(key).decrypt(ciphertext) == "sécret 🔑"


def test_a_long_key_is_the_fernet_key_itself_with_or_without_its_padding() -> None:
    key = Fernet.generate_key().decode()
    ciphertext = Fernet(key).encrypt(b"value").decode()
    assert SecretBox(key).decrypt(ciphertext) == "value"
    assert SecretBox(key.rstrip("=")).decrypt(ciphertext) == "value"


def test_another_key_and_a_changed_ciphertext_are_refused() -> None:
    ciphertext = SecretBox("one").encrypt("value")
    with pytest.raises(CannotDecrypt):
        SecretBox("two").decrypt(ciphertext)
    with pytest.raises(CannotDecrypt):
        SecretBox("one").decrypt(ciphertext[:-4] + "AAAA")
    with pytest.raises(CannotDecrypt):
        SecretBox("one").decrypt("not ciphertext, ü")


@pytest.mark.parametrize("value", ["v", "va", "val", "value" * 20])
def test_a_ciphertext_with_anything_behind_it_or_in_it_is_refused(value: str) -> None:
    ciphertext = SecretBox("one").encrypt(value)
    for changed in (f"{ciphertext}-TAMPERED", f"{ciphertext}=", f"{ciphertext}\n", f"{ciphertext[:20]}!{ciphertext[20:]}", ciphertext[:-1]):
        with pytest.raises(CannotDecrypt):
            SecretBox("one").decrypt(changed)


def test_after_a_change_of_key_the_older_one_still_reads() -> None:
    ciphertext = SecretBox("old").encrypt("value")
    box = SecretBox("new", older_keys=["old"])
    assert box.decrypt(ciphertext) == "value"
    assert SecretBox("new").decrypt(box.encrypt("value")) == "value"


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        SecretBox("")


def test_the_key_file_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "data" / "secret_key"
    key = load_or_create_secret(path)
    assert len(key) >= 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_create_secret(path) == key
    assert [each.name for each in path.parent.iterdir()] == ["secret_key"]


def test_a_key_file_that_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    path.write_text("kept\n")
    path.chmod(0o644)
    assert load_or_create_secret(path) == "kept"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_starters_at_the_same_moment_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda _: load_or_create_secret(tmp_path / "secret_key"), range(32)))
    assert len(keys) == 1


def test_an_empty_key_file_stops_and_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    path.write_text("\n")
    with pytest.raises(ValueError, match="put the secret key back"):
        load_or_create_secret(path)
