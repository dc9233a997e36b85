"""Parser and its ancestors."""

from typing import Any

import pytest

from projects.components.processing.parse_data import ParseData
from projects.components.processing.parse_table import ParseTable
from projects.components.processing.parser import Parser
from projects.engine.component import ComponentError
from projects.engine.values import Data, Message, Table
from tests.fakes import build, output_of

ROWS = Table([{"name": "ann", "n": 1}, {"name": "bob", "n": 2}])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Data({"name": "ann", "n": 1}), "ann has 1"),
        (Data({}), " has "),
        ([Data({"name": "ann", "n": 1}), {"name": "bob", "n": None}], "ann has 1; bob has "),
        (ROWS, "ann has 1; bob has 2"),
        (Table(), ""),
    ],
)
async def test_records_and_rows_go_through_the_template(value: Any, text: str) -> None:
    assert (await output_of(build(Parser, input_data=value, pattern="{name} has {n}", sep="; "))).text == text


async def test_the_default_template_shows_the_text_of_a_message() -> None:
    assert (await output_of(build(Parser, input_data=Message(text="hi")))).text == "Text: hi"


async def test_a_column_that_the_table_lacks_is_named() -> None:
    with pytest.raises(ComponentError, match=r"no column 'city'\. Its columns are: name, n"):
        await output_of(build(Parser, input_data=ROWS, pattern="{city}"))
    with pytest.raises(ComponentError, match="no column 'city'"):
        await output_of(build(ParseTable, df=ROWS, template="{city}"))


async def test_a_cell_that_only_one_row_lacks_is_empty() -> None:
    assert (await output_of(build(Parser, input_data=Table([{"a": 1}, {"b": 2}]), pattern="<{a}>", sep=""))).text == "<1><>"


async def test_stringify_shows_the_whole_value() -> None:
    assert (await output_of(build(Parser, input_data=Data({"a": 1}), mode="Stringify"))).text == '```json\n{\n  "a": 1\n}\n```'
    assert (await output_of(build(Parser, input_data=["a", "b"], mode="Stringify"))).text == "a\nb"


async def test_nothing_to_parse_is_an_error() -> None:
    with pytest.raises(ComponentError, match="nothing to parse"):
        await output_of(build(Parser, input_data=None))


async def test_no_attribute_of_a_value_is_reachable() -> None:
    assert (await output_of(build(Parser, input_data=Data({"x": "y"}), pattern="<{x.__class__}{x[0]}>"))).text == "<>"


async def test_the_ancestors_keep_their_field_and_output_names() -> None:
    parse_data = build(ParseData, data=[Data({"text": "a"}), Data({"text": "b", "n": 1})], template="{text}-{n}")
    assert (await output_of(parse_data, "text")).text == "a-\nb-1"
    assert [item.data for item in await output_of(parse_data, "data_list")] == [{"text": "a-"}, {"text": "b-1", "n": 1}]
    assert (await output_of(build(ParseData, data=Data({"n": 1}), template="{data}"))).text == '{"n":1}'
    assert (await output_of(build(ParseTable, df=ROWS, template="{name}", sep=","))).text == "ann,bob"
