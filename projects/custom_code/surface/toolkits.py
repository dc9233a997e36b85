"""A component's outputs as tools, for code that hands them to a model itself."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from projects.custom_code.surface import langchain
from projects.custom_code.surface.component import Component
from projects.custom_code.surface.fields import Input, Output
from projects.custom_code.surface.functions import create_input_schema
from projects.custom_code.surface.messages import Message
from projects.custom_code.surface.records import Data

_NEVER_TOOLS = frozenset(("to_toolkit", "build_tool", "component_as_tool"))


class ComponentToolkit:
    """`metadata`: rows that rename tools, describe them anew or switch them off: {"name", "description", "tags": [method], "status"}."""

    def __init__(self, component: Component, metadata: Any = None, **_more: Any) -> None:
        self.component = component
        rows = metadata.to_dict("records") if hasattr(metadata, "to_dict") else metadata
        self.metadata: list[Mapping[str, Any]] = [row for row in rows or () if isinstance(row, Mapping)]

    def get_tools(
        self, tool_name: str | None = None, tool_description: str | None = None, callbacks: Any = None, flow_mode_inputs: Any = None
    ) -> list[Any]:
        """A tool for each output that can be one, called after its method; its arguments are the inputs marked for tools."""
        component = self.component
        outputs = [item for item in component._outputs_map.values() if item.tool_mode and item.method and item.method not in _NEVER_TOOLS]
        inputs = [item for item in component._inputs.values() if item.tool_mode]
        description = tool_description or component.description or component.display_name or type(component).__name__
        made = [self._tool(item, inputs, description) for item in outputs]
        if tool_name and len(made) == 1:
            made[0].name = tool_name
        elif tool_name and made:
            raise ValueError("A tool_name can be given only to a component with one output.")
        return made

    def update_tools_metadata(self, tools: Sequence[Any]) -> list[Any]:
        """The tools as the rows have them; those that no row names are left out, unless there are no rows."""
        rows = {str((row.get("tags") or [row.get("name")])[0]): row for row in self.metadata}
        if not rows:
            return list(tools)
        found = []
        for tool in tools:
            row = rows.get(tool.name)
            if row is not None and row.get("status") is not False:
                tool.name = str(row.get("name") or tool.name)
                tool.description = str(row.get("description") or tool.description)
                found.append(tool)
        return found

    def _tool(self, output: Output, inputs: Sequence[Input], description: str) -> Any:
        method = str(output.method)

        async def call(**arguments: Any) -> Any:
            instance = _copy(self.component).set(**arguments)
            made = getattr(instance, method)()
            return _told(await made if inspect.isawaitable(made) else made)

        return langchain.find("langchain_core.tools", "StructuredTool").from_function(
            coroutine=call,
            name=method,
            description=description,
            args_schema=create_input_schema(inputs),
            metadata={"display_name": output.display_name or method},
        )


def _copy(component: Component) -> Component:
    """The component with inputs and outputs of its own, so that one call's arguments are not another's."""
    made = copy.copy(component)
    own = made.__dict__
    own["_attributes"] = dict(component._attributes)
    own["_inputs"] = {name: copy.copy(item) for name, item in component._inputs.items()}
    own["_outputs_map"] = {name: copy.copy(item) for name, item in component._outputs_map.items()}
    own.pop("_build", None)
    return made


def _told(value: Any) -> Any:
    """A tool's answer as a model reads it."""
    match value:
        case Message():
            return value.get_text()
        case Data():
            return value.data
        case list():
            return [_told(item) for item in value]
    if hasattr(value, "to_data_list"):
        return [_told(item) for item in value.to_data_list()]
    return value.model_dump() if hasattr(value, "model_dump") else value
