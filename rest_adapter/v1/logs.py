"""The server's newest log lines, for superusers; kept only when the operator asks for it."""

from pydantic import Field
from pydantic_core import to_json
from starlette.requests import Request

from projects.access.caller import Caller
from projects.errors import NotPermitted
from rest_adapter.errors import BadRequest, JsonResponse
from rest_adapter.event_stream import EVENT_STREAM, EventStream, Frames, Framing
from rest_adapter.information import LogSource, ServerInformation
from rest_adapter.routing import Answer, OwnerRule, endpoint
from rest_adapter.v1.models import Detail, Wire

_TAG = "Logs"
_DEFAULT_LINES = 10
IDLE_SECONDS = 5.0
_KEEP_ALIVE = b"keepalive\n\n"
_LATEST = 2**63 - 1


class LogsQuery(Wire):
    lines_before: int = Field(default=0, ge=0, le=1_000_000_000)
    lines_after: int = Field(default=0, ge=0, le=1_000_000_000)
    timestamp: int = Field(default=0, ge=0, le=_LATEST, description="Milliseconds since 1970.")


def _source(caller: Caller, information: ServerInformation) -> LogSource | None:
    """Raises NotPermitted for all but superusers, whether there are logs or not."""
    if not caller.is_superuser:
        raise NotPermitted("Only superusers may read the server's log.")
    return information.logs


def _none_kept() -> JsonResponse:
    return JsonResponse({"detail": "Log lines are not kept here: set HEADWATER_LOG_BUFFER_LINES."}, 501)


_REFUSALS = (Answer(501, Detail, "Log lines are not kept."),)


@endpoint(
    "GET",
    "/logs",
    Answer(200, dict[str, str], "Moment in milliseconds → line."),
    Answer(400, Detail, "Lines before and after at once, or lines after no moment."),
    *_REFUSALS,
    owner=OwnerRule.CALLER,
    tag=_TAG,
)
async def read_logs(query: LogsQuery, caller: Caller, information: ServerInformation) -> JsonResponse:
    """The newest log lines, or those before or after a moment."""
    source = _source(caller, information)
    if source is None:
        return _none_kept()
    if query.lines_before and query.lines_after:
        raise BadRequest("Ask for lines_before or for lines_after, not for both.")
    if query.lines_after and not query.timestamp:
        raise BadRequest("lines_after needs a timestamp: the moment after which.")
    lines = source.lines()
    if query.lines_after:
        found = [line for line in lines if line[0] >= query.timestamp][: query.lines_after]
    else:
        before = [line for line in lines if not query.timestamp or line[0] < query.timestamp]
        found = before[-(query.lines_before or _DEFAULT_LINES) :]
    return JsonResponse({str(moment): text for moment, text in found})


@endpoint(
    "GET",
    "/logs-stream",
    Answer(200, None, "A JSON object {moment: line} each, with an empty line after it.", media_type=EVENT_STREAM),
    *_REFUSALS,
    owner=OwnerRule.CALLER,
    tag=_TAG,
)
async def follow_logs(caller: Caller, information: ServerInformation, request: Request) -> JsonResponse | EventStream:
    """Log lines as they come, from now on."""
    source = _source(caller, information)
    if source is None:
        return _none_kept()
    frames = Frames()
    known = source.lines()
    newest = known[-1][0] if known else 0

    async def work() -> None:
        moment = newest
        while True:
            found = await source.next_after(moment, IDLE_SECONDS)
            if not found:
                await frames.put(_KEEP_ALIVE)
            for moment, text in found:
                await frames.put(to_json({str(moment): text}) + b"\n\n")

    return EventStream(frames, work, framing=Framing.SSE)


ENDPOINTS = (read_logs, follow_logs)
