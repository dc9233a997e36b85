"""What stored values and values on edges become for the component."""

from typing import Any

import pytest

from projects.engine.coercion import CoercionError, coerce, kind_of, read_stored
from projects.engine.component import InputKind
from projects.engine.values import Data, Message, Table


@pytest.mark.parametrize(
    ("type", "stored", "read"),
    [
        ("str", "one\\ntwo", "one\ntwo"),
        ("str", {"text": "hi"}, "hi"),
        ("str", {"data": {"text": "deep"}}, "deep"),
        ("int", "3", 3),
        ("int", "three", "three"),
        ("float", "0.5", 0.5),
        ("slider", 1, 1.0),
        ("bool", "false", True),
        ("bool", "", False),
        ("dict", [{"key": "a", "value": 1}, {"key": "b", "value": 2}], {"a": 1, "b": 2}),
        ("NestedDict", [{"a": 1}, {"b": 2}], {"a": 1, "b": 2}),
        ("table", "", []),
        ("other", "kept", "kept"),
        ("int", None, None),
    ],
)
def test_a_stored_value_is_read_by_the_type_word_of_its_field(type: str, stored: Any, read: Any) -> None:
    assert read_stored(type, stored) == read


def test_each_item_of_a_stored_list_is_read() -> None:
    assert read_stored("str", ["a\\nb", {"text": "c"}], is_list=True) == ["a\nb", "c"]


@pytest.mark.parametrize(
    ("kind", "value", "wanted"),
    [
        (InputKind.TEXT, Message(text="hi"), "hi"),
        (InputKind.TEXT, Data({"text": "from data"}), "from data"),
        (InputKind.TEXT, Data({"name": "ann"}, text_key="name"), "ann"),
        (InputKind.TEXT, 3, "3"),
        (InputKind.STRING, Message(text="hi"), "hi"),
        (InputKind.INTEGER, "3", 3),
        (InputKind.INTEGER, 3.0, 3),
        (InputKind.INTEGER, "", ""),
        (InputKind.INTEGER, Message(text="7"), 7),
        (InputKind.NUMBER, "0.5", 0.5),
        (InputKind.BOOLEAN, "no", True),
        (InputKind.ROWS, Data({"a": 1}), [{"a": 1}]),
        (InputKind.ROWS, Table([{"a": 1}, {"a": 2}]), [{"a": 1}, {"a": 2}]),
        (InputKind.ROWS, None, []),
        (InputKind.MAPPING, '{"a": 1}', {"a": 1}),
        (InputKind.MAPPING, Data({"a": 1}), {"a": 1}),
        (InputKind.DATA, "as it comes", "as it comes"),
    ],
)
def test_each_kind_of_input_takes_what_it_can_and_gives_its_own_type(kind: InputKind, value: Any, wanted: Any) -> None:
    assert coerce(kind, value) == wanted


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (InputKind.TEXT, None, "Invalid value type NoneType"),
        (InputKind.TEXT, Table([{"a": 1}]), "Invalid value type Table"),
        (InputKind.TEXT, Data({"name": "ann", "age": 3}), "its keys are: name, age"),
        (InputKind.MESSAGE, 5, "a message or text is expected"),
        (InputKind.INTEGER, "three", "A whole number is expected, got 'three'"),
        (InputKind.INTEGER, "3.5", "A whole number is expected"),
        (InputKind.NUMBER, "x", "A number is expected"),
        (InputKind.BOOLEAN, [1], "True or false is expected"),
        (InputKind.ROWS, "rows", "Rows (a list of objects) are expected"),
        (InputKind.MAPPING, "{", "this is not JSON"),
        (InputKind.MAPPING, 5, "An object is expected"),
    ],
)
def test_a_value_that_an_input_cannot_take_is_named(kind: InputKind, value: Any, said: str) -> None:
    with pytest.raises(CoercionError) as caught:
        coerce(kind, value)
    assert said in str(caught.value)


def test_a_long_wrong_value_is_not_quoted_whole() -> None:
    with pytest.raises(CoercionError) as caught:
        coerce(InputKind.INTEGER, "x" * 10_000)
    assert len(str(caught.value)) < 200


def test_text_and_objects_become_messages_and_a_message_stays_the_same_object() -> None:
    message = Message(text="hi")
    assert coerce(InputKind.MESSAGE, message) is message
    assert coerce(InputKind.MESSAGE, "hello").text == "hello"
    made = coerce(InputKind.MESSAGE, {"text": "hello", "sender": "User", "files": ["a.png"], "odd": 1})
    assert (made.text, made.sender, made.files) == ("hello", "User", ["a.png"])


def test_an_iterator_of_text_is_handed_on_unread() -> None:
    chunks = iter(["a", "b"])
    assert coerce(InputKind.TEXT, chunks) is chunks


def test_a_list_field_gets_a_list_of_converted_values() -> None:
    assert coerce(InputKind.TEXT, Message(text="one"), is_list=True) == ["one"]
    assert coerce(InputKind.TEXT, [Message(text="one"), "two"], is_list=True) == ["one", "two"]
    assert coerce(InputKind.TEXT, "", is_list=True) == []


@pytest.mark.parametrize(
    ("input_class", "type", "kind"),
    [
        ("MessageInput", "str", InputKind.MESSAGE),
        ("DropdownInput", "str", InputKind.STRING),
        ("SliderInput", "slider", InputKind.NUMBER),
        ("FromTheFuture", "bool", InputKind.BOOLEAN),
        (None, "str", InputKind.TEXT),
        (None, "prompt", InputKind.PROMPT),
        (None, "NestedDict", InputKind.MAPPING),
        (None, "auth", InputKind.ANY),
    ],
)
def test_the_input_class_names_the_kind_and_the_type_does_in_old_documents(input_class: str | None, type: str, kind: InputKind) -> None:
    assert kind_of(input_class, type) is kind
