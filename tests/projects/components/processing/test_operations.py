"""Data Operations and the types it replaces."""

from typing import Any

import pytest

from projects.components.processing.data_operations import DataOperations
from projects.components.processing.operations import Operations
from projects.components.processing.table_operations import TableOperations
from projects.components.processing.text_operations import TextOperations
from projects.engine.component import ComponentError
from projects.engine.values import Data, Table
from tests.fakes import build, output_of

TABLE = Table([{"name": "ann", "n": 3}, {"name": "bob", "n": 1}, {"name": "cid", "n": None}, {"name": "ann", "n": 10}])


async def on_text(operation: str, text: str, **fields: Any) -> str:
    return str((await output_of(build(TextOperations, operation=[{"name": operation}], text_input=text, **fields), "message")).text)


async def on_data(operation: str, *records: dict[str, Any], **fields: Any) -> dict[str, Any]:
    data = [Data(record) for record in records]
    result = await output_of(build(DataOperations, operations=[{"name": operation}], data=data, **fields))
    assert isinstance(result, Data)
    return result.data


async def on_table(operation: str, *tables: Table, **fields: Any) -> list[dict[str, Any]]:
    result = await output_of(build(TableOperations, operation=operation, df=list(tables), **fields))
    assert isinstance(result, Table)
    return result.rows


async def test_words_characters_and_lines_are_counted() -> None:
    counter = build(TextOperations, operation=[{"name": "Word Count"}], text_input="to be or\n\nnot to be")
    assert (await output_of(counter, "data")).data == {
        "word_count": 6,
        "unique_words": 4,
        "character_count": 19,
        "character_count_no_spaces": 15,
        "line_count": 3,
        "non_empty_lines": 2,
    }
    nothing = build(TextOperations, operation="Word Count", text_input=" ", count_words=False, count_lines=False)
    assert (await output_of(nothing, "data")).data == {"character_count": 0, "character_count_no_spaces": 0}


@pytest.mark.parametrize(
    ("operation", "fields", "expected"),
    [
        ("Case Conversion", {"case_type": "uppercase"}, "  HELLO, WORLD  1!  "),
        ("Text Replace", {"search_pattern": "l", "replacement_text": "L"}, "  heLLo, WorLd  1!  "),
        ("Text Replace", {"search_pattern": r"\d", "replacement_text": "2", "use_regex": True}, "  hello, World  2!  "),
        ("Text Replace", {"search_pattern": ""}, "  hello, World  1!  "),
        ("Text Extract", {"extract_pattern": r"\w+", "max_matches": 2}, "hello\nWorld"),
        ("Text Head", {"head_characters": 4}, "  he"),
        ("Head", {"head_characters": 4}, "  he"),
        ("Text Tail", {"tail_characters": 4}, "1!  "),
        ("Text Tail", {"tail_characters": 0}, ""),
        ("Text Strip", {}, "hello, World  1!"),
        ("Text Strip", {"strip_mode": "left"}, "hello, World  1!  "),
        ("Text Strip", {"strip_mode": "both", "strip_characters": " !1"}, "hello, World"),
        ("Text Join", {"text_input_2": "more"}, "  hello, World  1!  \nmore"),
        ("Text Clean", {}, " hello, World 1! "),
        ("Text Clean", {"remove_extra_spaces": False, "remove_special_chars": True}, "  hello, World  1!  "),
        ("", {}, "  hello, World  1!  "),
    ],
)
async def test_text_operations(operation: str, fields: dict[str, Any], expected: str) -> None:
    assert await on_text(operation, "  hello, World  1!  ", **fields) == expected


async def test_empty_lines_are_removed_before_spaces_are_joined() -> None:
    assert await on_text("Text Clean", "a\n\n b", remove_empty_lines=True, remove_extra_spaces=False) == "a\n b"


async def test_a_text_table_becomes_rows() -> None:
    text = "| name | n |\n|:-----|--:|\n| ann | 1 |\n| bob | 2 |"
    table = await output_of(build(TextOperations, operation="Text to DataFrame", text_input=text), "dataframe")
    assert table.rows == [{"name": "ann", "n": 1}, {"name": "bob", "n": 2}]
    bare = await output_of(
        build(TextOperations, operation="Text to DataFrame", text_input="a;1.5\nb;", table_separator=";", has_header=False), "dataframe"
    )
    assert bare.rows == [{"col_0": "a", "col_1": 1.5}, {"col_0": "b", "col_1": None}]


@pytest.mark.parametrize(
    ("operation", "fields", "expected"),
    [
        ("Select Keys", {"select_keys_input": ["a"]}, {"a": 1}),
        ("Remove Keys", {"remove_keys_input": ["a"]}, {"b": {}, "c": [{}, {"d": "5"}]}),
        ("Rename Keys", {"rename_keys_input": {"a": "z"}}, {"z": 1, "b": {"z": 2}, "c": [{"z": 3}, {"d": "5"}]}),
        ("Rename Keys", {"rename_keys_input": [{"key": "d", "value": "e"}]}, {"a": 1, "b": {"a": 2}, "c": [{"a": 3}, {"e": "5"}]}),
        ("Append or Update", {"append_update_data": {"a": 9, "n": 0}}, {"a": 9, "b": {"a": 2}, "c": [{"a": 3}, {"d": "5"}], "n": 0}),
        ("Literal Eval", {}, {"a": 1, "b": {"a": 2}, "c": [{"a": 3}, {"d": 5}]}),
        ("Filter Values", {"filter_key": ["c"], "filter_values": {"d": "5"}}, {"a": 1, "b": {"a": 2}, "c": [{"d": "5"}]}),
        ("Path Selection", {"selected_key": ".c[1]"}, {"d": "5"}),
        ("Path Selection", {"selected_key": ".b.a"}, {"result": 2}),
        ("JQ Expression", {"query": ".c[] | .a"}, {"result": [3, None]}),
        ("", {}, {}),
    ],
)
async def test_record_operations(operation: str, fields: dict[str, Any], expected: dict[str, Any]) -> None:
    record = {"a": 1, "b": {"a": 2}, "c": [{"a": 3}, {"d": "5"}]}
    assert await on_data(operation, record, **fields) == expected
    assert record == {"a": 1, "b": {"a": 2}, "c": [{"a": 3}, {"d": "5"}]}, "the record that came in stays as it was"


async def test_combined_records_collect_values_of_equal_keys() -> None:
    assert await on_data("Combine", {"a": 1, "b": [1]}, {"a": 2, "b": 2, "c": 3}) == {"a": [1, 2], "b": [1, 2], "c": 3}


@pytest.mark.parametrize(
    ("operation", "records", "fields", "problem"),
    [
        ("Select Keys", [{"a": 1}], {"select_keys_input": ["x"]}, "no x. Its keys are: a"),
        ("Select Keys", [{"a": 1}, {"a": 2}], {}, "works on one record"),
        ("Path Selection", [{"a": 1}], {"selected_key": ".x"}, "finds nothing"),
        ("JQ Expression", [{"a": 1}], {"query": "map(.a)"}, "not supported"),
        ("JQ Expression", [{"a": 1}], {}, "empty"),
        ("Filter Values", [{"a": 1}], {"filter_key": ["a"]}, "no list"),
        ("Explode", [{"a": 1}], {}, "Unknown operation 'Explode'"),
    ],
)
async def test_a_record_operation_that_cannot_be_says_why(operation: str, records: list[Any], fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(ComponentError, match=problem):
        await on_data(operation, *records, **fields)


async def test_several_operations_in_one_node_are_refused() -> None:
    with pytest.raises(ComponentError, match="one operation"):
        await output_of(build(DataOperations, operations=[{"name": "Combine"}, {"name": "Literal Eval"}], data=[]))


async def test_columns_are_added_dropped_renamed_and_selected() -> None:
    table = Table([{"a": 1, "b": 2}])
    assert await on_table("Add Column", table, new_column_name="c", new_column_value="x") == [{"a": 1, "b": 2, "c": "x"}]
    assert await on_table("Drop Column", table, column_name="a") == [{"b": 2}]
    assert await on_table("Rename Column", table, column_name="a", new_column_name="z") == [{"z": 1, "b": 2}]
    assert await on_table("Select Columns", table, columns_to_select=["b", " a"]) == [{"b": 2, "a": 1}]


@pytest.mark.parametrize(
    ("operator", "value", "names"),
    [
        ("equals", "3", ["ann"]),
        ("equals", "3.0", ["ann"]),
        ("not equals", "3", ["bob", "cid", "ann"]),
        ("greater than", "2", ["ann", "ann"]),
        ("less than", "2", ["bob"]),
        ("contains", "1", ["bob", "ann"]),
        ("not contains", "1", ["ann", "cid"]),
        ("starts with", "1", ["bob", "ann"]),
        ("ends with", "0", ["ann"]),
    ],
)
async def test_rows_are_filtered_as_numbers_where_they_are_numbers(operator: str, value: str, names: list[str]) -> None:
    rows = await on_table("Filter", TABLE, column_name="n", filter_operator=operator, filter_value=value)
    assert [row["name"] for row in rows] == names


async def test_rows_are_sorted_with_missing_values_last() -> None:
    assert [row["n"] for row in await on_table("Sort", TABLE, column_name="n")] == [1, 3, 10, None]
    assert [row["n"] for row in await on_table("Sort", TABLE, column_name="n", ascending=False)] == [10, 3, 1, None]
    assert [row["x"] for row in await on_table("Sort", Table([{"x": "b"}, {"x": 2}, {"x": "a"}]), column_name="x")] == [2, "a", "b"]


async def test_rows_are_cut_replaced_and_made_unique() -> None:
    assert len(await on_table("Head", TABLE, num_rows=2)) == 2
    assert [row["n"] for row in await on_table("Tail Rows", TABLE, num_rows=1)] == [10]
    assert [row["n"] for row in await on_table("Replace Value", TABLE, column_name="n", replace_value="1", replacement_value="7")] == [
        3,
        7,
        None,
        10,
    ]
    assert [row["n"] for row in await on_table("Drop Duplicates", TABLE, column_name="name")] == [3, 1, None]


async def test_tables_are_stacked_and_merged() -> None:
    left, right = Table([{"k": 1, "v": "a"}, {"k": 2, "v": "b"}]), Table([{"k": 2, "v": "c"}, {"k": 3, "v": "d"}])
    assert await on_table("Concatenate", left, right) == left.rows + right.rows
    fields = {"merge_on_column": "k", "left_dataframe": left, "right_dataframe": right}
    assert await on_table("Merge", **fields) == [{"k": 2, "v_x": "b", "v_y": "c"}]
    assert await on_table("Merge", merge_how="left", **fields) == [{"k": 1, "v_x": "a"}, {"k": 2, "v_x": "b", "v_y": "c"}]
    assert await on_table("Merge", merge_how="right", **fields) == [{"k": 2, "v_x": "b", "v_y": "c"}, {"k": 3, "v_y": "d"}]
    assert len(await on_table("Merge", merge_how="outer", **fields)) == 3


async def test_a_merge_that_would_not_fit_is_refused() -> None:
    many = Table([{"k": 1}] * 1_500)
    with pytest.raises(ComponentError, match="more than"):
        await on_table("Merge", merge_on_column="k", left_dataframe=many, right_dataframe=many)


async def test_an_unknown_column_names_the_known_ones() -> None:
    with pytest.raises(ComponentError, match=r"no column 'x'\. Its columns are: name, n"):
        await on_table("Sort", TABLE, column_name="x")


@pytest.mark.parametrize(
    ("fields", "output", "expected"),
    [
        ({"input_type": "Text", "text_input": "Hi", "operation": [{"name": "Case Conversion"}]}, "message_output", "hi"),
        (
            {"input_type": "JSON", "data": [Data({"a": 1, "b": 2})], "operation": "Remove Keys", "remove_keys_input": ["a"]},
            "data_output",
            {"b": 2},
        ),
        ({"input_type": "Table", "df": [TABLE], "operation": "Head", "num_rows": 1}, "dataframe_output", [{"name": "ann", "n": 3}]),
        (
            {"input_type": "Text", "text_input": "Hi", "operation": "Text Extract", "extract_pattern": "."},
            "data_output",
            {"items": ["H", "i"]},
        ),
    ],
)
async def test_one_component_does_all_of_it(fields: dict[str, Any], output: str, expected: Any) -> None:
    result = await output_of(build(Operations, **fields), output)
    found = {"message_output": "text", "data_output": "data", "dataframe_output": "rows"}[output]
    assert getattr(result, found) == expected


async def test_an_unknown_input_type_is_refused() -> None:
    with pytest.raises(ComponentError, match="'Sound'"):
        await output_of(build(Operations, input_type="Sound"))
