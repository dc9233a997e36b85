"""What a run produced, as the content blocks of a tool result."""

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic_core import to_json

from projects.engine.events import VertexResult
from projects.engine.values import Data, Message, Table, jsonable


def content_of(outputs: Iterable[VertexResult]) -> list[dict[str, Any]]:
    """One text block for each different text, in the order of the outputs. A text that two outputs share is told once."""
    return [{"type": "text", "text": text} for text in dict.fromkeys(_texts(outputs))]


def _texts(outputs: Iterable[VertexResult]) -> Iterator[str]:
    for result in outputs:
        for value in result.outputs.values():
            if value is not None:
                yield text_of(value)


def text_of(value: Any) -> str:
    """The text a model reads: a message's own text, records and tables as JSON, anything else in its plain form."""
    match value:
        case str():
            return value
        case Message():
            return value.text
        case Data() | Table() | dict() | list() | tuple():
            return to_json(jsonable(value), inf_nan_mode="null").decode()
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)
