"""The one tool that an older node hands to an agent by its output `api_build_tool`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from projects.engine.component import Component, ComponentError
from projects.engine.tools import Tool, ToolFailed
from projects.errors import HeadwaterError


def of_one_text(component: Component, *, name: str, argument: str, info: str, work: Callable[[str], Awaitable[Any]]) -> Tool:
    """A tool that takes one text. What the component refuses is told to the agent."""

    async def call(arguments: Mapping[str, Any]) -> Any:
        text = arguments.get(argument)
        if not isinstance(text, str):
            raise ToolFailed(f"The argument {argument!r} is missing: {info}")
        try:
            return await work(text)
        except (ComponentError, HeadwaterError) as error:
            raise ToolFailed(str(error)) from error

    schema = {
        "type": "object",
        "properties": {argument: {"type": "string", "description": info}},
        "required": [argument],
        "additionalProperties": False,
    }
    return Tool(name, component.description, schema, call, component.vertex.id, component.vertex.display_name)
