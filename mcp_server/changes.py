"""Tells whoever listens that a project's tools changed: streams of the current revision, sessions and SSE of the older ones."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from mcp_types import SubscriptionsListenRequestParams, SubscriptionsListenResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.requests import Request

from mcp_server.errors import protocol_error
from mcp_server.places import Places
from mcp_server.visit import Visit, visit_of
from projects.errors import HeadwaterError
from projects.runs.events import Subscription, flows_topic

logger = logging.getLogger(__name__)

Context = ServerRequestContext[Any, Request]

SEND_TIMEOUT_SECONDS = 5.0


class ToolChanges:
    """Follows the flows of each listener's owner and speaks up only when that listener's own list of tools became another."""

    def __init__(self, streams: Places) -> None:
        self._streams = streams
        self._listening: set[ListenHandler] = set()

    def close(self) -> None:
        """End every listening stream in order; clients may listen again elsewhere."""
        for handler in tuple(self._listening):
            handler.close()

    async def listen(self, ctx: Context, params: SubscriptionsListenRequestParams) -> SubscriptionsListenResult:
        """subscriptions/listen of the current revision: one stream, until the client leaves or we stop."""
        visit = visit_of(ctx)
        try:
            self._streams.require_one(visit.caller)
        except HeadwaterError as error:
            raise protocol_error(error) from error
        bus = InMemorySubscriptionBus()  # events carry no project, so each stream has a bus of its own
        handler = ListenHandler(bus)

        async def tell() -> None:
            await bus.publish(ToolsListChanged())

        # Subscribed before the stream is acknowledged: what changes from then on is told.
        with self._streams.taken_by(visit.caller), visit.services.events.subscribe(flows_topic(visit.caller.user_id)) as changes:
            following = asyncio.create_task(_follow(visit, changes, tell))
            self._listening.add(handler)
            try:
                return await handler(ctx, params)
            finally:
                self._listening.discard(handler)
                following.cancel()

    async def watch_sessions(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Server middleware: a session of an older revision is told on its own stream, from its handshake to its end."""
        result = await call_next(ctx)
        if ctx.method == "notifications/initialized" and ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            session, visit = ctx.session, visit_of(ctx)

            async def tell() -> None:
                async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                    await session.send_tool_list_changed()

            async def follow() -> None:
                with visit.services.events.subscribe(flows_topic(visit.caller.user_id)) as changes:
                    await _follow(visit, changes, tell)

            following = asyncio.create_task(follow())
            # The SDK has no public way to learn that a session ended.
            ctx.session._connection.exit_stack.callback(following.cancel)
        return result


async def _follow(visit: Visit, changes: Subscription, tell: Callable[[], Awaitable[None]]) -> None:
    known = await _listing(visit)
    while True:
        await changes.get()
        current = await _listing(visit)
        if current == known:
            continue
        known = current
        try:
            await tell()
        except Exception:
            # A boundary: one listener. A client that cannot be told asks again by itself once its copy is too old.
            logger.info("A listener of project %s could not be told that its tools changed", visit.project_id)


async def _listing(visit: Visit) -> list[tuple[Any, ...]]:
    """What a listener was shown, comparably; nothing at all once the project is gone."""
    try:
        kept = await visit.services.tools.tool_map(visit.caller, visit.project_id)
    except HeadwaterError:
        return []
    return [(tool.name, tool.title, tool.description, tool.input_schema) for tool in kept.tools.values()]
