"""Domain errors as HTTP answers, for requests that never reach the protocol. Needs nothing of the MCP SDK; `errors.py` does."""

from typing import Any

from starlette.responses import JSONResponse, Response

from projects.errors import (
    CredentialsMissing,
    HeadwaterError,
    InvalidApiKey,
    InvalidInput,
    InvalidToken,
    NotFound,
    NotPermitted,
    TooLarge,
    TooManyRequests,
    Unavailable,
)

# No `resource_metadata` in these challenges: some clients ignore their configured key as soon as a server offers OAuth discovery.
_CHALLENGE = {"WWW-Authenticate": "Bearer"}
_CHALLENGE_INVALID = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class OAuthChallenge(HeadwaterError):
    """A refusal by a project in OAuth mode; `challenge` tells the client where to get a token."""

    code = "oauth_challenge"

    def __init__(self, message: str, *, status: int, challenge: str) -> None:
        super().__init__(message)
        self.status = status
        self.challenge = challenge


def http_response(error: HeadwaterError) -> Response:
    """The answer to a request that never reached the protocol."""
    detail: Any = error.message
    status, headers = 400, {}
    match error:
        case OAuthChallenge():
            status, headers = error.status, {"WWW-Authenticate": error.challenge}
        case CredentialsMissing():
            status, headers = 401, _CHALLENGE
        case InvalidApiKey() | InvalidToken():
            status, headers = 401, _CHALLENGE_INVALID
        case NotPermitted():
            status = 403
        case NotFound():
            status = 404
        case InvalidInput():
            status = 422
            if error.problems:
                detail = [{"type": problem.kind, "loc": list(problem.location), "msg": problem.message} for problem in error.problems]
        case TooLarge():
            status = 413  # without closing: a client that is still sending would lose the answer with the connection
        case TooManyRequests():
            status, headers = 429, {"Retry-After": str(error.retry_after_seconds)}
        case Unavailable():
            status, headers = 503, {"Retry-After": str(error.retry_after_seconds)}
        case _:
            pass
    return JSONResponse({"detail": detail}, status_code=status, headers=headers)
