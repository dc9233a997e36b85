"""The rows of knowledge bases: the index of words follows the table, on both databases."""

from typing import Any

from sqlalchemy import text

from projects.access.caller import Caller
from storage.database import Database
from storage.ids import new_id
from storage.knowledge import KnowledgeRepository
from storage.tables import KnowledgeBaseRow
from tests.owners import MOMENT, add_owner, add_rows


async def add_base(database: Database, owner: Caller, *texts: str, name: str = "notes") -> str:
    base = KnowledgeBaseRow(id=new_id(), owner_id=owner.user_id, name=name, embedding=None, created_at=MOMENT, updated_at=MOMENT)
    base_id = base.id
    await add_rows(database, base)
    rows: list[dict[str, Any]] = [
        {
            "owner_id": owner.user_id,
            "base_id": base_id,
            "text": each,
            "digest": f"{index:064}",
            "details": "{}",
            "vector": None,
            "created_at": MOMENT,
        }
        for index, each in enumerate(texts)
    ]
    async with database.transaction() as session:
        await KnowledgeRepository(session).add_rows(rows)
    return base_id


async def found(database: Database, owner: Caller, base_id: str, *words: str) -> list[str]:
    async with database.reading() as session:
        knowledge = KnowledgeRepository(session)
        matches = await knowledge.search_words(base_id, words, owner_id=owner.user_id, limit=10)
        rows = await knowledge.read_rows(base_id, [number for number, _ in matches], owner_id=owner.user_id)
        return [rows[number].text for number, _ in matches]


async def test_words_are_found_in_other_forms_and_the_best_row_comes_first(database: Database) -> None:
    ada = await add_owner(database, "ada")
    base_id = await add_base(database, ada, "Refunds take five days.", "We ship to Norway.", "A refund is paid. Refunds, refunds!")
    assert await found(database, ada, base_id, "refund", "paid") == ["A refund is paid. Refunds, refunds!", "Refunds take five days."]
    assert await found(database, ada, base_id, "snow") == []


async def test_a_search_stays_in_its_base_and_with_its_owner(database: Database) -> None:
    ada, bob = await add_owner(database, "ada"), await add_owner(database, "bob")
    base_id = await add_base(database, ada, "apples")
    other_id = await add_base(database, ada, "apples elsewhere", name="other")
    assert await found(database, ada, base_id, "apples") == ["apples"]
    assert await found(database, ada, other_id, "apples") == ["apples elsewhere"]
    assert await found(database, bob, base_id, "apples") == []


async def test_a_deleted_base_leaves_no_rows_and_no_words_behind(database: Database) -> None:
    ada = await add_owner(database, "ada")
    await add_base(database, ada, "apples", "pears")
    async with database.transaction() as session:
        assert await KnowledgeRepository(session).delete_base("notes", owner_id=ada.user_id)
        assert not await KnowledgeRepository(session).delete_base("notes", owner_id=ada.user_id)
    async with database.reading() as session:
        assert (await session.execute(text("SELECT count(*) FROM knowledge_rows"))).scalar_one() == 0
        if database.dialect == "sqlite":
            matches = await session.execute(text("SELECT count(*) FROM knowledge_words WHERE knowledge_words MATCH 'apples'"))
            assert matches.scalar_one() == 0
