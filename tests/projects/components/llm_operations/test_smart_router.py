"""Smart Router: the model names a route, the others are switched off."""

import json
from typing import Any

import pytest

from projects.components.llm_operations.smart_router import SmartRouter
from projects.components.registry import load_registry
from projects.engine.component import Component, ComponentError
from projects.engine.runner import run_graph
from projects.engine.values import Message
from projects.flows.document import compile_document
from tests import flow_documents as flows
from tests.fakes import FakeChatModel, FakeModels, FakeRunContext, build

ROUTES = [
    {"route_category": "Praise", "route_description": "Somebody is happy", "output_value": ""},
    {"route_category": "Complaint", "route_description": "", "output_value": "We are sorry."},
]


async def decided(answer: str, **inputs: Any) -> tuple[Component, FakeChatModel]:
    model = FakeChatModel(script=[answer])
    given = {"input_text": "I love it", "routes": ROUTES, **inputs}
    component = build(SmartRouter, context=FakeRunContext(models=FakeModels(chat=model)), **given)
    await component.before_outputs()
    return component, model


@pytest.mark.parametrize("answer", ["Praise", "praise", ' "PRAISE". ', "Category: Praise", "**Praise**"])
async def test_the_route_is_found_whatever_case_and_quotes_the_model_uses(answer: str) -> None:
    component, model = await decided(answer)
    assert component.stopped_outputs == {"category_2_result", "default_result"}
    assert (await component.process_case()).text == "I love it"  # type: ignore[attr-defined]
    assert "- Praise: Somebody is happy\n- Complaint" in model.asked[0][0].text


async def test_a_route_may_send_a_text_of_its_own_and_a_message_overrides_it() -> None:
    component, _ = await decided("complaint")
    assert (await component.process_case()).text == "We are sorry."  # type: ignore[attr-defined]
    component, _ = await decided("complaint", message=Message(text="Always this"))
    assert (await component.process_case()).text == "Always this"  # type: ignore[attr-defined]


@pytest.mark.parametrize("answer", ["NONE", "none.", "", "Praise or Complaint, hard to say", "Weather"])
async def test_what_fits_nowhere_goes_down_the_default_if_there_is_one(answer: str) -> None:
    component, _ = await decided(answer, enable_else_output=True)
    assert component.stopped_outputs == {"category_1_result", "category_2_result"}
    assert (await component.default_response()).text == "I love it"  # type: ignore[attr-defined]
    component, _ = await decided(answer)
    assert "default_result" in component.stopped_outputs


async def test_further_instructions_have_the_text_and_the_routes_filled_in() -> None:
    _, model = await decided("Praise", custom_prompt="Judge {input_text} by {routes}, not {other}.")
    assert "Judge I love it by - Praise: Somebody is happy" in model.asked[0][0].text


async def test_no_routes_is_an_error() -> None:
    with pytest.raises(ComponentError, match="no routes"):
        await decided("Praise", routes=[{"route_category": ""}])


@pytest.mark.parametrize(("answer", "reached"), [("Praise", "TextOutput-1"), ("Complaint", "TextOutput-2"), ("NONE", "TextOutput-3")])
async def test_only_the_chosen_branch_of_a_flow_runs(answer: str, reached: str) -> None:
    outputs = ("category_1_result", "category_2_result", "default_result")
    router = flows.node(
        "SmartRouter", "SmartRouter-r", {"input_text": "", "routes": ROUTES, "enable_else_output": True, "model": ""}, outputs=outputs
    )
    for output in router["data"]["node"]["outputs"]:
        output["method"] = "default_response" if output["name"] == "default_result" else "process_case"
    ends = [flows.text_output(f"TextOutput-{number}") for number in (1, 2, 3)]
    edges = [flows.edge("ChatInput-in", "SmartRouter-r", "input_text")] + [
        flows.edge("SmartRouter-r", f"TextOutput-{number}", "input_value", output=output) for number, output in enumerate(outputs, start=1)
    ]
    document = flows.document([flows.chat_input(text="Hm"), router, *ends], edges)
    graph = compile_document(json.dumps(document), load_registry(plugins=False)).graph
    context = FakeRunContext(models=FakeModels(chat=FakeChatModel(script=[answer])))
    results = (await run_graph(graph, context=context)).results
    assert [id for id in results if id.startswith("TextOutput")] == [reached]
