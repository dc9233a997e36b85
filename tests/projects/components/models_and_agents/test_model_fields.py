"""Which model a node names, in the fields of every age."""

import json
from typing import Any

import pytest

from projects.components.llm_operations.structured_output import StructuredOutput
from projects.components.models_and_agents.model_fields import chat_model_of, chat_options_of, model_choice
from projects.components.registry import load_registry
from projects.engine.runner import run_graph
from projects.errors import ModelMissing
from projects.flows.document import compile_document
from projects.models.chat import ModelChoice
from tests import flow_documents as flows
from tests.fakes import FakeChatModel, FakeModels, FakeRunContext, build


@pytest.mark.parametrize(
    ("fields", "choice"),
    [
        ({"model": [{"name": "gpt-x", "provider": "OpenAI", "metadata": {}}]}, ModelChoice("OpenAI", "gpt-x")),
        ({"model": {"name": "gpt-x", "provider": "OpenAI"}, "api_key": "k"}, ModelChoice("OpenAI", "gpt-x", "k")),
        ({"model": "gpt-x"}, ModelChoice("", "gpt-x")),
        ({"model": "gpt-x", "provider": "Groq"}, ModelChoice("Groq", "gpt-x")),
        ({"model": "", "provider": "", "model_name": ""}, ModelChoice()),
        ({"model": []}, ModelChoice()),
        ({"model": '[{"name": "gpt-x", "provider": "OpenAI"}]'}, ModelChoice("OpenAI", "gpt-x")),
        ({"model": "[]", "model_name": "m"}, ModelChoice("", "m")),
        ({"model": "[odd]-name"}, ModelChoice("", "[odd]-name")),
        ({"agent_llm": "Anthropic", "model_name": "claude-x", "anthropic_api_key": "k"}, ModelChoice("Anthropic", "claude-x", "k")),
        ({"agent_llm": "OpenAI", "openai_api_key": "k", "openai_api_base": " http://h/v1 "}, ModelChoice("OpenAI", "", "k", "http://h/v1")),
        ({"provider": "Ollama", "model_name": "m", "ollama_base_url": "http://h"}, ModelChoice("Ollama", "m", "", "http://h")),
        ({"provider": "OpenAI", "model_name": "m", "ollama_base_url": "http://h"}, ModelChoice("OpenAI", "m")),
        (
            {"provider": "Azure OpenAI", "azure_endpoint": "https://a", "azure_deployment": "d", "api_version": ""},
            ModelChoice("Azure OpenAI", "", "", "https://a", {"azure_deployment": "d"}),
        ),
    ],
)
def test_the_choice_is_read_from_fields_of_every_age(fields: dict[str, Any], choice: ModelChoice) -> None:
    assert model_choice(fields) == choice


def test_what_the_node_s_type_says_holds_where_the_fields_say_nothing() -> None:
    assert model_choice({"model_name": "m"}, provider="Groq") == ModelChoice("Groq", "m")
    assert model_choice({"model": [{"name": "m", "provider": "OpenAI"}]}, provider="Groq").provider == "OpenAI"


@pytest.mark.parametrize("field", ["model", "llm"])
async def test_a_connected_model_is_taken_as_it_is(field: str) -> None:
    model = FakeChatModel()
    context = FakeRunContext(models=FakeModels())
    connected: dict[str, Any] = {field: model}
    assert await chat_model_of(build(StructuredOutput, context=context, **connected)) is model
    assert context.models.choices == []


@pytest.mark.parametrize("fields", [{"model": "connect_other_models"}, {"agent_llm": "Custom"}])
async def test_a_node_that_waits_for_a_connection_names_itself(fields: dict[str, Any]) -> None:
    with pytest.raises(ModelMissing, match=r"Structured Output .* nothing is connected"):
        await chat_model_of(build(StructuredOutput, **fields))


def test_options_leave_to_the_provider_what_the_node_leaves_open() -> None:
    options = chat_options_of(build(StructuredOutput, temperature="", max_tokens=0, seed=None))
    assert (options.temperature, options.max_tokens, options.seed, options.json_mode) == (None, None, None, False)
    options = chat_options_of(build(StructuredOutput, temperature=0, max_tokens=9, seed=3, json_mode=True))
    assert (options.temperature, options.max_tokens, options.seed, options.json_mode) == (0.0, 9, 3, True)


async def test_a_key_whose_variable_is_not_set_is_left_to_the_server() -> None:
    answer = json.dumps({"objects": [{"a": "b"}]})
    context = FakeRunContext(models=FakeModels(chat=FakeChatModel(script=[answer])))
    node = flows.node(
        "StructuredOutput",
        "StructuredOutput-s",
        {"api_key": {"value": "NOT_STORED", "load_from_db": True, "password": True}, "input_value": "b", "output_schema": [{"name": "a"}]},
        outputs=("structured_output",),
    )
    graph = compile_document(json.dumps(flows.document([node], [])), load_registry(plugins=False)).graph
    results = (await run_graph(graph, context=context)).results
    assert results["StructuredOutput-s"].outputs["structured_output"].data == {"a": "b"}
    assert context.models.choices[0].api_key == ""
