"""What runs a component's text and what the text may ask of the world: the seam between the server and the place where the code runs.

Everything here crosses to another process: arguments and answers are JSON types or the values of `engine/values.py` (see
`engine/snapshot.py`). In the server `run_host.py` answers, in a worker a proxy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from projects.engine.values import Message

GIVEN = "$given"  # in a value: {"$given": "model" | "tool", "field": …, "index": …, …} stands for an object that only the server has
STOCK = "$stock"  # the field of objects that stock components made for a text


class CodeFailed(Exception):
    """A component's text failed. `error` is the class of what it raised; `reason` what that said, or what is wrong with the text.

    `output` is the one that was being computed, `logs` what had been logged until then.
    """

    def __init__(self, reason: str, *, error: str = "", output: str | None = None, logs: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.error = error
        self.output = output
        self.logs = tuple(logs)


@dataclass(frozen=True, slots=True)
class VertexDescription:
    """The node that is run, as JSON types. `state` is what the run's components share, and may hold values of `engine/values.py`."""

    id: str
    type: str
    display_name: str
    class_name: str = ""
    methods: Mapping[str, str] = field(default_factory=dict)  # output → method, as the document lists them
    flow_id: str = ""
    flow_name: str = ""
    session_id: str = ""
    run_id: str = ""
    user_id: str = ""
    is_inside: bool = False  # its run is a step of another one
    is_followed_live: bool = False
    feeds: tuple[str, ...] = ()  # types of the nodes behind it
    fed_by: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)  # input → [{"id", "type", "display_name"}]
    variable_names: Mapping[str, str] = field(default_factory=dict)  # input → the variable it takes its value from
    tools_metadata: Sequence[Mapping[str, Any]] = ()
    stock: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # name → what `stock.declarations` says of it
    files_folder: str = ""  # where relative paths of `get_full_path` lie; the run's own folder in a sandbox, empty: nowhere
    state: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Handle:
    """An output that is no value: a model, an embedding model or tools. The next use makes it anew from the same text and inputs.

    `kind`: chat_model, embeddings, tools or object. `details`: for tools [{"name", "description", "parameters"}], for models {"name"}.
    `live` is the object itself, in the process that made it; it never crosses.
    """

    kind: str
    output: str
    type_name: str = ""
    details: Any = None
    live: Any = None


@dataclass(slots=True)
class VertexOutcome:
    """What a build of a vertex gave. `outputs` hold values or `Handle`s; `state` what it changed in the shared scratch space."""

    outputs: dict[str, Any] = field(default_factory=dict)
    logs: list[dict[str, Any]] = field(default_factory=list)  # {"name", "message", "type"}
    stopped: list[str] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    status: Any = None


class Host(Protocol):
    """The world of one run, with that run's rights and no more. Refusals are raised as `CodeFailed`."""

    async def send_message(self, message: Message, *, keep: bool) -> Message:
        """Announce a message of the run, and with `keep` store it; returns it with its id."""
        ...

    async def stream_token(self, message_id: str, chunk: str) -> None: ...

    async def read_messages(self, *, session_id: str, limit: int, context_id: str, newest_first: bool) -> list[Message]:
        """Of this flow and session, kept by earlier runs."""
        ...

    async def get_variable(self, name: str, *, field: str) -> str:
        """The value; CodeFailed when there is none, or when it is a credential and `field` is none of the node's password fields."""
        ...

    async def list_variable_names(self) -> list[str]: ...

    async def list_flows(self) -> list[dict[str, Any]]:
        """[{"id", "name", "description"}] of the owner's flows."""
        ...

    async def run_flow(self, flow_id_or_name: str, *, input_value: str | None, values: Sequence[Sequence[Any]], session_id: str) -> Any:
        """`values`: [vertex id, field, value] rows. Answers {vertex id: {output: value}}."""
        ...

    async def read_file(self, path: str) -> bytes:
        """A storage path that the run may see."""
        ...

    async def save_file(self, name: str, content: bytes) -> str:
        """Into the run's own folder of the owner's files; returns the storage path."""
        ...

    async def run_stock(self, name: str, build: str, output: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """An output of a stock component that the text is derived from: {"value", "stopped": [outputs]}.

        Outputs of the same `build` (a word of the caller's) and inputs are computed by one instance.
        """
        ...

    async def ask_model(self, field: str, index: int, request: Mapping[str, Any]) -> dict[str, Any]:
        """The model on an edge into `field`: a request of `chat_wire.py` ({"messages", "tools", "options"}) → its reply."""
        ...

    async def embed(self, field: str, index: int, texts: Sequence[str]) -> list[list[float]]: ...

    async def call_tool(self, field: str, index: int, arguments: Mapping[str, Any]) -> Any:
        """The tool on an edge into `field`, by its place among the field's values."""
        ...


class CodeRunner(Protocol):
    """A place where texts run: this process (`running.py`) or a sandbox's workers. Raises CodeFailed."""

    async def run_vertex(
        self, code: str, description: VertexDescription, inputs: Mapping[str, Any], outputs_wanted: Sequence[str], host: Host
    ) -> VertexOutcome:
        """Build the component once and compute these outputs; with "component_as_tool" its own tools (`Handle` of kind tools)."""
        ...

    async def use_object(
        self,
        code: str,
        description: VertexDescription,
        inputs: Mapping[str, Any],
        handle: Handle,
        operation: str,
        arguments: Mapping[str, Any],
        host: Host,
    ) -> Any:
        """Use what a handle stands for. `operation`: "reply" ({"messages", "tools", "options"} → as `ask_model` answers), "embed"
        ({"texts"} → vectors) or "call" ({"name", "arguments"} → the tool's answer)."""
        ...
