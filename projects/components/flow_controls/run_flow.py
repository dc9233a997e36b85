"""Run Flow: another flow of the same person as one step of this one, or as a tool of an agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from projects.components.conversion import message_of, plain_text
from projects.components.flow_controls import child_flow
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.context import ChildFlow, ChildResult
from projects.engine.tool_mode import name_of
from projects.engine.tools import Tool, ToolFailed
from projects.engine.values import Data, Message, Table

SEPARATOR = "~"
ARGUMENTS = "flow_tweak_data"
_OLDER_NAME, _OLDER_INPUT = "flow_name", "input_value"  # of 1.0, which gave the other flow one text

_SCHEMA_TYPES = {"int": "integer", "float": "number", "slider": "number", "bool": "boolean", "dict": "object", "NestedDict": "object"}


class RunFlow(Component):
    """Its further fields are `<vertex id>~<field>` of the other flow, its outputs `<vertex id>~<output>`; it runs once a build.

    The messages of the other flow are kept with that flow, in the session of this run.
    """

    type = "RunFlow"
    display_name = "Run Flow"
    description = "Runs another flow."
    category = "flow_controls"
    icon = "workflow"
    takes_more_fields = True
    reads_world = True
    writes_world = True
    declared_inputs = (
        Input("flow_name_selected", InputKind.STRING, "Flow Name", "The name of the flow to run."),
        Input("flow_id_selected", InputKind.STRING, "Flow ID", "The id of the flow to run; wins over the name.", show=False),
        Input("session_id", display_name="Session ID", info="The session of the other flow's messages.", advanced=True),
        Input(
            "cache_flow",
            InputKind.BOOLEAN,
            "Cache Flow",
            "Kept for older exports; flows are always kept ready.",
            default=False,
            advanced=True,
            field_type="bool",
        ),
    )
    declared_outputs = (
        Output("flow_outputs_data", "data_output", ("Data", "JSON"), "Flow Data Output"),
        Output("flow_outputs_dataframe", "dataframe_output", ("DataFrame", "Table"), "Flow Dataframe Output"),
        Output("flow_outputs_message", "message_output", ("Message",), "Flow Message Output"),
    )
    _result: ChildResult | None = None

    @classmethod
    def method_for(cls, output: str) -> str:
        return "flow_output" if SEPARATOR in output else ""

    async def flow_output(self) -> Any:
        """The output of the other flow that the document's output is named after."""
        vertex_id, _, output = self.computing.rpartition(SEPARATOR)
        return _output_of(await self._run(), vertex_id, output)

    async def data_output(self) -> Data:
        return child_flow.as_record(child_flow.first_value(await self._run()))

    async def dataframe_output(self) -> Table:
        value = child_flow.first_value(await self._run())
        return value if isinstance(value, Table) else Table(rows=[child_flow.as_record(value).data])

    async def message_output(self) -> Message:
        return message_of(child_flow.first_value(await self._run()))

    async def tools(self) -> list[Tool]:
        """A tool for each output of the other flow; its arguments are the fields that flow leaves open."""
        child = await self._find()
        outputs = child.outputs
        schema = _schema(child)
        description = child.description or f"Runs the flow {child.name!r}."
        return [
            Tool(
                name=name_of(f"{child.name}_tool" if len(outputs) == 1 else f"{child.name}_tool_{item['vertex_id']}_{item['output']}"),
                description=description,
                parameters=schema,
                call=self._call_of(child, str(item["vertex_id"]), str(item["output"])),
            )
            for item in outputs
        ]

    def _call_of(self, child: ChildFlow, vertex_id: str, output: str) -> Any:
        known = {f"{item['vertex_id']}{SEPARATOR}{item['field']}": (str(item["vertex_id"]), str(item["field"])) for item in child.inputs}

        async def call(arguments: Mapping[str, Any]) -> Any:
            given = arguments.get(ARGUMENTS, arguments)
            if not isinstance(given, Mapping):
                raise ToolFailed(f"{ARGUMENTS} must be an object.")
            if unknown := [name for name in given if name not in known]:
                raise ToolFailed(f"There is no argument {', '.join(map(repr, unknown))}; there are: {', '.join(known) or 'none'}.")
            values = child_flow.fields_for(self.inputs, SEPARATOR) | {known[name]: value for name, value in given.items()}
            return _output_of(await self._run_child(child, values), vertex_id, output)

        return call

    async def _find(self) -> ChildFlow:
        names = (self.inputs.get(name) for name in ("flow_id_selected", "flow_name_selected", _OLDER_NAME))
        return await child_flow.find(self.context, *names)

    async def _run(self) -> ChildResult:
        if self._result is None:
            self._result = await self._run_child(await self._find(), child_flow.fields_for(self.inputs, SEPARATOR))
        return self._result

    async def _run_child(self, child: ChildFlow, values: child_flow.Values) -> ChildResult:
        session_id = str(self.inputs.get("session_id") or "") or self.context.session_id
        text = plain_text(self.inputs.get(_OLDER_INPUT)) or None
        return await self.context.flows.run_flow(child.id, input_value=text, values=values, session_id=session_id)


def _output_of(result: ChildResult, vertex_id: str, output: str) -> Any:
    outputs = result.outputs.get(vertex_id)
    if outputs is None or output not in outputs:
        ran = ", ".join(f"{id}{SEPARATOR}{name}" for id, named in result.outputs.items() for name in named) or "none"
        raise ComponentError(f"The flow gave no output {vertex_id}{SEPARATOR}{output}; it gave: {ran}.")
    return outputs[output]


def _schema(child: ChildFlow) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    required: list[str] = []
    for item in child.inputs:
        name = f"{item['vertex_id']}{SEPARATOR}{item['field']}"
        properties[name] = {
            "type": _SCHEMA_TYPES.get(str(item["type"]), "string"),
            "title": item["display_name"],
            "description": item["info"] or item["display_name"],
        }
        if item["required"] and item["value"] in (None, ""):
            required.append(name)
    fields = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return {
        "type": "object",
        "properties": {ARGUMENTS: {**fields, "description": f"What the flow {child.name!r} is run with."}},
        "required": [ARGUMENTS] if properties else [],
        "additionalProperties": False,
    }
