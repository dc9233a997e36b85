"""What a build tells: the frames of its event stream, and the building of one vertex as an object.

Names, nesting and order of the keys are Langflow's (seen with 1.13): its editor reads them by path.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Final
from uuid import uuid4

from projects.engine.events import MessageAdded, RunEvent, RunStarted, VertexFailed, VertexFinished, VertexResult, Warned
from projects.engine.graph import Graph
from projects.engine.values import Message
from projects.errors import HeadwaterError
from projects.flows.prepared import PreparedFlow
from projects.invocation import InvocationResult
from rest_adapter.event_stream import ndjson_frame
from rest_adapter.v1.background_runs import question_shape
from rest_adapter.v1.models import instant_text
from rest_adapter.v1.run_events import RunEvents
from rest_adapter.v1.run_shapes import vertex_result

TEXT_LIMIT: Final = 6_000  # characters of one text that is shown of a vertex
LIST_LIMIT: Final = 1_000


class Frames:
    """The frames of one build. `flow_id` is the one people are shown; a visitor's differs from the flow's own."""

    def __init__(self, prepared: PreparedFlow, flow_id: str) -> None:
        self._graph = prepared.graph
        self._flow_name = prepared.flow.name
        self._is_visitors = flow_id != prepared.flow.id
        self._flow_id = flow_id
        self._events = RunEvents(flow_id)
        self._began = perf_counter()
        self._has_begun = False
        self._has_told_error = False
        self._failed: list[bytes] = []  # ends of vertices that failed: they come after the error
        self._warnings: list[str] = []

    def of_event(self, event: RunEvent) -> Sequence[bytes]:
        match event:
            case RunStarted(first=first, to_run=to_run):
                self._has_begun = True
                return (
                    ndjson_frame("vertices_sorted", {"ids": list(first), "to_run": list(to_run)}),
                    ndjson_frame("build_start", {}),
                )
            case MessageAdded(message=message):
                return self._message(message)
            case VertexFinished(result=result, excluded=excluded, next=following):
                return (*self._told(event), self._end_vertex(result, excluded=excluded, following=following))
            case VertexFailed(result=result):
                self._failed.append(self._end_vertex(result))
                return ()
            case Warned(message=warning):
                self._warnings.append(warning)
                return ()
            case _:
                return self._told(event)

    def of_end(self, outcome: InvocationResult | HeadwaterError) -> Sequence[bytes]:
        """The end; before it what failed beside the vertices. Of a build that could not begin the error is the last frame."""
        frames = [ndjson_frame(name, data) for name, data in self._events.left()]
        match outcome:
            case HeadwaterError() if not self._has_told_error:
                frames += self._message(self._failure(outcome.message))
            case InvocationResult(questions=questions) if questions:
                asked = [question_shape(question).model_dump(mode="json", by_alias=True) for question in questions]
                frames.append(ndjson_frame("human_input_required", {"run_id": outcome.run_id, "questions": asked}))
            case _:
                pass
        if self._has_begun:
            end: dict[str, Any] = {"build_duration": perf_counter() - self._began}
            if self._warnings:
                end["warnings"] = self._warnings
            frames.append(ndjson_frame("end", end))
        return frames

    def _told(self, event: RunEvent) -> list[bytes]:
        return [ndjson_frame(name, data) for name, data in self._events.of(event)]

    def _message(self, message: Message) -> list[bytes]:
        if self._is_visitors:
            message = message.copy(flow_id=self._flow_id)
        frames = self._told(MessageAdded(message))
        if message.category == "error":
            self._has_told_error = True
            frames += self._failed
            self._failed = []
        return frames

    def _end_vertex(self, result: VertexResult, *, excluded: Sequence[str] = (), following: Sequence[str] = ()) -> bytes:
        build = vertex_build(result, self._graph, flow_id=self._flow_id, excluded=excluded, following=following)
        message = build["data"]["results"].get("message")
        if self._is_visitors and isinstance(message, dict) and "flow_id" in message:
            message["flow_id"] = message["data"]["flow_id"] = self._flow_id
        return ndjson_frame("end_vertex", {"build_data": build, "output_meta": _output_meta(result, self._graph)})

    def _failure(self, reason: str) -> Message:
        return Message(
            text=f"{reason}\n",
            sender=self._flow_name,
            sender_name=self._flow_name,
            flow_id=self._flow_id,
            id=str(uuid4()),
            category="error",
            error=True,
        )


def vertex_build(
    result: VertexResult, graph: Graph, *, flow_id: str, excluded: Sequence[str] = (), following: Sequence[str] = ()
) -> dict[str, Any]:
    """The building of one vertex, long texts and lists cut."""
    if result.error is None:
        shown = vertex_result(result, flow_id=flow_id)
        artifacts, outputs, logs, results = shown["artifacts"], shown["outputs"], shown["logs"], shown["results"]
    else:
        listed = graph.vertices[result.vertex_id].outputs
        name = listed[0].name if listed else "error"
        artifacts, logs, results = {}, {name: []}, {}
        outputs = {name: failed_output(result.error)}
    return {
        "id": result.vertex_id,
        "inactivated_vertices": list(excluded),
        "next_vertices_ids": list(following),
        "top_level_vertices": list(following),
        "valid": result.error is None,
        "params": build_params(artifacts) if result.error is None else result.error,
        "data": build_data(
            cut(results),
            cut(outputs),
            cut(logs),
            cut(artifacts),
            seconds=result.duration_seconds,
            used_frozen_result=result.used_frozen_result,
            token_usage=result.token_usage,
        ),
        "timestamp": instant_text(datetime.now(UTC)),
    }


def failed_output(reason: str) -> dict[str, Any]:
    """What stands in the place of a failed component's first output. The stack is told to nobody."""
    return {"message": {"errorMessage": reason, "stackTrace": ""}, "type": "error"}


def build_data(
    results: Any,
    outputs: Any,
    logs: Any,
    artifacts: Any,
    *,
    seconds: float,
    used_frozen_result: bool = False,
    token_usage: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    return {
        "results": results,
        "outputs": outputs,
        "logs": logs,
        "message": artifacts,
        "artifacts": artifacts,
        "timedelta": seconds,
        "duration": duration_text(seconds),
        "used_frozen_result": used_frozen_result,
        "token_usage": token_usage,
    }


def build_params(artifacts: Any) -> str:
    """A chat component's message as a list for people; of other components the word None."""
    if not isinstance(artifacts, Mapping) or "sender_name" not in artifacts:
        return "None"
    names = (("Files", "files"), ("Message", "message"), ("Sender", "sender"), ("Sender Name", "sender_name"), ("Type", "type"))
    lines = (f"{title}: {_param(artifacts.get(name))}\n" for title, name in names)
    return "- " + "  ".join(lines)


def _param(value: Any) -> str:
    """As in YAML: quoted where the bare text would read as something else."""
    text = str(value)
    text = text if len(text) <= TEXT_LIMIT else f"{text[:TEXT_LIMIT]}…"
    if "\n" in text:
        return json.dumps(text, ensure_ascii=False)
    if isinstance(value, str) and (": " in text or " #" in text):
        doubled = text.replace("'", "''")
        return f"'{doubled}'"
    return text


def duration_text(seconds: float) -> str:
    """`3 ms`, `1.5 seconds`, `2 minutes, 3.0 seconds`."""
    if seconds < 1:
        return f"{round(seconds * 1_000)} ms"
    minutes, rest = divmod(seconds, 60)
    text = f"{rest:.1f} {'second' if f'{rest:.1f}' == '1.0' else 'seconds'}"
    return text if not minutes else f"{int(minutes)} {'minute' if minutes == 1 else 'minutes'}, {text}"


def cut(value: Any) -> Any:
    """Long texts end in an ellipsis, long lists stop."""
    match value:
        case str():
            return value if len(value) <= TEXT_LIMIT else f"{value[:TEXT_LIMIT]}..."
        case dict():
            return {key: cut(item) for key, item in value.items()}
        case list() | tuple():
            return [cut(item) for item in value[:LIST_LIMIT]]
        case _:
            return value


def _output_meta(result: VertexResult, graph: Graph) -> dict[str, Any]:
    vertex = graph.vertices[result.vertex_id]
    return {
        "component_id": vertex.id,
        "display_name": vertex.display_name,
        "vertex_type": vertex.document_type,
        "is_output": vertex.is_output,
        "is_terminal": not graph.outgoing[vertex.id],
        "output_types": list(dict.fromkeys(kind for output in vertex.outputs for kind in output.types)),
    }
