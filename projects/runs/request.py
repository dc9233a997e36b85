"""What a run is asked to do, what it answers, and the request as text for runs that go on later.

The text is sealed: tweaks, arguments and variables of a request may hold keys, and none of them lies in the database in clear.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from projects.engine import schedule, snapshot
from projects.engine.events import VertexResult
from projects.engine.graph import Graph, Vertex
from projects.engine.questions import Question
from projects.engine.steps import DEFAULT_STEPS
from projects.errors import ConflictingInput, InvalidInput
from projects.runs.record import RunState
from storage.encryption import CannotDecrypt, SecretBox
from storage.ids import new_id

InputType: TypeAlias = Literal["chat", "text", "any"]
OutputType: TypeAlias = Literal["chat", "text", "any", "debug", "end"]
RunKind: TypeAlias = Literal["call", "tool", "webhook", "background", "build"]

MAX_SESSION_LENGTH = 1_000


@dataclass(frozen=True, slots=True)
class RunSettings:
    """`environment` is what flows may read of the process environment: the names that the operator listed, with their values."""

    environment: Mapping[str, str] = field(default_factory=dict)
    max_running: int = 256  # runs at once in this process; more are refused
    max_steps: int = DEFAULT_STEPS  # of one run, with its loops and the flows it runs
    max_depth: int = 8  # flows that run each other
    max_seconds: float = 0  # of one attempt of a run; 0: no limit
    visible_after_seconds: float = 0.05
    process_id: str = field(default_factory=lambda: f"{os.getpid()}-{new_id()[-12:]}")


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What tells that a request was sent before: the caller's `Idempotency-Key`, and the SHA-256 of what was asked, in hex."""

    key: str
    digest: str

    def for_part(self, place: int) -> "RequestKey":
        """The key of one of several runs that a request asks for; that of the first is the caller's own."""
        return self if place == 0 else RequestKey(f"{hashlib.sha256(self.key.encode()).hexdigest()}.{place}", self.digest)


@dataclass(frozen=True, slots=True)
class Invocation:
    """One request to run a flow, whatever face it came through.

    `input_value` None leaves stored values alone. `arguments` maps (vertex id, field) → value and is what a tool call fills in.
    """

    input_value: str | None = None
    input_type: InputType = "chat"
    output_type: OutputType = "chat"
    output_component: str = ""
    input_components: tuple[str, ...] = ()  # ids or display names: only these inputs take the run's input
    output_components: tuple[str, ...] = ()  # ids or display names: only what these give is wanted
    tweaks: Mapping[str, Any] | None = None
    session_id: str | None = None
    arguments: Mapping[tuple[str, str], Any] = field(default_factory=dict)
    request_variables: Mapping[str, str] = field(default_factory=dict)  # upper-case names
    kind: RunKind = "call"
    webhook_body: str | None = None
    project_id: str | None = None
    depth: int = 0  # runs above this one whose flows called it by way of the network
    start_vertex: str | None = None  # empty: everywhere; None: the flow's own start
    stop_vertex: str | None = None
    keeps_builds: bool = True  # whether what each vertex built is kept for /monitor/builds
    request_key: RequestKey | None = None  # not kept for runs that go on later: it is in the run's row


@dataclass(frozen=True, slots=True)
class InvocationResult:
    """`outputs` are the vertices the caller asked for, in file order; `input_value` is what was injected, if anything."""

    run_id: str
    flow_id: str
    session_id: str
    input_value: str | None
    outputs: tuple[VertexResult, ...]
    vertices: Mapping[str, Vertex]
    warnings: tuple[str, ...] = ()
    state: RunState = RunState.COMPLETED
    questions: tuple[Question, ...] = ()  # not empty: the run waits for a person, and `outputs` are what there is so far
    token_usage: Mapping[str, int] | None = None  # of all its vertices together


class UnreadableRequest(Exception):
    """The kept request is of another secret key or version; the run cannot go on."""


_PLAIN_FIELDS = (
    "input_value",
    "input_type",
    "output_type",
    "output_component",
    "session_id",
    "kind",
    "webhook_body",
    "project_id",
    "depth",
    "start_vertex",
    "stop_vertex",
)


def sealed(invocation: Invocation, box: SecretBox) -> str:
    """Raises `snapshot.CannotKeep` for values that no request over the network could have brought."""
    kept: dict[str, Any] = {name: getattr(invocation, name) for name in _PLAIN_FIELDS}
    kept["tweaks"] = None if invocation.tweaks is None else snapshot.to_plain(dict(invocation.tweaks))
    kept["arguments"] = [[*place, snapshot.to_plain(value)] for place, value in invocation.arguments.items()]
    kept["request_variables"] = dict(invocation.request_variables)
    kept["input_components"], kept["output_components"] = invocation.input_components, invocation.output_components
    kept["keeps_builds"] = invocation.keeps_builds
    return box.encrypt(json.dumps(kept))


def opened(text: str | None, box: SecretBox) -> Invocation:
    """Raises UnreadableRequest."""
    if text is None:
        raise UnreadableRequest
    try:
        kept = json.loads(box.decrypt(text))
        return Invocation(
            **{name: kept[name] for name in _PLAIN_FIELDS},
            tweaks=None if kept["tweaks"] is None else snapshot.from_plain(kept["tweaks"]),
            arguments={(vertex_id, name): snapshot.from_plain(value) for vertex_id, name, value in kept["arguments"]},
            request_variables=kept["request_variables"],
            input_components=tuple(kept.get("input_components", ())),
            output_components=tuple(kept.get("output_components", ())),
            keeps_builds=kept.get("keeps_builds", True),
        )
    except (CannotDecrypt, ValueError, KeyError, TypeError) as error:
        raise UnreadableRequest from error


def check_session(session_id: str) -> None:
    if len(session_id) > MAX_SESSION_LENGTH or "\x00" in session_id:
        raise InvalidInput(f"session_id must be at most {MAX_SESSION_LENGTH} characters and hold no NUL character.")


_INPUT_TYPES = {"chat": ("ChatInput",), "text": ("TextInput",)}
_CONFLICTING_KEYS = {"chat": ("ChatInput", "Chat Input"), "text": ("TextInput", "Text Input")}


def check_conflicts(invocation: Invocation) -> None:
    """The same input given twice, as the run's input and as a tweak of the input's own field, is refused rather than guessed."""
    if invocation.input_value is None or invocation.tweaks is None:
        return
    names = _CONFLICTING_KEYS.get(invocation.input_type, ())
    for key, change in invocation.tweaks.items():
        if isinstance(change, Mapping) and change.get("input_value") is not None and any(name in key for name in names):
            raise ConflictingInput(f"input_value is given twice: in the request and as a tweak of {key!r}. Send it once.")


def values_for(graph: Graph, invocation: Invocation) -> dict[str, dict[str, Any]]:
    """Vertex id → field → value: the run's input for every input vertex of its type, then the tool's arguments."""
    values: dict[str, dict[str, Any]] = {}
    if invocation.input_value is not None:
        types = _INPUT_TYPES.get(invocation.input_type)
        named = invocation.input_components
        for vertex in graph.vertices.values():
            if named and vertex.id not in named and vertex.display_name not in named:
                continue
            if vertex.is_input and (types is None or vertex.type in types) and "input_value" in vertex.fields:
                values[vertex.id] = {"input_value": invocation.input_value}
    for (vertex_id, name), value in invocation.arguments.items():
        values.setdefault(vertex_id, {})[name] = value
    return values


def select_outputs(graph: Graph, results: Mapping[str, VertexResult], invocation: Invocation) -> tuple[VertexResult, ...]:
    """The vertices a caller asked for, as the Langflow API has it: the named one, those whose id holds the type, else every output.

    A tool answers with its ends.
    """
    if several := invocation.output_components:
        chosen = [id for id, vertex in graph.vertices.items() if id in several or vertex.display_name in several]
    elif wanted := invocation.output_component:
        chosen = [id for id, vertex in graph.vertices.items() if wanted in (id, vertex.display_name)]
    elif invocation.output_type == "debug":
        chosen = list(graph.vertices)
    elif invocation.output_type == "end":
        chosen = list(schedule.end_vertices(graph))
    else:
        outputs = [id for id, vertex in graph.vertices.items() if vertex.is_output]
        chosen = [id for id in outputs if invocation.output_type == "any" or invocation.output_type in id.lower()] or outputs
    return tuple(results[id] for id in chosen if id in results)
