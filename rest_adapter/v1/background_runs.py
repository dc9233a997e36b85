"""Runs by themselves: started in the background, looked at, answered when they wait for a person, and stopped."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal
from uuid import UUID

from pydantic import Field
from starlette.requests import Request

from projects.access.caller import Caller
from projects.engine.questions import Answer as PersonsAnswer
from projects.engine.questions import Question
from projects.invocation import Invocation
from projects.runs.live import VertexTiming
from projects.runs.service import Run
from projects.services import ProjectServices
from rest_adapter.routing import Answer, endpoint
from rest_adapter.v1.models import Detail, Instant, Said, ValidationDetail, Wire
from rest_adapter.v1.request_headers import IDEMPOTENCY_KEY, call_depth, idempotency_key, request_variables

_TAG = "Runs"


class QuestionRead(Wire):
    """What a waiting run asks; answer it with POST /api/v1/runs/{run_id}/answers."""

    id: str
    vertex_id: str
    kind: Literal["human_input", "tool_approval"]
    message: str
    answer_schema: dict[str, Any] = Field(serialization_alias="schema", description="JSON Schema of an accepting answer's content.")
    expires_at: Instant | None = None


class VertexRead(Wire):
    """One building of a component."""

    vertex_id: str
    display_name: str
    started_at: Instant
    duration_seconds: float
    error: str | None = None


class RunSummary(Wire):
    id: str
    kind: str
    project_id: str | None
    flow_id: str
    flow_name: str
    session_id: str
    state: Literal["queued", "running", "waiting", "completed", "failed", "cancelled", "interrupted"]
    attempt: int
    created_at: Instant
    started_at: Instant | None = None
    finished_at: Instant | None = None
    error: dict[str, Any] | None = None
    warnings: list[str] = Field(default_factory=list)
    questions: list[QuestionRead] = Field(default_factory=list, description="There while the run waits for a person.")


class RunRead(RunSummary):
    result: dict[str, Any] | None = Field(default=None, description="`outputs`: vertex id → output name → value as JSON.")
    vertices: list[VertexRead] = Field(default_factory=list)


class RunList(Wire):
    runs: list[RunSummary]
    next_before: str | None = Field(description="Send it as `before` to get the next page; null on the last one.")


class RunsQuery(Wire):
    flow_id: UUID | None = None
    project_id: UUID | None = None
    session_id: str | None = None
    state: Literal["queued", "running", "waiting", "completed", "failed", "cancelled", "interrupted"] | None = None
    kind: Literal["call", "tool", "webhook", "background", "build"] | None = None
    before: str | None = Field(default=None, description="Id of the last run of the page before.")
    limit: int = Field(default=50, ge=1, le=200)


class RunStart(Wire):
    flow: str = Field(min_length=1, description="Id or endpoint name of the flow.")
    input_value: str | None = None
    input_type: Literal["chat", "text", "any"] = "chat"
    output_type: Literal["chat", "text", "any", "debug"] = "chat"
    tweaks: dict[str, Any] | None = None
    session_id: str | None = None


class AnswerGiven(Wire):
    action: Literal["accept", "decline", "cancel"] = Field(description="`cancel` gives the whole run up.")
    content: dict[str, Any] = Field(default_factory=dict)


class AnswersGiven(Wire):
    answers: dict[str, AnswerGiven] = Field(min_length=1, max_length=1_000, description="Question id → answer.")


def question_shape(question: Question) -> QuestionRead:
    return QuestionRead(
        id=question.id,
        vertex_id=question.vertex_id,
        kind=question.kind,
        message=question.message,
        answer_schema=dict(question.schema),
        expires_at=question.expires_at,
    )


def _summary(run: Run) -> dict[str, Any]:
    shape = {name: getattr(run, name) for name in RunSummary.model_fields if name not in ("questions", "warnings")}
    return shape | {"warnings": list(run.warnings), "questions": [question_shape(question) for question in run.questions]}


async def run_shape(services: ProjectServices, caller: Caller, run_id: str) -> dict[str, Any]:
    return _whole(*await services.runs.get_with_vertices(caller, run_id))


def _whole(run: Run, vertices: Sequence[VertexTiming] = ()) -> dict[str, Any]:
    shape = _summary(run) | {"result": run.result, "vertices": [VertexRead(**asdict(vertex)) for vertex in vertices]}
    return RunRead(**shape).model_dump(mode="json", by_alias=True)


@endpoint(
    "POST",
    "/api/v1/runs",
    Answer(202, RunRead, "The run is recorded and goes on in the background."),
    Answer(404, Detail, "No such flow."),
    Answer(409, Detail, "The Idempotency-Key cannot be used now."),
    Answer(422, ValidationDetail, "A value is wrong, or the flow cannot run."),
    Answer(429, Detail, "Too many calls of this credential."),
    Answer(503, Detail, "Too many runs at once."),
    tag=_TAG,
    request_headers=(IDEMPOTENCY_KEY,),
)
async def start_run(body: RunStart, caller: Caller, services: ProjectServices, request: Request) -> dict[str, Any]:
    """Run a flow in the background."""
    invocation = Invocation(
        input_value=body.input_value,
        input_type=body.input_type,
        output_type=body.output_type,
        tweaks=body.tweaks,
        session_id=body.session_id,
        request_variables=request_variables(request),
        kind="background",
        depth=call_depth(request),
        request_key=idempotency_key(request, "runs", body.model_dump(exclude_unset=True)),
    )
    accepted: list[Run] = []
    run_id = await services.invocations.start(caller, body.flow, invocation, on_accepted=accepted.append)
    return _whole(accepted[0]) if accepted else await run_shape(services, caller, run_id)


@endpoint(
    "GET",
    "/api/v1/runs",
    Answer(200, RunList),
    Answer(422, ValidationDetail, "A filter is wrong, or there is no run that `before` names."),
    tag=_TAG,
)
async def list_runs(query: RunsQuery, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """The caller's runs, newest first."""
    # One more than asked for tells whether there is a next page.
    found = await services.runs.list_runs(caller, **query.model_dump(mode="json", exclude={"limit"}), limit=min(query.limit + 1, 200))
    shown = found[: query.limit]
    is_last = len(found) < min(query.limit + 1, 200)
    listed = RunList(runs=[RunSummary(**_summary(run)) for run in shown], next_before=None if is_last or not shown else shown[-1].id)
    return listed.model_dump(mode="json", by_alias=True)


@endpoint("GET", "/api/v1/runs/{run_id}", Answer(200, RunRead), Answer(404, Detail), tag=_TAG)
async def read_run(run_id: UUID, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """How a run stands or how it ended: its result or error, what it asks, and the time each component took."""
    return await run_shape(services, caller, str(run_id))


@endpoint(
    "POST",
    "/api/v1/runs/{run_id}/answers",
    Answer(202, RunRead, "The run goes on in the background, or waits for the rest of the answers."),
    Answer(404, Detail),
    Answer(409, Detail, "The run does not wait, was answered meanwhile, or its flow was changed."),
    Answer(422, ValidationDetail, "An answer does not fit its question."),
    Answer(503, Detail, "Too many runs at once; the run still waits."),
    tag=_TAG,
)
async def answer_run(run_id: UUID, body: AnswersGiven, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """Answer what a waiting run asks. With answers to some of its questions it waits for the others."""
    answers = {id: PersonsAnswer(given.action, given.content) for id, given in body.answers.items()}
    handle = await services.invocations.answer(caller, str(run_id), answers)
    handle.detach()
    return await run_shape(services, caller, str(run_id))


@endpoint(
    "POST",
    "/api/v1/runs/{run_id}/cancel",
    Answer(202, Said),
    Answer(404, Detail, "No such run is going on or waiting."),
    tag=_TAG,
)
async def cancel_run(run_id: UUID, caller: Caller, services: ProjectServices) -> dict[str, str]:
    """Stop a run that is going on, or give up one that waits."""
    await services.invocations.cancel(caller, str(run_id))
    return {"message": "The run was asked to stop."}


ENDPOINTS = (list_runs, start_run, read_run, answer_run, cancel_run)
