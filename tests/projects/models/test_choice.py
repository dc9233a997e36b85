"""Which model a node gets, with whose key, and where calls may go."""

from pathlib import Path

import pytest

from projects.errors import AddressRefused, ModelMissing, PackageMissing
from projects.models import local
from projects.models.chat import ChatMessage, ModelChoice
from projects.models.choice import missing_package
from projects.models.providers import KEY_NAMES, PROVIDERS, find_provider
from tests.model_server import Says, model_server
from tests.projects.models.registries import models

HI = [ChatMessage("user", "Hi")]
EMPTY = ModelChoice(node="Language Model (lm-1)")


async def test_without_any_model_the_error_names_the_node_and_every_way_to_get_one() -> None:
    async with models() as run:
        with pytest.raises(ModelMissing) as caught:
            await run.chat_model(EMPTY)
    for way in (
        "Language Model (lm-1)",
        "HEADWATER_DEFAULT_MODEL",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "Ollama",
        "headwater models add smollm2",
    ):
        assert way in caught.value.message


async def test_a_node_that_names_its_model_gets_that_one_with_the_providers_key() -> None:
    async with models({"GROQ_API_KEY": "gsk_1", "OPENAI_API_KEY": "sk-1"}) as run:
        model = await run.chat_model(ModelChoice(provider="groq", model="some-llama"))
    assert (model.provider, model.name) == ("Groq", "some-llama")


async def test_an_empty_choice_takes_the_default_model_before_any_key() -> None:
    async with models({"OPENAI_API_KEY": "sk-1", "GROQ_API_KEY": "gsk_1"}, default_model="groq:some-llama") as run:
        model = await run.chat_model(EMPTY)
    assert (model.provider, model.name) == ("Groq", "some-llama")


async def test_an_empty_choice_takes_the_first_key_in_the_order_of_providers() -> None:
    async with models({"GROQ_API_KEY": "gsk_1", "MISTRAL_API_KEY": "m"}) as run:
        assert (await run.chat_model(EMPTY)).provider == "Groq"
        assert (await run.embedding_model(EMPTY)).name == "mistral-embed"


async def test_an_address_of_the_operators_is_the_next_way_and_its_first_model_is_taken() -> None:
    async with model_server() as server:
        server.script("bge-embedder", Says(""))
        server.script("a-model", Says("From a-model."))
        async with models(openai_base_url=server.address) as run:
            assert (await (await run.chat_model(EMPTY)).reply(HI)).text == "From a-model."
            assert (await run.embedding_model(EMPTY)).name == "bge-embedder"


async def test_ollama_is_asked_once_in_a_while_and_used_when_it_has_a_model() -> None:
    async with model_server() as server:
        server.script("tiny:1b", Says("From Ollama."))
        async with models(ollama_base_url=server.origin) as run:
            first = await run.chat_model(EMPTY)
            assert (first.provider, first.name) == ("Ollama", "tiny:1b")
            assert (await first.reply(HI)).text == "From Ollama."
            assert (await run.chat_model(ModelChoice(provider="Ollama"))).name == "tiny:1b"


async def test_the_local_model_is_the_last_way(tmp_path: Path) -> None:
    weights = local.weights_path(tmp_path)
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"")
    async with models(models_dir=tmp_path) as run:
        assert (await run.chat_model(EMPTY)).provider == "Local"


async def test_the_ways_are_listed_in_the_order_they_are_taken() -> None:
    async with models({"OPENAI_API_KEY": "sk-1", "ANTHROPIC_API_KEY": "k"}, default_model="anthropic:claude-x") as run:
        ways = await run._registry.ways(run._resolve)
    assert [(way.provider, way.why) for way in ways] == [
        ("Anthropic", "the setting default_model"),
        ("OpenAI", "the key OPENAI_API_KEY"),
        ("Anthropic", "the key ANTHROPIC_API_KEY"),
    ]


async def test_a_nodes_own_key_wins_and_may_be_the_name_of_a_variable() -> None:
    async with (
        model_server() as server,
        models({"OPENAI_API_KEY": "sk-servers", "MINE_KEY": "sk-mine"}, openai_base_url=server.address) as run,
    ):
        for given in ("sk-own", "MINE_KEY", ""):
            await (await run.chat_model(ModelChoice(provider="OpenAI", model="m", api_key=given))).reply(HI)
    assert [request.key for request in server.requests if request.body] == ["sk-own", "sk-mine", "sk-servers"]


async def test_without_a_key_the_provider_and_its_variable_are_named() -> None:
    async with models() as run:
        with pytest.raises(ModelMissing, match=r"asks for DeepSeek.*DEEPSEEK_API_KEY"):
            await run.chat_model(ModelChoice(provider="DeepSeek", model="deepseek-chat"))


async def test_an_address_of_a_flow_gets_no_key_of_the_servers_and_may_not_be_private() -> None:
    async with model_server() as server:
        choice = ModelChoice(provider="OpenAI", model="m", base_url=server.address)
        async with models({"OPENAI_API_KEY": "sk-servers"}) as run:
            with pytest.raises(AddressRefused):
                await (await run.chat_model(choice)).reply(HI)
        assert server.requests == []
        async with models({"OPENAI_API_KEY": "sk-servers"}, allowed=[f"127.0.0.1:{server.port}"]) as run:
            await (await run.chat_model(choice)).reply(HI)
        assert server.requests[0].key != "sk-servers"


async def test_a_flow_may_name_the_operators_ollama_by_its_address() -> None:
    async with model_server() as server, models(ollama_base_url=server.origin) as run:
        model = await run.chat_model(ModelChoice(provider="Ollama", model="m", base_url=f"http://localhost:{server.port}"))
        assert (await model.reply(HI)).text == "m heard: Hi"


async def test_a_model_named_without_its_provider_is_known_by_its_name_or_prefix() -> None:
    async with models({"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "sk-1", "GROQ_API_KEY": "g"}) as run:
        assert (await run.chat_model(ModelChoice(model="claude-x"))).provider == "Anthropic"
        assert (await run.chat_model(ModelChoice(model="groq:llama"))).name == "llama"
        assert (await run.chat_model(ModelChoice(model="something-else"))).provider == "OpenAI"


async def test_an_unknown_provider_is_named_with_those_that_are_known() -> None:
    async with models() as run:
        with pytest.raises(ModelMissing, match=r"asks for IBM WatsonX.*Known are: OpenAI"):
            await run.chat_model(ModelChoice(provider="IBM WatsonX", model="granite"))


async def test_a_package_that_is_missing_is_told_with_the_node_and_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "anthropic", None)
    async with models({"ANTHROPIC_API_KEY": "k"}) as run:
        with pytest.raises(PackageMissing, match=r'Agent \(a-1\) needs .*pip install "headwater\[anthropic\]"'):
            await run.chat_model(ModelChoice(provider="Anthropic", node="Agent (a-1)"))


def test_a_provider_without_an_extra_needs_no_package() -> None:
    assert missing_package("Groq") is None


def test_every_provider_is_found_by_its_name_in_any_spelling() -> None:
    for provider in PROVIDERS:
        assert find_provider(provider.name.upper().replace(" ", "-")) is provider
    assert len(set(KEY_NAMES)) == len(KEY_NAMES)
