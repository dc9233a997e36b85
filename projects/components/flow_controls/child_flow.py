"""What the components that run another flow have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from projects.components.conversion import plain_text
from projects.engine.component import ComponentError
from projects.engine.context import ChildFlow, ChildResult, RunContext
from projects.engine.values import Data, Message, Table

Values = Mapping[tuple[str, str], Any]


async def find(context: RunContext, *names: Any) -> ChildFlow:
    """The first flow of these ids or names that there is."""
    wanted = [str(name) for name in names if name]
    if not wanted:
        raise ComponentError("No flow is chosen: give the name of the flow to run.")
    for name in wanted:
        if (found := await context.flows.find_flow(name)) is not None:
            return found
    raise ComponentError(f"There is no flow {wanted[-1]!r} of yours. Import it, or choose another one.")


def fields_for(inputs: Mapping[str, Any], separator: str) -> dict[tuple[str, str], Any]:
    """The node's fields that stand for fields of the other flow: `<vertex id><separator><field>`."""
    found: dict[tuple[str, str], Any] = {}
    for name, value in inputs.items():
        vertex_id, is_one, field = name.rpartition(separator)
        if is_one and vertex_id and value is not None:
            found[vertex_id, field] = plain_text(value) if isinstance(value, Message) else value
    return found


def first_value(result: ChildResult) -> Any:
    return next((value for outputs in result.outputs.values() for value in outputs.values()), None)


def all_values(result: ChildResult) -> list[Any]:
    return [value for outputs in result.outputs.values() for value in outputs.values()]


def as_record(value: Any) -> Data:
    match value:
        case Data():
            return value
        case Message():
            return Data(data={"text": value.text})
        case Table():
            return Data(data={"results": [dict(row) for row in value.rows]})
        case Mapping():
            return Data(data={str(key): item for key, item in value.items()})
        case _:
            return Data(data={"text": plain_text(value)})
