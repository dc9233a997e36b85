"""`/responses`: a flow as a model of OpenAI's Responses API, for OpenAI's own clients and for those of Langflow."""

import time
from typing import Any, Final, Literal
from uuid import uuid4

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from projects.access.caller import Caller
from projects.engine.events import RunEvent
from projects.errors import ComponentFailed, FlowCannotRun, HeadwaterError, NotFound, ProviderFailed, RunCancelled, RunInterrupted
from projects.flows.prepared import PreparedFlow
from projects.invocation import Invocation, InvocationResult
from projects.services import ProjectServices
from rest_adapter.errors import JsonResponse, status_of
from rest_adapter.event_stream import EVENT_STREAM, EventStream, Frames, Framing
from rest_adapter.presence import while_present
from rest_adapter.routing import Answer, endpoint
from rest_adapter.v1.models import Detail, Wire
from rest_adapter.v1.request_headers import IDEMPOTENCY_KEY, RUN_ID_HEADER, call_depth, idempotency_key, request_variables
from rest_adapter.v1.response_items import answer_of, created_at, message_item, response_object, tool_calls, tool_item
from rest_adapter.v1.response_stream import ChunkWriter, EventWriter, ResponseWriter, Teller

_TOOL_RESULTS: Final = "tool_call.results"
# What makes a run end badly, as opposed to a request that could not be served: it is told in the words of this API.
_FAILURES: Final = (ComponentFailed, ProviderFailed, FlowCannotRun, RunCancelled, RunInterrupted)


class ResponseRequest(Wire):
    model: str = Field(min_length=1, description="Id or endpoint name of the flow. It needs a Chat Input and a Chat Output.")
    input: str
    stream: bool = False
    background: bool | None = Field(default=None, description="Taken and without effect: the answer is waited for.")
    tools: Any = Field(default=None, description="Not offered: a flow brings its own tools.")
    previous_response_id: str | None = Field(default=None, description="Id of a response whose conversation goes on.")
    include: list[str] | None = Field(default=None, description=f"`{_TOOL_RESULTS}`: what the flow's tools gave.")


class ResponsesQuery(Wire):
    events: Literal["openai", "langflow"] | None = Field(
        default=None, description="Shape of the stream and of failures; by default OpenAI's for its own clients and Langflow's for others."
    )


class Usage(Wire):
    input_tokens: int
    output_tokens: int
    total_tokens: int


class ResponseObject(Wire):
    """OpenAI's response object, or only `error`: a request that named no flow, or a run that failed, is told with status 200."""

    id: str | None = None
    object: Literal["response"] | None = None
    created_at: int | None = None
    status: str | None = None
    error: dict[str, Any] | None = None
    model: str | None = None
    output: list[dict[str, Any]] | None = None
    previous_response_id: str | None = None
    usage: Usage | None = None


@endpoint(
    "POST",
    "/api/v1/responses",
    Answer(200, ResponseObject, "The response, with `stream` its server-sent events; or only `error`.", stream_media_type=EVENT_STREAM),
    Answer(400, ResponseObject, "For OpenAI's clients: tools were sent, or the flow is no chat."),
    Answer(404, ResponseObject, "For OpenAI's clients: there is no such flow."),
    Answer(409, Detail, "The run was cancelled or waits for a person, or that of the Idempotency-Key is still going on."),
    Answer(429, Detail, "Too many calls of this credential."),
    Answer(500, ResponseObject, "For OpenAI's clients: a component failed."),
    Answer(502, ResponseObject, "For OpenAI's clients: the model's provider failed."),
    Answer(503, Detail, "Too many runs at once."),
    Answer(504, ResponseObject, "For OpenAI's clients: the model's provider did not answer in time."),
    tag="Run",
    request_headers=(IDEMPOTENCY_KEY,),
)
async def create_response(
    query: ResponsesQuery, body: ResponseRequest, caller: Caller, services: ProjectServices, request: Request
) -> Response:
    """Ask a flow as one asks a model of OpenAI."""
    is_openai = query.events == "openai" if query.events else "x-stainless-lang" in request.headers
    if body.tools is not None:
        return _refusal("tools_not_supported", "Tools cannot be given to a flow: leave `tools` out. A flow brings its own.", 400, is_openai)
    try:
        prepared = await services.prepared_flows.resolve(caller.user_id, body.model)
    except NotFound:
        return _refusal("flow_not_found", f"There is no flow {body.model!r}: `model` is a flow's id or endpoint name.", 404, is_openai)
    types = {vertex.type for vertex in prepared.graph.vertices.values()}
    if missing := [name for type, name in (("ChatInput", "Chat Input"), ("ChatOutput", "Chat Output")) if type not in types]:
        return _refusal("invalid_flow_request", f"The flow has no {' and no '.join(missing)}: only chats can be asked.", 400, is_openai)
    invocation = Invocation(
        input_value=body.input,
        session_id=body.previous_response_id or str(uuid4()),
        request_variables=request_variables(request),
        depth=call_depth(request),
        request_key=idempotency_key(request, "responses", body.model_dump(exclude_unset=True)),
    )
    try:
        if body.stream:
            return await _stream(caller, prepared, invocation, body, services, is_openai=is_openai)
        result = await while_present(request, services.invocations.invoke_prepared(caller, prepared, invocation))
    except _FAILURES as error:
        return _failure(error, is_openai)
    if result.questions:
        message = _waits(result)
        return _error({"message": message, "type": "processing_error", "code": "input_required"}, 409, is_openai, run_id=result.run_id)
    return JsonResponse(_whole(result, body), headers={RUN_ID_HEADER: result.run_id})


def _whole(result: InvocationResult, body: ResponseRequest) -> dict[str, Any]:
    answer, with_results = answer_of(result), _TOOL_RESULTS in (body.include or ())
    tools = [tool_item(block, place, with_results=with_results) for place, block in enumerate(tool_calls(answer), start=1)]
    return response_object(
        id=result.session_id,
        model=body.model,
        moment=created_at(result.run_id),
        output=[*tools, message_item(result.session_id, answer.text)],
        previous_response_id=body.previous_response_id,
        usage=result.token_usage,
    )


async def _stream(
    caller: Caller,
    prepared: PreparedFlow,
    invocation: Invocation,
    body: ResponseRequest,
    services: ProjectServices,
    *,
    is_openai: bool,
) -> EventStream:
    with_results = _TOOL_RESULTS in (body.include or ())
    writer: ResponseWriter
    if is_openai:
        writer = EventWriter(body.model, previous_response_id=body.previous_response_id, with_results=with_results)
    else:
        writer = ChunkWriter(body.model, with_results=with_results)
    frames, teller = Frames(), Teller(writer)
    run_id = session_id = ""

    async def put(told: bytes) -> None:
        if told:
            await frames.put(told)

    async def begin(of_session: str) -> None:
        nonlocal session_id
        if not session_id:
            session_id = of_session
            await put(writer.begin(session_id, created_at(run_id) if run_id else int(time.time())))

    async def on_event(event: RunEvent) -> None:
        await begin(invocation.session_id or "")
        await put(teller.of(event))

    handle = await services.invocations.open(caller, prepared, invocation, on_event=on_event)
    run_id = handle.run_id

    async def work() -> None:
        message = "The server failed to run this flow; its log has the reason."
        try:
            result = await handle.outcome()
        except HeadwaterError as error:
            message = error.reason if isinstance(error, ComponentFailed) else error.message
        except Exception:
            pass  # A boundary: the run's own boundary has logged it, and the client is told that there is no more to come.
        else:
            # The session of a run that was over before is the one that it had then.
            await begin(result.session_id)
            await put(writer.fail(_waits(result)) if result.questions else teller.end(result))
            return
        await begin(invocation.session_id or "")
        await put(writer.fail(message))

    return EventStream(frames, work, framing=Framing.SSE, headers={RUN_ID_HEADER: run_id})


def _waits(result: InvocationResult) -> str:
    return (
        "The flow waits for a person, which this route cannot. The run is kept: answer its questions with "
        f"POST /api/v1/runs/{result.run_id}/answers."
    )


def _refusal(code: str, message: str, status: int, is_openai: bool) -> Response:
    return _error({"message": message, "type": "invalid_request_error", "code": code}, status, is_openai)


def _failure(error: HeadwaterError, is_openai: bool) -> Response:
    if isinstance(error, FlowCannotRun):
        return _refusal("flow_cannot_run", error.message, 400, is_openai)
    run_id = error.run_id if isinstance(error, ComponentFailed) else None
    return _error({"message": error.message, "type": "processing_error"}, status_of(error), is_openai, run_id=run_id)


def _error(error: dict[str, str], status: int, is_openai: bool, *, run_id: str | None = None) -> Response:
    """Status 200, as clients of Langflow expect it (seen with 1.13); OpenAI's clients know a failure by its status alone, and would run a
    failing flow again and again for a 5xx unless they are told not to."""
    headers = {} if run_id is None else {RUN_ID_HEADER: run_id}
    return (
        JsonResponse({"error": error}, status, {**headers, "x-should-retry": "false"})
        if is_openai
        else JsonResponse({"error": error}, 200, headers)
    )


ENDPOINTS = (create_response,)
