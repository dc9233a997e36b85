"""Knowledge and Memory Base."""

from typing import Any

import pytest

from projects.components.files_and_knowledge.knowledge import Knowledge, KnowledgeBase, KnowledgeIngestion
from projects.components.files_and_knowledge.memory_base import MemoryBase
from projects.components.registry import load_registry
from projects.engine.component import ComponentError
from projects.engine.values import Data, Message, Table
from projects.errors import ModelMissing
from projects.models.chat import ModelChoice
from tests.fakes import FakeKnowledge, FakeModels, FakeRunContext, build, output_of


class NoModels(FakeModels):
    async def embedding_model(self, choice: ModelChoice) -> Any:
        raise ModelMissing("There is no embedding model.")


async def ingest(context: FakeRunContext, value: Any, **inputs: Any) -> dict[str, Any]:
    data = await output_of(build(Knowledge, context=context, input_df=[value], **{"knowledge_base": "base", **inputs}), "dataframe_output")
    told: dict[str, Any] = data.data
    return told


async def retrieve(context: FakeRunContext, query: str, **inputs: Any) -> Table:
    made = build(Knowledge, context=context, mode="Retrieve", search_query=query, **{"knowledge_base": "base", **inputs})
    table: Table = await output_of(made, "retrieve_data")
    return table


async def test_rows_are_embedded_and_found_by_the_vector_of_the_query() -> None:
    context = FakeRunContext()
    told = await ingest(
        context, Table([{"text": "red door", "page": 1}, {"text": "blue window", "page": 2}]), metadata_json='{"house": "A"}'
    )
    assert told == {"kb_name": "base", "rows": 2, "added": 2, "total": 2, "embedding": "fake-embedding"}
    assert context.models.embedding.asked == [["red door", "blue window"]]
    table = await retrieve(context, "red", top_k=1)
    assert table.rows == [{"content": "red door", "page": 1, "house": "A", "_score": 1.0}]
    assert context.knowledge.vectors_asked[-1] is not None
    assert (await retrieve(context, "red", include_metadata=False)).columns == ["content", "_score"]
    assert (await retrieve(context, "nothing like it")).columns == ["content"]


async def test_without_an_embedding_model_words_are_what_counts() -> None:
    context = FakeRunContext(models=NoModels())
    assert (await ingest(context, Message("red door")))["embedding"] is None
    assert [row["content"] for row in (await retrieve(context, "red")).rows] == ["red door"]
    assert context.knowledge.vectors_asked == [None]
    with pytest.raises(ModelMissing):
        await ingest(context, Message("x"), api_key="sk-wrong", knowledge_base="other")


async def test_a_base_of_another_embedding_model_is_searched_by_words() -> None:
    knowledge = FakeKnowledge(bases={"base": [{"text": "red door"}]}, embeddings={"base": "another"})
    context = FakeRunContext(knowledge=knowledge)
    made = build(Knowledge, context=context, mode="Retrieve", search_query="red", knowledge_base="base")
    assert (await output_of(made, "retrieve_data")).rows
    assert knowledge.vectors_asked == [None] and "another" in made.log_entries[0]["message"]


async def test_configured_columns_are_the_text_and_long_texts_are_split() -> None:
    context = FakeRunContext()
    config = [{"column_name": "title", "vectorize": True}, {"column_name": "body", "vectorize": True}, {"column_name": "page"}]
    rows = Table([{"title": "T", "body": "word " * 10, "page": 3}])
    told = await ingest(context, rows, column_config=config, chunk_size=20)
    assert told["rows"] == 4
    assert all(len(row["text"]) <= 20 and row["page"] == 3 and "body" not in row for row in context.knowledge.bases["base"])
    with pytest.raises(ComponentError, match="nothing in the columns"):
        await ingest(context, Data({"other": 1}))


async def test_an_unnamed_base_is_the_only_one_or_is_asked_for() -> None:
    context = FakeRunContext()
    with pytest.raises(ComponentError, match="no knowledge base yet"):
        await retrieve(context, "x", knowledge_base="")
    await ingest(context, Message("red door"))
    assert (await retrieve(context, "red", knowledge_base="")).rows
    await ingest(context, Message("blue"), knowledge_base="second")
    with pytest.raises(ComponentError, match="base, second"):
        await retrieve(context, "red", knowledge_base="")
    with pytest.raises(ComponentError, match="Name the knowledge base"):
        await ingest(context, Message("x"), knowledge_base="")


async def test_metadata_filters_are_json_objects() -> None:
    context = FakeRunContext()
    await ingest(context, Table([{"text": "red one", "page": 1}, {"text": "red two", "page": 2}]))
    assert [row["page"] for row in (await retrieve(context, "red", metadata_filter='{"page": 2}')).rows] == [2]
    with pytest.raises(ComponentError, match="JSON object"):
        await retrieve(context, "red", metadata_filter="page=2")
    with pytest.raises(ComponentError, match="search query is empty"):
        await retrieve(context, "  ")


def test_older_nodes_are_halves_of_it() -> None:
    registry = load_registry(plugins=False)
    assert registry.find("KnowledgeIngestion") is KnowledgeIngestion and registry.find("KnowledgeRetrieval") is KnowledgeBase
    assert [output.method for output in KnowledgeIngestion.declared_outputs] == ["build_kb_info"]
    assert [output.method for output in KnowledgeBase.declared_outputs] == ["retrieve_data"]


async def test_memory_base_finds_messages_of_the_session_or_a_named_base() -> None:
    knowledge = FakeKnowledge(bases={"base": [{"text": "red door"}]})
    knowledge.messages = [
        {"text": "My name is Ada.", "score": 2.0, "sender": "User", "session_id": "the-run-session"},
        {"text": "Elsewhere.", "score": 1.0, "sender": "User", "session_id": "another"},
    ]
    context = FakeRunContext(knowledge=knowledge)
    table = await output_of(build(MemoryBase, context=context, search_query="name"))
    assert table.rows == [{"content": "My name is Ada.", "sender": "User", "session_id": "the-run-session", "_score": 2.0}]
    assert len((await output_of(build(MemoryBase, context=context, search_query="name", filter_by_session=False))).rows) == 2
    table = await output_of(build(MemoryBase, context=context, search_query="red", memory_base="base", include_metadata=False))
    assert table.rows == [{"content": "red door", "_score": 1.0}]
    assert knowledge.vectors_asked == [None]  # no model filled the base
    assert [model is not None for model in knowledge.embeddings_asked] == [True, True]
    knowledge.embeddings["base"] = context.models.embedding.name
    await output_of(build(MemoryBase, context=context, search_query="red", memory_base="base"))
    assert knowledge.vectors_asked[-1] is not None


async def test_memory_base_searches_by_words_without_an_embedding_model() -> None:
    knowledge = FakeKnowledge(messages=[{"text": "My name is Ada.", "score": 2.0, "session_id": "the-run-session"}])
    context = FakeRunContext(knowledge=knowledge, models=NoModels())
    memory = build(MemoryBase, context=context, search_query="name")
    assert len((await output_of(memory)).rows) == 1
    assert knowledge.embeddings_asked == [None]
    assert "by words" in memory.log_entries[0]["message"]
