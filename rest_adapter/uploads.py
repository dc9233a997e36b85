"""One uploaded file of a multipart form, handed on piece by piece as it arrives: nothing of it is kept here, in memory or on disk."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from projects.errors import FieldProblem, InvalidInput
from projects.file_names import MAX_NAME_BYTES
from projects.storage_paths import is_plain_name
from rest_adapter.errors import BadRequest, UnsupportedMediaType

PIECE_BYTES = 512 * 1024  # what is written to the disk at once
MAX_PARTS = 10
MAX_PART_HEADERS = 8
MAX_HEADER_BYTES = 4_096
MAX_FIELD_BYTES = 64 * 1024  # of all fields beside the file
MULTIPART = "multipart/form-data"

_FIELD = "file"
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=?-]{1,70}")
_MISSING = "No file: send it as the field `file` of a multipart form."


@dataclass(frozen=True, slots=True)
class Upload:
    """`name` is what the client called it; empty when it named none."""

    name: str
    form: "_Form"

    async def pieces(self) -> AsyncIterator[bytes]:
        """The file's bytes, once. Raises BadRequest when the form turns out to be cut off or to be no form."""
        while piece := await self.form.read_piece():
            yield piece


@asynccontextmanager
async def uploaded_file(request: Request) -> AsyncIterator[Upload]:
    """The form's `file`. A name that is more than a name is refused, not mended: its sender meant something else."""
    form = _Form(request, _boundary(request))
    yield Upload(checked_name(await form.read_file_name()), form)


def checked_name(name: str) -> str:
    """The name as it is, or BadRequest. Empty is allowed."""
    if name and (not is_plain_name(name) or ".." in name or len(name.encode()) > MAX_NAME_BYTES):
        raise BadRequest("The file's name must be a name alone: no folders, no `..`, no control characters, at most 255 bytes.")
    return name


def missing_file() -> InvalidInput:
    return InvalidInput(_MISSING, problems=[FieldProblem(("body", _FIELD), "Field required", "missing")])


def _boundary(request: Request) -> bytes:
    given = request.headers.get("content-type", "")
    media_type = given.partition(";")[0].strip().lower()
    if not media_type:
        raise missing_file()
    if media_type != MULTIPART:
        raise UnsupportedMediaType(f"Send the file as a form of type {MULTIPART}; {media_type[:100]!r} is not read here.")
    # A long header is not even looked through: an honest one is short.
    boundary = parse_options_header(given)[1].get(b"boundary", b"") if len(given) <= 500 else b""
    if not _BOUNDARY.fullmatch(boundary):
        raise InvalidInput(f"Content-Type must be {MULTIPART} with a boundary of 1 to 70 plain characters.")
    return boundary


class _Form:
    """A form read as far as somebody asked for, with bounds on everything but the file itself."""

    def __init__(self, request: Request, boundary: bytes) -> None:
        self._stream = request.stream()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._take_header_name,
                "on_header_value": self._take_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._take_data,
                "on_end": self._end,
            },
            max_header_count=MAX_PART_HEADERS,
            max_header_size=MAX_HEADER_BYTES,
        )
        self._parts = 0
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""
        self._file_name: str | None = None
        self._is_in_file = False
        self._field_bytes = 0
        self._waiting = bytearray()
        self._is_complete = False

    async def read_file_name(self) -> str:
        """Read on to the file's first byte. Raises InvalidInput when the form has no file."""
        while self._file_name is None:
            if not await self._read_on():
                raise missing_file()
        return self._file_name

    async def read_piece(self) -> bytes:
        """The next bytes of the file; empty at its end, which is told only when the form too came to its end."""
        while len(self._waiting) < PIECE_BYTES and await self._read_on():
            pass
        piece = bytes(self._waiting)
        self._waiting.clear()
        return piece

    async def _read_on(self) -> bool:
        """Take what arrives next; False when that was all."""
        chunk = await anext(self._stream, None)
        if chunk is None:
            if not self._is_complete:
                raise BadRequest("The form is cut off: its last boundary is missing.")
            return False
        if not self._is_complete:  # what follows the last boundary means nothing
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                raise BadRequest(f"The form cannot be read: {error}.") from None
        return True

    # Called by the parser ------------------------------------------------------------------------------------------------------------

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise BadRequest(f"The form has more than {MAX_PARTS} parts; send one file.")
        self._disposition = b""
        self._is_in_file = False

    def _take_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _take_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _end_headers(self) -> None:
        kind, options = parse_options_header(self._disposition)
        if kind != b"form-data" or b"name" not in options:
            raise BadRequest("The form cannot be read: a part has no Content-Disposition with a name.")
        if b"filename" not in options:
            return
        if options[b"name"] != _FIELD.encode() and self._file_name is None:
            raise missing_file()
        if self._file_name is not None:
            raise BadRequest(f"The form holds more than its one file; send only the field `{_FIELD}`.")
        self._is_in_file = True
        try:
            self._file_name = options[b"filename"].decode()
        except UnicodeDecodeError:
            self._file_name = options[b"filename"].decode("latin-1")

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_in_file:
            self._waiting += data[start:end]
            return
        self._field_bytes += end - start
        if self._field_bytes > MAX_FIELD_BYTES:
            raise BadRequest(f"The form's fields beside the file take more than {MAX_FIELD_BYTES:,} bytes.")

    def _end(self) -> None:
        self._is_complete = True
