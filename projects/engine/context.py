"""What a component may ask of the run it is in. `invocation.py` fills it with the real things, a test with fakes."""

from __future__ import annotations

from typing import Any, Protocol

from projects.engine.values import Message


class RunContext(Protocol):
    """One run's surroundings. All ids are UUID strings; `session_id` is never empty."""

    @property
    def run_id(self) -> str: ...

    @property
    def flow_id(self) -> str: ...

    @property
    def flow_name(self) -> str: ...

    @property
    def session_id(self) -> str: ...

    @property
    def state(self) -> dict[str, Any]:
        """Scratch space shared by all vertices of the run (loop counters, If-Else iterations)."""
        ...

    async def keep_message(self, message: Message) -> Message:
        """Store the message with the run and announce it (`MessageAdded`); returns it with id, flow and run set."""
        ...

    async def read_messages(self, *, session_id: str, limit: int, context_id: str = "", newest_first: bool = False) -> list[Message]:
        """The last `limit` messages of this flow and session that earlier runs stored."""
        ...

    async def resolve_variable(self, name: str, *, is_secret: bool) -> str | None:
        """Request header variable, then the owner's stored variable, then the environment when allowed; None if none.

        `is_secret`: the field it goes into is a password field. A stored credential goes nowhere else; then InvalidInput is raised.
        """
        ...
