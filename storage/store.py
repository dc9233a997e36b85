"""Queries on the tables store_entries and store_likes. `reader_id` is who asks: others' private entries are not there for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer

from storage.tables import StoreEntryRow, StoreLikeRow, UserRow


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """None and empty mean: whichever. `tags` are names, of which an entry has one at least."""

    entry_id: str | None = None
    search: str = ""
    is_private: bool | None = None
    is_component: bool | None = None
    tags: tuple[str, ...] = ()
    is_liked: bool = False
    is_own: bool = False


@dataclass(frozen=True, slots=True)
class ListedEntry:
    row: StoreEntryRow
    username: str
    likes: int
    is_liked: bool


class StoreRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, row: StoreEntryRow) -> None:
        self._session.add(row)
        await self._session.flush()

    async def find(self, entry_id: str, *, reader_id: str, with_document: bool = False) -> StoreEntryRow | None:
        query = select(StoreEntryRow).where(StoreEntryRow.id == entry_id, _is_visible(reader_id))
        if with_document:
            query = query.options(undefer(StoreEntryRow.document))
        return (await self._session.execute(query)).scalar_one_or_none()

    async def find_owned(self, entry_id: str, *, owner_id: str) -> StoreEntryRow | None:
        query = select(StoreEntryRow).where(StoreEntryRow.id == entry_id, StoreEntryRow.owner_id == owner_id)
        return (await self._session.execute(query)).scalar_one_or_none()

    async def count_owned(self, *, owner_id: str) -> int:
        query = select(func.count()).select_from(StoreEntryRow).where(StoreEntryRow.owner_id == owner_id)
        return (await self._session.execute(query)).scalar_one()

    async def count_visible(self, wanted: EntryFilter, *, reader_id: str) -> int:
        query = _filtered(select(func.count()).select_from(StoreEntryRow), wanted, reader_id)
        count: int = (await self._session.execute(query)).scalar_one()
        return count

    async def list_visible(self, wanted: EntryFilter, *, reader_id: str, sort: str, offset: int, limit: int) -> Sequence[ListedEntry]:
        """`sort`: name, created, likes or downloads, with a minus before it for the other way round."""
        likes = select(func.count()).where(StoreLikeRow.entry_id == StoreEntryRow.id).scalar_subquery()
        liked = select(func.count()).where(StoreLikeRow.entry_id == StoreEntryRow.id, StoreLikeRow.user_id == reader_id).scalar_subquery()
        orders: dict[str, ColumnElement[Any]] = {
            "name": func.lower(StoreEntryRow.name),
            "created": StoreEntryRow.created_at.expression,
            "likes": likes,
            "downloads": StoreEntryRow.downloads.expression,
        }
        order = orders[sort.removeprefix("-")]
        query = select(StoreEntryRow, UserRow.username, likes, liked).join(UserRow, UserRow.id == StoreEntryRow.owner_id)
        query = _filtered(query, wanted, reader_id).order_by(order.desc() if sort.startswith("-") else order.asc(), StoreEntryRow.id)
        rows = (await self._session.execute(query.offset(offset).limit(limit))).all()
        return [ListedEntry(row, username, count, mine > 0) for row, username, count, mine in rows]

    async def count_download(self, entry_id: str) -> None:
        await self._session.execute(update(StoreEntryRow).where(StoreEntryRow.id == entry_id).values(downloads=StoreEntryRow.downloads + 1))

    async def toggle_like(self, entry_id: str, *, user_id: str) -> bool:
        """Whether the user likes it now."""
        if await self.remove_like(entry_id, user_id=user_id):
            return False
        self._session.add(StoreLikeRow(entry_id=entry_id, user_id=user_id))
        await self._session.flush()
        return True

    async def remove_like(self, entry_id: str, *, user_id: str) -> bool:
        """Whether there was one."""
        gone = delete(StoreLikeRow).where(StoreLikeRow.entry_id == entry_id, StoreLikeRow.user_id == user_id)
        return (await self._session.execute(gone.returning(StoreLikeRow.entry_id))).scalar_one_or_none() is not None

    async def count_likes(self, entry_id: str) -> int:
        query = select(func.count()).select_from(StoreLikeRow).where(StoreLikeRow.entry_id == entry_id)
        return (await self._session.execute(query)).scalar_one()


def _is_visible(reader_id: str) -> ColumnElement[bool]:
    return or_(StoreEntryRow.is_private.is_(False), StoreEntryRow.owner_id == reader_id)


def _filtered(query: Select[Any], wanted: EntryFilter, reader_id: str) -> Select[Any]:
    query = query.where(_is_visible(reader_id))
    if wanted.entry_id is not None:
        query = query.where(StoreEntryRow.id == wanted.entry_id)
    if wanted.search:
        text = wanted.search.lower()
        query = query.where(
            or_(
                func.lower(StoreEntryRow.name).contains(text, autoescape=True),
                func.lower(StoreEntryRow.description).contains(text, autoescape=True),
            )
        )
    if wanted.is_private is not None:
        query = query.where(StoreEntryRow.is_private.is_(wanted.is_private))
    if wanted.is_component is not None:
        query = query.where(StoreEntryRow.is_component.is_(wanted.is_component))
    if wanted.tags:
        query = query.where(or_(*(StoreEntryRow.tags.contains(f'"{tag}"', autoescape=True) for tag in wanted.tags)))
    if wanted.is_liked:
        query = query.where(StoreEntryRow.id.in_(select(StoreLikeRow.entry_id).where(StoreLikeRow.user_id == reader_id)))
    if wanted.is_own:
        query = query.where(StoreEntryRow.owner_id == reader_id)
    return query
