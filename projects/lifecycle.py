"""Projects: made, listed, renamed, deleted. Each one is an MCP server of its own, and its flows are that server's tools."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json
from sqlalchemy.ext.asyncio import AsyncSession

from projects.access.caller import Caller
from projects.access.project_access import SECRET_MASK, SECRET_SETTING, check_auth_settings
from projects.default_project import DefaultProject, find_project, get_project
from projects.errors import AlreadyExists, Locked, NotFound
from projects.flows.flow import check_values
from projects.flows.library import UNSET, Flow, FlowChanged, FlowLibrary, OnFlowChange, Unset
from projects.free_names import free_name
from projects.kept_text import can_be_kept, check_text, find_uuid, json_text, refused
from projects.unit_of_work import change_catalogue, reading
from storage.database import Database
from storage.encryption import SecretBox
from storage.flows import FlowRepository
from storage.ids import new_id
from storage.projects import ProjectRepository
from storage.tables import ProjectRow

MAX_NAME_LENGTH = 240  # leaves room for " (n)" in the column
MAX_DESCRIPTION_LENGTH = 100_000

# Pictographs, arrows and symbols that are shown as pictures, flags, and the marks that turn a character into a picture.
_EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u231a\u231b\u23e9-\u23f3\u23f8-\u23fa\ufe0f\u20e3]")


@dataclass(frozen=True, slots=True)
class Project:
    """`auth_settings` is what was stored; a secret in it is ciphertext."""

    id: str
    owner_id: str
    name: str
    description: str | None
    parent_id: str | None
    auth_settings: dict[str, Any] | None
    mcp_settings: dict[str, Any] | None  # what else its MCP server shows: see `prompts.py`
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_row(cls, row: ProjectRow) -> "Project":
        return cls(
            id=row.id,
            owner_id=row.owner_id,
            name=row.name,
            description=row.description,
            parent_id=row.parent_id,
            auth_settings=None if row.auth_settings is None else from_json(row.auth_settings),
            mcp_settings=None if row.mcp_settings is None else from_json(row.mcp_settings),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


@dataclass(frozen=True, slots=True)
class ToolSetting:
    """How one flow is a tool of its project; None clears."""

    flow_id: str
    is_tool: bool
    name: str | None = None
    description: str | None = None


class ProjectService:
    """`on_change` hears of every flow that a change of its project moved or deleted.

    `has_known_address`: whether clients know this server by an address that OAuth tokens can be made out to.
    """

    def __init__(
        self,
        database: Database,
        on_change: OnFlowChange,
        *,
        default_project: DefaultProject | None = None,
        secret_box: SecretBox | None = None,
        has_known_address: bool = True,
    ) -> None:
        self._database = database
        self._on_change = on_change
        self._has_known_address = has_known_address
        self._default_project = default_project or DefaultProject()
        self._secret_box = secret_box

    async def create(
        self,
        caller: Caller,
        *,
        name: str,
        description: str | None = None,
        auth_settings: Mapping[str, Any] | None = None,
        flow_ids: Sequence[str] = (),
    ) -> Project:
        """Make a project and move these flows into it (those that are the caller's). A name that is taken gets a number."""
        _check_name(name)
        _check_description(description)
        settings = self._settings_text(auth_settings if auth_settings is not None else self._default_project.auth_settings)

        async def work(session: AsyncSession) -> tuple[Project, list[FlowChanged]]:
            row = await _add(session, caller, name=name, description=description, settings=settings)
            return Project.from_row(row), await _move(session, flow_ids, row)

        project, moved = await change_catalogue(self._database, work)
        await self._tell(moved)
        return project

    async def create_with_id(
        self,
        caller: Caller,
        project_id: str,
        *,
        name: str,
        description: str | None = None,
        auth_settings: Mapping[str, Any] | None = None,
        flow_ids: Sequence[str] = (),
    ) -> Project:
        """Make a project under this id and move these flows into it.

        Raises AlreadyExists for a taken name, NotFound for an id that somebody else has.
        """
        _check_name(name)
        _check_description(description)
        settings = self._settings_text(auth_settings if auth_settings is not None else self._default_project.auth_settings)

        async def work(session: AsyncSession) -> tuple[Project, list[FlowChanged]]:
            projects = ProjectRepository(session)
            if await projects.is_taken(project_id):
                raise NotFound("project", project_id)
            if await projects.find_by_name(name, owner_id=caller.user_id) is not None:
                raise AlreadyExists("Another of your projects has this name; choose a different one.", field="name")
            row = await _add(session, caller, name=name, description=description, settings=settings, project_id=project_id)
            return Project.from_row(row), await _move(session, flow_ids, row)

        project, moved = await change_catalogue(self._database, work)
        await self._tell(moved)
        return project

    async def import_project(
        self, caller: Caller, library: FlowLibrary, *, name: str, description: str | None, flows: Sequence[Mapping[str, Any]]
    ) -> list[Flow]:
        """Make a project with these exported flows in it, all or nothing. Raises InvalidInput, AlreadyExists (a flow's id)."""
        _check_name(name)
        _check_description(description)
        settings = self._settings_text(self._default_project.auth_settings)

        async def work(session: AsyncSession) -> list[Flow]:
            row = await _add(session, caller, name=name, description=description, settings=settings)
            return await library.add_exported(session, caller, flows, project_id=row.id)

        made = await change_catalogue(self._database, work)
        await self._tell([FlowChanged(flow.id, flow.owner_id, flow.project_id, "created") for flow in made])
        return made

    async def list_projects(self, caller: Caller) -> list[Project]:
        """The default project first, then the oldest first."""
        async with reading(self._database) as session:
            rows = await ProjectRepository(session).list_owned(owner_id=caller.user_id)
        named = [row for row in rows if row.name == self._default_project.name]
        return [Project.from_row(row) for row in (*named, *(row for row in rows if row not in named))]

    async def get(self, caller: Caller, project_id: str) -> Project:
        """Raises NotFound, also for somebody else's project."""
        async with reading(self._database) as session:
            return Project.from_row(await get_project(session, project_id, owner_id=caller.user_id))

    async def find_by_name(self, caller: Caller, name: str) -> Project | None:
        """Exactly this name; None when there is none."""
        if not can_be_kept(name):
            return None
        async with reading(self._database) as session:
            row = await ProjectRepository(session).find_by_name(name, owner_id=caller.user_id)
        return None if row is None else Project.from_row(row)

    async def default_project(self, caller: Caller) -> Project:
        """The project for what names no other; made now for a user who has none at all."""
        async with reading(self._database) as session:
            row = await self._default_project.find(session, owner_id=caller.user_id)
        if row is not None:
            return Project.from_row(row)

        async def work(session: AsyncSession) -> Project:
            return Project.from_row(await self._default_project.ensure(session, owner_id=caller.user_id))

        return await change_catalogue(self._database, work)

    async def update(
        self,
        caller: Caller,
        project_id: str,
        *,
        name: str | Unset = UNSET,
        description: str | Unset | None = UNSET,
        parent_id: str | Unset | None = UNSET,
        auth_settings: Mapping[str, Any] | Unset | None = UNSET,
    ) -> Project:
        """Raises NotFound (the project, or the new parent), AlreadyExists, InvalidInput. A secret that `auth_settings` leaves out stays."""
        if name is not UNSET:
            _check_name(name)
        if description is not UNSET:
            _check_description(description)
        settings = UNSET if auth_settings is UNSET else self._settings_text(auth_settings)

        async def work(session: AsyncSession) -> Project:
            projects = ProjectRepository(session)
            row = await get_project(session, project_id, owner_id=caller.user_id)
            if name is not UNSET and name != row.name:
                if await projects.find_by_name(name, owner_id=caller.user_id) is not None:
                    raise AlreadyExists("Another of your projects has this name; choose a different one.", field="name")
                row.name = name
            if description is not UNSET:
                row.description = description
            if parent_id is not UNSET:
                row.parent_id = await _checked_parent(session, row, parent_id)
            if settings is not UNSET:
                row.auth_settings = settings if settings is None else _with_kept_secret(settings, row.auth_settings)
            row.updated_at = datetime.now(UTC)
            await session.flush()
            return Project.from_row(row)

        return await change_catalogue(self._database, work)

    async def set_tools(
        self,
        caller: Caller,
        project_id: str,
        tools: Sequence[ToolSetting],
        *,
        auth_settings: Mapping[str, Any] | None = None,
        mcp_settings: Mapping[str, Any] | None = None,
    ) -> int:
        """Set how these flows of the project are tools, and, unless None, how callers prove themselves; how many flows were named.

        Of `mcp_settings` what is given is set and the rest stays. A secret that `auth_settings` leaves out stays.
        Raises NotFound, Locked (a locked flow would change), InvalidInput.
        """
        for tool in tools:
            check_values({"tool_name": tool.name, "tool_description": tool.description})
        settings = None if auth_settings is None else self._settings_text(auth_settings)
        by_id = {id: tool for tool in tools if (id := find_uuid(tool.flow_id)) is not None}

        async def work(session: AsyncSession) -> tuple[int, list[FlowChanged]]:
            row, now = await get_project(session, project_id, owner_id=caller.user_id), datetime.now(UTC)
            if settings is not None:
                row.auth_settings = _with_kept_secret(settings, row.auth_settings)
                row.updated_at = now
            named, changed = 0, []
            if mcp_settings:
                stored = {} if row.mcp_settings is None else from_json(row.mcp_settings)
                row.mcp_settings = json_text({**stored, **mcp_settings}, "prompts")
                row.updated_at = now
                # What these settings show belongs to flows: whoever follows one of them hears of it.
                shown = await FlowRepository(session).list_owned(owner_id=caller.user_id, project_id=row.id, with_documents=False)
                changed += [FlowChanged(flow.id, flow.owner_id, row.id, "updated") for flow in shown[:1]]
            for flow in await FlowRepository(session).list_by_ids(by_id.keys(), owner_id=caller.user_id):
                if flow.project_id != row.id:
                    continue
                named, tool = named + 1, by_id[flow.id]
                wanted = (tool.is_tool, tool.name, tool.description)
                if wanted == (flow.is_tool, flow.tool_name, flow.tool_description):
                    continue
                if flow.is_locked:
                    raise Locked(f"The flow {flow.name} is locked; unlock it first.")
                flow.is_tool, flow.tool_name, flow.tool_description = wanted
                flow.updated_at = now
                changed.append(FlowChanged(flow.id, flow.owner_id, row.id, "updated"))
            await session.flush()
            return named, changed

        count, changed = await change_catalogue(self._database, work)
        await self._tell(changed)
        return count

    async def delete(self, caller: Caller, project_id: str) -> None:
        """With its flows and everything of theirs, locked or not. Raises NotFound."""

        async def work(session: AsyncSession) -> list[FlowChanged]:
            row = await get_project(session, project_id, owner_id=caller.user_id)
            flows = await FlowRepository(session).list_owned(owner_id=caller.user_id, project_id=row.id, with_documents=False)
            await ProjectRepository(session).delete(row.id, owner_id=caller.user_id)
            return [FlowChanged(flow.id, flow.owner_id, row.id, "deleted") for flow in flows]

        await self._tell(await change_catalogue(self._database, work))

    def _settings_text(self, auth_settings: Mapping[str, Any] | None) -> str | None:
        if auth_settings is None:
            return None
        settings = dict(auth_settings)
        check_auth_settings(settings, has_known_address=self._has_known_address)
        if settings.get(SECRET_SETTING) == SECRET_MASK:
            del settings[SECRET_SETTING]  # as it was shown: the one that is kept stays
        if secret := settings.get(SECRET_SETTING):
            if self._secret_box is None or not isinstance(secret, str):
                raise refused("auth_settings", f"{SECRET_SETTING} cannot be kept here; leave it out.")
            settings[SECRET_SETTING] = self._secret_box.encrypt(secret)
        return json_text(settings, "auth_settings")

    async def _tell(self, changes: Sequence[FlowChanged]) -> None:
        for change in changes:
            if (waiting := self._on_change(change)) is not None:
                await waiting


def _with_kept_secret(settings: str, stored: str | None) -> str:
    new, old = from_json(settings), {} if stored is None else from_json(stored)
    if SECRET_SETTING not in new and isinstance(old, dict) and old.get(SECRET_SETTING):
        return json_text({**new, SECRET_SETTING: old[SECRET_SETTING]}, "auth_settings")
    return settings


async def _add(
    session: AsyncSession, caller: Caller, *, name: str, description: str | None, settings: str | None, project_id: str | None = None
) -> ProjectRow:
    """A new project; a name that is taken gets a number."""
    projects, now = ProjectRepository(session), datetime.now(UTC)
    taken = await projects.list_names_starting(name, owner_id=caller.user_id)
    row = ProjectRow(
        id=project_id or new_id(),
        owner_id=caller.user_id,
        parent_id=None,
        name=free_name(name, taken),
        description=description,
        auth_settings=settings,
        created_at=now,
        updated_at=now,
    )
    await projects.add(row)
    return row


async def _move(session: AsyncSession, flow_ids: Sequence[str], project: ProjectRow) -> list[FlowChanged]:
    """Those of the flows that are the project's owner's, into it."""
    wanted_ids = {id for each in flow_ids if (id := find_uuid(each)) is not None}
    moved = []
    for flow in await FlowRepository(session).list_by_ids(wanted_ids, owner_id=project.owner_id):
        if flow.is_locked:
            raise Locked(f"The flow {flow.name} is locked; unlock it before you move it.")
        moved.append(FlowChanged(flow.id, flow.owner_id, project.id, "updated", moved_from=flow.project_id))
        flow.project_id = project.id
    return moved


def usable_name(wanted: str, *, otherwise: str) -> str:
    """The text as a project's name, without what a name may not have; `otherwise` when nothing is left of it."""
    kept = "".join(char for char in _EMOJI.sub("", wanted) if char.isprintable()).strip()[:MAX_NAME_LENGTH]
    return kept if any(character.isalnum() for character in kept) and can_be_kept(kept) else otherwise


def _check_name(name: str) -> None:
    check_text(name, "name", max_length=MAX_NAME_LENGTH)
    if not any(character.isalnum() for character in name):
        raise refused("name", "A project's name needs at least one letter or digit.", kind="invalid_project_name")
    if found := _EMOJI.search(name):
        raise refused("name", f"A project's name may have no emoji; leave out {found[0]}.", kind="invalid_project_name")


def _check_description(description: str | None) -> None:
    if description is not None:
        check_text(description, "description", max_length=MAX_DESCRIPTION_LENGTH)


async def _checked_parent(session: AsyncSession, row: ProjectRow, parent_id: str | None) -> str | None:
    """The parent's id, if it is there and is not the project itself or below it."""
    if parent_id is None:
        return None
    parent = ancestor = await get_project(session, parent_id, owner_id=row.owner_id)
    seen: set[str] = set()
    while ancestor.id not in seen:
        if ancestor.id == row.id:
            raise refused("parent_id", "A project cannot lie inside itself.")
        seen.add(ancestor.id)
        above = await find_project(session, ancestor.parent_id, owner_id=row.owner_id)
        if above is None:
            break
        ancestor = above
    return parent.id
