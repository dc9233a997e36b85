"""What one run's components may ask of the world: the engine's `RunContext` with the real things behind it.

Above: `invocation.py` makes one for each run. Below: messages, variables, resources, and the flows of the same owner.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from projects.access import session_spaces
from projects.engine import schedule
from projects.engine.component import ComponentError
from projects.engine.context import ChildFlow, ChildResult, FileAccess, KnowledgeAccess, ToolServerAccess, current_step
from projects.engine.events import MessageAdded, OnEvent, TokenAdded, VertexResult, ignore
from projects.engine.graph import Field, Vertex
from projects.engine.questions import Answer
from projects.engine.values import Message, Source, Table
from projects.errors import ComponentFailed, InvalidInput, LimitReached, NotFound, RunCancelled
from projects.flows.prepared import FlowCache, PreparedFlow
from projects.messages import MessageService
from projects.models.chat import ModelAccess
from projects.models.providers import KEY_NAMES
from projects.run_resources import RunResources
from projects.runs.checkpoint import Checkpoint
from projects.runs.observed_models import ObservedModels
from projects.runs.observers import RunObservers
from projects.runs.record import RunIdentity, RunRecord
from projects.variables import VariableService
from storage.ids import new_id

if TYPE_CHECKING:
    import httpx

_NOT_OFFERED = frozenset(("session_id", "code"))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every run of this process shares."""

    messages: MessageService
    variables: VariableService
    flows: FlowCache
    resources: RunResources
    environment: Mapping[str, str]
    observers: RunObservers


@dataclass(frozen=True, slots=True)
class ChildRequest:
    """A flow that a run wants to run, one level below itself."""

    prepared: PreparedFlow
    input_value: str | None
    values: Mapping[tuple[str, str], Any]
    session_id: str


RunChild: TypeAlias = Callable[[ChildRequest], Awaitable[tuple[VertexResult, ...]]]


class RunView:
    """One run's view of the world. `on_event` and `is_followed_live` are set when the run begins."""

    def __init__(
        self,
        identity: RunIdentity,
        flow_name: str,
        record: RunRecord,
        surroundings: Surroundings,
        request_variables: Mapping[str, str],
    ) -> None:
        self._identity = identity
        self._record = record
        self._surroundings = surroundings
        self._request_variables = request_variables
        # Both follow from what the run's record says, so that they hold as well for a run that goes on later.
        self._is_for_guest = session_spaces.is_guest(identity.principal)
        self._space = session_spaces.space_of(identity.principal, identity.session_id)
        self._kept_ids: set[str] = set()
        self._announced_ids: set[str] = set()
        self.on_event: OnEvent = ignore
        self.is_followed_live = False
        self.run_child: RunChild | None = None
        self.chain: tuple[str, ...] = (flow_name,)  # the flows that led here, outermost first
        self.max_depth = 1
        self.run_id = identity.run_id
        self.flow_id = identity.flow_id
        self.flow_name = flow_name
        self.owner_id = identity.owner_id
        self.session_id = identity.session_id
        self.state: dict[str, Any] = {}
        self.answers: Mapping[str, Answer] = {}
        self.memories: Mapping[str, Any] = {}

    @property
    def kept_message_ids(self) -> list[str]:
        """Of the messages that this run has stored."""
        return sorted(self._kept_ids)

    def go_on(self, checkpoint: Checkpoint) -> None:
        """Have what the run had when it began to wait, and the answers."""
        self.state = checkpoint.state
        self.answers = checkpoint.answers
        self.memories = checkpoint.memories
        self._kept_ids.update(checkpoint.message_ids)

    @property
    def depth(self) -> int:
        return len(self.chain)

    # --- messages

    async def keep_message(self, message: Message) -> Message:
        message.session_id = session_spaces.inside(self._space, message.session_id)
        id = message.id
        if id in self._kept_ids:
            message = message.copy()  # two Chat Outputs may pass on one and the same message: a row each
        if id is None or id not in self._announced_ids or id in self._kept_ids:
            id = message.id = new_id()
        message.flow_id = self._identity.flow_id
        message.run_id = self._identity.run_id
        self._kept_ids.add(id)
        self._record.add_message(message, step=current_step.get())
        await self.on_event(MessageAdded(message))
        return message

    async def announce_message(self, message: Message) -> Message:
        message.session_id = session_spaces.inside(self._space, message.session_id)
        if message.id is None or message.id not in self._announced_ids:
            message.id = new_id()
            self._announced_ids.add(message.id)
        message.flow_id = self._identity.flow_id
        message.run_id = self._identity.run_id
        # The component goes on changing its message; whoever listens sees it as it was.
        await self.on_event(MessageAdded(message.copy(content_blocks=deepcopy(message.content_blocks), files=list(message.files))))
        return message

    async def stream_token(self, message_id: str, chunk: str) -> None:
        await self.on_event(TokenAdded(chunk, message_id))

    async def read_messages(self, *, session_id: str, limit: int, context_id: str = "", newest_first: bool = False) -> list[Message]:
        identity = self._identity
        session_id = session_spaces.inside(self._space, session_id)
        history = await self._surroundings.messages.read_history(
            identity.owner_id, identity.flow_id, session_id, context_id, limit, except_run_id=identity.run_id
        )
        return history[::-1] if newest_first else history

    def error_message(self, error: ComponentFailed) -> Message:
        """What the chat shows of a failed run."""
        return Message(
            text=error.reason + "\n",
            sender=error.display_name,
            sender_name=error.display_name,
            session_id=self.session_id,
            flow_id=self.flow_id,
            run_id=self.run_id,
            id=new_id(),
            source=Source(id=error.component_id, display_name=error.display_name, source=error.display_name),
            category="error",
            error=True,
        )

    # --- variables

    async def resolve_variable(self, name: str, *, is_secret: bool) -> str | None:
        if (value := self._request_variables.get(name.upper())) is not None:
            return value
        variables, owner_id = self._surroundings.variables, self._identity.owner_id
        stored = await variables.resolve_values(owner_id)
        if (value := stored.get(name)) is not None:
            if not is_secret and name in await variables.list_credential_names(owner_id):
                raise InvalidInput(
                    f"The variable {name!r} is a credential and can only fill a password field. Make it Generic if it is no secret."
                )
            return None if self._is_for_guest and name in await variables.list_credential_names(owner_id) else value
        if self._is_for_guest:
            return None
        # The operator's own keys to models never enter a flow, which may send them anywhere: `models` uses them, and only at the
        # addresses of their providers and the operator.
        return None if name in KEY_NAMES else self._surroundings.environment.get(name)

    async def list_variable_names(self) -> list[str]:
        return [] if self._is_for_guest else sorted(await self._surroundings.variables.resolve_values(self._identity.owner_id))

    async def _resolve_key(self, name: str) -> str | None:
        if (value := await self.resolve_variable(name, is_secret=True)) is not None:
            return value
        return None if self._is_for_guest else self._surroundings.environment.get(name)

    # --- the world: made when first asked for

    @cached_property
    def models(self) -> ModelAccess:
        models = self._surroundings.resources.models.for_run(owner_id=self._identity.owner_id, resolve=self._resolve_key)
        return ObservedModels(models, observers, self.run_id) if (observers := self._surroundings.observers) else models

    @cached_property
    def files(self) -> FileAccess:
        identity = self._identity
        files = self._surroundings.resources.files.for_run(owner_id=identity.owner_id, flow_id=identity.flow_id, run_id=identity.run_id)
        return FilesForGuests(files, identity.flow_id) if self._is_for_guest else files

    @cached_property
    def knowledge(self) -> KnowledgeAccess:
        self._refuse_guests("a knowledge base")
        identity = self._identity
        return self._surroundings.resources.knowledge.for_run(
            owner_id=identity.owner_id, flow_id=identity.flow_id, run_id=identity.run_id, session_space=self._space
        )

    @cached_property
    def flows(self) -> ChildFlows:
        self._refuse_guests("another flow")
        return ChildFlows(self, self._identity.owner_id, self._surroundings.flows)

    def http_client(self, *, timeout_seconds: float = 30, follow_redirects: bool = True) -> AbstractAsyncContextManager[httpx.AsyncClient]:
        return self._surroundings.resources.outgoing.client(timeout_seconds=timeout_seconds, follow_redirects=follow_redirects)

    @cached_property
    def tool_servers(self) -> ToolServerAccess:
        self._refuse_guests("another MCP server")
        return self._surroundings.resources.tool_servers.for_run(owner_id=self._identity.owner_id)

    async def query_database(self, url: str, query: str) -> Table:
        self._refuse_guests("a database")
        return await self._surroundings.resources.databases.query(url, query)

    def _refuse_guests(self, what: str) -> None:
        if self._is_for_guest:
            raise ComponentError(f"This run is for somebody without a credential, and such runs may not use {what}.")


class FilesForGuests:
    """The flow's own files, to read; nothing else of the owner's, and nothing to write."""

    def __init__(self, files: FileAccess, flow_id: str) -> None:
        self._files = files
        self._beginning = f"{flow_id}/"

    async def read(self, path: str, *, limit_bytes: int | None = None) -> bytes:
        if not path.startswith(self._beginning):
            raise InvalidInput("This run is for somebody without a credential, and such runs read the flow's own files only.")
        return await self._files.read(path, limit_bytes=limit_bytes)

    async def list_paths(self) -> Sequence[str]:
        return [path for path in await self._files.list_paths() if path.startswith(self._beginning)]

    async def save(self, name: str, content: bytes) -> str:
        raise ComponentError("This run is for somebody without a credential, and such runs may not write files.")


class ChildFlows:
    """The flows that a run may run: those of its owner, one level deeper each time.

    A circle of flows ends at the depth bound; the shared count of steps bounds how wide it can grow before that.
    """

    def __init__(self, parent: RunView, owner_id: str, flows: FlowCache) -> None:
        self._parent = parent
        self._owner_id = owner_id
        self._flows = flows

    async def find_flow(self, flow_id_or_name: str) -> ChildFlow | None:
        prepared = await self._flows.find(self._owner_id, flow_id_or_name)
        return None if prepared is None else _described(prepared)

    async def list_flows(self) -> Sequence[ChildFlow]:
        return [ChildFlow(flow.id, flow.name, flow.description or "") for flow in await self._flows.list_headers(self._owner_id)]

    async def run_flow(
        self, flow_id: str, *, input_value: str | None, values: Mapping[tuple[str, str], Any], session_id: str
    ) -> ChildResult:
        parent = self._parent
        prepared = await self._flows.find(self._owner_id, flow_id)
        if prepared is None or parent.run_child is None:
            raise NotFound("flow", flow_id)
        name = prepared.flow.name
        if len(parent.chain) >= parent.max_depth:
            raise LimitReached(
                f"Flows run each other more than {parent.max_depth} deep: {' → '.join((*parent.chain, name))}. "
                "End the circle, or raise HEADWATER_MAX_FLOW_DEPTH."
            )
        _check_values(prepared, values)
        request = ChildRequest(prepared, input_value, values, session_id or parent.session_id)
        try:
            results = await parent.run_child(request)
        except ComponentFailed as error:
            # For its caller the failing component is the one that ran this flow.
            raise ComponentError(f"The flow {name!r} failed in {error.display_name} ({error.component_id}): {error.reason}") from error
        except RunCancelled as error:
            raise ComponentError(f"The flow {name!r} was cancelled.") from error
        return ChildResult({result.vertex_id: result.outputs for result in results})


def _check_values(prepared: PreparedFlow, values: Mapping[tuple[str, str], Any]) -> None:
    """What a run fills in follows the rule for tweaks: not what is executed, opened or connected to."""
    for (vertex_id, name), value in values.items():
        vertex = prepared.graph.vertices.get(vertex_id)
        field = vertex.fields.get(name) if vertex is not None else None
        if field is not None and field.protected and not field.api_editable and value != field.value:
            raise InvalidInput(f"The field {name!r} of {vertex_id} in the flow {prepared.flow.name!r} cannot be set from outside.")


def _described(prepared: PreparedFlow) -> ChildFlow:
    """The open fields of its input vertices and the outputs of its output vertices."""
    graph = prepared.graph
    planned = schedule.run_set(graph, schedule.default_start(graph), None)
    vertices = [vertex for vertex in graph.vertices.values() if vertex.id in planned]
    inputs: list[Mapping[str, Any]] = []
    for vertex in vertices:
        if vertex.is_input:
            fed = {edge.field for edge in graph.incoming[vertex.id] if not edge.is_loop}
            inputs += [_offered(vertex, field) for field in vertex.fields.values() if field.name not in fed and _is_offered(field)]
    outputs = [
        {"vertex_id": vertex.id, "output": output.name, "display_name": vertex.display_name}
        for vertex in vertices
        if vertex.is_output
        for output in vertex.outputs
    ]
    return ChildFlow(prepared.flow.id, prepared.flow.name, prepared.flow.description or "", tuple(inputs), tuple(outputs))


def _is_offered(field: Field) -> bool:
    return field.show and not field.advanced and not field.protected and field.name not in _NOT_OFFERED


def _offered(vertex: Vertex, field: Field) -> dict[str, Any]:
    return {
        "vertex_id": vertex.id,
        "field": field.name,
        "display_name": f"{vertex.display_name}: {field.display_name or field.name}",
        "type": field.type,
        "required": field.required,
        "info": field.info or "",
        "value": None if field.password or field.load_from_db else field.value,
    }
