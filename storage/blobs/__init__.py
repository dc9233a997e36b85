"""Where the bytes of files are: a store of blobs under generated keys. Imports nothing of ours."""

import secrets
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from typing import Protocol


class BlobNotFound(Exception):
    """Nothing is kept under this key."""


class BlobTooLarge(Exception):
    """The bytes went over the limit; nothing was kept."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"More than {limit_bytes} bytes")
        self.limit_bytes = limit_bytes


class BlobStoreUnavailable(Exception):
    """The store cannot be written or read now: disk full, no permission."""


class BlobStore(Protocol):
    """Keys come from `new_blob_key`, never from what a user wrote."""

    async def write(self, key: str, chunks: AsyncIterable[bytes], *, limit_bytes: int) -> int:
        """Keep the bytes, all or none; returns how many. Raises BlobTooLarge as soon as the limit is passed."""
        ...

    def read(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` on, in pieces; at most `length` of them. Raises BlobNotFound at the first piece."""
        ...

    async def delete(self, key: str) -> None:
        """Nothing happens when there is none."""
        ...

    def list_keys(self, *, older_than_seconds: float) -> AsyncIterator[str]:
        """What was written at least so long ago."""
        ...


def new_blob_key() -> str:
    return secrets.token_hex(16)
