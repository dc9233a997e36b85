"""How a run stands, as the result of a tool call: finished, failed, still going on, or waiting for a person."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mcp_server.elicitation import requested_schema
from mcp_server.errors import printable
from projects.engine.questions import Question

RUN_ID_KEY = "headwater/run-id"
SESSION_ID_KEY = "headwater/session-id"
STATE_KEY = "headwater/run-state"
QUESTIONS_KEY = "headwater/questions"
GET_RUN = "get_run"


def finished(answer: Mapping[str, Any], run_id: str, session_id: str) -> dict[str, Any]:
    """`answer` is what `content.answer_of` made of the outputs."""
    return {
        "resultType": "complete",
        **answer,
        "isError": False,
        "_meta": {RUN_ID_KEY: run_id, SESSION_ID_KEY: session_id},
    }


def failure(text: str, run_id: str | None = None) -> dict[str, Any]:
    result: dict[str, Any] = {"resultType": "complete", "content": [{"type": "text", "text": text}], "isError": True}
    return result if run_id is None else {**result, "_meta": {RUN_ID_KEY: run_id}}


def still_running(run_id: str, session_id: str, *, has_rest: bool) -> dict[str, Any]:
    """For clients without tasks: the run goes on, and this is how to come back to it. `has_rest`: the caller may use the REST API too."""
    by_rest = f"; or read GET /api/v1/runs/{run_id}" if has_rest else ""
    return _standing(
        f"Still running: this takes longer than one call may. The run goes on by itself. To get its result, call the tool {GET_RUN} with "
        f'{{"run_id": "{run_id}"}}, as often as it takes{by_rest}. Do not call the tool again: that would start a second run.',
        {"run_id": run_id, "state": "running"},
        {RUN_ID_KEY: run_id, SESSION_ID_KEY: session_id, STATE_KEY: "running"},
    )


def waiting(run_id: str, session_id: str, questions: Sequence[Question], *, has_rest: bool) -> dict[str, Any]:
    """For clients that cannot ask their person: what is asked, and how to answer in another way."""
    asked = [_described(question) for question in questions]
    example = {"answers": {question.id: {"action": "accept", "content": _example(question)} for question in questions}}
    lines = [
        f"The run {run_id} waits for a person, and this client cannot ask one. It goes on once it is answered.",
        *(f"- {question.id}: {printable(question.message)}" for question in questions),
        (
            f"To answer: POST /api/v1/runs/{run_id}/answers with a body such as {json.dumps(example, ensure_ascii=False)}; the action may "
            f'also be decline or cancel. Then call the tool {GET_RUN} with {{"run_id": "{run_id}"}} for the result.'
            if has_rest
            else f'To answer: call the tool {GET_RUN} with {{"run_id": "{run_id}"}} from a client that declares elicitation.'
        ),
    ]
    return _standing(
        "\n".join(lines),
        {"run_id": run_id, "state": "waiting", "questions": asked},
        {RUN_ID_KEY: run_id, SESSION_ID_KEY: session_id, STATE_KEY: "waiting", QUESTIONS_KEY: asked},
    )


def _standing(text: str, structured: Mapping[str, Any], meta: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "resultType": "complete",
        "content": [{"type": "text", "text": text}],
        "structuredContent": dict(structured),
        "isError": False,
        "_meta": dict(meta),
    }


def _described(question: Question) -> dict[str, Any]:
    described: dict[str, Any] = {"id": question.id, "kind": question.kind, "message": question.message}
    described["schema"] = requested_schema(question)
    return described if question.expires_at is None else {**described, "expires_at": question.expires_at.isoformat()}


def _example(question: Question) -> dict[str, Any]:
    """Content of the right shape, with the first of what may be chosen."""
    return {name: _example_value(schema) for name, schema in requested_schema(question)["properties"].items()}


def _example_value(schema: Any) -> Any:
    schema = schema if isinstance(schema, Mapping) else {}
    if schema.get("enum"):
        return schema["enum"][0]
    return {"boolean": True, "number": 0, "integer": 0}.get(str(schema.get("type")), "…")
