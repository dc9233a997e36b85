"""Domain errors → HTTP answers, in one place. Every body is `{"detail": …}`; a rate limit adds `retry_after` beside it."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from projects.errors import (
    AddressRefused,
    AlreadyExists,
    ComponentFailed,
    Conflict,
    ConflictingInput,
    CredentialsMissing,
    FieldProblem,
    FlowCannotRun,
    HeadwaterError,
    InputRequired,
    InvalidApiKey,
    InvalidInput,
    InvalidToken,
    Locked,
    NotFound,
    NotPermitted,
    ProviderBusy,
    ProviderFailed,
    ProviderTimedOut,
    RunCancelled,
    Stale,
    StillRunning,
    TooLarge,
    TooManyRequests,
    TweaksRefused,
    Unavailable,
)
from rest_adapter.stored_json import write_json
from rest_adapter.version_tokens import version_token


class BadRequest(InvalidInput):
    """A request of this face that is not wrong in one value but as a whole: no file, no payload, not offered yet."""

    code = "bad_request"


class UnsupportedMediaType(InvalidInput):
    """A body of a kind that is not read here."""

    code = "unsupported_media_type"


# Missing credentials are 403 and a bad session token is 401: so the clients of this API expect it (seen with Langflow 1.13).
STATUSES: Mapping[type[HeadwaterError], int] = {
    CredentialsMissing: 403,
    InvalidApiKey: 403,
    InvalidToken: 401,
    NotPermitted: 403,
    NotFound: 404,
    AlreadyExists: 400,
    Locked: 423,
    Stale: 409,
    Conflict: 409,
    BadRequest: 400,
    UnsupportedMediaType: 415,
    ConflictingInput: 400,
    InvalidInput: 422,
    AddressRefused: 422,
    TooLarge: 413,
    TooManyRequests: 429,
    Unavailable: 503,
    ProviderFailed: 502,
    ProviderBusy: 503,
    ProviderTimedOut: 504,
    ComponentFailed: 500,
    RunCancelled: 409,
    InputRequired: 409,
}

_PARTS = (("body",), ("query",), ("path",), ("header",))
_SCHEMA_SIDE = frozenset(
    {"ge", "gt", "le", "lt", "multiple_of", "expected", "min_length", "max_length", "pattern", "expected_tags", "class", "max_digits"}
)


class JsonResponse(Response):
    """Any JSON value, written by pydantic's serializer; what is stored as JSON goes in as it is."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return write_json(content)


def status_of(error: HeadwaterError, overrides: Mapping[type[HeadwaterError], int] = {}) -> int:
    """The status of the nearest known class of the error; a route may answer some of them differently."""
    for known in type(error).__mro__:
        if known in overrides:
            return overrides[known]
        if known in STATUSES:
            return STATUSES[known]
    return 500


def to_response(error: HeadwaterError, overrides: Mapping[type[HeadwaterError], int] = {}) -> Response:
    """The HTTP answer to a domain error."""
    status = status_of(error, overrides)
    body: dict[str, Any] = {"detail": _detail(error)}
    headers: dict[str, str] = {}
    match error:
        case InvalidToken():
            headers["WWW-Authenticate"] = "Bearer"
        case TooManyRequests(retry_after_seconds=seconds):
            body["retry_after"] = str(seconds)
            headers["Retry-After"] = str(seconds)
        case (
            Unavailable(retry_after_seconds=seconds) | ProviderBusy(retry_after_seconds=seconds) | StillRunning(retry_after_seconds=seconds)
        ):
            headers["Retry-After"] = str(seconds)
        case ComponentFailed(run_id=str() as run_id):
            headers["x-headwater-run-id"] = run_id
        case _:
            pass
    return JsonResponse(body, status, headers)


def _detail(error: HeadwaterError) -> Any:
    match error:
        case TweaksRefused():
            # The names alone, as clients know them; which node each belongs to is in the message.
            fields = sorted({field.rpartition(".")[2] for field in error.fields})
            return {"error": "Refused tweaks", "code": "TWEAKS_REFUSED", "message": error.message, "fields": fields}
        case FlowCannotRun():
            nodes = [
                {"id": node.node_id, "display_name": node.display_name, "type": node.type, "reason": node.reason, "hint": node.hint}
                for node in error.nodes
            ]
            return {"error": "Flow cannot run", "code": "FLOW_CANNOT_RUN", "message": error.message, "nodes": nodes}
        case ProviderFailed():
            return {
                "error": "Model provider failed",
                "code": error.code.upper(),
                "message": error.message,
                "provider": error.provider,
                "provider_status": error.provider_status,
                "component_id": error.component_id,
            }
        case InvalidInput(problems=problems) if problems:
            return [problem_entry(problem) for problem in problems]
        case Stale():
            return {
                "code": "STALE_VERSION",
                "message": error.message,
                "flow_id": error.flow_id,
                "expected_version_token": version_token(error.flow_id, error.expected),
                "current_version_token": version_token(error.flow_id, error.current),
                "modified_by": dict(zip(("id", "username"), error.modified_by, strict=True)),
                "modified_at": error.modified_at.isoformat(timespec="seconds"),
            }
        case ComponentFailed():
            # A JSON text inside JSON, with five keys that clients know and two of ours.
            return to_json(
                {
                    "message": f"Error running graph: {error.message}",
                    "traceback": None,
                    "description": None,
                    "code": None,
                    "suggestion": None,
                    "component_id": error.component_id,
                    "component_type": error.component_type,
                }
            ).decode()
        case _:
            return error.message


def problem_entry(problem: FieldProblem) -> dict[str, Any]:
    """One entry of a 422 list. A use case names the value; that it came in the body is known here."""
    location = problem.location
    return {"type": problem.kind, "loc": list(location if location[:1] in _PARTS else ("body", *location)), "msg": problem.message}


def validation_response(error: ValidationError, part: str) -> Response:
    """What pydantic found wrong with one part of a request ("body", "query", "path")."""
    return JsonResponse({"detail": validation_entries(error, part)}, 422)


def validation_entries(error: ValidationError, *part: str | int) -> list[dict[str, Any]]:
    """Pydantic's errors as this API's entries: without the input and links, and with only the schema's side of the context."""
    entries: list[dict[str, Any]] = []
    for found in error.errors(include_url=False, include_input=False):
        entry: dict[str, Any] = {"type": found["type"], "loc": [*part, *found["loc"]], "msg": found["msg"]}
        context = {key: value for key, value in found.get("ctx", {}).items() if key in _SCHEMA_SIDE}
        if context:
            entry["ctx"] = context
        entries.append(entry)
    return entries


def missing_entries(part: str, names: Sequence[str]) -> list[dict[str, Any]]:
    return [{"type": "missing", "loc": [part, name], "msg": "Field required"} for name in names]


async def answer_http_exception(request: Request, error: Exception) -> Response:
    """Starlette's own refusals (unknown path, wrong method, unreadable form) in this API's shape."""
    if not isinstance(error, HTTPException):
        raise error
    return JsonResponse({"detail": error.detail}, error.status_code, error.headers)


async def answer_domain_error(request: Request, error: Exception) -> Response:
    """A domain error raised outside a route (by a middleware, for example)."""
    if not isinstance(error, HeadwaterError):
        raise error
    return to_response(error)


def exception_handlers() -> dict[Any, Any]:
    """For the application, so that what no route answers has the same shape."""
    return {HTTPException: answer_http_exception, HeadwaterError: answer_domain_error}
