"""What a node in tool mode offers an agent: one tool for each output of its component, as its author has named and chosen them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.graph import Vertex
from projects.engine.tools import Tool, ToolFailed

OUTPUT = "component_as_tool"
CHOICE_FIELD = "tools_metadata"

# Methods that say nothing: a lone output with one of these is called after its component.
_GENERIC = frozenset(("output", "process", "build_output", "run", "execute", "main", "handler", "build_result"))
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
_WORD_ENDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

_NEVER_ARGUMENTS = frozenset((InputKind.HANDLE, InputKind.CODE, InputKind.FILE))
_TYPES: Mapping[InputKind, Mapping[str, Any]] = {
    InputKind.INTEGER: {"type": "integer"},
    InputKind.NUMBER: {"type": "number"},
    InputKind.BOOLEAN: {"type": "boolean"},
    InputKind.MAPPING: {"type": "object"},
    InputKind.DATA: {"type": "object"},
    InputKind.TABLE: {"type": "array", "items": {"type": "object"}},
    InputKind.ROWS: {"type": "array", "items": {"type": "object"}},
}
_LISTS = frozenset((InputKind.ROWS, InputKind.TABLE))
_OPTIONS_SHOWN = 50


def argument_names(vertex: Vertex, component: type[Component]) -> frozenset[str]:
    """The fields that the agent fills in."""
    return frozenset(item.name for item in _arguments(vertex, component, ()))


def described_tools(
    vertex: Vertex, component: type[Component], inputs: Mapping[str, Any], fed: Collection[str]
) -> list[tuple[Tool, Output]]:
    """A tool without its call for each output that can be one, with that output."""
    outputs = [item for item in component.declared_outputs if item.tool_mode]
    schema = _schema(_arguments(vertex, component, fed), inputs)
    description = vertex.description or component.description
    return [
        (Tool(name=_name(output, component, is_alone=len(outputs) == 1), description=description, parameters=schema, call=_not_yet), output)
        for output in outputs
    ]


def chosen(tools: Sequence[Tool], vertex: Vertex) -> list[Tool]:
    """The tools as the node's table has them: renamed, described anew, switched off. What the table does not name is left out."""
    field = vertex.fields.get(CHOICE_FIELD)
    rows = [row for row in field.value if isinstance(row, Mapping)] if field is not None and isinstance(field.value, list) else []
    if not rows:
        return list(tools)
    by_name = {_original_name(row): row for row in rows}
    if not any(tool.name in by_name for tool in tools):
        # Before 1.3 the name of the component stood before the method's: `URL-fetch_content`.
        by_name = {name.rpartition("-")[2]: row for name, row in by_name.items()}
    if not any(tool.name in by_name for tool in tools):
        if len(tools) != 1 or len(rows) != 1:
            return list(tools)  # a table for other tools than these, such as those of another release
        by_name = {tools[0].name: rows[0]}
    return [_renamed(tool, row) for tool in tools if (row := by_name.get(tool.name)) is not None and _is_on(row)]


def checked(vertex: Vertex, component: type[Component], fed: Collection[str], arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments, when the tool has them all and knows them all. Raises ToolFailed, in words that help a model to do better."""
    known = {item.name: item for item in _arguments(vertex, component, fed)}
    if unknown := [name for name in arguments if name not in known]:
        raise ToolFailed(f"There is no argument {', '.join(map(repr, unknown))}; there are: {', '.join(known) or 'none'}.")
    if missing := [name for name, item in known.items() if item.required and arguments.get(name) is None]:
        raise ToolFailed(f"The argument {', '.join(map(repr, missing))} is missing.")
    return {name: value for name, value in arguments.items() if value is not None}


def name_of(text: str) -> str:
    """The text as a tool's name: letters, digits, `_` and `-`, at most 64."""
    return _NOT_IN_NAMES.sub("-", text)[:64] or "tool"


async def _not_yet(arguments: Mapping[str, Any]) -> Any:
    raise AssertionError("The runner gives a tool its call.")


def _name(output: Output, component: type[Component], *, is_alone: bool) -> str:
    if is_alone and output.method in _GENERIC:
        return name_of(_WORD_ENDS.sub("_", component.__name__).lower())
    return name_of(output.method)


def _arguments(vertex: Vertex, component: type[Component], fed: Collection[str]) -> list[Input]:
    """The inputs marked for tools; without any the required ones; without those all that a person would see."""
    possible = [item for item in component.declared_inputs if item.name not in fed and item.name != CHOICE_FIELD]
    marked = [item for item in possible if item.tool_mode]
    if marked:
        return marked
    open_ones = [item for item in possible if item.kind not in _NEVER_ARGUMENTS and not item.protected and not item.password]
    possible = [item for item in open_ones if _is_seen(vertex, item)]
    return [item for item in possible if item.required] or possible


def _is_seen(vertex: Vertex, item: Input) -> bool:
    field = vertex.fields.get(item.name)
    return (field.show and not field.advanced) if field is not None else (item.show and not item.advanced)


def _schema(arguments: Sequence[Input], inputs: Mapping[str, Any]) -> dict[str, Any]:
    properties = {item.name: _property(item, inputs.get(item.name)) for item in arguments}
    required = [item.name for item in arguments if item.required]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _property(item: Input, current: Any) -> dict[str, Any]:
    schema: dict[str, Any] = dict(_TYPES.get(item.kind, {"type": "string"}))
    if item.options and schema["type"] == "string" and len(item.options) <= _OPTIONS_SHOWN:
        schema["enum"] = list(item.options)
    if item.is_list and item.kind not in _LISTS:
        schema = {"type": "array", "items": schema}
    schema["title"] = item.display_name or item.name
    schema["description"] = item.info or item.display_name or item.name
    if not item.required and not item.password and isinstance(current, str | int | float | bool) and current != "":
        schema["default"] = current
    return schema


def _original_name(row: Mapping[str, Any]) -> str:
    tags = row.get("tags")
    return str(tags[0]) if isinstance(tags, list) and tags else str(row.get("name", ""))


def _is_on(row: Mapping[str, Any]) -> bool:
    return row.get("status") is not False


def _renamed(tool: Tool, row: Mapping[str, Any]) -> Tool:
    name, description = row.get("name"), row.get("description")
    return replace(
        tool,
        name=name_of(name) if isinstance(name, str) and name.strip() else tool.name,
        description=description if isinstance(description, str) and description.strip() else tool.description,
        display_name=str(row.get("display_name") or tool.display_name),
        needs_approval=tool.needs_approval or bool(row.get("approval_actions")),
        metadata={**tool.metadata, **{key: row[key] for key in ("display_name", "display_description", "readonly") if row.get(key)}},
    )
