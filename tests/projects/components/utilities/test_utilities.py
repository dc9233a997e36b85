"""Calculator, Current Date, ID Generator and Mock Data."""

import re
from time import process_time

import pytest

from projects.components.data_source.mock_data import MockData
from projects.components.tools.calculator_tool import CalculatorTool
from projects.components.utilities.calculator import Calculator
from projects.components.utilities.current_date import CurrentDate
from projects.components.utilities.id_generator import IDGenerator
from projects.engine.component import ComponentError
from projects.engine.tools import ToolFailed
from tests.fakes import build, output_of


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("2+3*4", "14"),
        ("4*4*(33/22)+12-20", "16"),
        ("1/3", "0.333333"),
        ("7/2", "3.5"),
        ("2**10", "1024"),
        ("2**-2", "0.25"),
        ("-3 + 1", "-2"),
        ("10000000000000001*3", "30000000000000003"),
        (" 1 ", "1"),
        ("0.1*-0", "0"),
        ("--" * 100 + "1", "1"),
    ],
)
async def test_arithmetic_is_calculated(expression: str, result: str) -> None:
    assert (await output_of(build(Calculator, expression=expression))).data == {"result": result}
    assert (await output_of(build(CalculatorTool, expression=expression))).data == {"result": result}


@pytest.mark.parametrize(
    "expression",
    [
        "1/0",
        "",
        "2 +",
        "x + 1",
        "__import__('os').system('true')",
        "(1).__class__",
        "[1][0]",
        "'a' * 9",
        "True + 1",
        "9**9**9**9",
        "10**400 * 10**400 ** 10",
        "1e308 * 10",
        "1e999",
        "(-8) ** 0.5",
        "0 ** -1",
        "(" * 400 + "1" + ")" * 400,
        "~1",
        "1 if 1 else 2",
        "1" * 1_001,
    ],
)
async def test_what_is_no_arithmetic_or_too_much_is_answered_with_an_error(expression: str) -> None:
    began = process_time()
    data = (await output_of(build(Calculator, expression=expression))).data
    assert set(data) == {"error", "input"}
    assert data["input"] == expression
    assert process_time() - began < 1


async def test_the_current_date_names_its_zone() -> None:
    text = (await output_of(build(CurrentDate, timezone="Europe/Berlin"))).text
    assert re.fullmatch(r"Current date and time in Europe/Berlin: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d CES?T", text)


@pytest.mark.parametrize("name", ["Mars/Base", "../../etc/passwd", "/etc/passwd", "Europe", "\x00", "a" * 5_000])
async def test_an_unknown_time_zone_is_an_error_that_helps(name: str) -> None:
    with pytest.raises(ComponentError, match="Europe/Berlin"):
        await output_of(build(CurrentDate, timezone=name))


async def test_an_id_is_the_given_one_or_new() -> None:
    assert (await output_of(build(IDGenerator, unique_id="mine"))).text == "mine"
    first, second = [(await output_of(build(IDGenerator))).text for _ in range(2)]
    assert first != second


async def test_mock_data_comes_in_three_kinds() -> None:
    mock = build(MockData)
    assert (await output_of(mock, "dataframe_output")).rows
    assert (await output_of(mock, "message_output")).text
    assert (await output_of(mock, "data_output")).data


async def test_the_older_calculator_hands_an_agent_its_one_tool() -> None:
    (tool,) = await output_of(build(CalculatorTool), "api_build_tool")
    assert (tool.name, list(tool.parameters["properties"])) == ("calculator", ["expression"])
    assert (await tool.call({"expression": "2*3"})).data == {"result": "6"}
    with pytest.raises(ToolFailed, match="'expression' is missing"):
        await tool.call({})
