"""Knowledge bases: named collections of texts that flows fill and search, by vectors where a model made them, else by words.

Above: components, through their context. Below: two tables of the database; nothing of a base is a file, so no name can be a path.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import re
import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import mul
from typing import Any

from pydantic_core import from_json

from projects import word_search
from projects.access.session_spaces import inside
from projects.engine.context import KnowledgeBaseInfo
from projects.engine.values import Row, jsonable
from projects.errors import InvalidInput, LimitReached, NotFound
from projects.kept_text import check_characters, json_text
from projects.message_vectors import MessageVectors
from projects.messages import MessageService
from projects.models.chat import EmbeddingModel
from projects.unit_of_work import reading, writing
from storage.database import Conflict, Database
from storage.ids import new_id
from storage.knowledge import KnowledgeRepository
from storage.tables import KnowledgeBaseRow, KnowledgeRow

MAX_TEXT_LENGTH = 100_000  # of one row
MAX_DETAILS_LENGTH = 100_000
MAX_ROWS_AT_ONCE = 20_000
MAX_ROWS = 200_000  # of one base
MAX_DIMENSIONS = 8_192
MAX_RESULTS = 1_000
SEARCHED_MESSAGES = 2_000
EMBEDDED_MESSAGES = 1_000  # the newest ones are searched by meaning

_PAGE = 4_000  # vectors read at once
_INSERTED_AT_ONCE = 500
_FILTERED_MATCHES = 10_000
_NAME = re.compile(r"\w(?:[\w .-]{0,98}\w)?")


@dataclass(frozen=True, slots=True)
class KnowledgeLimits:
    """How much a base may hold."""

    rows: int = MAX_ROWS
    rows_at_once: int = MAX_ROWS_AT_ONCE


def check_base_name(name: Any) -> str:
    """Raises InvalidInput for what is no plain name; what looks like a path is one of these."""
    if isinstance(name, str) and _NAME.fullmatch(name) and ".." not in name:
        return name
    shown = repr(name)[:120]
    raise InvalidInput(
        f"{shown} is no name of a knowledge base: 1 to 100 letters, digits, blanks, `_`, `-` and single dots, "
        "beginning and ending with a letter, a digit or `_`."
    )


class KnowledgeService:
    """A `KnowledgeSource`; also lists and deletes bases for the faces."""

    def __init__(self, database: Database, messages: MessageService, limits: KnowledgeLimits | None = None) -> None:
        self._database = database
        self._messages = messages
        self._limits = limits or KnowledgeLimits()
        self.message_vectors = MessageVectors(pack=_packed, similarities=similarities)

    def for_run(self, *, owner_id: str, flow_id: str, run_id: str, session_space: str = "") -> KnowledgeOfRun:
        return KnowledgeOfRun(self, self._messages, owner_id, flow_id, run_id, session_space)

    async def list_bases(self, owner_id: str) -> list[str]:
        async with reading(self._database) as session:
            return [row.name for row in await KnowledgeRepository(session).list_bases(owner_id=owner_id)]

    async def describe(self, owner_id: str, name: str) -> KnowledgeBaseInfo | None:
        """None when the owner has no base of this name."""
        check_base_name(name)
        async with reading(self._database) as session:
            knowledge = KnowledgeRepository(session)
            base = await knowledge.find_base(name, owner_id=owner_id)
            if base is None:
                return None
            return KnowledgeBaseInfo(base.name, await knowledge.count_rows(base.id, owner_id=owner_id), base.embedding)

    async def delete(self, owner_id: str, name: str) -> None:
        """With all of its rows. Raises NotFound."""
        check_base_name(name)
        async with writing(self._database) as session:
            if not await KnowledgeRepository(session).delete_base(name, owner_id=owner_id):
                raise NotFound("knowledge base", name)

    async def add(
        self,
        owner_id: str,
        name: str,
        rows: Sequence[Row],
        *,
        vectors: Sequence[Sequence[float]] | None,
        embedding: str | None,
        allow_duplicates: bool,
    ) -> int:
        """Make the base when there is none, and add the rows; how many were added, without those whose text was there already."""
        check_base_name(name)
        if len(rows) > self._limits.rows_at_once:
            raise LimitReached(f"{len(rows):,} rows are too many at once; at most {self._limits.rows_at_once:,} are added.")
        kept = await asyncio.to_thread(_kept_rows, rows, vectors)
        base = await self._base(owner_id, name)
        now = datetime.now(UTC)
        async with writing(self._database) as session:
            knowledge = KnowledgeRepository(session)
            known = await knowledge.lock_base(base.id, owner_id=owner_id, updated_at=now)
            if known is None:
                raise InvalidInput(f"The knowledge base {name!r} was deleted meanwhile.")
            count = await knowledge.count_rows(base.id, owner_id=owner_id)
            _check_embedding(known, count, embedding if vectors is not None else None)
            if not allow_duplicates:
                kept = await _new_rows(knowledge, base.id, kept, owner_id=owner_id)
            if count + len(kept) > self._limits.rows:
                raise LimitReached(f"The knowledge base {name!r} would have {count + len(kept):,} rows; at most {self._limits.rows:,}.")
            if kept and not count:
                known.embedding = embedding if vectors is not None else None
            for start in range(0, len(kept), _INSERTED_AT_ONCE):
                some = kept[start : start + _INSERTED_AT_ONCE]
                await knowledge.add_rows([row | {"owner_id": owner_id, "base_id": base.id, "created_at": now} for row in some])
        return len(kept)

    async def search(
        self,
        owner_id: str,
        name: str,
        query: str,
        *,
        vector: Sequence[float] | None,
        limit: int,
        metadata_filter: Mapping[str, Any] | None,
        with_vectors: bool,
    ) -> list[Row]:
        check_base_name(name)
        limit = max(0, min(limit, MAX_RESULTS))
        async with reading(self._database) as session:
            knowledge = KnowledgeRepository(session)
            base = await knowledge.find_base(name, owner_id=owner_id)
            if base is None:
                names = [row.name for row in await knowledge.list_bases(owner_id=owner_id)]
                there_are = (
                    f"There are: {', '.join(names[:20])}." if names else "There is none yet: a Knowledge node in mode Ingest makes one."
                )
                raise InvalidInput(f"You have no knowledge base {name!r}. {there_are}")
            if vector is None or base.embedding is None:
                wanted = _FILTERED_MATCHES if metadata_filter else limit
                found = await knowledge.search_words(base.id, word_search.words_of(query), owner_id=owner_id, limit=wanted)
            else:
                found = await _nearest(knowledge, base.id, vector, owner_id=owner_id, limit=limit, metadata_filter=metadata_filter)
            results: list[Row] = []
            for start in range(0, len(found), _INSERTED_AT_ONCE):
                some = found[start : start + _INSERTED_AT_ONCE]
                rows = await knowledge.read_rows(base.id, [number for number, _ in some], owner_id=owner_id)
                for number, score in some:
                    shown = _shown(rows[number], score, with_vectors)
                    if metadata_filter is None or _passes(shown, metadata_filter):
                        results.append(shown)
                if len(results) >= limit:
                    break
        return results[:limit]

    async def _base(self, owner_id: str, name: str) -> KnowledgeBaseRow:
        for _ in range(2):
            async with reading(self._database) as session:
                found = await KnowledgeRepository(session).find_base(name, owner_id=owner_id)
            if found is not None:
                return found
            now = datetime.now(UTC)
            row = KnowledgeBaseRow(id=new_id(), owner_id=owner_id, name=name, embedding=None, created_at=now, updated_at=now)
            try:
                async with writing(self._database) as session:
                    await KnowledgeRepository(session).add_base(row)
                return row
            except Conflict:
                continue  # somebody made it meanwhile
        raise InvalidInput(f"The knowledge base {name!r} cannot be made now; try again.")


class KnowledgeOfRun:
    """A `KnowledgeAccess`: the owner's bases, and what was said in the run's flow, as far as the run's session space goes."""

    def __init__(
        self, service: KnowledgeService, messages: MessageService, owner_id: str, flow_id: str, run_id: str, session_space: str
    ) -> None:
        self._service = service
        self._messages = messages
        self._owner_id = owner_id
        self._flow_id = flow_id
        self._run_id = run_id
        self._session_space = session_space

    async def list_bases(self) -> Sequence[str]:
        return await self._service.list_bases(self._owner_id)

    async def describe(self, base: str) -> KnowledgeBaseInfo | None:
        return await self._service.describe(self._owner_id, base)

    async def add(
        self,
        base: str,
        rows: Sequence[Row],
        *,
        vectors: Sequence[Sequence[float]] | None,
        embedding: str | None = None,
        allow_duplicates: bool = False,
    ) -> int:
        return await self._service.add(self._owner_id, base, rows, vectors=vectors, embedding=embedding, allow_duplicates=allow_duplicates)

    async def search(
        self,
        base: str,
        query: str,
        *,
        vector: Sequence[float] | None,
        limit: int,
        metadata_filter: Mapping[str, Any] | None = None,
        with_vectors: bool = False,
    ) -> list[Row]:
        return await self._service.search(
            self._owner_id, base, query, vector=vector, limit=limit, metadata_filter=metadata_filter, with_vectors=with_vectors
        )

    async def search_messages(
        self, query: str, *, session_id: str | None, limit: int, embedding: EmbeddingModel | None = None
    ) -> list[Row]:
        newest = SEARCHED_MESSAGES if embedding is None else EMBEDDED_MESSAGES
        space = self._session_space
        found = await self._messages.read_newest(
            self._owner_id,
            self._flow_id,
            limit=newest,
            session_id=None if session_id is None else inside(space, session_id),
            session_beginning=f"{space}:" if space and session_id is None else "",
            except_run_id=self._run_id,
        )
        messages = [message for message in found if message.text.strip() and not message.error]
        texts = [message.text for message in messages]
        if embedding is None:
            scores = await asyncio.to_thread(word_search.score_texts, query, texts)
        else:
            scores = await self._service.message_vectors.scores(self._owner_id, embedding, query, texts)
        best = sorted(range(len(messages)), key=lambda index: (-scores[index], index))
        return [
            {
                "text": messages[index].text,
                "score": scores[index],
                "sender": messages[index].sender,
                "sender_name": messages[index].sender_name,
                "session_id": messages[index].session_id,
                "timestamp": messages[index].timestamp.isoformat(),
            }
            for index in best[: max(0, limit)]
            if scores[index] > 0
        ]


def _kept_rows(rows: Sequence[Row], vectors: Sequence[Sequence[float]] | None) -> list[dict[str, Any]]:
    """Rows as the table has them, those without text left out. Raises InvalidInput."""
    if vectors is not None and len(vectors) != len(rows):
        raise InvalidInput(f"The embedding model gave {len(vectors)} vectors for {len(rows)} texts.")
    lengths = {len(vector) for vector in vectors or ()}
    if len(lengths) > 1 or any(not 0 < length <= MAX_DIMENSIONS for length in lengths):
        raise InvalidInput(f"The embedding model gave vectors of {', '.join(map(str, sorted(lengths)))} numbers; one length is needed.")
    kept: list[dict[str, Any]] = []
    for index, row in enumerate(rows):
        text = row.get("text")
        if not isinstance(text, str) or not text.strip():
            continue
        if len(text) > MAX_TEXT_LENGTH:
            raise InvalidInput(f"A text of {len(text):,} characters is too long for a knowledge base; split it (Split Text) first.")
        check_characters(text, "text")
        details = json_text(jsonable({name: value for name, value in row.items() if name != "text"}), "metadata")
        if len(details) > MAX_DETAILS_LENGTH:
            raise InvalidInput(f"The metadata of a row has {len(details):,} characters; at most {MAX_DETAILS_LENGTH:,} are kept.")
        check_characters(details.replace("\\u0000", "\x00"), "metadata")
        kept.append(
            {
                "text": text,
                "digest": hashlib.sha256(text.encode()).hexdigest(),
                "details": details,
                "vector": None if vectors is None else _packed(vectors[index]),
            }
        )
    return kept


async def _new_rows(knowledge: KnowledgeRepository, base_id: str, rows: list[dict[str, Any]], *, owner_id: str) -> list[dict[str, Any]]:
    unique = {row["digest"]: row for row in reversed(rows)}
    digests = list(unique)
    known: set[str] = set()
    for start in range(0, len(digests), _INSERTED_AT_ONCE):
        known |= await knowledge.list_known_digests(base_id, digests[start : start + _INSERTED_AT_ONCE], owner_id=owner_id)
    return [row for row in reversed(unique.values()) if row["digest"] not in known]


def _check_embedding(base: KnowledgeBaseRow, count: int, embedding: str | None) -> None:
    """Vectors of two models do not compare, and rows without a vector would never be found."""
    if count and base.embedding != embedding:
        ours, theirs = base.embedding or "no embedding model", embedding or "no embedding model"
        raise InvalidInput(
            f"The knowledge base {base.name!r} was filled with {ours}, this run has {theirs}. Use the same, or another base for these rows."
        )


async def _nearest(
    knowledge: KnowledgeRepository,
    base_id: str,
    vector: Sequence[float],
    *,
    owner_id: str,
    limit: int,
    metadata_filter: Mapping[str, Any] | None,
) -> list[tuple[int, float]]:
    """Exact search, page by page, so that memory does not grow with the base."""
    best: list[tuple[float, int]] = []
    after = -1
    while page := await knowledge.page_vectors(base_id, owner_id=owner_id, after=after, limit=_PAGE):
        after = page[-1][0]
        chosen = page if metadata_filter is None else [row for row in page if _passes(from_json(row[2]), metadata_filter)]
        if chosen:
            scores = await asyncio.to_thread(similarities, vector, [packed for _, packed, _ in chosen])
            best = heapq.nlargest(limit, [*best, *((score, -row[0]) for score, row in zip(scores, chosen, strict=True))])
        if len(page) < _PAGE:
            break
    return [(-number, score) for score, number in best]


def similarities(query: Sequence[float], packed: Sequence[bytes]) -> list[float]:
    """The cosine between the query and each vector. With numpy (extra `knowledge`) some hundred times faster, and the same."""
    size = len(query) * 4
    if any(len(vector) != size for vector in packed):
        raise InvalidInput(f"The base's vectors have {len(packed[0]) // 4} numbers, the query's has {len(query)}: another embedding model.")
    try:
        import numpy  # 40 ms and 70 MB that only searching by vectors needs
    except ImportError:
        wanted = _unit(array("f", query))
        return [sum(map(mul, wanted, _unit(_unpacked(vector)))) for vector in packed]
    matrix = numpy.frombuffer(b"".join(packed), dtype="<f4").reshape(len(packed), len(query))
    target = numpy.asarray(query, dtype="<f4")
    lengths = numpy.linalg.norm(matrix, axis=1) * numpy.linalg.norm(target)
    products = matrix @ target
    return [float(score) for score in numpy.divide(products, lengths, out=numpy.zeros_like(products), where=lengths > 0)]


def _unit(vector: array[float]) -> Sequence[float]:
    length = sum(value * value for value in vector) ** 0.5
    return [value / length for value in vector] if length else vector


def _packed(vector: Sequence[float]) -> bytes:
    values = array("f", vector)
    _to_little_endian(values)
    return values.tobytes()


def _unpacked(packed: bytes) -> array[float]:
    values = array("f")
    values.frombytes(packed)
    _to_little_endian(values)
    return values


def _to_little_endian(values: array[float]) -> None:
    if sys.byteorder == "big":
        values.byteswap()


def _passes(details: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(name in details and (details[name] == value or str(details[name]) == str(value)) for name, value in wanted.items())


def _shown(row: KnowledgeRow, score: float, with_vectors: bool) -> Row:
    details: dict[str, Any] = from_json(row.details)
    shown: Row = {"text": row.text, "score": score} | {name: value for name, value in details.items() if name not in ("text", "score")}
    if with_vectors and row.vector is not None:
        shown["_embeddings"] = list(_unpacked(row.vector))
    return shown
