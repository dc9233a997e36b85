"""The first project's flows: worth calling, understandable to an assistant, and running without a model."""

import json
from typing import Any

import pytest

from projects import starter_flows
from tests.application import Application

EXPECTED_TOOLS = {"split_text_into_chunks", "evaluate_expression", "json_rows_to_table", "fill_template"}


async def call(application: Application, name: str, **arguments: Any) -> tuple[bool, str]:
    async with application.mcp_client() as client:
        result = await client.call_tool(name, arguments)
    return bool(result.is_error), "\n".join(block.text for block in result.content if block.type == "text")


async def test_the_first_project_lists_its_four_flows_with_descriptions_and_schemas(application: Application) -> None:
    async with application.mcp_client() as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == EXPECTED_TOOLS
    for name, tool in tools.items():
        assert len(name) <= 30
        assert tool.description and len(tool.description) > 60
        assert tool.input_schema["required"] == ["input_value"]
        assert all(each.get("description") for each in tool.input_schema["properties"].values()), name


async def test_a_long_text_is_split_at_line_breaks(application: Application) -> None:
    text = "one line\nanother line\nthe last line"
    assert await call(application, "split_text_into_chunks", input_value=text, chunk_size_input_value="22") == (
        False,
        "one line\nanother line\n---\nthe last line",
    )


async def test_a_text_is_split_at_another_separator(application: Application) -> None:
    arguments = {"input_value": "a;b;c", "chunk_size_input_value": "1", "separator_input_value": ";"}
    assert await call(application, "split_text_into_chunks", **arguments) == (False, "a\n---\nb\n---\nc")


async def test_a_chunk_size_that_is_no_number_is_named(application: Application) -> None:
    is_error, text = await call(application, "split_text_into_chunks", input_value="a", chunk_size_input_value="many")
    assert is_error and "Chunk Size" in text and "'many'" in text


@pytest.mark.parametrize(("expression", "answer"), [("(17.5 * 12) / 4 - 2**3", "44.5"), ("6 * 7", "42")])
async def test_an_expression_is_evaluated(application: Application, expression: str, answer: str) -> None:
    assert await call(application, "evaluate_expression", input_value=expression) == (False, answer)


async def test_a_wrong_expression_is_explained(application: Application) -> None:
    is_error, text = await call(application, "evaluate_expression", input_value="2 +* 3")
    assert not is_error and "no arithmetic expression" in text


@pytest.mark.parametrize(
    "rows", ['[{"city": "Oslo", "people": 717710}, {"city": "Bergen", "people": 291940}]', "city,people\nOslo,717710\nBergen,291940"]
)
async def test_rows_become_a_markdown_table(application: Application, rows: str) -> None:
    is_error, text = await call(application, "json_rows_to_table", input_value=rows)
    lines = text.splitlines()
    assert not is_error and len(lines) == 4
    assert [cell.strip() for cell in lines[2].strip("|").split("|")] == ["Oslo", "717710"]


async def test_a_template_is_filled_once_for_each_row(application: Application) -> None:
    rows = json.dumps([{"name": "Ada", "sum": 3}, {"name": "Bo", "sum": 4}])
    assert await call(application, "fill_template", input_value=rows, template_input_value="{name} owes {sum}.") == (
        False,
        "Ada owes 3.\n\nBo owes 4.",
    )


async def test_a_placeholder_without_a_value_is_named(application: Application) -> None:
    is_error, text = await call(application, "fill_template", input_value='{"name": "Ada"}', template_input_value="{name}, {city}")
    assert is_error and "'city'" in text


async def test_everything_in_them_can_run_here(application: Application) -> None:
    flows = await application.services.flows.list_flows(application.caller)
    assert len(flows) == len(starter_flows.FILES)
    for flow in flows:
        report = await application.services.reports.report(application.caller, flow.id)
        assert report.missing == () and report.problems == [], flow.name
        assert all(edge.status.value == "kept" for edge in report.edges)
