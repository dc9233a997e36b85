"""The tasks extension: a run that outlasted its call, by the run's own id. tasks/get, tasks/update, tasks/cancel.

Nothing is pushed: the extension leaves `notifications/tasks` to the server, and its clients may not rely on them.
"""

from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND, RequestParams
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.requests import Request

from mcp_server import elicitation
from mcp_server.errors import printable, protocol_error
from mcp_server.long_calls import TASKS, declares_tasks, ended, task_of
from mcp_server.visit import Visit, visit_of
from projects.errors import Conflict, HeadwaterError, NotFound
from projects.runs.record import RunState
from projects.runs.service import Run

HEADER_MISMATCH = -32020
MISSING_CAPABILITY = -32021

Context = ServerRequestContext[Any, Request]


class TaskParams(RequestParams):
    task_id: str


class TaskUpdateParams(TaskParams):
    input_responses: Any = None


async def get_task(ctx: Context, params: TaskParams) -> dict[str, Any]:
    visit, run = await _found(ctx, params)
    task: dict[str, Any] = {"resultType": "complete", **task_of(run)}
    match run.state:
        case RunState.WAITING if elicitation.can_ask(ctx):
            return {**task, "status": "input_required", "inputRequests": elicitation.input_requests(run.questions)}
        case RunState.WAITING:
            how = "from a client that does" if visit.caller.is_confined else f"by POST /api/v1/runs/{run.id}/answers"
            told = f"A person must answer. This client declared no elicitation; answer {how}."
            return {**task, "status": "input_required", "inputRequests": {}, "statusMessage": told}
        case RunState.COMPLETED:
            return {**task, "status": "completed", "result": await ended(visit, run)}
        case RunState.CANCELLED:
            return {**task, "status": "cancelled", "statusMessage": _message(run)}
        case RunState.FAILED if (run.error or {}).get("code") != "internal_error":
            # The tool ran and said what was wrong: a result like any other. `failed` is for what no tool said.
            return {**task, "status": "completed", "result": await ended(visit, run)}
        case RunState.FAILED | RunState.INTERRUPTED:
            told = _message(run)
            return {**task, "status": "failed", "statusMessage": told, "error": {"code": INTERNAL_ERROR, "message": told}}
        case _:
            return {**task, "status": "working"}


async def update_task(ctx: Context, params: TaskUpdateParams) -> dict[str, Any]:
    """Answers to what the task asks; keys that it does not ask, and answers that come too late, are let go."""
    visit, run = await _found(ctx, params)
    try:
        responses = elicitation.check_shape(params.input_responses)
        answers = elicitation.answers_to(run.questions, responses) if run.state is RunState.WAITING else {}
        if answers:
            handle = await visit.services.invocations.answer(visit.caller, run.id, answers)
            handle.detach()
    except Conflict:
        pass
    except HeadwaterError as error:
        raise protocol_error(error) from None
    return {"resultType": "complete"}


async def cancel_task(ctx: Context, params: TaskParams) -> dict[str, Any]:
    """Acknowledged whatever the task is up to; one that is over stays as it is."""
    visit, run = await _found(ctx, params)
    try:
        await visit.services.invocations.cancel(visit.caller, run.id)
    except (NotFound, Conflict):
        pass  # it has ended meanwhile
    except HeadwaterError as error:
        raise protocol_error(error) from None
    return {"resultType": "complete"}


def require_tasks(ctx: Context, what: str) -> None:
    """Raise the protocol's error unless the client declared the extension."""
    if not declares_tasks(ctx):
        needed: dict[str, Any] = {"requiredCapabilities": {"extensions": {TASKS: {}}}}
        raise MCPError(MISSING_CAPABILITY, f"{what} is for clients that declare the extension {TASKS}.", needed)


async def _found(ctx: Context, params: TaskParams) -> tuple[Visit, Run]:
    """The caller's own run on this very server; any other id is unknown."""
    if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        raise MCPError(METHOD_NOT_FOUND, "Method not found", ctx.method)
    require_tasks(ctx, ctx.method)
    # Some clients leave the header out though they should not; one that names another task is refused.
    name = ctx.request.headers.get("mcp-name") if ctx.request is not None else None
    if name is not None and name != params.task_id:
        raise MCPError(HEADER_MISMATCH, "Mcp-Name is not the taskId of the request.")
    visit = visit_of(ctx)
    try:
        run = await visit.services.runs.get(visit.caller, params.task_id)
    except NotFound:
        raise _unknown(params) from None
    except HeadwaterError as error:
        raise protocol_error(error) from None
    if visit.project_id is not None and run.project_id != visit.project_id:
        raise _unknown(params)
    return visit, run


def _unknown(params: TaskParams) -> MCPError:
    return MCPError(INVALID_PARAMS, f"Unknown task: {printable(params.task_id)}")


def _message(run: Run) -> str:
    return printable(str((run.error or {}).get("message") or f"The run ended as {run.state.value}."), limit=4_000)
