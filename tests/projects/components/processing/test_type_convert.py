"""Type Convert and its ancestors."""

from typing import Any

import pytest

from projects.components.processing.data_to_table import DataToTable
from projects.components.processing.message_to_data import MessageToData
from projects.components.processing.type_convert import TypeConvert
from projects.engine.component import ComponentError
from projects.engine.values import Data, Message, Table
from tests.fakes import build, output_of

ROWS = '[{"name": "ann", "n": 1}, {"name": "bob", "n": 2}]'


async def convert(value: Any, output: str, *, auto_parse: bool = True) -> Any:
    return await output_of(build(TypeConvert, input_data=value, auto_parse=auto_parse), output)


async def test_json_text_becomes_a_record_or_rows() -> None:
    assert (await convert(Message(text='{"a": 1}'), "data_output")).data == {"a": 1}
    assert (await convert(Message(text=ROWS), "data_output")).data == {"records": [{"name": "ann", "n": 1}, {"name": "bob", "n": 2}]}
    assert (await convert(Message(text=ROWS), "dataframe_output")).rows == [{"name": "ann", "n": 1}, {"name": "bob", "n": 2}]


async def test_csv_text_becomes_rows_with_numbers() -> None:
    table = await convert('name,n,zip,rate,ok,gone\nann,1,00123,0.5,true,\n"bob, jr",2,4,1.25,False,x', "dataframe_output")
    assert table.rows == [
        {"name": "ann", "n": 1, "zip": "00123", "rate": 0.5, "ok": True, "gone": None},
        {"name": "bob, jr", "n": 2, "zip": 4, "rate": 1.25, "ok": False, "gone": "x"},
    ]


@pytest.mark.parametrize("text", ["plain", "a, b", "1, 2\n3, 4, 5", "{broken", "[1, 2]", '"text"', "", "no comma\nhere, yes"])
async def test_text_that_is_neither_stays_text(text: str) -> None:
    assert (await convert(Message(text=text), "data_output")).data == {"text": text}
    assert (await convert(Message(text=text), "dataframe_output")).rows == [{"text": text}]


async def test_without_auto_parse_text_stays_text() -> None:
    assert (await convert(Message(text=ROWS), "data_output", auto_parse=False)).data == {"text": ROWS}


async def test_records_and_tables_change_into_each_other() -> None:
    assert (await convert(Data({"items": [{"a": 1}, {"a": 2}]}), "dataframe_output")).rows == [{"a": 1}, {"a": 2}]
    assert (await convert([Data({"a": 1}), Data({"a": 2})], "dataframe_output")).rows == [{"a": 1}, {"a": 2}]
    assert (await convert(Table([{"a": 1}]), "data_output")).data == {"results": [{"a": 1}]}


async def test_anything_becomes_a_message() -> None:
    message = Message(text="same")
    assert await convert(message, "message_output") is message
    assert (await convert(Data({"text": "t"}), "message_output")).text == "t"
    assert (await convert(Data({"a": [1]}), "message_output")).text == '{"a":[1]}'
    assert (await convert(Table([{"a": 1}]), "message_output")).text.startswith("|   a |")


async def test_nothing_to_convert_is_an_error() -> None:
    with pytest.raises(ComponentError, match="nothing to convert"):
        await convert(None, "data_output")


async def test_the_ancestors_keep_their_field_and_output_names() -> None:
    record = (await output_of(build(MessageToData, message=Message(text="hi", sender="User", session_id="s")))).data
    assert (record["text"], record["sender"], record["session_id"]) == ("hi", "User", "s")
    table = await output_of(build(DataToTable, data_list=[Data({"a": 1}), Data({"b": 2})]))
    assert (table.rows, table.columns) == ([{"a": 1}, {"b": 2}], ["a", "b"])
