"""Questions of a waiting run as MCP elicitation, and what clients send back as answers."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError
from starlette.requests import Request

from mcp_server.errors import printable
from projects.engine.questions import Answer, Question
from projects.errors import InvalidInput

logger = logging.getLogger(__name__)

Context = ServerRequestContext[Any, Request]


def can_ask(ctx: Context) -> bool:
    """Whether the client said that it can show a form to its person; an empty declaration means forms."""
    capabilities = ctx.session.client_capabilities
    elicitation = capabilities.elicitation if capabilities is not None else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def can_ask_now(ctx: Context) -> bool:
    """Whether the question can be sent on this call's own stream: revisions before 2026-07-28 only."""
    return ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS and ctx.session.can_send_request and can_ask(ctx)


def input_requests(questions: Iterable[Question]) -> dict[str, Any]:
    """Question id → the request that its answer answers, for `input_required` results and for tasks."""
    return {
        question.id: {
            "method": "elicitation/create",
            "params": {"mode": "form", "message": question.message, "requestedSchema": requested_schema(question)},
        }
        for question in questions
    }


def requested_schema(question: Question) -> dict[str, Any]:
    return {"type": "object", "properties": {}, **question.schema}


def check_shape(responses: Any) -> Mapping[str, Any]:
    """`inputResponses` as a mapping of mappings. Raises InvalidInput for anything else."""
    if not isinstance(responses, Mapping):
        raise InvalidInput("inputResponses: an object is wanted, with an answer for each key of inputRequests.")
    for key, response in responses.items():
        if not isinstance(response, Mapping):
            raise InvalidInput(f'inputResponses.{printable(str(key))}: an object is wanted, such as {{"action": "accept", "content": …}}.')
    return responses


def answers_to(questions: Iterable[Question], responses: Mapping[str, Any]) -> dict[str, Answer]:
    """The answers to these questions; what nobody asked for is left out. Raises InvalidInput for one that is no answer."""
    return {question.id: _answer(question, responses[question.id]) for question in questions if question.id in responses}


def _answer(question: Question, response: Mapping[str, Any]) -> Answer:
    action, content = response.get("action"), response.get("content")
    match action:
        case "decline" | "cancel":
            return Answer(action)
        case "accept" if content is None or isinstance(content, Mapping):
            known = requested_schema(question)["properties"]
            return Answer("accept", {name: value for name, value in (content or {}).items() if name in known})
        case "accept":
            raise InvalidInput(f"inputResponses.{question.id}.content: an object is wanted.")
        case _:
            raise InvalidInput(f"inputResponses.{question.id}.action: accept, decline or cancel is wanted.")


async def ask(ctx: Context, questions: Iterable[Question], *, seconds: float) -> dict[str, Answer] | None:
    """Put each question to the client's person on the call's own stream, one after the other.

    None when no answer came: the client cannot after all, or `seconds` went by; the run waits on.
    """
    answers: dict[str, Answer] = {}
    try:
        async with asyncio.timeout(seconds):
            for question in questions:
                told = await ctx.session.elicit_form(question.message, requested_schema(question), related_request_id=ctx.request_id)
                answers[question.id] = _answer(question, {"action": told.action, "content": told.content})
    except TimeoutError:
        return None
    except (MCPError, ValidationError, InvalidInput) as error:
        logger.info("A client that declared elicitation did not answer: %s", error)
        return None
    return answers
