import math
import random
import sys
from typing import Any

import pytest

from projects.access.caller import Caller
from projects.errors import InvalidInput, LimitReached, NotFound
from projects.knowledge import KnowledgeLimits, KnowledgeOfRun, KnowledgeService, similarities
from projects.messages import MessageService
from projects.word_search import score_texts, words_of
from storage.database import Database
from storage.ids import new_id
from tests.owners import add_flow, add_owner, add_rows, message_row


@pytest.fixture
async def ada(database: Database) -> Caller:
    return await add_owner(database, "ada")


@pytest.fixture
async def bob(database: Database) -> Caller:
    return await add_owner(database, "bob")


@pytest.fixture
def service(database: Database) -> KnowledgeService:
    return KnowledgeService(database, MessageService(database), KnowledgeLimits(rows=50, rows_at_once=40))


def run_of(service: KnowledgeService, caller: Caller, flow_id: str = "") -> KnowledgeOfRun:
    return service.for_run(owner_id=caller.user_id, flow_id=flow_id or new_id(), run_id=new_id())


async def test_rows_without_vectors_are_found_by_words_with_their_metadata(service: KnowledgeService, ada: Caller) -> None:
    run = run_of(service, ada)
    rows: list[dict[str, Any]] = [{"text": "The red door", "page": 1}, {"text": "A blue window", "page": 2}, {"text": "   "}]
    assert await run.add("House plans", rows, vectors=None) == 2
    assert await run.list_bases() == ["House plans"]
    (found,) = await run.search("House plans", "what about doors?", vector=None, limit=5)
    assert found["text"] == "The red door" and found["page"] == 1 and found["score"] > 0
    info = await run.describe("House plans")
    assert info is not None and (info.row_count, info.embedding) == (2, None)


async def test_rows_with_vectors_are_found_by_the_nearest(service: KnowledgeService, ada: Caller) -> None:
    run = run_of(service, ada)
    vectors = [[1.0, 0.0], [0.0, 1.0], [0.7, 0.7]]
    await run.add("base", [{"text": name, "kind": name} for name in ("east", "north", "between")], vectors=vectors, embedding="m")
    found = await run.search("base", "unused", vector=[0.9, 0.1], limit=2, with_vectors=True)
    assert [row["text"] for row in found] == ["east", "between"]
    assert found[0]["score"] == pytest.approx(0.9 / math.hypot(0.9, 0.1)) and found[0]["_embeddings"] == [1.0, 0.0]
    (only,) = await run.search("base", "unused", vector=[1.0, 0.0], limit=2, metadata_filter={"kind": "north"})
    assert only["text"] == "north" and only["score"] == pytest.approx(0)
    assert [row["text"] for row in await run.search("base", "east", vector=None, limit=2)] == ["east"]


async def test_a_text_that_is_there_is_added_again_only_when_asked(service: KnowledgeService, ada: Caller) -> None:
    run = run_of(service, ada)
    assert await run.add("base", [{"text": "one"}, {"text": "one"}, {"text": "two"}], vectors=None) == 2
    assert await run.add("base", [{"text": "one"}, {"text": "three"}], vectors=None) == 1
    assert await run.add("base", [{"text": "one"}], vectors=None, allow_duplicates=True) == 1


async def test_vectors_of_two_models_are_never_mixed(service: KnowledgeService, ada: Caller) -> None:
    run = run_of(service, ada)
    await run.add("base", [{"text": "one"}], vectors=[[1.0, 2.0]], embedding="first")
    with pytest.raises(InvalidInput, match=r"filled with first.*has second"):
        await run.add("base", [{"text": "two"}], vectors=[[1.0, 2.0]], embedding="second")
    with pytest.raises(InvalidInput, match="no embedding model"):
        await run.add("base", [{"text": "two"}], vectors=None)
    with pytest.raises(InvalidInput, match="another embedding model"):
        await run.search("base", "two", vector=[1.0], limit=1)
    with pytest.raises(InvalidInput, match="one length"):
        await run.add("base", [{"text": "two"}, {"text": "three"}], vectors=[[1.0], [1.0, 2.0]], embedding="first")


BAD_NAMES = ["../B/kb", "/etc/kb", "a/b", "a\\b", "..", ".", "", " ", ".hidden", "a..b", "C:kb", "kb\x00", "kb\n", "x" * 101, "kb.", "~"]


@pytest.mark.parametrize("name", BAD_NAMES)
async def test_a_name_that_could_be_a_path_is_refused_everywhere(service: KnowledgeService, ada: Caller, name: str) -> None:
    run = run_of(service, ada)
    for attempt in (
        run.add(name, [{"text": "x"}], vectors=None),
        run.search(name, "x", vector=None, limit=1),
        run.describe(name),
        service.delete(ada.user_id, name),
    ):
        with pytest.raises(InvalidInput, match="no name of a knowledge base"):
            await attempt
    assert await run.list_bases() == []


async def test_bases_are_their_owners_alone(service: KnowledgeService, ada: Caller, bob: Caller) -> None:
    await run_of(service, ada).add("base", [{"text": "a secret"}], vectors=None)
    theirs = run_of(service, bob)
    assert await theirs.list_bases() == [] and await theirs.describe("base") is None
    with pytest.raises(InvalidInput, match=r"no knowledge base 'base'\. There is none yet"):
        await theirs.search("base", "secret", vector=None, limit=1)
    with pytest.raises(NotFound):
        await service.delete(bob.user_id, "base")
    await theirs.add("base", [{"text": "my own"}], vectors=None)
    assert await theirs.search("base", "secret", vector=None, limit=9) == []
    await service.delete(ada.user_id, "base")
    assert await theirs.list_bases() == ["base"]


async def test_a_base_is_bounded(service: KnowledgeService, ada: Caller) -> None:
    run = run_of(service, ada)
    with pytest.raises(LimitReached, match="at once"):
        await run.add("base", [{"text": str(number)} for number in range(41)], vectors=None)
    await run.add("base", [{"text": str(number)} for number in range(40)], vectors=None)
    with pytest.raises(LimitReached, match="at most 50"):
        await run.add("base", [{"text": f"more {number}"} for number in range(11)], vectors=None)
    with pytest.raises(InvalidInput, match="split it"):
        await run.add("base", [{"text": "x" * 100_001}], vectors=None)


@pytest.mark.parametrize("query", ['"', "a AND (", "NEAR(", "'; DROP TABLE users; --", "*", "-x", "a:b", "& | !", "the of"])
async def test_no_query_is_syntax(service: KnowledgeService, ada: Caller, query: str) -> None:
    run = run_of(service, ada)
    await run.add("base", [{"text": "some words"}], vectors=None)
    assert isinstance(await run.search("base", query, vector=None, limit=5), list)


def test_similarities_are_the_same_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    from projects.knowledge import _packed

    chance = random.Random(7)
    packed = [_packed([chance.uniform(-1, 1) for _ in range(12)]) for _ in range(20)] + [_packed([0.0] * 12)]
    query = [chance.uniform(-1, 1) for _ in range(12)]
    fast = similarities(query, packed)
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert similarities(query, packed) == pytest.approx(fast, abs=1e-6)


async def test_messages_of_the_flow_are_found_by_words_without_those_of_the_run_itself(
    database: Database, service: KnowledgeService, ada: Caller
) -> None:
    flow_id, other_flow = await add_flow(database, ada), await add_flow(database, ada, "Another")
    run = run_of(service, ada, flow_id)
    await add_rows(
        database,
        message_row(ada, flow_id, "My dog is called Rex.", session_id="one"),
        message_row(ada, flow_id, "The dog sleeps.", session_id="two", sender="Machine"),
        message_row(ada, flow_id, "It rains.", session_id="one"),
        message_row(ada, flow_id, "What is my dog called?", session_id="one", run_id=run._run_id),
        message_row(ada, other_flow, "A dog of another flow.", session_id="one"),
    )
    (only,) = await run.search_messages("what is my dog called", session_id="one", limit=5)
    assert only["text"] == "My dog is called Rex." and only["sender"] == "User" and only["session_id"] == "one"
    assert len(await run.search_messages("dog", session_id=None, limit=5)) == 2


def test_a_query_of_empty_words_alone_is_searched_as_it_stands() -> None:
    assert words_of("What is the DOG's name?") == ["dog", "s", "name"]
    assert words_of("the who") == ["the", "who"]
    assert score_texts("dog", ["a cat", "a dog", "dog dog and a very long tail of other words"])[0] == 0
    assert score_texts("", ["a"]) == [0.0] and score_texts("a", []) == []
