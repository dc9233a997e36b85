"""A tool that an agent may call: what the runner makes of a node in tool mode, and components that bring several."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


class ToolFailed(Exception):
    """A tool's failure in words for the agent."""


@dataclass(frozen=True, slots=True)
class Tool:
    """`parameters` is a JSON schema with an object at its root. `call` takes the arguments and gives a value of `values.py` or plain JSON.

    It raises ToolFailed for a failure that the agent should hear of as the tool's answer; any other error ends the run.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    call: Callable[[Mapping[str, Any]], Awaitable[Any]]
    node_id: str = ""
    display_name: str = ""
    needs_approval: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """As records show it: a tool holds what it is called with, which is nobody's to read."""
        return f"{self.name}: {self.description}"
