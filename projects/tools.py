"""Which flows are tools: their names, their schemas, and calling them.

One kept map a project (and one for the global server) serves both listing and calling, so what is listed can be called; one pydantic
model a tool makes the schema that is shown and binds the arguments that arrive.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from projects.access.caller import Caller
from projects.engine import schedule
from projects.engine.events import OnEvent, ignore
from projects.engine.graph import Field as TemplateField
from projects.engine.graph import Graph, Vertex
from projects.errors import FieldProblem, InvalidInput, NotFound
from projects.flows.library import Flow, FlowLibrary
from projects.flows.prepared import FlowCache, PreparedFlow
from projects.invocation import Invocation, InvocationResult, InvocationService
from projects.lifecycle import Project, ProjectService
from projects.unit_of_work import catalogue_version
from storage.database import Database
from storage.ids import new_id

NAME_LENGTH = 30  # clients put the server's name before it, and model APIs stop at 64
PROPERTY_LENGTH = 64
SERVER_NAME_LENGTH = 26
MAPS_LIMIT = 1_000  # projects whose tool maps are kept

Binding: TypeAlias = Mapping[str, tuple[str, str]]  # property → (vertex id, field)


@dataclass(frozen=True, slots=True)
class Tool:
    """A flow as a tool. `input_schema` is the schema of the model that `bind` validates with."""

    name: str
    title: str
    description: str
    input_schema: dict[str, Any]
    flow_id: str
    reads_world: bool
    writes_world: bool
    prepared: PreparedFlow
    model: type[BaseModel]
    binding: Binding

    def bind(self, arguments: Mapping[str, Any]) -> tuple[str | None, dict[tuple[str, str], Any]]:
        """The session that was asked for, and (vertex id, field) → value of every argument given.

        Raises InvalidInput naming each wrong one.
        """
        try:
            bound = self.model.model_validate(arguments, by_alias=True, by_name=False)
        except ValidationError as error:
            raise _refused(self, error) from None
        given: dict[tuple[str, str], Any] = {}
        session_id: str | None = None
        for name in bound.model_fields_set:
            alias = self.model.model_fields[name].alias or name
            if alias == SESSION_PROPERTY:
                session_id = getattr(bound, name) or None
            else:
                given[self.binding[alias]] = getattr(bound, name)
        return session_id, given


@dataclass(frozen=True, slots=True)
class ToolMap:
    """Name → tool, in listing order, and the flows that could not be tools with the reason."""

    tools: Mapping[str, Tool] = field(default_factory=dict)
    excluded: Mapping[str, str] = field(default_factory=dict)  # flow id → reason
    project: Project | None = None  # None for the global server


class ToolService:
    """Lists and calls the tools of one project, or with project None every flow of the caller."""

    def __init__(
        self, *, database: Database, projects: ProjectService, library: FlowLibrary, flows: FlowCache, invocations: InvocationService
    ) -> None:
        self._database = database
        self._projects = projects
        self._library = library
        self._flows = flows
        self._invocations = invocations
        self._version = -1
        self._maps: dict[tuple[str, str | None], ToolMap] = {}
        self._made: dict[tuple[str, int, str], Tool] = {}  # by flow, version and what its listing depends on

    async def list_tools(self, caller: Caller, project_id: str | None) -> Sequence[Tool]:
        """In a stable order. Raises NotFound for a project that is not the caller's."""
        return tuple((await self.tool_map(caller, project_id)).tools.values())

    async def call_tool(
        self,
        caller: Caller,
        project_id: str | None,
        name: str,
        arguments: Mapping[str, Any],
        *,
        request_variables: Mapping[str, str] | None = None,
        depth: int = 0,
        on_event: OnEvent = ignore,
    ) -> InvocationResult:
        """Run the flow behind a listed name. Raises NotFound("tool", …), InvalidInput, and what `invoke` raises."""
        tool = (await self.tool_map(caller, project_id)).tools.get(name)
        if tool is None:
            raise NotFound("tool", name)
        session_id, given = tool.bind(arguments)
        invocation = Invocation(
            arguments=given,
            session_id=session_id or new_id(),
            request_variables=request_variables or {},
            kind="tool",
            project_id=project_id,
            depth=depth,
        )
        return await self._invocations.invoke_prepared(caller, tool.prepared, invocation, on_event=on_event)

    async def tool_map(self, caller: Caller, project_id: str | None) -> ToolMap:
        """The kept map; made anew after any change of the catalogue."""
        version = await catalogue_version(self._database)
        if version != self._version or len(self._maps) > MAPS_LIMIT:
            self._maps.clear()
            self._version = version
        key = (caller.user_id, project_id)
        found = self._maps.get(key)
        if found is None:
            found = await self._make_map(caller, project_id)
            if version == self._version:
                self._maps[key] = found
        return found

    async def _make_map(self, caller: Caller, project_id: str | None) -> ToolMap:
        project = await self._projects.get(caller, project_id) if project_id is not None else None
        flows = await self._library.list_flows(caller, project_id=project_id, components=False, with_documents=False)
        if project_id is not None:
            flows = [flow for flow in flows if flow.is_tool]
        tools: dict[str, Tool] = {}
        excluded: dict[str, str] = {}
        for flow in sorted(flows, key=lambda flow: flow.id):
            name = unique_name(tool_name(flow, is_global=project_id is None), tools)
            try:
                tools[name] = await self._make_tool(flow, name, is_global=project_id is None)
            except InvalidInput as error:
                excluded[flow.id] = error.message
        return ToolMap(tools, excluded, project)

    async def _make_tool(self, flow: Flow, name: str, *, is_global: bool) -> Tool:
        key = (flow.id, flow.version, repr((name, is_global, flow.project_id, flow.name, flow.description, flow.tool_description)))
        if (made := self._made.get(key)) is None:
            if len(self._made) > MAPS_LIMIT * 10:
                self._made.clear()
            made = self._made[key] = make_tool(await self._flows.prepare(flow), name, is_global=is_global)
        return made


# Names ------------------------------------------------------------------------------------------------------------------------------

_DROPPED = re.compile(r"[^\w\s-]", re.ASCII)
_JOINED = re.compile(r"[\s_-]+")


def clean_name(name: str, *, length: int = NAME_LENGTH) -> str:
    """ASCII lower case, digits and underscores; never empty, never starting with a digit, at most `length` characters."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", name[:1_000]) if not unicodedata.combining(char))
    cleaned = _JOINED.sub("_", _DROPPED.sub("", plain)).strip("_").lower()
    if cleaned[:1].isdigit():
        cleaned = f"_{cleaned}"
    return cleaned[:length].rstrip("_") or "unnamed"


def server_name(project_name: str) -> str:
    """What a client calls the server of a project: `lf-` and the name with Latin letters in ASCII, other scripts kept, at most 26 long."""
    folded = []
    for char in unicodedata.normalize("NFC", project_name[:1_000]):
        plain = unicodedata.normalize("NFKD", char)[:1]
        char = plain if plain.isascii() else char
        folded.append(char if char.isalnum() or char in "_- " else "_" if char.isspace() else "")
    name = _JOINED.sub("_", "".join(folded)).strip("_").lower()
    return f"lf-{(f'_{name}' if name[:1].isdigit() else name)[:SERVER_NAME_LENGTH].rstrip('_') or 'unnamed'}"


def unique_name(name: str, taken: Mapping[str, Any], *, length: int = NAME_LENGTH) -> str:
    """The name, or the name with `_1`, `_2` … inside the length."""
    candidate, number = name, 0
    while candidate in taken:
        number += 1
        candidate = f"{name[: length - len(str(number)) - 1]}_{number}"
    return candidate


def tool_name(flow: Flow, *, is_global: bool) -> str:
    return clean_name(flow.name if is_global or not flow.tool_name else flow.tool_name)


# Schemas ----------------------------------------------------------------------------------------------------------------------------

SESSION_PROPERTY = "session_id"
INPUT_PROPERTY = "input_value"
NOT_ARGUMENTS = frozenset({"code", "file"})  # field types that no caller may set


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


def make_tool(prepared: PreparedFlow, name: str, *, is_global: bool = False) -> Tool:
    """The tool of one flow: its model, made from the visible fields of the input vertices that a run reaches."""
    flow, graph = prepared.flow, prepared.graph
    binding: dict[str, tuple[str, str]] = {}
    definitions: dict[str, Any] = {}
    for vertex, template in _argument_fields(graph):
        property_name = _property_name(vertex, template, binding)
        binding[property_name] = (vertex.id, template.name)
        definitions[f"argument_{len(definitions)}"] = _definition(vertex, template, property_name)
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
    model = create_model(f"{name}_arguments", __config__=ConfigDict(extra="forbid", strict=True), **definitions)
    schema = model.model_json_schema(by_alias=True)
    schema.pop("title", None)
    schema.setdefault("required", [])
    components = [vertex.component for vertex in graph.vertices.values() if vertex.component is not None]
    return Tool(
        name=name,
        title=flow.name[:200],
        description=_description(flow, name, is_global=is_global),
        input_schema=schema,
        flow_id=flow.id,
        reads_world=any(component.reads_world for component in components),
        writes_world=any(component.writes_world for component in components),
        prepared=prepared,
        model=model,
        binding=binding,
    )


def _argument_fields(graph: Graph) -> list[tuple[Vertex, TemplateField]]:
    """The fields a caller may fill in. Once an author has marked fields `api_editable`, only those and the input text."""
    planned = schedule.run_set(graph, schedule.default_start(graph), None)
    vertices = [vertex for vertex in graph.vertices.values() if vertex.is_input and vertex.id in planned]
    # The chat input comes first, so that its text is plain `input_value` whatever the file's order.
    vertices.sort(key=lambda vertex: vertex.type != "ChatInput")
    is_marked = any(template.api_editable for vertex in vertices for template in vertex.fields.values())
    chosen = []
    for vertex in vertices:
        fed = {edge.field for edge in graph.incoming.get(vertex.id, ()) if not edge.is_loop}
        for template in vertex.fields.values():
            is_open = template.api_editable or template.name == INPUT_PROPERTY if is_marked else not template.advanced
            if template.show and is_open and _may_be_argument(template) and template.name not in fed:
                chosen.append((vertex, template))
    return chosen


def _may_be_argument(template: TemplateField) -> bool:
    if template.name in (SESSION_PROPERTY, "code", "_type") or template.type in NOT_ARGUMENTS:
        return False
    return template.api_editable or not template.protected


def _property_name(vertex: Vertex, template: TemplateField, taken: Mapping[str, Any]) -> str:
    wanted = template.name if re.fullmatch(r"[a-zA-Z0-9_.-]{1,64}", template.name) else clean_name(template.name, length=PROPERTY_LENGTH)
    if wanted in taken or wanted == SESSION_PROPERTY:
        wanted = f"{clean_name(vertex.display_name or vertex.id)}_{wanted}"[:PROPERTY_LENGTH]
    return unique_name(wanted, {**taken, SESSION_PROPERTY: None}, length=PROPERTY_LENGTH)


def _definition(vertex: Vertex, template: TemplateField, property_name: str) -> Any:
    type_: Any = _TYPES.get(template.type, str)
    if type_ is str and template.options:
        type_ = Literal[template.options]
    if template.is_list:
        type_ = list[type_]
    stored = template.value
    is_stored = stored not in (None, "", [], {})
    is_required = not is_stored and (template.required or (vertex.type == "ChatInput" and template.name == INPUT_PROPERTY))
    info: dict[str, Any] = {
        "alias": property_name,
        "title": template.display_name or template.name,
        "description": template.info or f"{template.display_name or template.name} of {vertex.display_name}",
    }
    if is_required:
        return (type_, Field(**info))
    # What is stored stands in the schema only when it is plain, short, of the right type, and not a secret or a variable's name.
    is_shown = is_stored and not template.password and not template.load_from_db and len(repr(stored)) <= 500 and _fits(type_, stored)
    # The default itself is never bound: only arguments that were given reach the flow.
    return (type_, Field(default=stored if is_shown else None, json_schema_extra=None if is_shown else _drop_default, **info))


def _drop_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


def _fits(type_: Any, value: Any) -> bool:
    try:
        create_model("Stored", __config__=ConfigDict(strict=True), value=(type_, ...)).model_validate({"value": value})
    except ValidationError:
        return False
    return True


def _description(flow: Flow, name: str, *, is_global: bool) -> str:
    own = (None if is_global else flow.tool_description) or flow.description
    if own:
        return f"{flow.id}: {own}" if is_global else own
    return f"Run the flow {flow.name[:200]!r} ({name})."


def _refused(tool: Tool, error: ValidationError) -> InvalidInput:
    problems = [
        FieldProblem(tuple(entry["loc"]), _explained(tool, entry["type"], entry["msg"]), entry["type"])
        for entry in error.errors(include_url=False)
    ]
    listed = "; ".join(f"{'.'.join(map(str, problem.location)) or 'arguments'}: {problem.message}" for problem in problems)
    return InvalidInput(f"Arguments of {tool.name} are not right. {listed}", problems=problems)


def _explained(tool: Tool, kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return f"there is no such argument; {tool.name} takes {', '.join([*tool.binding, SESSION_PROPERTY])}"
    return message
