"""What a model reads of a run's outputs."""

import json

from mcp_server.content import content_of
from projects.engine.events import VertexResult
from projects.engine.values import Data, Message, Table


def result(**outputs: object) -> VertexResult:
    return VertexResult("V-1", "V", "V", dict(outputs))


def texts(*results: VertexResult) -> list[str]:
    return [block["text"] for block in content_of(results)]


def test_each_outputs_text_comes_once_and_in_order() -> None:
    assert texts(result(message=Message(text="b")), result(message=Message(text="a")), result(message=Message(text="b"))) == ["b", "a"]


def test_records_and_tables_are_json() -> None:
    record, table = texts(result(data=Data({"a": 1, "b": Message(text="t")})), result(table=Table([{"x": 1.5}, {"x": None}])))
    assert json.loads(record) == {"a": 1, "b": "t"}
    assert json.loads(table) == [{"x": 1.5}, {"x": None}]


def test_plain_values_have_their_plain_form_and_nothing_is_no_text() -> None:
    assert texts(result(a="text", b=3, c=True, d=None, e=[1, float("nan")])) == ["text", "3", "true", "[1,null]"]
