"""What a project shows to read beside its tools: the files of its flows, their conversations, and what plugins bring.

Above: the MCP face. Below: files, messages, and the plugins' own functions. A resource of another owner or project is a missing one.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from pydantic_core import to_json

from projects.access.caller import Caller, Credential
from projects.errors import NotFound, PluginFailed, TooLarge
from projects.files import FileService, StoredFile
from projects.kept_text import can_be_kept, find_uuid
from projects.messages import MessageService
from projects.plugin_content import MAX_URI_LENGTH, OWN_SCHEME, PluginContent, PluginResource, PluginTemplate, result_of
from projects.tools import Tool, ToolService
from projects.unit_of_work import reading
from storage.database import Database
from storage.files import FileRepository

logger = logging.getLogger(__name__)

T = TypeVar("T")

MAX_SUGGESTIONS = 1_000
MESSAGES_SHOWN = 200
DEFAULT_LIMIT_BYTES = 10_000_000

# Conversations and the list of files are the owner's own. Whom the owner's authorization server vouches for reads a file whose id an answer
# told, for what flows save of one of them is no other's to see. A guest of the project sees neither.
_OWNERS_CREDENTIALS = frozenset({Credential.API_KEY, Credential.SESSION, Credential.AUTOMATIC, Credential.LOCAL})
_KNOWN_CREDENTIALS = _OWNERS_CREDENTIALS | {Credential.OAUTH}

_FILE = re.compile(r"headwater://(?:project/([0-9a-fA-F-]{32,36})/)?files/([0-9a-fA-F-]{32,36})")
_CONVERSATION = re.compile(r"headwater://project/([0-9a-fA-F-]{32,36})/flows/([0-9a-fA-F-]{32,36})/sessions/([^/?#]{1,1500})")


def file_uri(file_id: str, project_id: str | None) -> str:
    """How a stored file is named as a resource; `project_id` is its flow's, None for a user's own file."""
    return f"{OWN_SCHEME}files/{file_id}" if project_id is None else f"{OWN_SCHEME}project/{project_id}/files/{file_id}"


def conversation_uri(project_id: str, flow_id: str, session_id: str) -> str:
    return f"{OWN_SCHEME}project/{project_id}/flows/{flow_id}/sessions/{quote(session_id, safe='')}"


@dataclass(frozen=True, slots=True)
class FileResource:
    """`project_id` is the project of the file's flow; None for a user's own file."""

    file: StoredFile
    project_id: str | None

    @property
    def uri(self) -> str:
        return file_uri(self.file.id, self.project_id)

    @property
    def download_path(self) -> str:
        """Where the REST face serves the same bytes."""
        if self.file.flow_id is None:
            return f"/api/v2/files/{self.file.id}"
        return f"/api/v1/files/download/{self.file.flow_id}/{quote(self.file.name, safe='')}"


@dataclass(frozen=True, slots=True)
class ResourceContent:
    """Text when it is text in UTF-8, else bytes."""

    uri: str
    media_type: str
    content: str | bytes


@dataclass(frozen=True, slots=True)
class ResourceTemplate:
    uri_template: str
    name: str
    title: str
    description: str
    media_type: str | None = None


class ResourceService:
    """`limit_bytes`: the largest resource that is read as one answer."""

    def __init__(
        self,
        database: Database,
        *,
        files: FileService,
        messages: MessageService,
        tools: ToolService,
        content: PluginContent,
        limit_bytes: int = DEFAULT_LIMIT_BYTES,
    ) -> None:
        self._database = database
        self._files = files
        self._messages = messages
        self._tools = tools
        self._content = content
        self._limit_bytes = limit_bytes

    @property
    def of_plugins(self) -> Sequence[PluginResource]:
        """By URI."""
        return self._content.resources

    async def list_files(self, caller: Caller, project_id: str | None, *, after_id: str = "", limit: int) -> list[FileResource]:
        """In the order of their ids: the files of one project's flows, or with project None all of the caller's; none for the confined."""
        if caller.via not in _OWNERS_CREDENTIALS:
            return []
        async with reading(self._database) as session:
            rows = await FileRepository(session).page_placed(owner_id=caller.user_id, project_id=project_id, after_id=after_id, limit=limit)
        return [FileResource(StoredFile.from_row(row), placed) for row, placed in rows]

    def list_templates(self, caller: Caller, project_id: str | None) -> list[ResourceTemplate]:
        """Ours, then the plugins', in a fixed order. On a project's server its id is filled in."""
        project = project_id or "{project_id}"
        if caller.via not in _KNOWN_CREDENTIALS:
            return self._plugin_templates()
        ours = [
            ResourceTemplate(
                f"{OWN_SCHEME}project/{project}/files/{{file_id}}",
                "project_file",
                "File of a flow",
                "A file that was given to one of the project's flows, or that one of them made.",
            )
        ]
        if project_id is None:
            ours.append(ResourceTemplate(f"{OWN_SCHEME}files/{{file_id}}", "own_file", "Own file", "A file that belongs to no flow."))
        if caller.via in _OWNERS_CREDENTIALS:
            ours.append(
                ResourceTemplate(
                    f"{OWN_SCHEME}project/{project}/flows/{{flow_id}}/sessions/{{session_id}}",
                    "conversation",
                    "Conversation",
                    f"The last {MESSAGES_SHOWN} messages of one session of a tool's flow.",
                    "application/json",
                )
            )
        return [*ours, *self._plugin_templates()]

    def _plugin_templates(self) -> list[ResourceTemplate]:
        return [
            ResourceTemplate(each.uri_template, each.name, each.title or each.name, each.description, each.media_type)
            for each in self._content.templates
        ]

    async def read(self, caller: Caller, project_id: str | None, uri: str) -> ResourceContent:
        """Raises NotFound("resource", uri), TooLarge with the address to download from, PluginFailed, Unavailable."""
        if len(uri) > MAX_URI_LENGTH or not can_be_kept(uri):
            raise NotFound("resource", uri)
        if not uri.startswith(OWN_SCHEME):
            return await self._read_plugin(uri)
        if found := _FILE.fullmatch(uri):
            return await self._read_file(caller, project_id, uri, found[1], found[2])
        if (found := _CONVERSATION.fullmatch(uri)) and caller.via in _OWNERS_CREDENTIALS:
            return await self._read_conversation(caller, project_id, uri, *found.groups())
        raise NotFound("resource", uri)

    async def _read_file(
        self, caller: Caller, project_id: str | None, uri: str, named_project: str | None, file_id: str
    ) -> ResourceContent:
        resource = await self._find_file(caller, file_id)
        named = None if named_project is None else find_uuid(named_project)
        is_visible = resource is not None and resource.project_id == named and (project_id is None or named == project_id)
        if resource is None or not is_visible or (named_project is not None and named is None):
            raise NotFound("resource", uri)
        file = resource.file
        if file.size_bytes > self._limit_bytes:
            raise TooLarge(
                f"{file.name} has {file.size_bytes:,} bytes, and at most {self._limit_bytes:,} are read as a resource; "
                f"download it from {resource.download_path} instead."
            )
        try:
            raw = await self._files.read(caller.user_id, file.id, limit_bytes=self._limit_bytes)
        except NotFound:
            raise NotFound("resource", uri) from None
        return ResourceContent(uri, file.media_type, _as_text(raw, file.media_type))

    async def _find_file(self, caller: Caller, file_id: str) -> FileResource | None:
        known = find_uuid(file_id)
        if known is None or caller.via not in _KNOWN_CREDENTIALS:
            return None
        async with reading(self._database) as session:
            found = await FileRepository(session).find_placed(known, owner_id=caller.user_id)
        return None if found is None else FileResource(StoredFile.from_row(found[0]), found[1])

    async def _read_conversation(
        self, caller: Caller, project_id: str | None, uri: str, named_project: str, flow_id: str, quoted_session: str
    ) -> ResourceContent:
        named, session_id = find_uuid(named_project), unquote(quoted_session)
        if named is None or project_id not in (None, named) or find_uuid(flow_id) not in await self._flow_ids(caller, named):
            raise NotFound("resource", uri)
        messages = await self._messages.list_messages(caller, flow_id=flow_id, session_id=session_id, limit=MESSAGES_SHOWN)
        if not messages:
            raise NotFound("resource", uri)
        said = [
            {
                "id": stored.id,
                "timestamp": stored.message.timestamp,
                "sender": stored.message.sender,
                "sender_name": stored.message.sender_name,
                "text": stored.message.text,
            }
            for stored in messages
        ]
        text = to_json({"flow_id": flow_id, "session_id": session_id, "messages": said}).decode()
        if len(text) > self._limit_bytes:
            raise TooLarge(f"This conversation is larger than the {self._limit_bytes:,} bytes that are read as a resource.")
        return ResourceContent(uri, "application/json", text)

    async def _flow_ids(self, caller: Caller, project_id: str) -> set[str | None]:
        return {tool.flow_id for tool in await self._tools_of(caller, project_id)}

    async def _tools_of(self, caller: Caller, project_id: str) -> Sequence[Tool]:
        """In listing order; none for a project that is not the caller's."""
        known = find_uuid(project_id)
        try:
            return () if known is None else await self._tools.list_tools(caller, known)
        except NotFound:
            return ()

    async def _read_plugin(self, uri: str) -> ResourceContent:
        for resource in self._content.resources:
            if resource.uri == uri:
                return self._content_of(uri, resource, await _called(resource.name, resource.read))
        for template in self._content.templates:
            if (variables := template.match(uri)) is not None:
                content = await _called(template.name, template.read, variables)
                if content is not None:
                    return self._content_of(uri, template, content)
        raise NotFound("resource", uri)

    def _content_of(self, uri: str, source: PluginResource | PluginTemplate, content: str | bytes) -> ResourceContent:
        if len(content) > self._limit_bytes:
            raise TooLarge(f"{source.name} gave {len(content):,} bytes, and at most {self._limit_bytes:,} are read as a resource.")
        return ResourceContent(uri, source.media_type, content)

    # What a template's variables may be ---------------------------------------------------------------------------------------------

    async def suggest(
        self, caller: Caller, project_id: str | None, uri_template: str, variable: str, typed: str, given: dict[str, str]
    ) -> Sequence[str]:
        """Values of one variable of a listed template that go on from what was typed. Raises NotFound("template", …)."""
        for template in self._content.templates:
            if template.uri_template == uri_template:
                suggest = template.suggest.get(variable)
                return [] if suggest is None else list(await _called(template.name, suggest, typed))
        if uri_template not in {template.uri_template for template in self.list_templates(caller, project_id)}:
            raise NotFound("template", uri_template)
        of_project = project_id or given.get("project_id")
        match variable:
            case "file_id":
                is_own = uri_template == f"{OWN_SCHEME}files/{{file_id}}"
                return await self._suggest_files(caller, None if is_own else of_project, typed, is_own=is_own)
            case "flow_id" if of_project is not None:
                tools = await self._tools_of(caller, of_project)
                return [tool.flow_id for tool in tools if _goes_on(typed, tool.flow_id, tool.name, tool.title)]
            case "session_id" if of_project is not None and (flow_id := given.get("flow_id")):
                if find_uuid(flow_id) not in await self._flow_ids(caller, of_project):
                    return []
                sessions = await self._messages.list_sessions(caller, flow_id=flow_id)
                return [quote(id, safe="") for id in sessions if _goes_on(typed, id, quote(id, safe=""))]
            case "project_id":
                placed = {file.project_id for file in await self.list_files(caller, None, limit=MAX_SUGGESTIONS)}
                flows = await self._tools.list_tools(caller, None)
                placed |= {tool.prepared.flow.project_id for tool in flows}
                return sorted(id for id in placed if id is not None and _goes_on(typed, id))
            case _:
                return []

    async def _suggest_files(self, caller: Caller, project_id: str | None, typed: str, *, is_own: bool) -> list[str]:
        known = None if project_id is None else find_uuid(project_id)
        if project_id is not None and known is None:
            return []
        files = await self.list_files(caller, known, limit=MAX_SUGGESTIONS)
        return [each.file.id for each in files if (each.project_id is None) == is_own and _goes_on(typed, each.file.id, each.file.name)]


async def _called(name: str, function: Callable[..., T | Awaitable[T]], *arguments: Any) -> T:
    """What a plugin's function gives. Whatever it raises is told as its failure."""
    try:
        return await result_of(function(*arguments))
    except Exception as error:
        # A boundary: code that is not ours.
        logger.exception("The plugin resource %r failed.", name)
        raise PluginFailed(f"{name} failed: {type(error).__name__}. The server's log has the reason.") from error


def _goes_on(typed: str, value: str, *names: str) -> bool:
    """Whether somebody who typed this may mean the value: it begins so, or one of its names has it somewhere."""
    typed = typed.casefold()
    return value.casefold().startswith(typed) or any(typed in name.casefold() for name in names)


def _as_text(raw: bytes, media_type: str) -> str | bytes:
    """Text that says it is text and is; everything else stays bytes."""
    is_text = media_type.startswith("text/") or media_type in _TEXTS or media_type.endswith(("+xml", "+json"))
    if not is_text or b"\x00" in raw:
        return raw
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


_TEXTS = frozenset({"application/json", "application/xml", "application/x-yaml", "application/yaml", "application/javascript"})
