"""Values into one another."""

import pytest

from projects.components.conversion import data_of, message_of, plain_text, read_json, records_of, shown_text, table_of, texts_of
from projects.engine.component import ComponentError
from projects.engine.values import Data, Message, Table


def test_records_are_shown_as_fenced_json_with_all_keys() -> None:
    assert shown_text(Data({"text": "é", "n": 1})) == '```json\n{\n  "text": "é",\n  "n": 1\n}\n```'


def test_lists_are_shown_line_by_line() -> None:
    assert shown_text([Message(text="a"), "b", 3]) == "a\nb\n3"


def test_runs_of_blank_lines_in_text_become_one() -> None:
    assert shown_text("a\n\n\n\nb\n  \nc") == "a\n\nb\n\nc"


def test_what_no_text_can_show_is_refused_by_its_type() -> None:
    with pytest.raises(ComponentError, match="got object"):
        shown_text(object())


def test_a_record_goes_into_a_template_by_its_text_else_as_json() -> None:
    assert plain_text(Data({"text": "t", "n": 1})) == "t"
    assert plain_text(Data({"n": 1})) == '{"n":1}'
    assert plain_text(None) == ""
    assert plain_text(["a", None, 2]) == "a\n\n2"


def test_records_come_from_every_kind_of_value() -> None:
    assert records_of(None) == []
    assert records_of("x") == [{"text": "x"}]
    assert records_of([Data({"a": 1}), {"b": 2}, Table([{"c": 3}, {"d": 4}])]) == [{"a": 1}, {"b": 2}, {"c": 3}, {"d": 4}]
    assert records_of(Message(text="hi", sender="User"))[0]["sender"] == "User"


def test_a_record_of_one_list_of_records_becomes_its_rows() -> None:
    assert table_of(Data({"rows": [{"a": 1}, {"a": 2}]})).rows == [{"a": 1}, {"a": 2}]
    assert table_of(Data({"rows": [{"a": 1}], "n": 1})).rows == [{"rows": [{"a": 1}], "n": 1}]
    assert table_of([Data({"a": 1}), Data({"a": 2})]).rows == [{"a": 1}, {"a": 2}]


def test_a_table_as_one_record_keeps_its_rows_under_results() -> None:
    assert data_of(Table([{"a": 1}])).data == {"results": [{"a": 1}]}
    assert data_of([{"a": 1}, {"a": 2}]).data == {"results": [{"a": 1}, {"a": 2}]}
    assert data_of({"a": 1}).data == {"a": 1}


def test_a_message_stays_the_same_object() -> None:
    message = Message(text="x")
    assert message_of(message) is message
    assert message_of(5).text == "5"


def test_list_fields_hold_one_text_or_many() -> None:
    assert texts_of("") == texts_of(None) == texts_of([]) == []
    assert texts_of("a") == ["a"]
    assert texts_of(["a", Message(text="b")]) == ["a", "b"]


def test_json_with_raw_line_breaks_in_its_strings_is_read() -> None:
    assert read_json('{"a": "x\ny"}') == {"a": "x\ny"}


@pytest.mark.parametrize("text", ["{", "", "[" * 100_000, '"\\ud800"', '{"a": "\n\\ud800"}'])
def test_what_is_no_json_or_no_text_raises_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        read_json(text)
