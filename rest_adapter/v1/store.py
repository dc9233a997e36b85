"""The store, as clients of Langflow's former one ask for it: here it holds what the users of this server share with each other."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

from pydantic import Field

from projects import store
from projects.access.caller import Caller
from projects.services import ProjectServices
from projects.store import SharedFlow, StoreEntry, StoreFilter
from rest_adapter.routing import Answer, OwnerRule, endpoint
from rest_adapter.v1.models import Detail, Wire

_TAG = "Store"
_SORTS = {"date_created": "created", "count(liked_by)": "likes", "liked_by_count": "likes", "count(downloads)": "downloads"}
_SORTS |= {"downloads_count": "downloads", **{name: name for name in store.SORTS}}


class StoreState(Wire):
    enabled: bool


class StoreKeyState(Wire):
    has_api_key: bool
    is_valid: bool


class EntryTag(Wire):
    id: UUID
    name: str


class EntryShared(Wire):
    """`data` loses its secrets before it is kept. `tags` are ids or names of /tags."""

    name: str
    description: str
    data: dict[str, Any]
    tags: list[str] | None
    parent: UUID | None = None
    is_component: bool | None
    last_tested_version: str | None = None
    private: bool = Field(default=True, description="Only its owner sees it.")


class EntryId(Wire):
    id: UUID


class ListedEntry(Wire):
    """`metadata` counts the types of nodes, names the variables that a copy needs, and what this server does not run."""

    id: UUID
    name: str
    description: str
    liked_by_count: int
    liked_by_user: bool
    is_component: bool
    metadata: dict[str, Any]
    user_created: dict[str, str]
    tags: list[EntryTag]
    downloads_count: int
    last_tested_version: str | None
    private: bool


class EntryList(Wire):
    count: int
    authorized: bool
    results: list[ListedEntry]


class EntryRead(Wire):
    id: UUID
    name: str
    description: str
    data: dict[str, Any]
    is_component: bool
    metadata: dict[str, Any]


class Likes(Wire):
    likes_count: int
    liked_by_user: bool


class EntryQuery(Wire):
    component_id: UUID | None = None
    search: str = Field(default="", max_length=1_000)
    private: bool | None = None
    is_component: bool | None = None
    tags: str = Field(default="", max_length=10_000, description="Ids or names with commas between; an entry has one of them at least.")
    sort: str = Field(default="-downloads", description="name, date_created, likes or downloads; with a minus the other way round.")
    liked: bool = False
    filter_by_user: bool = False
    page: int = Field(default=1, ge=1, le=1_000_000)
    limit: int = Field(default=10, ge=1, le=100)


class LikesQuery(Wire):
    page: int = Field(default=1, ge=1, le=1_000_000)
    limit: int = Field(default=100, ge=1, le=100)


def _shared(body: EntryShared) -> SharedFlow:
    return SharedFlow(
        name=body.name,
        description=body.description,
        data=body.data,
        tags=body.tags or (),
        is_component=body.is_component is True,
        is_private=body.private,
        parent_id=None if body.parent is None else str(body.parent),
        tested_version=body.last_tested_version,
    )


def _listed(entry: StoreEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "name": entry.name,
        "description": entry.description,
        "liked_by_count": entry.likes,
        "liked_by_user": entry.is_liked,
        "is_component": entry.is_component,
        "metadata": entry.details,
        "user_created": {"username": entry.username},
        "tags": [asdict(tag) for tag in entry.tags],
        "downloads_count": entry.downloads,
        "last_tested_version": entry.tested_version,
        "private": entry.is_private,
    }


@endpoint("GET", "/api/v1/store/check/", Answer(200, StoreState), owner=OwnerRule.PUBLIC, tag=_TAG)
async def check_store() -> dict[str, bool]:
    """There is a store: this server's own."""
    return {"enabled": True}


@endpoint("GET", "/api/v1/store/check/api_key", Answer(200, StoreKeyState), owner=OwnerRule.CALLER, tag=_TAG)
async def check_store_key(caller: Caller) -> dict[str, bool]:
    """Whoever may ask may use the store; it wants no key of its own."""
    return {"has_api_key": True, "is_valid": True}


@endpoint("POST", "/api/v1/store/components/", Answer(201, EntryId), tag=_TAG)
async def share_component(body: EntryShared, caller: Caller, services: ProjectServices) -> dict[str, str]:
    """Share a flow or a component with the users of this server, or keep it there for oneself."""
    return {"id": await services.store.share(caller, _shared(body))}


@endpoint("PATCH", "/api/v1/store/components/{component_id}", Answer(201, EntryId), Answer(404, Detail), tag=_TAG)
async def change_component(component_id: UUID, body: EntryShared, caller: Caller, services: ProjectServices) -> dict[str, str]:
    """Put something else in the place of what one shares, or make it private or public."""
    return {"id": await services.store.change(caller, str(component_id), _shared(body))}


@endpoint("GET", "/api/v1/store/components/", Answer(200, EntryList), tag=_TAG)
async def list_store_components(query: EntryQuery, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """What is shared: everybody's public entries and the caller's own."""
    wanted = StoreFilter(
        entry_id=None if query.component_id is None else str(query.component_id),
        search=query.search,
        is_private=query.private,
        is_component=query.is_component,
        tags=tuple(tag.strip() for tag in query.tags.split(",") if tag.strip()),
        is_liked=query.liked,
        is_own=query.filter_by_user,
    )
    # An order that is not known is the usual one, as the former store had it.
    minus = "-" if query.sort.startswith("-") else ""
    known = _SORTS.get(query.sort.removeprefix("-"))
    sort = f"{minus}{known}" if known else "-downloads"
    count, entries = await services.store.list_entries(caller, wanted, sort=sort, page=query.page, limit=query.limit)
    return {"count": count, "authorized": True, "results": [_listed(entry) for entry in entries]}


@endpoint("GET", "/api/v1/store/components/{component_id}", Answer(200, EntryRead), Answer(404, Detail), tag=_TAG)
async def download_component(component_id: UUID, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """One entry with its document, to be copied."""
    entry, data = await services.store.download(caller, str(component_id))
    return {
        "id": entry.id,
        "name": entry.name,
        "description": entry.description,
        "data": data,
        "is_component": entry.is_component,
        "metadata": entry.details,
    }


@endpoint("GET", "/api/v1/store/tags", Answer(200, list[EntryTag]), owner=OwnerRule.PUBLIC, tag=_TAG)
async def list_tags() -> list[dict[str, str]]:
    """The tags that entries may have."""
    return [asdict(tag) for tag in store.TAGS]


@endpoint("GET", "/api/v1/store/users/likes", Answer(200, list[Likes]), tag=_TAG)
async def list_likes(query: LikesQuery, caller: Caller, services: ProjectServices) -> list[dict[str, Any]]:
    """How many like each of what the caller likes, the oldest entry first."""
    wanted = StoreFilter(is_liked=True)
    _, entries = await services.store.list_entries(caller, wanted, sort="created", page=query.page, limit=query.limit)
    return [{"likes_count": entry.likes, "liked_by_user": True} for entry in entries]


@endpoint("POST", "/api/v1/store/users/likes/{component_id}", Answer(200, Likes), Answer(404, Detail), tag=_TAG)
async def toggle_like(component_id: UUID, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """Like an entry, or no longer."""
    likes, is_liked = await services.store.toggle_like(caller, str(component_id))
    return {"likes_count": likes, "liked_by_user": is_liked}


@endpoint("DELETE", "/api/v1/store/users/likes/{component_id}", Answer(200, Likes), Answer(404, Detail), tag=_TAG)
async def remove_like(component_id: UUID, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """Like an entry no longer; nothing changes where the caller did not like it."""
    return {"likes_count": await services.store.unlike(caller, str(component_id)), "liked_by_user": False}


ENDPOINTS = (
    check_store,
    check_store_key,
    share_component,
    list_store_components,
    change_component,
    download_component,
    list_tags,
    list_likes,
    toggle_like,
    remove_like,
)
