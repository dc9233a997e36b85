import pytest

from projects.errors import InvalidInput
from projects.knowledge import KnowledgeService, _packed, similarities
from projects.message_vectors import MessageVectors
from projects.messages import MessageService
from storage.database import Database
from storage.ids import new_id
from tests.fakes import FakeEmbeddingModel
from tests.owners import add_flow, add_owner, add_rows, message_row


def vectors(limit: int = 100) -> MessageVectors:
    return MessageVectors(pack=_packed, similarities=similarities, limit=limit)


async def test_each_text_is_embedded_once_for_its_owner() -> None:
    model, memory = FakeEmbeddingModel(), vectors()
    scores = await memory.scores("ada", model, "red", ["red", "zzz", "red"])
    assert scores[0] == scores[2] == pytest.approx(1) and scores[1] < 1
    await memory.scores("ada", model, "blue", ["red", "blue"])
    await memory.scores("bob", model, "blue", ["red"])
    assert model.asked == [["red"], ["red", "zzz"], ["blue"], ["blue"], ["blue"], ["red"]]


async def test_only_so_many_are_remembered_and_all_are_compared() -> None:
    model, memory = FakeEmbeddingModel(), vectors(limit=2)
    texts = [f"text {number}" for number in range(300)]
    assert len(await memory.scores("ada", model, "text", texts)) == 300
    assert [len(asked) for asked in model.asked] == [1, 128, 128, 44]
    assert len(memory._known) == 2
    assert await memory.scores("ada", model, "text", []) == []


async def test_a_model_that_gives_too_few_vectors_is_told() -> None:
    class Lazy(FakeEmbeddingModel):
        async def embed(self, texts: object) -> list[list[float]]:
            return [[1.0]]

    with pytest.raises(InvalidInput, match="gave 1 vectors for 2 texts"):
        await vectors().scores("ada", Lazy(), "a", ["b", "c"])


async def test_messages_are_found_by_meaning_and_a_deleted_one_is_found_no_more(database: Database) -> None:
    ada = await add_owner(database, "ada")
    flow_id = await add_flow(database, ada)
    messages = MessageService(database)
    run = KnowledgeService(database, messages).for_run(owner_id=ada.user_id, flow_id=flow_id, run_id=new_id())
    await add_rows(database, message_row(ada, flow_id, "aaaa", session_id="s"), message_row(ada, flow_id, "bbbb", session_id="s"))
    model = FakeEmbeddingModel()
    (best,) = await run.search_messages("b", session_id="s", limit=1, embedding=model)
    assert best["text"] == "bbbb" and best["score"] == pytest.approx(1)
    assert await run.search_messages("b", session_id="s", limit=5) == []  # no message has the word
    await messages.delete_session(ada, "s")
    assert await run.search_messages("b", session_id="s", limit=5, embedding=model) == []
