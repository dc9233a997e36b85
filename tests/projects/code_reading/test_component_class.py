"""What is read of a component's code: its class, fields, outputs, and what could not be read."""

from typing import Any

import pytest

from projects.code_reading import syntax
from projects.code_reading.component_class import ReadComponent
from projects.code_reading.syntax import CodeUnreadable
from projects.custom_code import reading

WEATHER = """
from lfx.custom import Component
from lfx.io import MessageTextInput, IntInput, DropdownInput, SecretStrInput, Output
from lfx.schema import Data, Message

UNITS = ["C", "F"]

class Weather(Component):
    display_name = "Weather"
    description = "Tells the weather."
    icon = "cloud"
    beta = True
    inputs = [
        MessageTextInput(name="city", display_name="City", required=True, tool_mode=True),
        IntInput(name="days", value=3, advanced=True),
        DropdownInput(name="unit", options=UNITS, value="C"),
        SecretStrInput(name="key"),
        MessageTextInput(name="late", value=open("x").read()),
        *SHARED,
    ]
    outputs = [
        Output(display_name="Report", name="report", method="make_report"),
        Output(name="rows", method="make_rows", tool_mode=False),
    ]

    async def make_report(self) -> Message: ...
    def make_rows(self) -> "list[Data] | None": ...
"""


def read_component(code: str) -> ReadComponent:
    return reading.read(code).component


def field(node: dict[str, Any], name: str, *keys: str) -> tuple[Any, ...]:
    return tuple(node["template"][name][key] for key in keys)


def test_fields_and_outputs_are_those_of_the_class() -> None:
    read = read_component(WEATHER)
    node = read.node
    assert (read.type, node["display_name"], node["description"], node["icon"], node["beta"]) == (
        "Weather", "Weather", "Tells the weather.", "cloud", True,
    )  # fmt: skip
    assert node["field_order"] == ["city", "days", "unit", "key", "late"]
    assert field(node, "city", "display_name", "required", "tool_mode", "type", "input_types") == ("City", True, True, "str", ["Message"])
    assert field(node, "days", "value", "advanced", "type") == (3, True, "int")
    assert field(node, "unit", "options", "value") == (["C", "F"], "C")
    assert field(node, "key", "password", "_input_type") == (True, "SecretStrInput")
    assert node["template"]["code"]["value"] == WEATHER
    assert [(each["name"], each["method"], each["types"], each["tool_mode"]) for each in node["outputs"]] == [
        ("report", "make_report", ["Message"], True),
        ("rows", "make_rows", ["Data"], False),
    ]
    assert node["base_classes"] == ["Message", "Data"]


def test_what_only_running_would_tell_is_listed_with_its_line_and_left_empty() -> None:
    read = read_component(WEATHER)
    assert field(read.node, "late", "value") == ("",)
    lines = WEATHER.splitlines()
    assert ['open("x")' in lines[problem.line - 1] or "*SHARED" in lines[problem.line - 1] for problem in read.unread] == [True, True]
    assert read.node["metadata"]["unread"] == [str(problem) for problem in read.unread]


def test_an_older_component_is_read_from_its_build_method() -> None:
    read = read_component(
        "class Greet(CustomComponent):\n"
        "    display_name = 'Greet'\n"
        "    def build_config(self):\n"
        "        return {'name': {'display_name': 'Who', 'info': 'Whom to greet'}, 'times': {'advanced': True}}\n"
        "    def build(self, name: str, times: int = 2, *, loud: bool = False, rows: list[Data] = None) -> Text:\n"
        "        return name\n"
    )
    node = read.node
    assert field(node, "name", "display_name", "info", "required", "type") == ("Who", "Whom to greet", True, "str")
    assert field(node, "times", "value", "advanced", "required", "type") == (2, True, False, "int")
    assert field(node, "loud", "value", "type") == (False, "bool")
    assert field(node, "rows", "list", "type", "input_types") == (True, "other", ["Data"])
    assert [(each["method"], each["types"]) for each in node["outputs"]] == [("build", ["Message"])]


def test_of_classes_that_build_on_each_other_the_last_one_is_the_component() -> None:
    read = read_component("class Shared(Component):\n    pass\nclass Real(Shared):\n    display_name = 'Real one'\n")
    assert (read.type, read.node["display_name"]) == ("Real", "Real one")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = 1", "line 1: there is no class"),
        ("class A:\n  pass", "line 1: there is no class"),
        ("class A(Component):\n  def f(:\n", "line 2: "),
        ("x = '\x00'", "line 1: "),
        ("(" * 5_000, "line 1: "),
        ("-" * 100_000 + "1", "line 1: "),
        ("x" * (syntax.MAX_CODE_LENGTH + 1), "line 1: the code has 200,001 characters"),
        ("", "line 1: there is no class"),
    ],
    ids=["no class", "no base", "syntax", "nul", "brackets", "signs", "long", "empty"],
)
def test_code_that_cannot_be_read_is_told_with_its_line(code: str, said: str) -> None:
    with pytest.raises(CodeUnreadable) as caught:
        read_component(code)
    assert str(caught.value).startswith(said)


def test_values_that_json_or_a_database_cannot_hold_are_left_out() -> None:
    values = ["1e999", "b'x'", "2j", "...", "'\\ud800'", "'\\x00'", "0x" + "f" * 5_000, "f'{1}'", "{1: 2}", "[" * 30 + "]" * 30]
    inputs = ", ".join(f"StrInput(name='f{number}', value={value})" for number, value in enumerate(values))
    read = read_component(f"class A(Component):\n    inputs = [{inputs}]\n")
    assert [read.node["template"][f"f{number}"]["value"] for number in range(len(values))] == [""] * len(values)
    assert len(read.unread) == len(values)


def test_lists_of_lists_do_not_grow_out_of_a_few_lines() -> None:
    lines = ["a0 = ['x']", *(f"a{number + 1} = [{', '.join([f'a{number}'] * 10)}]" for number in range(12))]
    read = read_component("\n".join([*lines, "class A(Component):", "    inputs = [DropdownInput(name='d', options=a12)]"]))
    assert "options" not in read.node["template"]["d"]
    assert len(read.unread) == 1


def test_keywords_called_like_our_own_do_no_harm() -> None:
    read = read_component(
        "class A(Component):\n    inputs = [StrInput(name='a', input_class=1, type='int', self=2), StrInput(name='code')]\n"
    )
    assert field(read.node, "a", "name", "type", "_input_type") == ("a", "str", "StrInput")
    assert read.node["field_order"] == ["a"]
