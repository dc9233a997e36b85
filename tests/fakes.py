"""Stand-ins for what components ask of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from projects.engine.component import Component, SourceInfo, VertexInfo
from projects.engine.values import Message


@dataclass
class FakeRunContext:
    """A run that lives in memory and remembers the messages it was asked to keep."""

    run_id: str = "00000000-0000-7000-8000-000000000001"
    flow_id: str = "00000000-0000-7000-8000-000000000002"
    flow_name: str = "A flow"
    session_id: str = "the-run-session"
    state: dict[str, Any] = field(default_factory=dict)
    kept: list[Message] = field(default_factory=list)
    history: list[Message] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)

    async def keep_message(self, message: Message) -> Message:
        message.id = message.id or f"message-{len(self.kept) + 1}"
        message.flow_id = self.flow_id
        message.run_id = self.run_id
        self.kept.append(message)
        return message

    async def read_messages(self, *, session_id: str, limit: int, context_id: str = "", newest_first: bool = False) -> list[Message]:
        found = [message for message in self.history if message.session_id == session_id and message.context_id == context_id]
        chosen = found[-limit:] if limit else []
        return chosen[::-1] if newest_first else chosen

    async def resolve_variable(self, name: str, *, is_secret: bool) -> str | None:
        return self.variables.get(name)


def build(
    component: type[Component],
    *,
    context: FakeRunContext | None = None,
    fed_by: Mapping[str, tuple[SourceInfo, ...]] | None = None,
    vertex_id: str = "",
    **inputs: Any,
) -> Component:
    """An instance as the runner makes it: declared defaults below the given inputs."""
    values = {declared.name: declared.default for declared in component.declared_inputs} | inputs
    vertex = VertexInfo(
        id=vertex_id or f"{component.type}-test1", type=component.type, display_name=component.display_name, fed_by=fed_by or {}
    )
    return component(vertex=vertex, inputs=values, context=context or FakeRunContext())


async def output_of(instance: Component, name: str | None = None) -> Any:
    """The value of one output (the first when no name is given), computed as the runner does."""
    await instance.before_outputs()
    declared = instance.declared_outputs[0] if name is None else next(out for out in instance.declared_outputs if out.name == name)
    return await getattr(instance, declared.method)()
