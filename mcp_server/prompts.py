"""prompts/list and prompts/get: parse, ask `projects/prompts.py` one thing, shape the answer."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import MISSING_REQUIRED_CLIENT_CAPABILITY, GetPromptRequestParams, PaginatedRequestParams
from starlette.requests import Request

from mcp_server import elicitation
from mcp_server.errors import protocol_error
from mcp_server.pagination import page_of
from mcp_server.resources import wire_content
from mcp_server.visit import visit_of
from projects.engine.questions import Answer, Question
from projects.errors import HeadwaterError, InvalidInput
from projects.plugin_content import EmbeddedPart, MediaPart, PluginPrompt, PromptMessage, PromptPart, TextPart
from projects.prompts import FlowPrompt
from projects.resources import ResourceContent
from projects.runs.checkpoint import check_answer

PAGE_SIZE = 50
SECONDS_TO_ANSWER = 600.0

Context = ServerRequestContext[Any, Request]


async def list_prompts(ctx: Context, params: PaginatedRequestParams) -> dict[str, Any]:
    """By name."""
    visit = visit_of(ctx)
    try:
        prompts = await visit.services.prompts.list_prompts(visit.caller, visit.project_id)
    except HeadwaterError as error:
        raise protocol_error(error) from error
    prompts.sort(key=lambda prompt: prompt.name)
    chosen, following = page_of(prompts, kind="prompts", cursor=params.cursor, size=PAGE_SIZE, key=lambda prompt: prompt.name)
    result: dict[str, Any] = {"resultType": "complete", "prompts": [_wire_prompt(prompt) for prompt in chosen]}
    return result if following is None else {**result, "nextCursor": following}


class _Asked(Exception):
    """The client must put these questions to its person and come back."""

    def __init__(self, questions: Sequence[Question]) -> None:
        super().__init__()
        self.questions = questions


async def get_prompt(ctx: Context, params: GetPromptRequestParams) -> dict[str, Any]:
    visit = visit_of(ctx)

    async def ask(questions: Sequence[Question]) -> dict[str, str]:
        return await _answers(ctx, questions)

    try:
        description, messages = await visit.services.prompts.render(
            visit.caller, visit.project_id, params.name, params.arguments or {}, ask=ask
        )
    except _Asked as asked:
        # Nothing has run yet, so there is nothing to remember: the answers alone are enough to go on.
        return {"resultType": "input_required", "inputRequests": elicitation.input_requests(asked.questions)}
    except HeadwaterError as error:
        raise protocol_error(error) from error
    return {"resultType": "complete", "description": description, "messages": [_wire_message(message) for message in messages]}


async def _answers(ctx: Context, questions: Sequence[Question]) -> dict[str, str]:
    """What the person said, by name, as text. Raises _Asked, InvalidInput for no for an answer, MCPError where nobody can be asked."""
    if not elicitation.can_ask(ctx):
        needed: dict[str, Any] = {"requiredCapabilities": {"elicitation": {}}}
        raise MCPError(
            MISSING_REQUIRED_CLIENT_CAPABILITY, "This prompt asks a person, which needs a client that declares elicitation.", needed
        )
    answers: Mapping[str, Answer] | None
    if elicitation.can_ask_now(ctx):
        answers = await elicitation.ask(ctx, questions, seconds=SECONDS_TO_ANSWER)
        if answers is None:
            raise InvalidInput("Nobody answered what this prompt asks.")
    else:
        given = (ctx.params or {}).get("inputResponses")
        answers = {} if given is None else elicitation.answers_to(questions, elicitation.check_shape(given))
        if any(question.id not in answers for question in questions):
            raise _Asked(questions)
    if any(answer.action != "accept" for answer in answers.values()):
        raise InvalidInput("This prompt asks a person, who did not want to answer.")
    for question in questions:
        check_answer(question, answers[question.id])
    return {name: str(value) for answer in answers.values() for name, value in answer.content.items()}


def _wire_prompt(prompt: FlowPrompt | PluginPrompt) -> dict[str, Any]:
    arguments = []
    for argument in prompt.arguments:
        wire: dict[str, Any] = {"name": argument.name, "required": argument.is_required}
        arguments.append({**wire, "description": argument.description} if argument.description else wire)
    listed: dict[str, Any] = {"name": prompt.name, "title": prompt.title or prompt.name, "arguments": arguments}
    return {**listed, "description": prompt.description} if prompt.description else listed


def _wire_message(message: PromptMessage) -> dict[str, Any]:
    return {"role": message.role, "content": _wire_part(message.part)}


def _wire_part(part: PromptPart) -> dict[str, Any]:
    match part:
        case TextPart(text):
            return {"type": "text", "text": text}
        case MediaPart(content, media_type):
            kind = "audio" if media_type.startswith("audio/") else "image"
            return {"type": kind, "data": b64encode(content).decode(), "mimeType": media_type}
        case EmbeddedPart(uri, content, media_type):
            return {"type": "resource", "resource": wire_content(ResourceContent(uri, media_type, content))}
