"""A flow as a tool: everything that is said of it, made once for each version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from projects.flows.flow import Flow
from projects.flows.prepared import PreparedFlow
from projects.tools import arguments
from projects.tools.arguments import SESSION_PROPERTY, Binding
from projects.tools.hints import Hints, hints_of
from projects.tools.icons import icons_of
from projects.tools.names import CHOSEN_NAME_LENGTH, clean_name, shown_text
from projects.tools.results import ResultShape

TITLE_LENGTH = 200
DESCRIPTION_LENGTH = 4_000


@dataclass(frozen=True, slots=True)
class Tool:
    """`input_schema` is the schema of the model that `bind` validates with, `results.schema` the one its answers fit."""

    name: str
    title: str
    description: str
    input_schema: dict[str, Any]
    results: ResultShape
    hints: Hints
    icons: list[dict[str, Any]]
    flow_id: str
    prepared: PreparedFlow
    model: type[BaseModel]
    binding: Binding

    @property
    def output_schema(self) -> dict[str, Any]:
        return self.results.schema

    @property
    def may_take_long(self) -> bool:
        """Whether a run depends on others: the network, models, people. What only computes is done in an instant."""
        components = [vertex.component for vertex in self.prepared.graph.vertices.values() if vertex.component is not None]
        return any(component.reads_world or component.writes_world or component.asks_person for component in components)

    def bind(self, given: Mapping[str, Any]) -> tuple[str | None, dict[tuple[str, str], Any]]:
        """The session that was asked for, and (vertex id, field) → value of every argument given.

        Raises InvalidInput naming each wrong one.
        """
        try:
            bound = self.model.model_validate(given, by_alias=True, by_name=False)
        except ValidationError as error:
            raise arguments.refused(self.name, [*self.binding, SESSION_PROPERTY], error) from None
        values: dict[tuple[str, str], Any] = {}
        session_id: str | None = None
        for name in bound.model_fields_set:
            alias = self.model.model_fields[name].alias or name
            if alias == SESSION_PROPERTY:
                session_id = getattr(bound, name) or None
            else:
                values[self.binding[alias]] = getattr(bound, name)
        return session_id, values


def make_tool(prepared: PreparedFlow, name: str, *, is_global: bool = False) -> Tool:
    """Raises InvalidInput when the flow cannot be a tool, with the reason."""
    flow, graph = prepared.flow, prepared.graph
    fields = arguments.argument_fields(graph)
    binding = {property_name: (vertex.id, template.name) for property_name, (vertex, template) in fields.items()}
    model = arguments.arguments_model(name, fields)
    return Tool(
        name=name,
        title=shown_text(flow.name, length=TITLE_LENGTH) or name,
        description=_description(flow, name, is_global=is_global),
        input_schema=arguments.input_schema(model),
        results=ResultShape.of_graph(graph),
        hints=hints_of(graph, frozenset(binding.values())),
        icons=icons_of(flow.icon, flow.icon_background),
        flow_id=flow.id,
        prepared=prepared,
        model=model,
        binding=binding,
    )


def wanted_name(flow: Flow, *, is_global: bool) -> str:
    """The name it has unless another one has it already."""
    if is_global or not flow.tool_name:
        return clean_name(flow.name)
    return clean_name(flow.tool_name, length=CHOSEN_NAME_LENGTH)


def own_description(flow: Flow, *, is_global: bool) -> str:
    """What the author wrote of the tool or the flow."""
    return (None if is_global else flow.tool_description) or flow.description or ""


def _description(flow: Flow, name: str, *, is_global: bool) -> str:
    own = shown_text(own_description(flow, is_global=is_global), length=DESCRIPTION_LENGTH, lines=True)
    if own:
        return f"{flow.id}: {own}" if is_global else own
    return f"Run the flow {shown_text(flow.name, length=TITLE_LENGTH)!r} ({name})."
