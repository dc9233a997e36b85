"""The store of this server: flows and components that its users share with each other. Nothing leaves the server, and nothing comes in."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias
from uuid import UUID

from pydantic_core import from_json
from sqlalchemy.ext.asyncio import AsyncSession

from projects.access.caller import Caller
from projects.components.registry import ComponentRegistry
from projects.errors import LimitReached, NotFound
from projects.flows import document
from projects.flows.secret_values import nodes_of, without_secrets
from projects.kept_text import can_be_kept, check_text, find_uuid, json_text, refused
from projects.unit_of_work import change_catalogue, reading
from projects.variables import VariableService
from storage.database import Database
from storage.ids import new_id
from storage.store import EntryFilter, StoreRepository
from storage.tables import StoreEntryRow

StoreFilter: TypeAlias = EntryFilter

TAG_NAMES = ("Agents", "Chat", "Classification", "Data", "Documents", "Extraction", "Retrieval", "Summaries", "Tools", "Web", "Writing")
SORTS = ("name", "created", "likes", "downloads")
MAX_ENTRIES = 1_000
MAX_NAME_LENGTH = 1_000
MAX_DESCRIPTION_LENGTH = 10_000
MAX_VERSION_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Tag:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class StoreEntry:
    """`details`: `nodes` counts the types, `variables` names what a copy needs, `cannot_run` the types this server does not run."""

    id: str
    name: str
    description: str
    is_component: bool
    is_private: bool
    tags: tuple[Tag, ...]
    details: dict[str, Any]
    tested_version: str | None
    downloads: int
    username: str
    likes: int
    is_liked: bool


@dataclass(frozen=True, slots=True)
class SharedFlow:
    """What a user shares. `tags` are ids or names."""

    name: str
    description: str
    data: Mapping[str, Any]
    tags: Sequence[str]
    is_component: bool
    is_private: bool = True
    parent_id: str | None = None
    tested_version: str | None = None


def _tag(name: str) -> Tag:
    return Tag(str(UUID(bytes=hashlib.sha256(f"store tag {name}".encode()).digest()[:16], version=4)), name)


TAGS: tuple[Tag, ...] = tuple(_tag(name) for name in TAG_NAMES)
_TAGS: Mapping[str, Tag] = {key: tag for tag in TAGS for key in (tag.id, tag.name.lower())}


class StoreService:
    def __init__(self, database: Database, registry: ComponentRegistry, variables: VariableService) -> None:
        self._database = database
        self._registry = registry
        self._variables = variables

    async def share(self, caller: Caller, shared: SharedFlow) -> str:
        """The id of the entry. Secrets are taken out first. Raises InvalidInput, LimitReached."""
        values = await self._values(caller, shared)

        async def work(session: AsyncSession) -> str:
            store, now = StoreRepository(session), datetime.now(UTC)
            if await store.count_owned(owner_id=caller.user_id) >= MAX_ENTRIES:
                raise LimitReached(f"You share {MAX_ENTRIES} things, the most that are kept; change one of them instead.")
            await _check_parent(store, shared.parent_id, caller)
            row = StoreEntryRow(id=new_id(), owner_id=caller.user_id, downloads=0, created_at=now, updated_at=now, **values)
            await store.add(row)
            return row.id

        return await change_catalogue(self._database, work)

    async def change(self, caller: Caller, entry_id: str, shared: SharedFlow) -> str:
        """Put this in the place of an entry of the caller's. Raises NotFound, InvalidInput."""
        values = await self._values(caller, shared)

        async def work(session: AsyncSession) -> str:
            store = StoreRepository(session)
            row = await store.find_owned(entry_id, owner_id=caller.user_id)
            if row is None:
                raise NotFound("component", entry_id)
            if shared.parent_id == entry_id:
                raise refused("parent", "Nothing can be made from itself.")
            await _check_parent(store, shared.parent_id, caller)
            for name, value in values.items():
                setattr(row, name, value)
            row.updated_at = datetime.now(UTC)
            await session.flush()
            return row.id

        return await change_catalogue(self._database, work)

    async def list_entries(
        self, caller: Caller, wanted: StoreFilter, *, sort: str = "-downloads", page: int = 1, limit: int = 10
    ) -> tuple[int, list[StoreEntry]]:
        """How many there are, and one page of them. `sort` is one of SORTS, with a minus for the other way round."""
        if not can_be_kept(wanted.search):
            return 0, []
        tags = tuple(_TAGS[tag.lower()].name for tag in wanted.tags if tag.lower() in _TAGS)
        if wanted.tags and not tags:
            return 0, []
        asked = EntryFilter(wanted.entry_id, wanted.search, wanted.is_private, wanted.is_component, tags, wanted.is_liked, wanted.is_own)
        async with reading(self._database) as session:
            store = StoreRepository(session)
            count = await store.count_visible(asked, reader_id=caller.user_id)
            listed = await store.list_visible(asked, reader_id=caller.user_id, sort=sort, offset=(page - 1) * limit, limit=limit)
            return count, [_entry(each.row, each.username, each.likes, is_liked=each.is_liked) for each in listed]

    async def download(self, caller: Caller, entry_id: str) -> tuple[StoreEntry, dict[str, Any]]:
        """An entry with its document. Raises NotFound, also for others' private ones."""

        async def work(session: AsyncSession) -> tuple[StoreEntry, dict[str, Any]]:
            store = StoreRepository(session)
            row = await store.find(entry_id, reader_id=caller.user_id, with_document=True)
            if row is None:
                raise NotFound("component", entry_id)
            found = _entry(row, "", 0, is_liked=False), from_json(row.document)
            if row.owner_id != caller.user_id:
                await store.count_download(entry_id)
            return found

        return await change_catalogue(self._database, work)

    async def toggle_like(self, caller: Caller, entry_id: str) -> tuple[int, bool]:
        """How many like it now, and whether the caller does. Raises NotFound."""

        async def work(session: AsyncSession) -> tuple[int, bool]:
            store = await _seen(session, entry_id, caller)
            is_liked = await store.toggle_like(entry_id, user_id=caller.user_id)
            return await store.count_likes(entry_id), is_liked

        return await change_catalogue(self._database, work)

    async def unlike(self, caller: Caller, entry_id: str) -> int:
        """How many like it, now that the caller does not; also when it was not liked before. Raises NotFound."""

        async def work(session: AsyncSession) -> int:
            store = await _seen(session, entry_id, caller)
            await store.remove_like(entry_id, user_id=caller.user_id)
            return await store.count_likes(entry_id)

        return await change_catalogue(self._database, work)

    async def _values(self, caller: Caller, shared: SharedFlow) -> dict[str, Any]:
        if not shared.name.strip():
            raise refused("name", "What is shared needs a name.")
        check_text(shared.name, "name", max_length=MAX_NAME_LENGTH)
        check_text(shared.description, "description", max_length=MAX_DESCRIPTION_LENGTH)
        check_text(shared.tested_version or "", "last_tested_version", max_length=MAX_VERSION_LENGTH)
        unknown = [tag for tag in shared.tags if tag.lower() not in _TAGS]
        if unknown:
            raise refused("tags", f"There is no tag {unknown[0][:100]!r}. Those there are: {', '.join(TAG_NAMES)}.")
        known = frozenset(variable.name for variable in await self._variables.list_variables(caller))
        clean = without_secrets(shared.data, variable_names=known)
        text = json_text(clean, "data")
        compiled = await document.read_and_compile(text, self._registry)
        details = {
            "nodes": dict(Counter(str(_data_type(each)) for each in nodes_of(clean))),
            "variables": list(compiled.report.variables),
            "cannot_run": list(dict.fromkeys(problem.type for problem in compiled.report.missing)),
        }
        return {
            "name": shared.name,
            "description": shared.description,
            "document": text,
            "details": json_text(details, "data"),
            "tags": json_text(list(dict.fromkeys(_TAGS[tag.lower()].name for tag in shared.tags)), "tags"),
            "is_component": shared.is_component,
            "is_private": shared.is_private,
            "parent_id": shared.parent_id,
            "tested_version": shared.tested_version,
        }


async def _seen(session: AsyncSession, entry_id: str, caller: Caller) -> StoreRepository:
    store = StoreRepository(session)
    if await store.find(entry_id, reader_id=caller.user_id) is None:
        raise NotFound("component", entry_id)
    return store


async def _check_parent(store: StoreRepository, parent_id: str | None, caller: Caller) -> None:
    if parent_id is not None and (find_uuid(parent_id) is None or await store.find(parent_id, reader_id=caller.user_id) is None):
        raise refused("parent", f"There is no entry {parent_id[:100]!r} that this could be made from.")


def _data_type(node: Mapping[str, Any]) -> Any:
    data = node.get("data")
    return data.get("type") if isinstance(data, Mapping) else None


def _entry(row: StoreEntryRow, username: str, likes: int, *, is_liked: bool) -> StoreEntry:
    return StoreEntry(
        id=row.id,
        name=row.name,
        description=row.description,
        is_component=row.is_component,
        is_private=row.is_private,
        tags=tuple(_TAGS[name.lower()] for name in from_json(row.tags) if name.lower() in _TAGS),
        details=from_json(row.details),
        tested_version=row.tested_version,
        downloads=row.downloads,
        username=username,
        likes=likes,
        is_liked=is_liked,
    )
