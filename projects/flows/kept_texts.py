"""Texts made of what the catalogue holds, kept until it changes: a long list that is asked for again costs one number."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable

from projects.unit_of_work import catalogue_version
from storage.database import Database

MAX_BYTES = 32 * 1024 * 1024


class KeptTexts:
    """Keyed by whatever tells the texts apart, the owner always with it. The texts that were not asked for the longest go first."""

    def __init__(self, database: Database, *, max_bytes: int = MAX_BYTES) -> None:
        self._database = database
        self._max_bytes = max_bytes
        self._size = 0
        self._kept: OrderedDict[Hashable, tuple[int, bytes]] = OrderedDict()

    async def get(self, key: Hashable, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """The text of this key as of now."""
        # Read first: a change while the text is made leaves it under a number that is already over.
        version = await catalogue_version(self._database)
        kept = self._kept.get(key)
        if kept is not None and kept[0] == version:
            self._kept.move_to_end(key)
            return kept[1]
        made = await make()
        self._drop(key)
        self._kept[key] = (version, made)
        self._size += len(made)
        while self._size > self._max_bytes:
            self._drop(next(iter(self._kept)))
        return made

    def _drop(self, key: Hashable) -> None:
        dropped = self._kept.pop(key, None)
        if dropped is not None:
            self._size -= len(dropped[1])
