"""What a run produced, as the content of a tool result: text for the model, files it can look at, and the same typed."""

from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic_core import to_json

from mcp_server.errors import printable
from mcp_server.visit import Visit
from projects.engine.events import VertexResult
from projects.engine.values import Data, Message, Table
from projects.errors import HeadwaterError
from projects.files import StoredFile
from projects.resources import file_uri
from projects.tools import Tool
from projects.tools.results import plain

EMBEDDED_BYTES = 1_000_000  # a larger picture or sound is a link; base64 makes it a third larger still
EMBEDDED_BYTES_IN_ALL = 3_000_000
EMBEDDED_TEXT_BYTES = 20_000  # every model that gets the result reads all of it
FILES_TOLD = 20

# What every client that shows pictures or plays sounds can; the first bytes tell what a file really is.
_PICTURES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF87a", "image/gif"), (b"GIF89a", "image/gif"))
_SOUNDS = ((b"ID3", "audio/mpeg"), (b"\xff\xfb", "audio/mpeg"), (b"\xff\xf3", "audio/mpeg"))
_LOOKED_INTO = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "audio/mpeg", "audio/wav"})
_READ_OUT = frozenset({"text/plain", "text/markdown", "text/csv", "application/json"})


async def answer_of(visit: Visit, tool: Tool | None, outputs: Iterable[VertexResult]) -> dict[str, Any]:
    """`content`, and where the tool is known `structuredContent` that fits its output schema."""
    outputs = tuple(outputs)
    answer: dict[str, Any] = {"content": content_of(outputs)}
    if tool is not None:
        answer["structuredContent"] = tool.results.structured(outputs)
    if paths := tuple(_files_of(outputs)):
        blocks, links = await _file_blocks(visit, tool, paths)
        answer["content"] += blocks
        if links and tool is not None:
            # Some clients show a model nothing but this.
            answer["structuredContent"].setdefault("files", links)
    return answer


def content_of(outputs: Iterable[VertexResult]) -> list[dict[str, Any]]:
    """One text block for each different text, in the order of the outputs. A text that two outputs share is told once."""
    return [{"type": "text", "text": text} for text in dict.fromkeys(_texts(outputs))]


def text_of(value: Any) -> str:
    """The text a model reads: a message's own text, records and tables as JSON, anything else in its plain form."""
    match value:
        case str():
            return str(plain(value))
        case Message():
            return str(plain(value.text))
        case Data() | Table() | dict() | list() | tuple():
            return to_json(plain(value)).decode()
        case bool():
            return "true" if value else "false"
        case _:
            return str(plain(str(value)))


def _texts(outputs: Iterable[VertexResult]) -> Iterator[str]:
    for result in outputs:
        for value in result.outputs.values():
            if value is not None:
                yield text_of(value)


def _files_of(outputs: Iterable[VertexResult]) -> Iterator[str]:
    """Storage paths that messages carry, each once."""
    paths = (path for result in outputs for value in result.outputs.values() if isinstance(value, Message) for path in value.files)
    yield from dict.fromkeys(path for path in paths if isinstance(path, str))


async def _file_blocks(visit: Visit, tool: Tool | None, paths: tuple[str, ...]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The blocks, and what of them says where each file is."""
    blocks: list[dict[str, Any]] = []
    links: list[dict[str, Any]] = []
    left = EMBEDDED_BYTES_IN_ALL
    files, caller = visit.services.files, visit.caller
    for path in paths[:FILES_TOLD]:
        file = await files.find(caller.user_id, path)
        if file is None or not _may_see(visit, tool, file):
            blocks.append({"type": "text", "text": f"The file {printable(path)!r} is not there, or not yours to see."})
            continue
        link = _link(visit, tool, file)
        links.append(link)
        content = b""
        most = EMBEDDED_BYTES if file.media_type in _LOOKED_INTO else EMBEDDED_TEXT_BYTES if file.media_type in _READ_OUT else 0
        if 0 < file.size_bytes <= min(most, left):
            try:
                content = await files.read(caller.user_id, file.id, limit_bytes=EMBEDDED_BYTES)
            except HeadwaterError as error:
                blocks.append({"type": "text", "text": printable(f"The file {file.name!r} cannot be shown: {error.message}")})
                continue
        if (media_type := _shown_as(content)) is not None:
            left -= len(content)
            kind = "image" if media_type.startswith("image/") else "audio"
            blocks.append({"type": kind, "data": b64encode(content).decode(), "mimeType": media_type})
        elif file.media_type in _READ_OUT and (text := _text(content)):
            left -= len(content)
            blocks.append({"type": "resource", "resource": {"uri": link["uri"], "mimeType": file.media_type, "text": text}})
        else:
            blocks.append({"type": "resource_link", **link})
    if len(paths) > FILES_TOLD:
        blocks.append({"type": "text", "text": f"{len(paths) - FILES_TOLD} more files are not told here."})
    return blocks, links


def _may_see(visit: Visit, tool: Tool | None, file: StoredFile) -> bool:
    """Who has no credential sees what the flow made and nothing else of its owner's."""
    return not visit.caller.is_guest or (tool is not None and file.flow_id == tool.flow_id)


def _link(visit: Visit, tool: Tool | None, file: StoredFile) -> dict[str, Any]:
    project_id = visit.project_id if tool is None else tool.prepared.flow.project_id
    uri = file_uri(file.id, None if file.flow_id is None else project_id)
    return {"uri": uri, "name": file.name, "mimeType": file.media_type, "size": file.size_bytes}


def _text(content: bytes) -> str:
    """Empty for what is no UTF-8."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return ""


def _shown_as(content: bytes) -> str | None:
    """The media type of a picture or sound by its first bytes; None for anything else."""
    if content[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(content[8:12])
    return next((media_type for start, media_type in (*_PICTURES, *_SOUNDS) if content.startswith(start)), None)
