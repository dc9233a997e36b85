"""Stored files as answers: whole or one range of bytes, piece by piece from the store; and several of them as one ZIP."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import quote
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from projects.files import FileService, StoredFile
from rest_adapter.errors import JsonResponse

BINARY = "application/octet-stream"
ZIP = "application/zip"
# Whatever a file holds, a browser that shows it after all runs nothing of it and lets it reach nothing.
_SAFE_HEADERS = {"Content-Security-Policy": "default-src 'none'; sandbox"}
_RANGE = re.compile(r"bytes\s*=\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})", re.IGNORECASE)
_NO_ASCII = re.compile(r"[^ !#-\[\]-~]")


class ByteRange(NamedTuple):
    start: int
    length: int


class NoSuchRange(Exception):
    """The range begins after the last byte."""


def attachment(name: str) -> str:
    """A Content-Disposition that saves under this name, in the form every client reads and in the one that can say any name."""
    return f"attachment; filename=\"{_NO_ASCII.sub('_', name)}\"; filename*=UTF-8''{quote(name, safe='')}"


async def file_answer(
    request: Request, files: FileService, file: StoredFile, *, media_type: str = BINARY, disposition: str | None = None
) -> Response:
    """The file's bytes, or the range of them that the request asks for. Raises NotFound, Unavailable when the store has none."""
    tag = f'"{file.version}"'
    headers = {
        **_SAFE_HEADERS,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "ETag": tag,
        "Last-Modified": format_datetime(file.updated_at.astimezone(UTC), usegmt=True),
    }
    if _names(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    headers["Content-Disposition"] = disposition or attachment(file.name)
    try:
        part = _wanted_part(request, file, tag)
    except NoSuchRange:
        detail = f"The range begins after the end of the file, which has {file.size_bytes:,} bytes."
        return JsonResponse({"detail": detail}, 416, {"Content-Range": f"bytes */{file.size_bytes}", "Accept-Ranges": "bytes"})
    status = 200 if part is None else 206
    if part is not None:
        headers["Content-Range"] = f"bytes {part.start}-{part.start + part.length - 1}/{file.size_bytes}"
    start, length = part or ByteRange(0, file.size_bytes)
    headers["Content-Length"] = str(length)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media_type)
    pieces = files.content(file, start=start, length=length)
    # Read before anything is said, so that bytes that are not there are an error and no answer cut short.
    first = await anext(pieces, b"")
    return StreamingResponse(_from_first(first, pieces), status, headers=headers, media_type=media_type)


async def _from_first(first: bytes, pieces: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    async with aclosing(pieces):
        yield first
        async for piece in pieces:
            yield piece


def _wanted_part(request: Request, file: StoredFile, tag: str) -> ByteRange | None:
    """None: the whole file. Several ranges at once may be answered with the whole, and are."""
    given = request.headers.get("range")
    if given is None or request.method not in ("GET", "HEAD") or not _is_current(request.headers.get("if-range"), file, tag):
        return None
    return byte_range(given, file.size_bytes)


def byte_range(text: str, size: int) -> ByteRange | None:
    """One range of a Range header within `size` bytes; None for what is no single range. Raises NoSuchRange."""
    found = _RANGE.fullmatch(text.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        length = min(int(found[2]), size)
        if length == 0:
            raise NoSuchRange
        return ByteRange(size - length, length)
    start = int(found[1])
    last = min(int(found[2]), size - 1) if found[2] else size - 1
    if found[2] and int(found[2]) < start:
        return None
    if start >= size:
        raise NoSuchRange
    return ByteRange(start, last - start + 1)


def _is_current(condition: str | None, file: StoredFile, tag: str) -> bool:
    """Whether what an If-Range header names is the file as it is now: its tag, or exactly its date."""
    if condition is None:
        return True
    condition = condition.strip()
    if condition.startswith(('"', "W/")):
        return condition == tag
    try:
        return parsedate_to_datetime(condition) == file.updated_at.replace(microsecond=0)
    except (ValueError, TypeError):
        return False


def _names(header: str, tag: str) -> bool:
    return any(each.strip().removeprefix("W/") in (tag, "*") for each in header.split(",")) if header else False


def archive_answer(files: FileService, chosen: Sequence[StoredFile]) -> Response:
    """A ZIP that is made while it is sent."""
    name = f"{datetime.now().astimezone():%Y%m%d_%H%M%S}_langflow_files.zip"
    return StreamingResponse(_archived(files, chosen), headers={**_SAFE_HEADERS, "Content-Disposition": attachment(name)}, media_type=ZIP)


async def _archived(files: FileService, chosen: Sequence[StoredFile]) -> AsyncIterator[bytes]:
    """Stored, not packed: most large files are packed already, and whoever waits wants the bytes."""
    sink = _Sink()
    taken: set[str] = set()
    with ZipFile(sink, "w", ZIP_STORED) as archive:  # type: ignore[call-overload]  # all it calls are write and flush
        for file in chosen:
            entry = ZipInfo(_free_entry_name(file, taken), file.updated_at.timetuple()[:6])
            entry.file_size = file.size_bytes
            entry.external_attr = 0o600 << 16
            with archive.open(entry, "w") as member:
                async with aclosing(files.content(file)) as pieces:
                    async for piece in pieces:
                        member.write(piece)
                        yield sink.take()
    yield sink.take()


def _free_entry_name(file: StoredFile, taken: set[str]) -> str:
    """The file's name; with its id and a number when another file of the ZIP has it. Case does not tell two names apart."""
    stem, dot, ending = file.name.rpartition(".")
    if not stem:
        stem, dot, ending = file.name, "", ""
    name, number = file.name, 0
    while name.casefold() in taken:
        number += 1
        name = f"{stem}_{file.id}_{number}{dot}{ending}"
    taken.add(name.casefold())
    return name


class _Sink:
    """A file that cannot be sought: what is written to it waits to be taken."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def write(self, data: Any) -> int:
        self._waiting += data
        return len(data)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        taken = bytes(self._waiting)
        self._waiting.clear()
        return taken
