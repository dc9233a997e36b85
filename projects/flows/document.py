"""A flow document of any age becomes a graph that can run and a report that accounts for every node and edge in it.

Above: `prepared.py` keeps what is compiled, `library.py` shows the report. Code inside a node is not executed here: it is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pydantic_core import from_json

from projects.components.known_types import CODE_HINT, CODE_REASON, contains_code, describe_unsupported
from projects.components.models_and_agents import model_fields
from projects.custom_code import reading
from projects.custom_code.policy import policy_of
from projects.engine import coercion, schedule, tool_mode
from projects.engine.component import Component, Input
from projects.engine.graph import ComponentClass, Edge, Field, Graph, Vertex, VertexOutput
from projects.errors import FieldProblem, InvalidInput
from projects.flows import groups, own_code, readiness
from projects.flows.groups import Expanded, NodeEntry, node_of
from projects.flows.handles import EdgeEnds, types_match
from projects.flows.import_report import EdgeReport, EdgeStatus, ImportReport, NodeReport, NodeStatus, Problem, ProblemKind
from projects.models.choice import missing_package

NODE_LIMIT = 10_000  # a document with as many nodes is refused
EDGE_LIMIT = 100_000
MAX_NAME_LENGTH = 1_000  # of a node's id, type or display name

MAX_CODE_CHARACTERS = 1_000_000  # of all nodes with code of their own: reading that takes seconds, and flows are read while others wait

_INPUT_TYPES = frozenset(("ChatInput", "TextInput", "Webhook"))
_OUTPUT_TYPES = frozenset(("ChatOutput", "TextOutput", "DataOutput"))
_NOTE_TYPES = frozenset(("note", "noteNode", "undefined"))
_STOCK_MODULES = ("lfx.components.", "langflow.components.")

# Never set by a tweak unless the author allowed it: what is executed, opened or connected to.
_PROTECTED_TYPES = frozenset(("code", "file"))
_PROTECTED_NAMES = frozenset(
    (
        "api_base",
        "api_url",
        "base_url",
        "code",
        "database_url",
        "file_path",
        "global_imports",
        "openai_api_base",
        "openai_base_url",
        "python_code",
        "sql_query",
        "storage_path",
        "tool_code",
    )
)
_PROTECTED_FIELDS = frozenset((("SQLComponent", "query"), ("SQLDatabase", "uri"), ("Directory", "path"), ("File", "path")))
# What a person sends along with a message is the caller's to choose: it names uploads of the flow's owner and nothing else.
_ATTACHMENTS = frozenset((("ChatInput", "files"),))

_UNREAD_TYPES = frozenset(("code", "tools"))  # about a node, not for it


class ComponentSource(Protocol):
    """Where components come from: the registry, or a test's own."""

    def find(self, document_type: str) -> type[Component] | None: ...


@dataclass(frozen=True, slots=True)
class FlowDocument:
    """Nodes with unique ids and edges, otherwise as the document has them."""

    nodes: list[Mapping[str, Any]]
    edges: list[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class CompiledFlow:
    graph: Graph
    report: ImportReport


def parse_document(text: str | bytes) -> FlowDocument:
    """Nodes and edges of a flow's `data`, or of a whole export. Raises InvalidInput for what is no flow, naming what is wrong."""
    try:
        read = from_json(text)
    except ValueError as error:
        raise _wrong(f"The flow document is not valid JSON: {error}.") from None
    if not isinstance(read, dict):
        raise _wrong("A flow document is a JSON object with nodes and edges.")
    if "nodes" not in read and isinstance(read.get("data"), dict):
        read = read["data"]
    nodes, edges = _listed(read, "nodes"), _listed(read, "edges")
    if len(edges) > EDGE_LIMIT:
        raise _wrong(f"The flow has {len(edges):,} edges; at most {EDGE_LIMIT:,} are taken.", "edges")
    _check_nodes(nodes)
    return FlowDocument(nodes, edges)


def check_document(text: str | bytes) -> None:
    """Raises InvalidInput for a document that could not be compiled."""
    parse_document(text)


def compile_document(document_text: str | bytes, registry: ComponentSource) -> CompiledFlow:
    """The graph of a flow document, and the report on it. Raises InvalidInput when it is no flow document."""
    document = parse_document(document_text)
    return _Compiler(registry).compile(groups.expand(document.nodes, document.edges))


async def read_and_compile(document_text: str | bytes, registry: ComponentSource) -> CompiledFlow:
    """The same, with long code read in another process before: see `custom_code/reading.py`."""
    document = parse_document(document_text)
    expanded, compiler = groups.expand(document.nodes, document.edges), _Compiler(registry)
    await reading.read_ahead(compiler.codes(expanded))
    return compiler.compile(expanded)


def _listed(read: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    items = read.get(key)
    if items is None:
        return []
    if not isinstance(items, list):
        raise _wrong(f"`{key}` must be a list.", key)
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise _wrong(f"Entry {index} of `{key}` is not an object.", key, index)
    return items


def _check_nodes(nodes: list[Mapping[str, Any]]) -> None:
    """Every node, those inside groups too: it has an id of its own, and none of its names is out of bounds."""
    seen: set[str] = set()
    repeated: dict[str, None] = {}
    level = nodes
    while level:
        inner: list[Mapping[str, Any]] = []
        for index, raw in enumerate(level):
            id = raw.get("id")
            if not isinstance(id, str | int) or isinstance(id, bool) or id == "":
                raise _wrong(f"Node {index} has no id.", "nodes", index, "id")
            id = str(id)
            if id in seen:
                repeated[id] = None
            seen.add(id)
            data = raw.get("data")
            node = node_of(raw)
            for name in (id, node.get("display_name"), data.get("type") if isinstance(data, Mapping) else None):
                if isinstance(name, str) and len(name) > MAX_NAME_LENGTH:
                    raise _wrong(
                        f"A name of node {id[:80]!r} has {len(name):,} characters; at most {MAX_NAME_LENGTH:,} are taken.", "nodes", index
                    )
            if "flow" in node:
                inner += groups.inner_flow(raw)[0]
        if len(seen) + len(repeated) >= NODE_LIMIT:
            raise _wrong(
                f"The flow has {len(seen):,} nodes or more; fewer than {NODE_LIMIT:,} are taken. Split it into several flows.", "nodes"
            )
        level = inner
    if repeated:
        named = ", ".join(repr(id[:80]) for id in list(repeated)[:10])
        raise _wrong(f"Node ids must be unique; these are there more than once: {named}.", "nodes")


def _wrong(message: str, *location: str | int) -> InvalidInput:
    return InvalidInput(message, problems=[FieldProblem(("data", *location), message)])


@dataclass(frozen=True, slots=True)
class _Identity:
    """What a node says it is."""

    type: str
    node: Mapping[str, Any]
    display_name: str


class _Compiler:
    """Compiles one document."""

    def __init__(self, registry: ComponentSource) -> None:
        self._registry = registry
        self._policy = policy_of(registry)
        self._report = ImportReport()
        self._vertices: dict[str, Vertex] = {}
        self._components: dict[str, ComponentClass | None] = {}
        self._declared: dict[ComponentClass, dict[str, Input]] = {}
        self._code_characters = 0  # of nodes whose code counts
        self._left_out: dict[str, str] = {}  # ids of notes and groups → which of them

    def compile(self, expanded: Expanded) -> CompiledFlow:
        for entry in expanded.nodes:
            self._read_node(entry)
        edges = [edge for ends in expanded.edges if (edge := self._read_edge(ends)) is not None]
        for ends, reason in expanded.lost:
            self._drop(ends, reason)
        edges = self._as_tools(edges)
        self._check_shared_fields(edges)
        self._check_packages(edges)
        graph = Graph(vertices=self._vertices, edges=tuple(edges), groups=expanded.groups)
        if stuck := schedule.cycles(graph):
            self._say(
                ProblemKind.CYCLE, f"These nodes wait for each other and never start, because no Loop is among them: {', '.join(stuck)}."
            )
        return CompiledFlow(graph, self._report)

    def codes(self, expanded: Expanded) -> Iterator[str]:
        """The nodes' code that compiling reads."""
        left = MAX_CODE_CHARACTERS
        for entry in expanded.nodes:
            identity = _identify(entry)
            code = code_of(identity.node)
            if self._is_read(identity, code) and (left := left - len(code)) >= 0:
                yield code

    # --- nodes

    def _is_read(self, identity: _Identity, code: str) -> bool:
        """Whether a node's code may matter: it is edited, or stands for a type that is unknown here."""
        if not code:
            return False
        if identity.node.get("edited") is True:
            return True
        if self._find(identity.type) is not None:
            return False
        module = _metadata(identity.node).get("module")
        is_known = describe_unsupported(identity.type) is not None or (isinstance(module, str) and module.startswith(_STOCK_MODULES))
        return not is_known or contains_code(identity.type) or own_code.mentions_stock(code)

    def _read_node(self, entry: NodeEntry) -> None:
        identity = _identify(entry)
        if _is_note(entry.raw, identity):
            self._left_out[entry.id] = "note"
            self._report.nodes.append(NodeReport(entry.id, identity.type or "note", NodeStatus.NOTE, identity.display_name))
            return
        if groups.is_group(entry.raw):
            self._left_out[entry.id] = "group"
            inside = ", ".join(str(raw["id"]) for raw in groups.inner_flow(entry.raw)[0]) or "nothing"
            self._report.nodes.append(
                NodeReport(
                    entry.id, identity.type, NodeStatus.GROUP, identity.display_name, reason=f"Expanded into what is inside: {inside}."
                )
            )
            return
        if self._is_read(identity, code := code_of(identity.node)):
            self._code_characters += len(code)
        component = self._meant(identity)
        report, component = self._judge(entry.id, identity, component)
        self._report.nodes.append(report)
        self._vertices[entry.id] = self._vertex(entry, identity, component, report)

    def _meant(self, identity: _Identity) -> ComponentClass | None:
        """What the node's type means; or the stock component whose name its text only repeats."""
        component = self._find(identity.type)
        if (component is None or identity.node.get("edited") is True) and not self._has_too_much_code:
            stock = own_code.stock_type(code_of(identity.node))
            if stock is not None and (found := self._find(stock)) is not None:
                return found
        return component

    def _find(self, type: str) -> ComponentClass | None:
        if type not in self._components:
            self._components[type] = self._registry.find(type)
        return self._components[type]

    @property
    def _has_too_much_code(self) -> bool:
        return self._code_characters > MAX_CODE_CHARACTERS

    def _judge(self, id: str, identity: _Identity, component: ComponentClass | None) -> tuple[NodeReport, ComponentClass | None]:
        """What stands behind a node, and its class where it can run. A known type that is not edited is ours, whatever code it carries."""
        report = self._judged(id, identity, component)
        if report.status is NodeStatus.CODE and self._has_too_much_code:
            reason = f"The nodes of this flow bring more than {MAX_CODE_CHARACTERS:,} characters of code; what is beyond that is not read."
            return replace(report, reason=reason, hint="Divide the flow into several that run each other."), None
        if report.status is NodeStatus.CODE and (code := code_of(identity.node)):
            return own_code.judged(report, identity.node, code, self._policy, self._report)
        return report, component if report.status is NodeStatus.NATIVE else None

    def _judged(self, id: str, identity: _Identity, component: ComponentClass | None) -> NodeReport:
        node, type, name = identity.node, identity.type, identity.display_name
        code = code_of(node)
        is_edited = node.get("edited") is True
        if is_edited:
            is_stock = component is not None and component.stands_for_edited
            is_stock = is_stock or (component is not None and not self._has_too_much_code and own_code.stock_type(code) is not None)
            is_edited = not is_stock
        if is_edited or (component is None and contains_code(type)):
            told = "Its author edited the code of this component. " if is_edited else ""
            return NodeReport(id, type, NodeStatus.CODE, name, reason=f"{told}{CODE_REASON}", hint=CODE_HINT)
        if component is not None:
            stamped = _metadata(node).get("code_hash")
            if code and isinstance(stamped, str) and stamped != hashlib.sha256(code.encode("utf-8", "replace")).hexdigest()[: len(stamped)]:
                self._say(
                    ProblemKind.CODE_HASH,
                    f"The code in {name} ({id}) is not what the component was shipped with. It is not used; the built-in component runs.",
                    id,
                )
            return NodeReport(id, type, NodeStatus.NATIVE, name, component=component.type)
        if (known := describe_unsupported(type)) is not None:
            return NodeReport(id, type, NodeStatus.UNSUPPORTED, name, reason=known[0], hint=known[1])
        module = _metadata(node).get("module")
        if code and not (isinstance(module, str) and module.startswith(_STOCK_MODULES)):
            reason = f"The type {type!r} is unknown here and the node carries code of its own. {CODE_REASON}"
            return NodeReport(id, type, NodeStatus.CODE, name, reason=reason, hint=CODE_HINT)
        if not type:
            return NodeReport(
                id, type, NodeStatus.UNSUPPORTED, name, reason="The node does not say what it is.", hint="Add it to the flow anew."
            )
        replacement = node.get("replacement")
        hint = (
            f"Langflow names as its replacement: {', '.join(map(str, replacement))}."
            if isinstance(replacement, list) and replacement
            else ""
        )
        return NodeReport(
            id,
            type,
            NodeStatus.UNSUPPORTED,
            name,
            reason=f"There is no component of the type {type!r} here.",
            hint=hint or "Replace the node, or install a plugin that brings this type.",
        )

    def _vertex(self, entry: NodeEntry, identity: _Identity, component: ComponentClass | None, report: NodeReport) -> Vertex:
        node = identity.node
        type = component.type if component is not None else identity.type
        prefix = entry.id.partition("-")[0]
        names = {prefix, identity.type, type}
        description = node.get("description")
        return Vertex(
            id=entry.id,
            type=type,
            document_type=identity.type,
            display_name=identity.display_name,
            description=description if isinstance(description, str) else "",
            component=component,
            fields=self._fields(entry.id, identity, type, component),
            outputs=_outputs(node, component),
            problem=report.reason,
            hint=report.hint or "",
            tool_mode=node.get("tool_mode") is True,
            frozen=node.get("frozen") is True or entry.is_frozen,
            is_input=not names.isdisjoint(_INPUT_TYPES) or node.get("is_input") is True or (component is not None and component.is_input),
            is_output=not names.isdisjoint(_OUTPUT_TYPES)
            or node.get("is_output") is True
            or (component is not None and component.is_output),
            parent_id=entry.parent_id,
        )

    def _fields(self, id: str, identity: _Identity, type: str, component: ComponentClass | None) -> dict[str, Field]:
        template = identity.node.get("template")
        if not isinstance(template, Mapping):
            return {}
        declared = self._inputs_of(component) if component is not None else {}
        fields: dict[str, Field] = {}
        for name, raw in template.items():
            if isinstance(raw, Mapping) and name != "_type":
                found = fields[name] = read_field(name, raw, declared.get(name), type, has_component=component is not None)
                if component is not None and self._is_unused(found, identity.node, component):
                    self._say(ProblemKind.FIELD, f"{identity.display_name} ({id}) does not use the field {name!r}, which has a value.", id)
                if found.load_from_db and found.value:
                    text = f'The field "{found.display_name or name}" of {identity.display_name} ({id}) takes its value from the variable '
                    self._report.problems.append(Problem(ProblemKind.VARIABLE, f'{text}"{found.value}".', id, variable=str(found.value)))
        return fields

    @staticmethod
    def _is_unused(field: Field, node: Mapping[str, Any], component: ComponentClass) -> bool:
        """A value of the author's that nothing reads here. Hidden fields and tool settings are not what they chose."""
        if field.declared or component.takes_more_fields or not field.show or field.type in _UNREAD_TYPES:
            return False
        own = node.get("custom_fields")
        is_own = isinstance(own, Mapping) and any(isinstance(names, list) and field.name in names for names in own.values())
        return not is_own and field.value not in (None, "", [], {}, False)

    def _inputs_of(self, component: ComponentClass) -> dict[str, Input]:
        if component not in self._declared:
            self._declared[component] = {item.name: item for item in component.declared_inputs}
        return self._declared[component]

    # --- edges

    def _read_edge(self, ends: EdgeEnds) -> Edge | None:
        for id in (ends.source, ends.target):
            if id in self._left_out:
                self._drop(ends, f"{id} is a {self._left_out[id]}.")
                return None
            if id not in self._vertices:
                self._drop(ends, f"There is no node {id!r}." if id else "It does not say which nodes it joins.")
                return None
        source, target = self._vertices[ends.source], self._vertices[ends.target]
        output = self._output_of(ends, source)
        if output is None:
            self._drop(ends, f"It does not say which output of {source.display_name} ({source.id}) it starts at.")
            return None
        if ends.field is None:
            self._drop(ends, f"It does not say which field of {target.display_name} ({target.id}) it feeds.")
            return None
        if ends.is_loop:
            self._report.edges.append(EdgeReport(ends.source, ends.target, EdgeStatus.LOOP, ends.id))
            return Edge(ends.source, output, ends.target, ends.field, is_loop=True)
        reason = None
        if target.component is not None and ends.field not in target.fields and ends.field not in self._inputs_of(target.component):
            reason = f"{target.display_name} ({target.id}) has no field {ends.field!r}; it may leave what arrives there unused."
        elif not types_match(ends.output_types, ends.field_types):
            reason = f"The output gives {', '.join(ends.output_types)}, the field takes {', '.join(ends.field_types)}."
        if reason is not None:
            self._say(ProblemKind.EDGE, f"The edge from {ends.source} to {ends.target}: {reason}", ends.target)
        self._report.edges.append(EdgeReport(ends.source, ends.target, EdgeStatus.KEPT, ends.id, reason))
        return Edge(ends.source, output, ends.target, ends.field)

    def _output_of(self, ends: EdgeEnds, source: Vertex) -> str | None:
        """The output an edge starts at, under the name the document lists it by. Old edges only know its types, or nothing."""
        listed = source.outputs
        if ends.output is not None:
            if ends.output == tool_mode.OUTPUT or any(item.name == ends.output for item in listed) or source.component is None:
                return ends.output
            if any(item.name == ends.output for item in source.component.declared_outputs):
                return ends.output
        matching = [item for item in listed if ends.output_types and item.types and types_match(ends.output_types, item.types)]
        found = listed[0] if len(listed) == 1 else matching[0] if len(matching) == 1 or (matching and ends.output is None) else None
        if found is None:
            if ends.output is None and listed:
                return listed[0].name
            if ends.output is not None:
                self._say(ProblemKind.OUTPUT, f"{source.display_name} ({source.id}) has no output {ends.output!r}.", source.id)
            return ends.output
        if ends.output is not None:
            message = f"{source.display_name} ({source.id}) has no output {ends.output!r}; its output {found.name!r} is used."
            self._say(ProblemKind.OUTPUT, message, source.id)
        return found.name

    def _check_shared_fields(self, edges: Iterable[Edge]) -> None:
        sources: dict[tuple[str, str], list[str]] = {}
        for edge in edges:
            if not edge.is_loop:
                sources.setdefault((edge.target, edge.field), []).append(edge.source)
        for (target, name), feeding in sources.items():
            if len(feeding) > 1 and not self._takes_many(self._vertices[target], name):
                message = (
                    f"The field {name!r} of {target} takes one value and is fed by {', '.join(feeding)}: the last of them that runs counts."
                )
                self._say(ProblemKind.EDGE, message, target)

    def _as_tools(self, edges: list[Edge]) -> list[Edge]:
        """Tool nodes of old releases hand themselves to an agent through an output of their own; today that is a node in tool mode.

        So is a node whose only edges are those of tool mode, whatever else the document says of it.
        """
        outputs: dict[str, set[str]] = {}
        for edge in edges:
            outputs.setdefault(edge.source, set()).add(edge.output)
        tools = {id for id, names in outputs.items() if self._gives_only_itself(self._vertices[id], names)}
        for id in tools:
            self._vertices[id] = replace(
                self._vertices[id], tool_mode=True, outputs=(VertexOutput(tool_mode.OUTPUT, "Toolset", ("Tool",)),)
            )
        return [replace(edge, output=tool_mode.OUTPUT) if edge.source in tools else edge for edge in edges]

    @staticmethod
    def _gives_only_itself(vertex: Vertex, connected: set[str]) -> bool:
        if vertex.component is None or (vertex.tool_mode and any(item.name == tool_mode.OUTPUT for item in vertex.outputs)):
            return False
        if connected == {tool_mode.OUTPUT}:
            return True
        own = {item.name for item in vertex.component.declared_outputs}
        tools = {item.name for item in vertex.outputs if "Tool" in item.types and item.name not in own}
        return connected <= tools

    def _check_packages(self, edges: Iterable[Edge]) -> None:
        """A node that names a provider whose package is not installed cannot run: it is refused before a run, not in the middle."""
        fed = {(edge.target, edge.field) for edge in edges}
        for id, vertex in self._vertices.items():
            if vertex.component is None or any((id, name) in fed for name in model_fields.HANDLES):
                continue
            provider = readiness.named_provider(vertex)
            line = missing_package(provider) if provider else None
            if line is None:
                continue
            reason = f"It asks a model of {provider}, and the package for that is not installed here."
            hint = f"The operator installs it with: {line}"
            self._vertices[id] = replace(vertex, component=None, problem=reason, hint=hint)
            self._report.nodes = [
                replace(node, status=NodeStatus.UNSUPPORTED, reason=reason, hint=hint) if node.id == id else node
                for node in self._report.nodes
            ]

    def _takes_many(self, vertex: Vertex, name: str) -> bool:
        if vertex.component is not None and (declared := self._inputs_of(vertex.component).get(name)) is not None:
            return declared.is_list
        return name in vertex.fields and vertex.fields[name].is_list

    def _drop(self, ends: EdgeEnds, reason: str) -> None:
        self._report.edges.append(EdgeReport(ends.source, ends.target, EdgeStatus.DROPPED, ends.id, reason))
        self._say(ProblemKind.EDGE, f"The edge from {ends.source or '?'} to {ends.target or '?'} was dropped: {reason}")

    def _say(self, kind: ProblemKind, message: str, node: str | None = None) -> None:
        self._report.problems.append(Problem(kind, message, node))


def _identify(entry: NodeEntry) -> _Identity:
    data, node = entry.raw.get("data"), node_of(entry.raw)
    type = data.get("type") if isinstance(data, Mapping) else None
    if not isinstance(type, str) or not type:
        # Without a type of its own a node is what its id says: `<Type>-<5 characters>`.
        type = own if isinstance(own := entry.raw.get("type"), str) and own not in ("", "genericNode") else entry.id.rpartition("-")[0]
    name = node.get("display_name")
    return _Identity(type, node, name if isinstance(name, str) and name else type or entry.id)


def _is_note(raw: Mapping[str, Any], identity: _Identity) -> bool:
    return raw.get("type") == "noteNode" or (identity.type in _NOTE_TYPES and not identity.node.get("outputs"))


def _metadata(node: Mapping[str, Any]) -> Mapping[str, Any]:
    found = node.get("metadata")
    return found if isinstance(found, Mapping) else {}


def code_of(node: Mapping[str, Any]) -> str:
    """The source text a node carries; newer exports keep it as a list of lines."""
    template = node.get("template")
    code = template.get("code") if isinstance(template, Mapping) else None
    value = code.get("value") if isinstance(code, Mapping) else None
    if isinstance(value, list):
        return "\n".join(map(str, value))
    return value if isinstance(value, str) else ""


def read_field(name: str, raw: Mapping[str, Any], declared: Input | None, component_type: str, *, has_component: bool) -> Field:
    """One template field; what it stores is read as a parameter."""
    get = raw.get
    type = get("type")
    type = type if isinstance(type, str) else (declared.field_type if declared is not None else "str")
    is_list = get("list") is True or get("is_list") is True
    load_from_db = get("load_from_db") is True
    value = get("file_path") if type == "file" else get("value")
    if type == "code" and isinstance(value, list):
        value = "\n".join(map(str, value))
    if not load_from_db and value != "":
        value = coercion.read_stored(type, value, is_list=is_list)
    input_class, info, shown, options = get("_input_type"), get("info"), get("display_name"), get("options")
    return Field(
        name=name,
        type=type,
        kind=declared.kind if declared is not None else coercion.kind_of(input_class if isinstance(input_class, str) else None, type),
        value=value,
        display_name=shown if isinstance(shown, str) else "",
        info=info if isinstance(info, str) else None,
        show=get("show", True) is not False,
        advanced=get("advanced") is True,
        required=get("required") is True,
        is_list=is_list,
        password=get("password") is True or (declared is not None and declared.password),
        multiline=get("multiline") is True,
        load_from_db=load_from_db,
        may_name_variable="load_from_db" in raw,
        options=tuple(item for item in options if isinstance(item, str)) if isinstance(options, list) and options else (),
        api_editable=get("api_editable") is True,
        override_skip=get("override_skip") is True,
        protected=(component_type, name) not in _ATTACHMENTS
        and (
            (declared is not None and declared.protected)
            or type in _PROTECTED_TYPES
            or name in _PROTECTED_NAMES
            or (component_type, name) in _PROTECTED_FIELDS
        ),
        declared=declared is not None or not has_component,
    )


def _outputs(node: Mapping[str, Any], component: ComponentClass | None) -> tuple[VertexOutput, ...]:
    """The outputs as the file lists them, each with the method that computes it here; ours when the file lists none."""
    listed = node.get("outputs")
    found = [item for item in listed if isinstance(item, Mapping) and isinstance(item.get("name"), str)] if isinstance(listed, list) else []
    if component is None:
        return tuple(VertexOutput(item["name"], _shown_name(item), _types(item), _method(item)) for item in found)
    ours = {item.name: item for item in component.declared_outputs}
    if not found:
        return tuple(VertexOutput(item.name, item.display_name, item.types, item.method) for item in ours.values())
    methods = {item.method for item in ours.values()}
    outputs = []
    for item in found:
        name = item["name"]
        if _method(item) in component.documented_methods:
            method = _method(item)
        elif name in ours:
            method = ours[name].method
        elif (method := component.method_for(name)) or name == "component_as_tool":
            pass
        elif _method(item) in methods:
            method = _method(item)
        elif len(found) == 1 and len(ours) == 1:
            method = next(iter(methods))
        else:
            # Outputs of older releases have other names; what they carry still tells which of ours is meant.
            alike = [known.method for known in ours.values() if known.types and types_match(_types(item), known.types)]
            method = alike[0] if len(alike) == 1 and _types(item) else ""
        outputs.append(VertexOutput(name, _shown_name(item), _types(item), method))
    return tuple(outputs)


def _shown_name(item: Mapping[str, Any]) -> str:
    return name if isinstance(name := item.get("display_name"), str) else ""


def _types(item: Mapping[str, Any]) -> tuple[str, ...]:
    types = item.get("types")
    return tuple(name for name in types if isinstance(name, str)) if isinstance(types, list) else ()


def _method(item: Mapping[str, Any]) -> str:
    return method if isinstance(method := item.get("method"), str) else ""
