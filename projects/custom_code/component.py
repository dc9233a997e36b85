"""A node with its author's code as the engine sees it: a component whose outputs come from running the text.

`document.py` asks `made_from` for a class of a node's own; `policy.py` says where the text runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from projects.code_reading.syntax import CodeUnreadable
from projects.custom_code import reading, stock
from projects.custom_code.handed import HandedEmbeddings, HandedModel
from projects.custom_code.host import CodeFailed, CodeRunner, Handle, VertexDescription, VertexOutcome
from projects.custom_code.run_host import RunHost, stand_in
from projects.custom_code.running import TOOLKIT, Live
from projects.engine import coercion
from projects.engine.component import Component, ComponentError, Input, Output
from projects.engine.tools import Tool, ToolFailed

_STATE = "custom_code"  # in the run's state: what its components of this kind share
_NOT_FIELDS = frozenset(("_type", "code", "tools_metadata"))


class CustomCodeComponent(Component):
    """The base of all such components."""

    code: ClassVar[str] = ""
    code_class: ClassVar[str] = ""
    runner: ClassVar[CodeRunner]
    shares_objects: ClassVar[bool] = False  # its text runs in this process, and so can hand objects on
    has_own_tools: ClassVar[bool] = False
    methods: ClassVar[Mapping[str, str]] = {}  # output → method in the text
    bases: ClassVar[stock.Bases] = {}  # the stock components that its text may use
    declarations: ClassVar[Mapping[str, Any]] = {}  # and what it is told of them
    takes_more_fields = True
    reads_world = True
    writes_world = True
    varies = True

    _outcome: VertexOutcome | None = None
    _stock: stock.StockAtWork | None = None

    async def value_of(self, output: str) -> Any:
        """The value of one output; the first that is asked for computes all that are wanted."""
        if self._outcome is None or output not in self._outcome.outputs:
            self._outcome = await self._run(self.wanted or (output,))
        return self._handed(self._outcome.outputs[output])

    async def tools(self) -> list[Tool] | None:
        if not self.has_own_tools:
            return None
        outcome = await self._run((TOOLKIT,))
        found = outcome.outputs[TOOLKIT]
        if found == []:
            return []
        handed = self._handed(found)
        if not isinstance(handed, list):
            raise ComponentError("The component's own tools are no tools.")
        return handed

    async def _run(self, outputs: Sequence[str]) -> VertexOutcome:
        try:
            outcome = await self.runner.run_vertex(self.code, self._description(), self._crossing(), outputs, self._host())
        except CodeFailed as error:
            self.log_entries.extend(dict(entry) for entry in error.logs)
            raise self._told(error) from error
        self.log_entries.extend(outcome.logs)
        self._shared().update(outcome.state)
        for name in outcome.stopped:
            self.stop(name)
        if outcome.status is not None and self.artifact is None:
            self.artifact = {"repr": outcome.status, "raw": outcome.status, "type": "text"}
        return outcome

    async def use(self, handle: Handle, operation: str, arguments: Mapping[str, Any]) -> Any:
        """Use a model or tool that the text made. Raises ComponentError."""
        try:
            return await self.runner.use_object(
                self.code, self._description(), self._crossing(), handle, operation, arguments, self._host()
            )
        except CodeFailed as error:
            raise ComponentError(error.reason) from error

    def _told(self, error: CodeFailed) -> ComponentError:
        method = self.methods.get(error.output or "")
        prefix = f'Error running method "{method}": ' if method and error.error == "TypeError" else ""
        return ComponentError(prefix + error.reason)

    def _host(self) -> RunHost:
        if self._stock is None:
            self._stock = stock.StockAtWork(self, self.bases, shares_objects=self.shares_objects, handed=self._handed)
        secret_fields = frozenset(item.name for item in self.declared_inputs if item.password)
        return RunHost(self.context, self.inputs, self._stock, secret_fields)

    def _shared(self) -> dict[str, Any]:
        found: dict[str, Any] = self.context.state.setdefault(_STATE, {})
        return found

    def _description(self) -> VertexDescription:
        vertex, context = self.vertex, self.context
        session_id = self.inputs.get("session_id")
        tools = vertex.template_defaults.get("tools_metadata")
        return VertexDescription(
            id=vertex.id,
            type=vertex.type,
            display_name=vertex.display_name,
            class_name=self.code_class,
            methods=self.methods,
            flow_id=context.flow_id,
            flow_name=context.flow_name,
            session_id=session_id if isinstance(session_id, str) and session_id else context.session_id,
            run_id=context.run_id,
            user_id=context.owner_id,
            is_inside=context.depth > 1,
            is_followed_live=context.is_followed_live,
            feeds=vertex.feeds,
            fed_by={
                name: [{"id": item.id, "type": item.type, "display_name": item.display_name} for item in items]
                for name, items in vertex.fed_by.items()
            },
            tools_metadata=tools if isinstance(tools, list) else (),
            stock=self.declarations,
            state=self._shared(),
        )

    def _crossing(self) -> dict[str, Any]:
        """The inputs without what was never given; models and tools as what stands for them."""
        return {
            name: [self._stand_in(name, index, item) for index, item in enumerate(value)]
            if isinstance(value, list)
            else self._stand_in(name, 0, value)
            for name, value in self.inputs.items()
            if value is not None and name not in _NOT_FIELDS
        }

    def _stand_in(self, field: str, index: int, value: Any) -> Any:
        if isinstance(value, HandedModel | HandedEmbeddings) and self.shares_objects:
            return Live(value.handle.live)
        return stand_in(field, index, value)

    def _handed(self, value: Any) -> Any:
        """What an output carries on: a value, or an object of the engine's that uses the text's."""
        if not isinstance(value, Handle):
            return value
        match value.kind:
            case "chat_model":
                return HandedModel(self, value)
            case "embeddings":
                return HandedEmbeddings(self, value)
            case "tools":
                return [self._tool(value, spec) for spec in value.details]
        if self.shares_objects:
            return value.live
        raise ComponentError(f"The output {value.output!r} gives a {value.type_name}, which cannot leave the sandbox.")

    def _tool(self, handle: Handle, spec: Mapping[str, Any]) -> Tool:
        async def call(arguments: Mapping[str, Any]) -> Any:
            try:
                return await self.use(handle, "call", {"name": spec["name"], "arguments": dict(arguments)})
            except ComponentError as error:
                raise ToolFailed(str(error)) from error

        return Tool(spec["name"], spec["description"], spec["parameters"], call, self.vertex.id, self.vertex.display_name)


def made_from(type_name: str, node: Mapping[str, Any], code: str, runner: CodeRunner, *, shares_objects: bool) -> type[CustomCodeComponent]:
    """The class of one node: what its document and its text declare. Nothing is executed. Raises CodeFailed for what is no Python."""
    try:
        text = reading.read(code)
        read = text.component
    except CodeUnreadable as error:
        raise CodeFailed(str(error)) from error
    named = [str(name) for name in (_mapping(node.get("metadata")).get("component_class_name"), type_name) if name]
    class_name = next((name for name in named if name in text.classes), read.type)
    outputs = _outputs(node, read.node)
    bases = stock.bases_of(text.stock)
    attributes: dict[str, Any] = {
        "type": type_name,
        "display_name": str(node.get("display_name") or read.node.get("display_name") or type_name),
        "description": str(node.get("description") or read.node.get("description") or ""),
        "category": "custom_component",
        "code": code,
        "code_class": class_name,
        "runner": runner,
        "shares_objects": shares_objects,
        "has_own_tools": text.classes.get(class_name, False),
        "bases": bases,
        "declarations": stock.declarations(bases, text.awaited),
        "methods": {name: method for name, method, _ in outputs},
        "declared_inputs": tuple(_inputs(_mapping(node.get("template")), _mapping(read.node.get("template")))),
    }
    declared: list[Output] = []
    for name, method, item in outputs:
        # A method of the text may be called like one of the engine's.
        safe = f"{method}_" if hasattr(CustomCodeComponent, method) else method
        attributes[safe] = _computing(name)
        types = item.get("types")
        declared.append(
            Output(
                name,
                safe,
                tuple(map(str, types)) if isinstance(types, list) else (),
                str(item.get("display_name") or ""),
                tool_mode=item.get("tool_mode") is not False,
            )
        )
    attributes["declared_outputs"] = tuple(declared)
    return type(class_name, (CustomCodeComponent,), attributes)


def _computing(output: str) -> Any:
    async def compute(self: CustomCodeComponent) -> Any:
        return await self.value_of(output)

    return compute


def _outputs(node: Mapping[str, Any], read: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """(name, method, as listed) of each output: of the text, and what only the document lists."""
    found: dict[str, tuple[str, str, Mapping[str, Any]]] = {}
    for item in (*_rows(read.get("outputs")), *_rows(node.get("outputs"))):
        name, method = item.get("name"), item.get("method")
        if isinstance(name, str) and name != TOOLKIT and name not in found:
            method = method if isinstance(method, str) and method.isidentifier() else "build"
            found[name] = (name, method, item)
    return list(found.values())


def _inputs(template: Mapping[str, Any], read: Mapping[str, Any]) -> list[Input]:
    """The document's fields, and those that only the text has. Without a default: the class has its own."""
    fields = {**{name: raw for name, raw in read.items() if name not in template}, **template}
    return [_input(name, raw) for name, raw in fields.items() if isinstance(raw, Mapping) and name not in _NOT_FIELDS]


def _input(name: str, raw: Mapping[str, Any]) -> Input:
    word, input_class = raw.get("type"), raw.get("_input_type")
    word = word if isinstance(word, str) else "str"
    options, types = raw.get("options"), raw.get("input_types")
    return Input(
        name,
        coercion.kind_of(input_class if isinstance(input_class, str) else None, word),
        str(raw.get("display_name") or name),
        str(raw.get("info") or ""),
        default=None,
        required=raw.get("required") is True,
        advanced=raw.get("advanced") is True,
        show=raw.get("show") is not False,
        is_list=raw.get("list") is True or raw.get("is_list") is True,
        options=tuple(item for item in options if isinstance(item, str)) if isinstance(options, list) else (),
        types=tuple(map(str, types)) if isinstance(types, list) else (),
        password=raw.get("password") is True,
        tool_mode=raw.get("tool_mode") is True,
        field_type=word,
        multiline=raw.get("multiline") is True,
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _rows(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
