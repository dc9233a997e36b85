"""Prompt Template."""

import pytest

from projects.components.models_and_agents.prompt_template import PromptTemplate
from projects.engine.values import Data, Message, Table
from tests.fakes import build, output_of


async def test_variables_are_filled_and_doubled_braces_stay() -> None:
    prompt = build(PromptTemplate, template="You are {role}. Answer: {question} {{literal}}", role="a pirate", question="why?")
    assert (await output_of(prompt)).text == "You are a pirate. Answer: why? {literal}"


async def test_a_variable_nobody_set_is_empty_text() -> None:
    assert (await output_of(build(PromptTemplate, template="<{nothing}>"))).text == "<>"


async def test_messages_records_and_tables_become_text() -> None:
    prompt = build(
        PromptTemplate,
        template="{m}|{d}|{t}",
        m=Message(text="msg", files=["flow/a.png"]),
        d=Data({"text": "data"}),
        t=Table([{"a": 1}]),
    )
    message = await output_of(prompt)
    assert message.text == "msg|data||   a |\n|----:|\n|   1 |"
    assert message.files == ["flow/a.png"]


async def test_double_brackets_leave_single_braces_alone() -> None:
    prompt = build(PromptTemplate, template='{"json": "{{value}}"}', use_double_brackets=True, value="v")
    assert (await output_of(prompt)).text == '{"json": "v"}'


@pytest.mark.parametrize(
    "template", ["{x.__class__}", "{x[0]}", "{x.__init__.__globals__}", "{x!r}", "{x:>99999999}", "{context}", "{vertex}"]
)
async def test_no_attribute_index_or_format_of_a_variable_is_reachable(template: str) -> None:
    assert (await output_of(build(PromptTemplate, template=template, x="secret"))).text == ""


async def test_a_value_is_not_read_as_a_template_again() -> None:
    assert (await output_of(build(PromptTemplate, template="{a}", a="{b} {{c}}", b="no"))).text == "{b} {{c}}"
