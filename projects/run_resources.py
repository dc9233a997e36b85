"""What runs may reach beyond their graph, as one record: `wiring.py` fills it, `invocation.py` hands each run its own view of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from projects.engine.context import FileAccess, KnowledgeAccess, ToolServerAccess
from projects.engine.values import Table
from projects.errors import Unavailable
from projects.models.chat import ModelAccess

if TYPE_CHECKING:
    import httpx

ResolveSecret: TypeAlias = Callable[[str], Awaitable[str | None]]  # a variable's name → its value, by the order of runs


class ModelSource(Protocol):
    def for_run(self, *, owner_id: str, resolve: ResolveSecret) -> ModelAccess: ...

    async def ways(self, resolve: ResolveSecret, *, embeddings: bool = False) -> Sequence[Any]:
        """The ways to a model that are open now, the one that an empty choice takes first; each says itself as text."""
        ...


class FileSource(Protocol):
    def for_run(self, *, owner_id: str, flow_id: str, run_id: str) -> FileAccess: ...

    async def refusal(self, owner_id: str, path: object) -> str | None:
        """Why this is no path or id of a file of the owner's; None for one that is."""
        ...


class KnowledgeSource(Protocol):
    def for_run(self, *, owner_id: str, flow_id: str, run_id: str, session_space: str = "") -> KnowledgeAccess:
        """`session_space`: the only space whose sessions are searched (`access/session_spaces.py`); empty for all of the owner's."""
        ...


class DatabaseSource(Protocol):
    async def query(self, url: str, query: str) -> Table:
        """Rows of one statement on a database that the operator allowed (`projects/sql_queries.py`)."""
        ...


class ToolServerSource(Protocol):
    def for_run(self, *, owner_id: str) -> ToolServerAccess: ...


class OutgoingHttp(Protocol):
    def client(self, *, timeout_seconds: float, follow_redirects: bool) -> AbstractAsyncContextManager[httpx.AsyncClient]: ...


@dataclass(frozen=True, slots=True)
class RunResources:
    """One for the process; `for_run` makes what one run sees."""

    models: ModelSource
    files: FileSource
    knowledge: KnowledgeSource
    outgoing: OutgoingHttp
    databases: DatabaseSource
    tool_servers: ToolServerSource


class _Absent:
    """Stands for something that this process does not offer: whoever asks for it is told."""

    def __init__(self, what: str) -> None:
        self._what = what

    def for_run(self, **identity: Any) -> Any:
        return self

    def __getattr__(self, name: str) -> Any:
        raise Unavailable(f"This process offers flows no {self._what}.")


def nothing_outside() -> RunResources:
    """Resources of a process whose flows reach nothing beyond their graph and what is stored."""
    return RunResources(
        models=_Absent("models"),
        files=_Absent("files"),
        knowledge=_Absent("knowledge bases"),
        outgoing=_Absent("network"),
        databases=_Absent("databases"),
        tool_servers=_Absent("MCP servers"),
    )
