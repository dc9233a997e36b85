"""Tells whoever listens that a list changed (tools, prompts, resources): streams of the current revision, sessions and SSE of the older."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.subscriptions import PromptsListChanged, ResourcesListChanged, ServerEvent, ToolsListChanged
from mcp_types import SubscriptionsListenRequestParams, SubscriptionsListenResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.requests import Request

from mcp_server.errors import protocol_error
from mcp_server.places import Places
from mcp_server.tasks import require_tasks
from mcp_server.visit import Visit, visit_of
from projects.errors import HeadwaterError
from projects.runs.events import Subscription, files_topic, flows_topic

logger = logging.getLogger(__name__)

Context = ServerRequestContext[Any, Request]

SEND_TIMEOUT_SECONDS = 5.0
FILES_COMPARED = 10_000

ListEvent = type[ToolsListChanged] | type[PromptsListChanged] | type[ResourcesListChanged]

Listing = Mapping[ListEvent, list[Any]]
"""What a listener was shown, comparably, by the event that tells of its change."""


class ListChanges:
    """Follows what each listener's owner changes and speaks up only when one of that listener's own lists became another."""

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
        if ((ctx.params or {}).get("notifications") or {}).get("taskIds") is not None:
            require_tasks(ctx, "taskIds")  # and then none is acknowledged: tasks are polled
        try:
            self._streams.require_one(visit.caller)
        except HeadwaterError as error:
            raise protocol_error(error) from error
        # Nothing here changes under the address it has, so no resource can be followed: the acknowledgement says so.
        params = params.model_copy(update={"notifications": params.notifications.model_copy(update={"resource_subscriptions": None})})
        bus = InMemorySubscriptionBus()  # events carry no project, so each stream has a bus of its own
        handler = ListenHandler(bus)
        # Subscribed before the stream is acknowledged: what changes from then on is told.
        with self._streams.taken_by(visit.caller), visit.services.events.subscribe(*_topics(visit)) as changes:
            following = asyncio.create_task(_follow(visit, changes, bus.publish))
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

            async def tell(event: ServerEvent) -> None:
                async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                    match event:
                        case ToolsListChanged():
                            await session.send_tool_list_changed()
                        case PromptsListChanged():
                            await session.send_prompt_list_changed()
                        case _:
                            await session.send_resource_list_changed()

            async def follow() -> None:
                with visit.services.events.subscribe(*_topics(visit)) as changes:
                    await _follow(visit, changes, tell)

            following = asyncio.create_task(follow())
            # The SDK has no public way to learn that a session ended.
            ctx.session._connection.exit_stack.callback(following.cancel)
        return result


def _topics(visit: Visit) -> tuple[str, str]:
    return flows_topic(visit.caller.user_id), files_topic(visit.caller.user_id)


async def _follow(visit: Visit, changes: Subscription, tell: Callable[[ServerEvent], Awaitable[None]]) -> None:
    known: Listing | None = await _listing(visit)
    if changes.has_unread:
        known = None  # the listing may be of after the change: whoever listed before must hear of it
    while True:
        await changes.get()
        current = await _listing(visit)
        different = [kind for kind, listed in current.items() if known is None or listed != known[kind]]
        known = current
        for kind in different:
            try:
                await tell(kind())
            except Exception:
                # A boundary: one listener. A client that cannot be told asks again by itself once its copy is too old.
                logger.info("A listener of project %s could not be told that a list changed", visit.project_id)


async def _listing(visit: Visit) -> Listing:
    """Nothing at all once the project is gone."""
    services, caller, project_id = visit.services, visit.caller, visit.project_id
    try:
        kept = await services.tools.tool_map(caller, project_id)
        prompts = await services.prompts.list_prompts(caller, project_id)
        files = await services.resources.list_files(caller, project_id, limit=FILES_COMPARED)
    except HeadwaterError:
        return {ToolsListChanged: [], PromptsListChanged: [], ResourcesListChanged: []}
    return {
        ToolsListChanged: [
            (tool.name, tool.title, tool.description, tool.input_schema, tool.output_schema, tool.hints, tool.icons)
            for tool in kept.tools.values()
        ],
        PromptsListChanged: [(prompt.name, prompt.title, prompt.description, prompt.arguments) for prompt in prompts],
        ResourcesListChanged: [(file.uri, file.file.name, file.file.size_bytes, file.file.media_type) for file in files],
    }
