"""Passwords as Argon2 hashes, off the event loop and never more than two at once: each costs 64 MB and a tenth of a second."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

AT_ONCE = 2


class Passwords:
    """Hashes and checks. `rounds` and `memory_kib` are Argon2's time and memory cost."""

    def __init__(self, *, rounds: int, memory_kib: int) -> None:
        self._hasher = PasswordHasher(time_cost=rounds, memory_cost=memory_kib)
        # Own threads: a cancelled request must not free its place while its hash is still being computed.
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="passwords")
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._hash, password)

    async def matches(self, password: str, password_hash: str | None) -> bool:
        """Whether it is the password. None is nobody's hash: the answer is no, and takes as long as for somebody's."""
        if self._nobody is None:
            # Before either kind of answer, so that the first one tells nothing.
            self._nobody = await self.hash("nobody's password")
        fits = await asyncio.get_running_loop().run_in_executor(self._threads, self._verify, password_hash or self._nobody, password)
        return fits and password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with other costs than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    def _hash(self, password: str) -> str:
        return self._hasher.hash(_to_bytes(password))

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, _to_bytes(password))
        except (VerificationError, InvalidHashError):
            return False


def _to_bytes(password: str) -> bytes:
    # A form may carry lone surrogates; they are simply not anybody's password.
    return password.encode("utf-8", "surrogatepass")
