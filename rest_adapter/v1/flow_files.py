"""Files of flows, read and written: one JSON document, a list of them under `flows`, or a ZIP of either. No entry's name is a path."""

import asyncio
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import IO, Any
from urllib.parse import quote
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from starlette.requests import Request
from starlette.responses import StreamingResponse

from projects.errors import InvalidInput, TooLarge
from rest_adapter import json_body
from rest_adapter.errors import BadRequest
from rest_adapter.uploads import uploaded_file

MEGABYTE = 1024 * 1024
MAX_ENTRIES = 500
MAX_ENTRY_BYTES = 50 * MEGABYTE
MAX_TOTAL_BYTES = 100 * MEGABYTE
MAX_JSON_BYTES = 50 * MEGABYTE
# Flows shrink to a tenth or so; what shrinks to a two-hundredth was made to.
MAX_RATIO = 200
RATIO_COUNTS_FROM = MEGABYTE

ZIP_MEDIA_TYPE = "application/x-zip-compressed"
MAX_FILE_NAME_LENGTH = 180
_IN_MEMORY_BYTES = 8 * MEGABYTE
_CHUNK_BYTES = 256 * 1024
_ENTRY_MARK = b"PK\x01\x02"
_DRIVE = re.compile(r"[A-Za-z]:")
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"|?*/\\]')
_DEVICES = frozenset(("con", "prn", "aux", "nul", *(f"{name}{number}" for name in ("com", "lpt") for number in range(10))))


async def read_uploaded_flows(request: Request) -> list[dict[str, Any]]:
    """The flows in the one uploaded file."""
    content, _ = await read_uploaded_file(request)
    return await asyncio.to_thread(flows_in, content)


async def read_uploaded_project(request: Request) -> dict[str, Any]:
    """Name, description and flows of the one uploaded file; a ZIP is named by its file."""
    content, file_name = await read_uploaded_file(request)
    return await asyncio.to_thread(project_in, content, file_name)


async def read_uploaded_file(request: Request) -> tuple[bytes, str]:
    """The bytes of the form's `file` and the name it was sent under."""
    content = bytearray()
    try:
        async with uploaded_file(request) as upload:
            async for piece in upload.pieces():
                content += piece
                if len(content) > MAX_TOTAL_BYTES:
                    raise TooLarge(f"The file is larger than {MAX_TOTAL_BYTES // MEGABYTE} MB.")
    except InvalidInput as error:
        if any(problem.kind == "missing" for problem in error.problems):
            raise BadRequest(error.message) from None  # the files' routes say 422 to it, those of flows 400
        raise
    if not content:
        raise BadRequest("The file is empty.")
    return bytes(content), upload.name


def flows_in(content: bytes) -> list[dict[str, Any]]:
    """Every flow of a file, told apart by what it holds, not by its name."""
    return _flows_in_archive(content) if _is_archive(content) else _flows_of(_read_json(content))


def project_in(content: bytes, file_name: str) -> dict[str, Any]:
    """The same for a whole project."""
    if _is_archive(content):
        stem, dot, ending = re.split(r"[/\\]", file_name)[-1].rpartition(".")
        return {"folder_name": stem if dot else ending, "folder_description": None, "flows": _flows_in_archive(content), "is_archive": True}
    value = _read_json(content)
    if not isinstance(value, dict):
        raise InvalidInput("Invalid JSON: a project is an object with `folder_name` and `flows`.")
    if missing := [key for key in ("folder_name", "flows") if key not in value]:
        raise BadRequest(f"The file is no project: it lacks {' and '.join(missing)}.")
    return {
        "folder_name": value["folder_name"],
        "folder_description": value.get("folder_description"),
        "flows": _flows_of(value),
        "is_archive": False,
    }


def archive_answer(exports: Sequence[Mapping[str, Any]], file_name: str) -> StreamingResponse:
    """A ZIP of flows under a name with the time in it; written to disk when it is big, never whole in memory twice."""
    stamped = f"{datetime.now():%Y%m%d_%H%M%S}_{safe_name(file_name)}.zip"
    plain = stamped.encode("ascii", "replace").decode().replace("?", "_")
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(stamped)}"
    return StreamingResponse(_archived(exports), media_type=ZIP_MEDIA_TYPE, headers={"Content-Disposition": disposition})


def _archived(exports: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
    # Starlette takes a plain iterator in a thread, so neither packing nor reading back holds up other requests.
    with SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as file:
        write_archive(file, exports)
        file.seek(0)
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def write_archive(target: IO[bytes], exports: Sequence[Mapping[str, Any]]) -> None:
    """One entry a flow, named by the flow, so that every system can unpack it: no paths, no two names alike."""
    taken: set[str] = set()
    with ZipFile(target, "w", ZIP_STORED) as archive:
        for exported in exports:
            wanted = name = safe_name(str(exported["name"]))
            number = 0
            while name.casefold() in taken:
                number += 1
                name = f"{wanted} ({number})"
            taken.add(name.casefold())
            archive.writestr(f"{name}.json", json.dumps(exported, indent=2, sort_keys=True, ensure_ascii=False).encode())


def safe_name(name: str) -> str:
    """The text as a file's name on any system."""
    safe = _UNSAFE.sub("_", name.replace("\x00", "").replace("..", "_"))[:MAX_FILE_NAME_LENGTH].strip(" .") or "_"
    return f"_{safe}" if safe.partition(".")[0].lower() in _DEVICES else safe


def _is_archive(content: bytes) -> bool:
    return content.startswith(b"PK\x03\x04")


def _read_json(content: bytes) -> Any:
    if len(content) > MAX_JSON_BYTES:
        raise TooLarge(f"The file is larger than {MAX_JSON_BYTES // MEGABYTE} MB.")
    try:
        return json_body.read_json(content)
    except InvalidInput as error:
        raise BadRequest(f"Invalid JSON file: {error.message}") from None


def _flows_of(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, dict):
        raise InvalidInput('Invalid JSON: a flow is an object, and so is a list of flows: {"flows": [...]}.')
    if "flows" not in value:
        return [value]
    flows = value["flows"]
    if not isinstance(flows, list) or not all(isinstance(flow, dict) for flow in flows):
        raise InvalidInput("Invalid JSON: `flows` is a list of flow objects.")
    return flows


def _flows_in_archive(content: bytes) -> list[dict[str, Any]]:
    """Every JSON entry, at any depth. Entries are read one by one under a limit, so a small file cannot become a big one."""
    # Counted before the list of entries is built: a million of them would take more memory than the file.
    if content.count(_ENTRY_MARK) > 4 * MAX_ENTRIES:
        raise BadRequest(f"The ZIP holds too many files; {MAX_ENTRIES} are the most.")
    flows: list[dict[str, Any]] = []
    total = 0
    try:
        with ZipFile(BytesIO(content)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check_entries(archive.infolist(), len(entries))
            for entry in entries:
                if not entry.filename.lower().endswith(".json") or entry.file_size > MAX_ENTRY_BYTES:
                    continue
                text = _read_entry(archive, entry)
                total += len(text)
                if total > MAX_TOTAL_BYTES:
                    raise BadRequest(f"The ZIP unpacks to more than {MAX_TOTAL_BYTES // MEGABYTE} MB.")
                try:
                    flows.extend(_flows_of(json_body.read_json(text)))
                except InvalidInput:
                    continue  # one unreadable file does not spoil the others; none at all is said below
    except (BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise BadRequest(f"The ZIP cannot be read: {error}.") from None
    if not flows:
        raise BadRequest("The ZIP holds no flow: expected JSON files, each one a flow.")
    return flows


def _check_entries(entries: Sequence[ZipInfo], count: int) -> None:
    """Refuse the whole file for one entry that an honest program does not write."""
    if count > MAX_ENTRIES:
        raise BadRequest(f"The ZIP holds {count} files; {MAX_ENTRIES} are the most.")
    seen: set[str] = set()
    declared = 0
    for entry in entries:
        name = entry.orig_filename
        shown = repr(name[:100])
        parts = name.rstrip("/").split("/")
        if not name or "\x00" in name or "\\" in name or name.startswith("/") or _DRIVE.match(name) or ".." in parts:
            raise BadRequest(f"The ZIP holds a file whose name leads out of it: {shown}.")
        if entry.external_attr >> 28 == 0o12:
            raise BadRequest(f"The ZIP holds a link: {shown}.")
        if entry.flag_bits & 0x1:
            raise BadRequest(f"The ZIP holds an encrypted file: {shown}.")
        key = "/".join(parts).casefold()
        if key in seen:
            raise BadRequest(f"The ZIP holds two files of one name (upper and lower case count as one): {shown}.")
        seen.add(key)
        if entry.file_size > RATIO_COUNTS_FROM and entry.file_size > MAX_RATIO * max(1, entry.compress_size):
            raise BadRequest(f"The ZIP holds a file that unpacks to more than {MAX_RATIO} times its size: {shown}.")
        declared += entry.file_size
    if declared > MAX_TOTAL_BYTES:
        raise BadRequest(f"The ZIP unpacks to more than {MAX_TOTAL_BYTES // MEGABYTE} MB.")


def _read_entry(archive: ZipFile, entry: ZipInfo) -> bytes:
    with archive.open(entry) as file:
        text = file.read(MAX_ENTRY_BYTES + 1)
    if len(text) > MAX_ENTRY_BYTES:
        raise BadRequest("The ZIP holds a file that is larger than it says.")
    return text
