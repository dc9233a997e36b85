"""Uploaded files of flows: one JSON document, a list of them under `flows`, or a ZIP of either. Nothing is ever written to disk."""

import zlib
from io import BytesIO
from typing import Any
from zipfile import BadZipFile, ZipFile, ZipInfo

from starlette.datastructures import UploadFile
from starlette.requests import Request

from projects.errors import InvalidInput, TooLarge
from rest_adapter import json_body
from rest_adapter.errors import BadRequest

MEGABYTE = 1024 * 1024
MAX_ENTRIES = 500
MAX_ENTRY_BYTES = 50 * MEGABYTE
MAX_TOTAL_BYTES = 100 * MEGABYTE
MAX_JSON_BYTES = 50 * MEGABYTE


async def read_uploaded_flows(request: Request) -> list[dict[str, Any]]:
    """The flows in the one uploaded file."""
    return flows_in(await read_uploaded_file(request))


async def read_uploaded_file(request: Request) -> bytes:
    """The bytes of the form's `file`."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise BadRequest("No file provided: send it as the field `file` of a multipart form.")
    async with request.form(max_files=1, max_fields=10) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise BadRequest("No file provided: send it as the field `file` of a multipart form.")
        content = await file.read(MAX_TOTAL_BYTES + 1)
    if len(content) > MAX_TOTAL_BYTES:
        raise TooLarge(f"The file is larger than {MAX_TOTAL_BYTES // MEGABYTE} MB.")
    if not content:
        raise BadRequest("The file is empty.")
    return content


def flows_in(content: bytes) -> list[dict[str, Any]]:
    """Every flow of a file, told apart by what it holds, not by its name."""
    if content.startswith(b"PK\x03\x04"):
        return _flows_in_archive(content)
    if len(content) > MAX_JSON_BYTES:
        raise TooLarge(f"The file is larger than {MAX_JSON_BYTES // MEGABYTE} MB.")
    try:
        value = json_body.read_json(content)
    except InvalidInput as error:
        raise BadRequest(f"Invalid JSON file: {error.message}") from None
    return _flows_of(value)


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
    flows: list[dict[str, Any]] = []
    total = 0
    try:
        with ZipFile(BytesIO(content)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if len(entries) > MAX_ENTRIES:
                raise BadRequest(f"The ZIP holds {len(entries)} files; {MAX_ENTRIES} are the most.")
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
    except (BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise BadRequest(f"The ZIP cannot be read: {error}.") from None
    if not flows:
        raise BadRequest("The ZIP holds no flow: expected JSON files, each one a flow.")
    return flows


def _read_entry(archive: ZipFile, entry: ZipInfo) -> bytes:
    with archive.open(entry) as file:
        text = file.read(MAX_ENTRY_BYTES + 1)
    if len(text) > MAX_ENTRY_BYTES:
        raise BadRequest("The ZIP holds a file that is larger than it says.")
    return text
