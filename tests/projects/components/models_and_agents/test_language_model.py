"""Language Model and the older nodes of single providers: what is asked, what comes back, and how it reaches the chat."""

from typing import Any

import pytest

from projects.components.models_and_agents.embedding_model import OLDER_EMBEDDINGS, EmbeddingModelNode, OpenAIEmbeddings
from projects.components.models_and_agents.language_model import LanguageModel
from projects.components.models_and_agents.older_models import (
    OLDER_MODELS,
    AzureOpenAIModel,
    GoogleGenerativeAIModel,
    OpenAIModel,
    OpenRouterModel,
)
from projects.components.models_and_agents.text_embedder import EmbeddingSimilarity, TextEmbedder
from projects.components.registry import load_registry
from projects.engine.component import ComponentError, VertexInfo
from projects.engine.values import Data, Message
from projects.errors import ModelMissing, ProviderFailed
from projects.models.chat import ChatMessage, ChatOptions, Reply, Usage
from tests.fakes import FakeChatModel, FakeEmbeddingModel, FakeModels, FakeRunContext, build, output_of


def asked(*script: str | Reply | Exception) -> tuple[FakeRunContext, FakeChatModel]:
    model = FakeChatModel(list(script))
    return FakeRunContext(models=FakeModels(model)), model


async def test_the_system_message_and_the_input_are_what_the_model_is_asked() -> None:
    context, model = asked(Reply("Hello!", usage=Usage(3, 2), model="the-model"))
    node = build(LanguageModel, context=context, input_value=Message(text="Hi"), system_message="Be brief.", max_tokens=50)
    message = await output_of(node)
    assert message.text == "Hello!" and message.source.source == "the-model"
    assert message.usage == {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    assert model.asked == [[ChatMessage("system", "Be brief."), ChatMessage("user", "Hi")]]
    assert model.options == [ChatOptions(temperature=0.1, max_tokens=50)]


async def test_a_system_message_alone_is_the_question_and_nothing_at_all_is_an_error() -> None:
    context, model = asked("Hello!")
    await output_of(build(LanguageModel, context=context, system_message="Say hello."))
    assert model.asked == [[ChatMessage("user", "Say hello.")]]
    with pytest.raises(ComponentError, match="empty"):
        await output_of(build(LanguageModel, context=context))


async def test_before_a_chat_output_that_is_followed_live_the_answer_comes_token_by_token() -> None:
    context, _ = asked(Reply("one two", usage=Usage(1, 1)))
    context.is_followed_live = True
    message = await output_of(_feeding("ChatOutput", context))
    first, last = context.announced
    assert (first.state, first.text, last.state, last.text) == ("partial", "", "complete", "one two")
    assert first.id == last.id == message.id and context.tokens == [(message.id, "one"), (message.id, " two")]
    assert message.usage == {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    assert context.kept == []


@pytest.mark.parametrize(("behind", "is_live"), [("ChatOutput", False), ("Parser", True)])
async def test_where_nobody_reads_along_the_answer_comes_in_one_piece(behind: str, is_live: bool) -> None:
    context, _ = asked("one two")
    context.is_followed_live = is_live
    assert (await output_of(_feeding(behind, context))).text == "one two"
    assert context.announced == [] and context.tokens == []


async def test_the_model_itself_keeps_the_nodes_options_until_its_user_says_otherwise() -> None:
    context, model = asked("a", "b")
    found: Any = await output_of(build(LanguageModel, context=context, temperature=0.7, max_tokens=9), "model_output")
    await found.reply([ChatMessage("user", "Hi")])
    await found.reply([ChatMessage("user", "Hi")], options=ChatOptions(temperature=0.0))
    assert [(options.temperature, options.max_tokens) for options in model.options] == [(0.7, 9), (0.0, 9)]


async def test_a_failure_of_the_provider_passes_as_it_is() -> None:
    context, _ = asked(ProviderFailed("Broken.", provider="OpenAI", provider_status=500))
    with pytest.raises(ProviderFailed):
        await output_of(build(LanguageModel, context=context, input_value=Message(text="Hi")))
    with pytest.raises(ModelMissing):
        await output_of(build(LanguageModel, context=FakeRunContext(), input_value=Message(text="Hi")))


@pytest.mark.parametrize(
    ("node", "fields", "choice"),
    [
        (
            OpenAIModel,
            {"model_name": "gpt-x", "openai_api_key": "sk-1", "openai_api_base": "https://example.org/v1"},
            ("OpenAI", "gpt-x", "sk-1", "https://example.org/v1"),
        ),
        (GoogleGenerativeAIModel, {"model": "gemini-x", "google_api_key": "k"}, ("Google Generative AI", "gemini-x", "k", "")),
        (OpenRouterModel, {"model_name": "maker/x", "provider": "Maker", "api_key": "k"}, ("OpenRouter", "maker/x", "k", "")),
        (AzureOpenAIModel, {"azure_endpoint": "https://me.example", "api_key": "k"}, ("Azure OpenAI", "", "k", "https://me.example")),
    ],
)
async def test_an_older_node_keeps_its_own_field_names(node: Any, fields: dict[str, Any], choice: tuple[str, ...]) -> None:
    context, _ = asked("Hello!")
    await output_of(build(node, context=context, input_value=Message(text="Hi"), **fields))
    (found,) = context.models.choices
    assert (found.provider, found.model, found.api_key, found.base_url) == choice


def test_every_older_node_has_both_outputs_and_guards_its_key_and_its_address() -> None:
    registry = load_registry(plugins=False)
    nodes: list[Any] = [*OLDER_MODELS, *OLDER_EMBEDDINGS]
    for older in nodes:
        assert registry.find(older.type) == older
        assert older.own_provider
        for declared in older.declared_inputs:
            if "key" in declared.name or "token" in declared.name.removeprefix("max_").removesuffix("s"):
                assert declared.password or declared.name.startswith("max_"), (older.type, declared.name)
            if declared.name.endswith(("_base", "_url", "_endpoint")):
                assert declared.protected, (older.type, declared.name)
    assert {output.name for node in OLDER_MODELS for output in node.declared_outputs} == {"text_output", "model_output"}


async def test_an_embedding_model_goes_along_the_edge_as_itself() -> None:
    context = FakeRunContext(models=FakeModels())
    found = await output_of(build(EmbeddingModelNode, context=context, dimensions=4))
    assert isinstance(found, FakeEmbeddingModel)
    await output_of(build(OpenAIEmbeddings, context=context, model="text-embedding-x", openai_api_key="sk-1"))
    first, second = context.models.choices
    assert first.options == {"dimensions": 4}
    assert (second.provider, second.model, second.api_key) == ("OpenAI", "text-embedding-x", "sk-1")


async def test_texts_are_embedded_and_vectors_compared() -> None:
    embedded = await output_of(build(TextEmbedder, embedding_model=FakeEmbeddingModel(), message=Message(text="ab")))
    assert embedded.data["text"] == "ab" and len(embedded.data["embeddings"]) == 8
    same = await output_of(build(EmbeddingSimilarity, embedding_vectors=[embedded, embedded]))
    assert same.data["similarity_score"]["cosine_similarity"] == pytest.approx(1.0)
    far = build(EmbeddingSimilarity, embedding_vectors=[Data({"embeddings": [0, 0]}), [3, 4]], similarity_metric="Euclidean Distance")
    assert (await output_of(far)).data["similarity_score"] == {"distance": 5.0}
    with pytest.raises(ComponentError, match="different lengths"):
        await output_of(build(EmbeddingSimilarity, embedding_vectors=[[1.0], [1.0, 2.0]]))


def _feeding(behind: str, context: FakeRunContext) -> LanguageModel:
    vertex = VertexInfo(id="lm-1", type="LanguageModelComponent", display_name="Language Model", feeds=(behind,))
    values = {declared.name: declared.default for declared in LanguageModel.declared_inputs}
    return LanguageModel(vertex=vertex, inputs=values | {"input_value": Message(text="Hi")}, context=context)
