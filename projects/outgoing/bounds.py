"""How much and how long: the bounds on an answer, for every HTTP library alike."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

from projects.errors import LimitReached

DEFAULT_MAX_BYTES = 50_000_000
ACCEPTED_ENCODINGS = "gzip, deflate"

_PIECE = 65_536
_DEADLINE = "headwater.deadline"
_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class UnreadableBody(Exception):
    """The body is not what its headers say."""


class OutOfTime(Exception):
    """The whole answer did not come within the deadline."""


def start_deadline(extensions: MutableMapping[str, Any], seconds: float | None) -> float | None:
    """When the call must be over, in the loop's time. A redirect's request carries the extensions of the first, and so its deadline."""
    if seconds is None:
        return None
    deadline: float = extensions.setdefault(_DEADLINE, asyncio.get_running_loop().time() + seconds)
    return deadline


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one answer may be. `announced` is the length it says it has, "" when it does not say; `deadline` is in the loop's time."""

    encoding: str
    announced: str
    max_bytes: int
    deadline: float | None


async def bounded(body: AsyncIterator[bytes], bounds: Bounds) -> AsyncIterator[bytes]:
    """The decoded body in pieces. Raises LimitReached, OutOfTime or UnreadableBody.

    Decoding happens here and not in the library, so that a small body can never become a large one in memory first.
    """
    if bounds.announced.isdigit() and int(bounds.announced) > bounds.max_bytes:
        raise _too_large(bounds.max_bytes)
    decoder = _Decoder(bounds.encoding) if bounds.encoding not in ("", "identity") else None
    total = after_end = 0
    while True:
        try:
            async with asyncio.timeout_at(bounds.deadline):
                chunk = await anext(body, None)
        except TimeoutError:
            raise OutOfTime("The whole answer did not come in time.") from None
        if chunk is None:
            break
        if decoder and decoder.has_ended:  # nothing of this is read, and it may never stop coming
            after_end += len(chunk)
            if after_end > bounds.max_bytes:
                raise _too_large(bounds.max_bytes)
        for piece in decoder.feed(chunk) if decoder else (chunk,):
            total += len(piece)
            if total > bounds.max_bytes:
                raise _too_large(bounds.max_bytes)
            yield piece
    if decoder:
        decoder.finish()


def _too_large(max_bytes: int) -> LimitReached:
    return LimitReached(f"The answer is larger than the {max_bytes:,} bytes that one call may bring.")


class _Decoder:
    """One coding, in pieces of bounded size, each made only when it is asked for."""

    def __init__(self, encoding: str) -> None:
        window = _WINDOWS.get(encoding)
        if window is None:
            raise UnreadableBody(f"The answer is encoded as {encoding[:100]!r}, which was not asked for.")
        self._stream = zlib.decompressobj(window)
        self._is_deflate = encoding == "deflate"
        self._is_fed = False

    @property
    def has_ended(self) -> bool:
        return self._stream.eof

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        if not chunk:
            return
        if self._is_deflate and not self._is_fed and not _has_zlib_header(chunk):
            self._stream = zlib.decompressobj(-zlib.MAX_WBITS)  # what some servers send under this name
        self._is_fed = True
        while not self._stream.eof:
            try:
                piece = self._stream.decompress(chunk, _PIECE)
            except zlib.error as error:
                raise UnreadableBody(f"The compressed answer cannot be read: {error}.") from None
            if not piece:
                return
            yield piece
            chunk = self._stream.unconsumed_tail

    def finish(self) -> None:
        if self._is_fed and not self._stream.eof:
            raise UnreadableBody("The compressed answer ended early.")


def _has_zlib_header(chunk: bytes) -> bool:
    return chunk[0] & 0x0F == 8 and (len(chunk) < 2 or (chunk[0] * 256 + chunk[1]) % 31 == 0)
