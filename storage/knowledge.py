"""Queries on knowledge bases and their rows, and the search for words, which each database does in its own way."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.tables import KnowledgeBaseRow, KnowledgeRow

# Scores grow with relevance on both; they compare within one search only.
_SEARCH_SQLITE = text(
    "SELECT knowledge_rows.number, -bm25(knowledge_words) AS score FROM knowledge_words "
    "JOIN knowledge_rows ON knowledge_rows.number = knowledge_words.rowid "
    "WHERE knowledge_words MATCH :words AND knowledge_rows.base_id = :base_id AND knowledge_rows.owner_id = :owner_id "
    "ORDER BY score DESC, knowledge_rows.number LIMIT :limit"
)
_SEARCH_POSTGRESQL = text(
    "SELECT number, ts_rank(to_tsvector('english', text), wanted) AS score FROM knowledge_rows, to_tsquery('english', :words) AS wanted "
    "WHERE base_id = :base_id AND owner_id = :owner_id AND to_tsvector('english', text) @@ wanted "
    "ORDER BY score DESC, number LIMIT :limit"
)


class KnowledgeRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def list_bases(self, *, owner_id: str) -> Sequence[KnowledgeBaseRow]:
        """By name."""
        query = select(KnowledgeBaseRow).where(KnowledgeBaseRow.owner_id == owner_id).order_by(KnowledgeBaseRow.name)
        return (await self._session.execute(query)).scalars().all()

    async def find_base(self, name: str, *, owner_id: str) -> KnowledgeBaseRow | None:
        query = select(KnowledgeBaseRow).where(KnowledgeBaseRow.owner_id == owner_id, KnowledgeBaseRow.name == name)
        return (await self._session.execute(query)).scalar_one_or_none()

    async def add_base(self, row: KnowledgeBaseRow) -> None:
        self._session.add(row)
        await self._session.flush()

    async def lock_base(self, base_id: str, *, owner_id: str, updated_at: datetime) -> KnowledgeBaseRow | None:
        """The base as it is now; until the transaction ends nobody else adds to it."""
        query = update(KnowledgeBaseRow).where(KnowledgeBaseRow.id == base_id, KnowledgeBaseRow.owner_id == owner_id)
        await self._session.execute(query.values(updated_at=updated_at))
        found = select(KnowledgeBaseRow).where(KnowledgeBaseRow.id == base_id, KnowledgeBaseRow.owner_id == owner_id)
        return (await self._session.execute(found, execution_options={"populate_existing": True})).scalar_one_or_none()

    async def delete_base(self, name: str, *, owner_id: str) -> bool:
        query = delete(KnowledgeBaseRow).where(KnowledgeBaseRow.owner_id == owner_id, KnowledgeBaseRow.name == name)
        return (await self._session.execute(query.returning(KnowledgeBaseRow.id))).scalar_one_or_none() is not None

    async def count_rows(self, base_id: str, *, owner_id: str) -> int:
        query = select(func.count()).select_from(KnowledgeRow).where(KnowledgeRow.base_id == base_id, KnowledgeRow.owner_id == owner_id)
        return int((await self._session.execute(query)).scalar_one())

    async def list_known_digests(self, base_id: str, digests: Collection[str], *, owner_id: str) -> set[str]:
        query = select(KnowledgeRow.digest).where(
            KnowledgeRow.base_id == base_id, KnowledgeRow.owner_id == owner_id, KnowledgeRow.digest.in_(digests)
        )
        return set((await self._session.execute(query)).scalars())

    async def add_rows(self, rows: Sequence[dict[str, Any]]) -> None:
        """Columns by name; the numbers are given here."""
        await self._session.execute(insert(KnowledgeRow), list(rows))

    async def read_rows(self, base_id: str, numbers: Collection[int], *, owner_id: str) -> dict[int, KnowledgeRow]:
        query = select(KnowledgeRow).where(
            KnowledgeRow.base_id == base_id, KnowledgeRow.owner_id == owner_id, KnowledgeRow.number.in_(numbers)
        )
        return {row.number: row for row in (await self._session.execute(query)).scalars()}

    async def page_vectors(self, base_id: str, *, owner_id: str, after: int, limit: int) -> Sequence[tuple[int, bytes, str]]:
        """Number, vector and details (JSON) of the next rows that have a vector."""
        query = (
            select(KnowledgeRow.number, KnowledgeRow.vector, KnowledgeRow.details)
            .where(
                KnowledgeRow.base_id == base_id,
                KnowledgeRow.owner_id == owner_id,
                KnowledgeRow.number > after,
                KnowledgeRow.vector.is_not(None),
            )
            .order_by(KnowledgeRow.number)
            .limit(limit)
        )
        return [(number, vector or b"", details) for number, vector, details in await self._session.execute(query)]

    async def search_words(self, base_id: str, words: Sequence[str], *, owner_id: str, limit: int) -> list[tuple[int, float]]:
        """Rows with any of the words, in their number and score, best first. Words are letters, digits and `_` alone."""
        if not words:
            return []
        assert all(word.replace("_", "a").isalnum() for word in words)
        is_sqlite = self._session.get_bind().dialect.name == "sqlite"
        quoted = " OR ".join(f'"{word}"' for word in words) if is_sqlite else " | ".join(f"'{word}'" for word in words)
        query = _SEARCH_SQLITE if is_sqlite else _SEARCH_POSTGRESQL
        values = {"words": quoted, "base_id": base_id, "owner_id": owner_id, "limit": limit}
        return [(int(number), float(score)) for number, score in await self._session.execute(query, values)]
