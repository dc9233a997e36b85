"""LLM Selector: a judge picks the model that answers."""

from typing import Any

import pytest

from projects.components.llm_operations.llm_selector import LLMSelector
from projects.engine.component import Component, ComponentError
from projects.errors import ProviderFailed
from tests.fakes import FakeChatModel, build, output_of


def selecting(judge: Any, *, models: int = 2, **inputs: Any) -> Component:
    known = [FakeChatModel(script=[f"answer {number}"], name=f"model-{number}") for number in range(models)]
    return build(LLMSelector, models=known, judge_llm=FakeChatModel(script=[judge]), input_value="Hard question", **inputs)


@pytest.mark.parametrize("said", ["1", "Model 1.", "model-1"])
async def test_the_judge_s_choice_answers(said: str) -> None:
    component = selecting(said)
    assert (await output_of(component, "output")).text == "answer 1"
    assert (await output_of(component, "selected_model_info")).data["model"] == "model-1"
    assert "model-1" in (await output_of(component, "routing_decision")).text


@pytest.mark.parametrize("said", ["9", "no idea", ProviderFailed("Down.", provider="P", provider_status=500)])
async def test_without_a_usable_verdict_the_first_model_answers_or_the_node_fails(said: Any) -> None:
    assert (await output_of(selecting(said))).text == "answer 0"
    with pytest.raises(ComponentError):
        await output_of(selecting(said, fallback_to_first=False))


async def test_one_model_needs_no_judge_and_none_is_an_error() -> None:
    assert (await output_of(selecting("", models=1))).text == "answer 0"
    with pytest.raises(ComponentError, match="No models are connected"):
        await output_of(selecting("", models=0))
