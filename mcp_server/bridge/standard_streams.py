"""Standard input and output as lines, on every platform, without ever being what keeps the process alive."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

PIECE_BYTES = 65_536


class ClientGone(Exception):
    """Nobody reads standard output any more."""


def read_lines(descriptor: int) -> AsyncIterator[bytes]:
    """Each line without its end, until the client closes its side.

    A thread reads, since event loops cannot wait for pipes on Windows nor for files anywhere. It dies with the process, and reads from
    the descriptor itself: a thread that holds the lock of `sys.stdin` would stop the interpreter from ending.
    """
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[bytes | None] = asyncio.Queue()

    def put(line: bytes | None) -> None:
        loop.call_soon_threadsafe(lines.put_nowait, line)

    threading.Thread(target=_read, args=(descriptor, put), daemon=True, name="standard input").start()
    return _taken_from(lines)


async def _taken_from(lines: "asyncio.Queue[bytes | None]") -> AsyncIterator[bytes]:
    while (line := await lines.get()) is not None:
        yield line


def _read(descriptor: int, put: Callable[[bytes | None], None]) -> None:
    pieces: list[bytes] = []
    try:
        while piece := os.read(descriptor, PIECE_BYTES):
            *ended, rest = piece.split(b"\n")
            for line in ended:
                put(b"".join([*pieces, line]).strip())
                pieces = []
            pieces.append(rest)
        if last := b"".join(pieces).strip():
            put(last)
    except OSError:
        pass  # a client that was killed may leave a broken pipe instead of a closed one
    finally:
        with suppress(RuntimeError):  # the loop has ended already
            put(None)


def write_line(descriptor: int, line: bytes) -> None:
    """Raises ClientGone."""
    rest = memoryview(line + b"\n")
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except OSError as error:
            raise ClientGone from error
