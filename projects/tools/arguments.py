"""What a caller may fill in: one pydantic model makes the schema that is shown and binds the arguments that arrive."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from projects.engine import schedule, tool_mode
from projects.engine.component import InputKind
from projects.engine.graph import Field as TemplateField
from projects.engine.graph import Graph, Vertex
from projects.errors import FieldProblem, InvalidInput
from projects.flows.secret_values import is_secret_name
from projects.flows.tweaks import CODE, is_protected
from projects.tools.names import clean_name, shown_text, unique_name

PROPERTY_LENGTH = 64
DESCRIPTION_LENGTH = 1_000
TITLE_LENGTH = 200
SHOWN_OPTIONS = 100  # a longer list costs every client more than it tells
SHOWN_DEFAULT = 500
PROBLEMS_TOLD = 10

SESSION_PROPERTY = "session_id"
INPUT_PROPERTY = "input_value"

Binding: TypeAlias = Mapping[str, tuple[str, str]]  # property → (vertex id, field)

_PLAIN_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
_USER_IN_ADDRESS = re.compile(r"://[^/?#\s@]+@")


def _whole(value: Any) -> Any:
    """JSON has one kind of number: 3.0 is a whole number too."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_INTEGER: Any = Annotated[int, BeforeValidator(_whole)]
_TYPES: Mapping[str, Any] = {
    "int": _INTEGER,
    "integer": _INTEGER,
    "float": float,
    "number": float,
    "slider": float,
    "bool": bool,
    "boolean": bool,
    "dict": dict[str, Any],
    "NestedDict": dict[str, Any],
    "object": dict[str, Any],
    "duration": dict[str, Any],
    "auth": dict[str, Any],
    "mcp": dict[str, Any],
    "data_display": dict[str, Any],
    "array": list[Any],
    "sortableList": list[dict[str, Any]],
    "table": list[dict[str, Any]],
    "tools": list[dict[str, Any]],
    "model": list[dict[str, Any]],
    "actionPicker": list[str],
}
# A field of these types is one value, whatever the document says of a list.
_LISTS = frozenset({"array", "dict", "NestedDict", "sortableList", "table", "tools", "model", "actionPicker"})


def argument_fields(graph: Graph) -> dict[str, tuple[Vertex, TemplateField]]:
    """Property → the field it fills: of input vertices what is visible there, of every vertex what its author marked `api_editable`.

    Only of vertices that a run reaches, and never a field that an edge fills. Once fields of input vertices are marked, only those
    count there, and the input text.
    """
    chosen = [*_of_inputs(graph), *_marked(graph)]
    fields: dict[str, tuple[Vertex, TemplateField]] = {}
    wanted = Counter(template.name for _, template in chosen)
    for vertex, template in chosen:
        fields[_property_name(vertex, template, fields, is_alone=vertex.is_input or wanted[template.name] == 1)] = (vertex, template)
    return fields


def arguments_model(name: str, fields: Mapping[str, tuple[Vertex, TemplateField]]) -> type[BaseModel]:
    """Strict, and closed to anything else."""
    definitions = {
        f"argument_{number}": _definition(vertex, template, property_name)
        for number, (property_name, (vertex, template)) in enumerate(fields.items())
    }
    definitions["session"] = (
        str,
        Field(
            default="",
            alias=SESSION_PROPERTY,
            title="Session",
            description="Calls with the same session share their chat history. Leave it out for a new one.",
            json_schema_extra=_drop_default,
        ),
    )
    return create_model(f"{name}_arguments", __config__=ConfigDict(extra="forbid", strict=True), **definitions)


def input_schema(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True)
    schema.pop("title", None)
    schema.setdefault("required", [])
    return schema


def refused(tool_name: str, known: Sequence[str], error: ValidationError) -> InvalidInput:
    """What was wrong with the arguments, for the caller; a caller that sends thousands of wrong ones reads of the first few."""
    entries = error.errors(include_url=False, include_input=False)
    problems = []
    for entry in entries[:PROBLEMS_TOLD]:
        message = entry["msg"]
        if entry["type"] == "extra_forbidden":
            message = f"there is no such argument; {tool_name} takes {', '.join(known)}"
        location = tuple(part if isinstance(part, int) else shown_text(part, length=PROPERTY_LENGTH) for part in entry["loc"])
        problems.append(FieldProblem(location, message, entry["type"]))
    listed = "; ".join(f"{'.'.join(map(str, problem.location)) or 'arguments'}: {problem.message}" for problem in problems)
    if len(entries) > len(problems):
        listed += f"; and {len(entries) - len(problems)} more"
    return InvalidInput(f"Arguments of {tool_name} are not right. {listed}", problems=problems)


def _of_inputs(graph: Graph) -> Iterator[tuple[Vertex, TemplateField]]:
    planned = schedule.run_set(graph, schedule.default_start(graph), None)
    vertices = [vertex for vertex in graph.vertices.values() if vertex.is_input and vertex.id in planned]
    # The chat input comes first, so that its text is plain `input_value` whatever the file's order.
    vertices.sort(key=lambda vertex: vertex.type != "ChatInput")
    is_marked = any(template.api_editable for vertex in vertices for template in vertex.fields.values())
    for vertex in vertices:
        for template in _unfed(graph, vertex):
            is_open = template.api_editable or template.name == INPUT_PROPERTY if is_marked else not template.advanced
            if template.show and is_open and _may_be_argument(template):
                yield vertex, template


def _marked(graph: Graph) -> Iterator[tuple[Vertex, TemplateField]]:
    planned = schedule.run_set(graph, schedule.default_start(graph), None)
    for vertex in graph.vertices.values():
        if vertex.is_input or vertex.component is None or vertex.id not in planned:
            continue
        # What an agent fills in when it calls the node as a tool is not the caller's.
        is_tool = vertex.tool_mode and any(item.name == tool_mode.OUTPUT for item in vertex.outputs)
        taken = tool_mode.argument_names(vertex, vertex.component) if is_tool else frozenset[str]()
        for template in _unfed(graph, vertex):
            if template.api_editable and template.show and template.name not in taken and _may_be_argument(template):
                yield vertex, template


def _unfed(graph: Graph, vertex: Vertex) -> Iterator[TemplateField]:
    fed = {edge.field for edge in graph.incoming.get(vertex.id, ()) if not edge.is_loop}
    return (template for template in vertex.fields.values() if template.name not in fed)


def _may_be_argument(template: TemplateField) -> bool:
    """The rule for tweaks, but for code, which a tool never takes, and the session, which a tool has a property for."""
    if template.name in (SESSION_PROPERTY, CODE, "_type") or template.type == CODE:
        return False
    return not is_protected(template)


def _property_name(vertex: Vertex, template: TemplateField, taken: Mapping[str, Any], *, is_alone: bool) -> str:
    """The field's name; where several vertices have such a field, with the vertex's before it."""
    wanted = template.name if _PLAIN_NAME.fullmatch(template.name) else clean_name(template.name, length=PROPERTY_LENGTH)
    if not is_alone or wanted in taken or wanted == SESSION_PROPERTY:
        wanted = f"{clean_name(vertex.display_name or vertex.id)}_{wanted}"[:PROPERTY_LENGTH]
    return unique_name(wanted, {*taken, SESSION_PROPERTY}, length=PROPERTY_LENGTH)


def _definition(vertex: Vertex, template: TemplateField, property_name: str) -> Any:
    type_ = _type_of(template)
    stored = template.value
    is_stored = stored not in (None, "", [], {})
    is_required = not is_stored and (template.required or (vertex.type == "ChatInput" and template.name == INPUT_PROPERTY))
    title = shown_text(template.display_name, length=TITLE_LENGTH) or template.name
    described = shown_text(template.info or "", length=DESCRIPTION_LENGTH, lines=True)
    described = described or f"{title} of {shown_text(vertex.display_name, length=TITLE_LENGTH)}"
    if property_name != template.name:
        # Several components have such a field: a form that shows titles alone has to tell them apart too.
        title = shown_text(f"{vertex.display_name}: {title}", length=TITLE_LENGTH)
    if template.type == "file":
        described = f"{described} The storage path or the id of an uploaded file.".strip()
    info: dict[str, Any] = {
        "alias": property_name,
        "title": title,
        "description": described,
    }
    if is_required:
        return (type_, Field(**info, json_schema_extra=_portable))
    # The default itself is never bound: only arguments that were given reach the flow.
    if not (is_stored and _may_be_shown(template) and _fits(type_, stored)):
        return (type_, Field(default=None, json_schema_extra=_drop_default, **info))
    return (type_, Field(default=stored, json_schema_extra=_portable, **info))


def _type_of(template: TemplateField) -> Any:
    type_: Any = _TYPES.get(template.type, str)
    if template.type == "other" and template.kind is InputKind.DATA:
        type_ = dict[str, Any]
    if type_ is str and 0 < len(template.options) <= SHOWN_OPTIONS:
        type_ = Literal[template.options]
    return list[type_] if template.is_list and template.type not in _LISTS else type_


def _may_be_shown(template: TemplateField) -> bool:
    """A stored value stands in the schema only when it is short and neither a secret, a variable's name nor somebody's file."""
    if template.password or template.load_from_db or template.type == "file" or is_secret_name(template.name):
        return False
    shown = repr(template.value)
    return len(shown) <= SHOWN_DEFAULT and not _USER_IN_ADDRESS.search(shown)


def _portable(schema: dict[str, Any]) -> None:
    """Words that every client's dialect knows: a list of one instead of `const`, and no list of just anything."""
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    items = schema.get("items")
    if isinstance(items, dict):
        _portable(items)
        if not items:
            del schema["items"]


def _drop_default(schema: dict[str, Any]) -> None:
    _portable(schema)
    schema.pop("default", None)


def _fits(type_: Any, value: Any) -> bool:
    try:
        create_model("Stored", __config__=ConfigDict(strict=True), value=(type_, ...)).model_validate({"value": value})
    except ValidationError:
        return False
    return True
