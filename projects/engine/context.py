"""What a component may ask of the run it is in. `invocation.py` fills it with the real things, a test with fakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from projects.engine.questions import Answer
from projects.engine.values import Message, Row, Table
from projects.models.chat import EmbeddingModel, ModelAccess

if TYPE_CHECKING:
    import httpx  # 50 ms that a start need not pay
    import httpx2


current_step: ContextVar[str] = ContextVar("current_step", default="")
"""The vertex that a component works for: the step of its run, also inside what a loop repeats. What it leaves behind is that step's."""

# With it a flow that calls its own tool by way of the network is one level deeper each time, and ends at the depth bound.
DEPTH_HEADER = "x-headwater-depth"


@dataclass(frozen=True, slots=True)
class ChildFlow:
    """A flow of the same owner that another one may run: its inputs (vertex id, field → description of the field) and outputs."""

    id: str
    name: str
    description: str
    inputs: Sequence[Mapping[str, Any]] = ()  # {"vertex_id", "field", "display_name", "type", "required", "info", "value"}
    outputs: Sequence[Mapping[str, Any]] = ()  # {"vertex_id", "output", "display_name"}


@dataclass(frozen=True, slots=True)
class ChildResult:
    """What a child run gave: vertex id → output name → value, for its output vertices in file order."""

    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class FlowAccess(Protocol):
    """Other flows of the run's owner. Child runs are one level deeper; past the depth bound LimitReached is raised."""

    async def find_flow(self, flow_id_or_name: str) -> ChildFlow | None:
        """By id or by name."""
        ...

    async def list_flows(self) -> Sequence[ChildFlow]:
        """All that the run may run, without their inputs and outputs."""
        ...

    async def run_flow(
        self, flow_id: str, *, input_value: str | None, values: Mapping[tuple[str, str], Any], session_id: str
    ) -> ChildResult:
        """Messages of the child are kept under the child's flow and the given session."""
        ...


class FileAccess(Protocol):
    """Files that a run may see: its caller's uploads and the run's own folder. Paths are storage paths, never the server's."""

    async def read(self, path: str, *, limit_bytes: int | None = None) -> bytes: ...

    async def list_paths(self) -> Sequence[str]: ...

    async def save(self, name: str, content: bytes) -> str:
        """Into the run's own folder of the owner's files; returns the storage path."""
        ...


@dataclass(frozen=True, slots=True)
class KnowledgeBaseInfo:
    """`embedding` names the model that made the base's vectors; None when it has none and is searched by words."""

    name: str
    row_count: int
    embedding: str | None


class KnowledgeAccess(Protocol):
    """The owner's knowledge bases: named collections of texts, with vectors where an embedding model made them."""

    async def list_bases(self) -> Sequence[str]: ...

    async def describe(self, base: str) -> KnowledgeBaseInfo | None:
        """None when the owner has no base of this name."""
        ...

    async def add(
        self,
        base: str,
        rows: Sequence[Row],
        *,
        vectors: Sequence[Sequence[float]] | None,
        embedding: str | None = None,
        allow_duplicates: bool = False,
    ) -> int:
        """Each row has "text" and further metadata; returns how many were added. `embedding` names the model that made the vectors.

        InvalidInput for a name that is none, and when the base's rows were made with another model (or with none).
        """
        ...

    async def search(
        self,
        base: str,
        query: str,
        *,
        vector: Sequence[float] | None,
        limit: int,
        metadata_filter: Mapping[str, Any] | None = None,
        with_vectors: bool = False,
    ) -> list[Row]:
        """Rows with "text", "score" and their metadata, best first: by vector where there are some, else by words.

        With a filter only rows whose metadata has these values. A base that the owner does not have is InvalidInput.
        """
        ...

    async def search_messages(
        self, query: str, *, session_id: str | None, limit: int, embedding: EmbeddingModel | None = None
    ) -> list[Row]:
        """What was said in earlier runs of this flow, best first: by meaning with an embedding model, else by words.

        Rows have "text", "score", "sender", "sender_name", "session_id" and "timestamp". `session_id` None: in whatever session.
        """
        ...


class ToolServerAccess(Protocol):
    """How MCP servers that a flow names may be reached."""

    async def find_config(self, name: str) -> Mapping[str, Any] | None:
        """The configuration that the run's owner has registered under this name."""
        ...

    async def check_address(self, url: str) -> None:
        """Raises AddressRefused for an address that flows may not reach."""
        ...

    def http_client(
        self, *, headers: Mapping[str, str], timeout_seconds: float, read_timeout_seconds: float, verify: bool = True
    ) -> AbstractAsyncContextManager[httpx2.AsyncClient]:
        """Guarded like `RunContext.http_client`, for event streams that stay open."""
        ...

    def is_allowed(self, command_line: Sequence[str]) -> bool:
        """Whether the operator allowed this very command line to be started."""
        ...


class RunContext(Protocol):
    """One run's surroundings. All ids are UUID strings; `session_id` is never empty."""

    @property
    def run_id(self) -> str: ...

    @property
    def flow_id(self) -> str: ...

    @property
    def flow_name(self) -> str: ...

    @property
    def owner_id(self) -> str:
        """Whose flow it is."""
        ...

    @property
    def session_id(self) -> str: ...

    @property
    def state(self) -> dict[str, Any]:
        """Scratch space shared by all vertices of the run (loop counters, If-Else iterations)."""
        ...

    @property
    def answers(self) -> Mapping[str, Answer]:
        """What people have answered so far in this run, by their questions' ids. `cancel` only when the time for an answer is over."""
        ...

    @property
    def memories(self) -> Mapping[str, Any]:
        """What components that paused wanted to know again, by vertex id (`PauseRun.memory`)."""
        ...

    async def keep_message(self, message: Message) -> Message:
        """Store the message with the run and announce it (`MessageAdded`); returns it with id, flow and run set."""
        ...

    async def read_messages(self, *, session_id: str, limit: int, context_id: str = "", newest_first: bool = False) -> list[Message]:
        """The last `limit` messages of this flow and session that earlier runs stored."""
        ...

    async def announce_message(self, message: Message) -> Message:
        """Tell of a message that is still being made (`state` "partial") or just complete, without keeping it; it has an id afterwards.

        The component that keeps it later (Chat Output) keeps it under the same id.
        """
        ...

    async def stream_token(self, message_id: str, chunk: str) -> None:
        """A piece of an announced message's text."""
        ...

    @property
    def depth(self) -> int:
        """How deep this run is among flows that run each other, itself counted. What calls a server may tell it (`DEPTH_HEADER`)."""
        ...

    @property
    def is_followed_live(self) -> bool:
        """Somebody reads the run's events as they come, so streaming from a model is worth it."""
        ...

    @property
    def models(self) -> ModelAccess: ...

    @property
    def flows(self) -> FlowAccess: ...

    @property
    def files(self) -> FileAccess: ...

    @property
    def knowledge(self) -> KnowledgeAccess: ...

    def http_client(self, *, timeout_seconds: float = 30, follow_redirects: bool = True) -> AbstractAsyncContextManager[httpx.AsyncClient]:
        """A client for addresses that come from a flow or a caller: guarded against private addresses, bounded in size and time."""
        ...

    @property
    def tool_servers(self) -> ToolServerAccess: ...

    async def query_database(self, url: str, query: str) -> Table:
        """Rows of one SQL statement on a database that the operator allowed; InvalidInput for any other address."""
        ...

    async def resolve_variable(self, name: str, *, is_secret: bool) -> str | None:
        """Request header variable, then the owner's stored variable, then the environment when allowed; None if none.

        `is_secret`: the field it goes into is a password field. A stored credential goes nowhere else; then InvalidInput is raised.
        """
        ...

    async def list_variable_names(self) -> list[str]:
        """Of the owner's stored variables."""
        ...
