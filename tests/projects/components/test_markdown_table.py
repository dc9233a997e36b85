"""Tables as markdown."""

from projects.components.markdown_table import render
from projects.engine.values import Data, Table


def test_numbers_stand_right_and_texts_left() -> None:
    table = Table([{"n": 1, "city": "Oslo"}, {"n": 20, "city": "Porto Alegre"}])
    assert render(table) == ("|   n | city         |\n|----:|:-------------|\n|   1 | Oslo         |\n|  20 | Porto Alegre |")


def test_decimals_stand_under_each_other_and_whole_floats_lose_their_zero() -> None:
    table = Table([{"x": 1.0}, {"x": 12.5}, {"x": -0.25}])
    assert render(table) == "|     x |\n|------:|\n|  1    |\n| 12.5  |\n| -0.25 |"


def test_pipes_and_line_breaks_in_cells_are_kept_harmless() -> None:
    assert render(Table([{"a": "x|y\nz"}])).splitlines()[-1] == "| x\\|y<br/>z |"
    assert render(Table([{"a|b": "x"}])).splitlines()[0] == "| a\\|b   |"


def test_empty_rows_are_left_out_and_missing_cells_are_blank() -> None:
    table = Table([{"a": None, "b": None}, {"a": 1}, {"b": "x"}])
    assert render(table) == "|   a | b   |\n|----:|:----|\n|   1 |     |\n|     | x   |"


def test_booleans_lists_and_records_are_texts() -> None:
    lines = render(Table([{"a": True, "b": [1, 2], "c": Data({"k": 1})}])).splitlines()
    assert lines[1].count(":-") == 3
    assert lines[2] == "| True | [1, 2] | {'k': 1} |"


def test_a_table_without_rows_is_its_header() -> None:
    assert render(Table()) == ""
    assert render(Table(columns=["a"])) == "| a   |\n|:----|"
