"""Other flows, and what of graphs has a name: a text runs a flow by asking the server, never a graph of its own."""

from __future__ import annotations

from typing import Any

from projects.custom_code.surface import calls
from projects.custom_code.surface.component import Component
from projects.custom_code.surface.records import Data


async def list_flows(*, user_id: Any = None, **_more: Any) -> list[Data]:
    """The flows of the run's owner, whoever is named."""
    run = calls.current()
    return [Data(data=item) for item in await run.ask(run.host.list_flows())]


async def run_flow(
    inputs: Any = None, tweaks: Any = None, flow_id: str | None = None, flow_name: str | None = None, **_more: Any
) -> list[Any]:
    """As a component's own `run_flow`."""
    found: list[Any] = await Component().run_flow(inputs, flow_id, flow_name, tweaks=tweaks)
    return found


class Graph:
    """A name for annotations."""

    def __init__(self, *_given: Any, **_more: Any) -> None:
        raise NotImplementedError(_INSTEAD.format("Components make no graphs here"))

    @classmethod
    def from_payload(cls, *_given: Any, **_more: Any) -> Graph:
        return cls()


class RunOutputs:
    """What a graph's run gave: `inputs` as they were, `outputs` in order."""

    def __init__(self, inputs: dict[str, Any] | None = None, outputs: list[Any] | None = None, **_more: Any) -> None:
        self.inputs = inputs or {}
        self.outputs = outputs or []


def run_flow_from_json(*_given: Any, **_more: Any) -> Any:
    """Only flows that the server keeps are run, with their owner's rights."""
    raise NotImplementedError(_INSTEAD.format("Components run no flow documents here"))


_INSTEAD = "{}: import the flow into this server, and run it with `await self.run_flow(flow_name=…)`."
