"""The catalogue's version: one number that grows in the transaction of every write that a cache may have seen."""

from typing import Generic, TypeVar

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.tables import CatalogueRow

Key = TypeVar("Key")
Value = TypeVar("Value")


async def bump(session: AsyncSession) -> None:
    """Tell every process that users, sessions, keys, projects, flows or variables change with this transaction."""
    await session.execute(update(CatalogueRow).where(CatalogueRow.id == 1).values(version=CatalogueRow.version + 1))


class CatalogueCache(Generic[Key, Value]):
    """What was read from the catalogue at one version of it; another version empties it.

    Read `Database.catalogue_version()` *before* what you keep, and hand the same number to `find` and `keep`: then nothing stale is kept.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._version = -1
        self._kept: dict[Key, Value] = {}

    def find(self, version: int, key: Key) -> Value | None:
        if version == self._version:
            return self._kept.get(key)
        if version > self._version:
            self._kept.clear()
            self._version = version
        return None

    def keep(self, version: int, key: Key, value: Value) -> None:
        if version != self._version:
            return
        if len(self._kept) >= self._capacity:
            self._kept.pop(next(iter(self._kept)))
        self._kept[key] = value
