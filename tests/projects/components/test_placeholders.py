"""Filling templates."""

import pytest

from projects.components.placeholders import fill, fill_double

VALUES = {"name": "Ann", "odd name": "x", "braces": "{name} {{name}}"}


def lookup(name: str) -> str:
    return VALUES.get(name, "")


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("Hi {name}!", "Hi Ann!"),
        ("{name}{name}", "AnnAnn"),
        ("{odd name}", "x"),
        ("{nobody}|", "|"),
        ("{{literal}} {{name}}", "{literal} {name}"),
        ("{{{name}}}", "{Ann}"),
        ("{braces}", "{name} {{name}}"),
        ("a { b } c", "a  c"),
        ("one { alone", "one { alone"),
        ("one } alone", "one } alone"),
        ("{}", "{}"),
        ('{"key": "value"}', '{"key": "value"}'),
        ("{\n}", "{\n}"),
        ("", ""),
    ],
)
def test_single_braces_name_a_value_and_doubled_braces_are_literal(template: str, expected: str) -> None:
    assert fill(template, lookup) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("Hi {{name}} {{ name }}!", "Hi Ann Ann!"),
        ("{name}", "{name}"),
        ("{{nobody}}|", "|"),
        ("{{#section}}{{/section}}", "{{#section}}{{/section}}"),
        ("{{ ''.__class__ }}", "{{ ''.__class__ }}"),
        ("{{braces}}", "{name} {{name}}"),
    ],
)
def test_double_brackets_name_a_value_and_single_braces_are_literal(template: str, expected: str) -> None:
    assert fill_double(template, lookup) == expected


@pytest.mark.parametrize("name", ["name.__class__", "name[0]", "name!r", "name:>10", "name.__init__.__globals__", "0", "__class__"])
def test_a_name_is_a_key_and_nothing_is_evaluated(name: str) -> None:
    asked: list[str] = []

    def remember(key: str) -> str:
        asked.append(key)
        return ""

    assert fill("{" + name + "}", remember) == ""
    assert fill_double("{{" + name + "}}", remember) == ""
    assert asked == [name, name]


def test_a_megabyte_of_open_braces_is_read_in_linear_time() -> None:
    assert fill("{" * 999_999, lookup) == "{" * 499_999 + "{"
    assert fill_double("{{" * 200_000, lookup) == "{{" * 200_000
    assert fill("{a" * 200_000, lookup) == "{a" * 200_000
