"""Logging in and out with a password: tokens in the answer and, for browsers, in cookies."""

from datetime import datetime
from typing import Any

from starlette.datastructures import URL
from starlette.requests import Request

from projects.access.accounts import ApprovalPending, SessionTokens
from projects.access.caller import Caller
from projects.errors import InvalidToken, NotPermitted
from projects.services import ProjectServices
from rest_adapter.errors import JsonResponse
from rest_adapter.information import ServerInformation
from rest_adapter.routing import Answer, Credentials, OwnerRule, RateRule, endpoint
from rest_adapter.v1.models import STORE_COOKIE, Detail, Said, Wire
from rest_adapter.v1.users import UserRead, user_read

_TAG = "Login"
_FOREIGN = Answer(403, Detail, "The request comes from a page of another site.")
ACCESS_COOKIE = "access_token_lf"
REFRESH_COOKIE = "refresh_token_lf"


class LoginForm(Wire):
    username: str
    password: str


class Token(Wire):
    access_token: str
    refresh_token: str
    token_type: str


class SessionRead(Wire):
    authenticated: bool
    user: UserRead | None
    store_api_key: str | None


def _signed_in(tokens: SessionTokens, information: ServerInformation, *, access_ends: bool = True) -> JsonResponse:
    """The answer to every sort of login. Without `access_ends` the access cookie lives as long as the browser."""
    response = JsonResponse({"access_token": tokens.access_token, "refresh_token": tokens.refresh_token, "token_type": "bearer"})
    _set_cookie(response, information, REFRESH_COOKIE, tokens.refresh_token, expires=tokens.refresh_expires_at)
    _set_cookie(response, information, ACCESS_COOKIE, tokens.access_token, expires=tokens.access_expires_at if access_ends else None)
    return response


def _set_cookie(response: JsonResponse, information: ServerInformation, name: str, value: str, *, expires: datetime | None) -> None:
    response.set_cookie(name, value, expires=expires, httponly=True, samesite="lax", secure=information.cookie_secure)


def _refuse_foreign_origin(request: Request, information: ServerInformation) -> None:
    """These routes act on a cookie alone or set one, so a page of another site must not be able to call them: neither in the name of
    whoever is logged in, nor to log its visitor in as somebody else, who would read what the visitor then enters."""
    origin = request.headers.get("origin")
    if origin is None or origin in information.trusted_origins:
        return
    own = {request.headers.get("host", ""), URL(information.public_url).netloc}
    if URL(origin).netloc not in own - {""}:
        raise NotPermitted(
            f"Pages of {origin!r} may not use the login of this server. If they are its own, set HEADWATER_PUBLIC_URL to the address that "
            "browsers know it by; if they are yours, list the origin in HEADWATER_CORS_ORIGINS."
        )


@endpoint(
    "POST",
    "/api/v1/login",
    Answer(200, Token),
    Answer(400, Detail, "The account waits for approval, or a form that cannot be read."),
    Answer(401, Detail, "The name and the password do not belong together, or the account was deactivated."),
    _FOREIGN,
    owner=OwnerRule.PUBLIC,
    credentials=Credentials.PASSWORD,
    tag=_TAG,
    rate_rule=RateRule.ADDRESS,
    statuses={ApprovalPending: 400},
)
async def log_in(form: LoginForm, request: Request, services: ProjectServices, information: ServerInformation) -> JsonResponse:
    """Log in with a name and a password, sent as a form."""
    _refuse_foreign_origin(request, information)
    tokens = await services.accounts.log_in(form.username, form.password)
    await services.variables.import_environment(await services.accounts.authenticate_token(tokens.access_token))
    response = _signed_in(tokens, information)
    _set_cookie(response, information, STORE_COOKIE, "None", expires=None)
    return response


@endpoint(
    "GET",
    "/api/v1/auto_login",
    Answer(200, Token),
    Answer(403, Detail, "Automatic login is off, as it is unless a setting says otherwise."),
    owner=OwnerRule.PUBLIC,
    tag=_TAG,
)
async def log_in_automatically(services: ProjectServices, information: ServerInformation) -> JsonResponse:
    """Log in without a password, where the server allows it to everybody who reaches it."""
    if not information.auto_login:
        return JsonResponse({"detail": {"message": "Automatic login is off: log in with a name and a password.", "auto_login": False}}, 403)
    tokens = await services.accounts.log_in_automatically()
    await services.variables.import_environment(await services.accounts.authenticate_token(tokens.access_token))
    response = _signed_in(tokens, information, access_ends=False)
    _set_cookie(response, information, STORE_COOKIE, "", expires=None)
    return response


@endpoint(
    "POST",
    "/api/v1/refresh",
    Answer(200, Token),
    Answer(401, Detail, "No refresh cookie, or one that is not good any more."),
    _FOREIGN,
    owner=OwnerRule.CALLER,
    credentials=Credentials.REFRESH_COOKIE,
    tag=_TAG,
)
async def refresh(request: Request, services: ProjectServices, information: ServerInformation) -> JsonResponse:
    """New tokens for the refresh cookie; the old ones end."""
    _refuse_foreign_origin(request, information)
    token = request.cookies.get(REFRESH_COOKIE)
    if not token:
        raise InvalidToken("There is no refresh cookie: log in again.")
    return _signed_in(await services.accounts.refresh(token), information)


@endpoint(
    "POST",
    "/api/v1/logout",
    Answer(200, Said),
    _FOREIGN,
    owner=OwnerRule.CALLER,
    credentials=Credentials.OPTIONAL,
    tag=_TAG,
)
async def log_out(request: Request, services: ProjectServices, information: ServerInformation) -> JsonResponse:
    """End the login: its tokens are refused from now on, and the cookies go."""
    _refuse_foreign_origin(request, information)
    bearer = request.headers.get("authorization", "")
    tokens = [request.cookies.get(name, "") for name in (ACCESS_COOKIE, REFRESH_COOKIE)]
    if bearer[:7].lower() == "bearer ":
        tokens.append(bearer[7:].strip())
    for token in filter(None, tokens):
        await services.accounts.log_out(token)
    response = JsonResponse({"message": "Logout successful"})
    for name in (REFRESH_COOKIE, ACCESS_COOKIE, STORE_COOKIE):
        response.delete_cookie(name, httponly=True, samesite="lax", secure=information.cookie_secure)
    return response


@endpoint("GET", "/api/v1/session", Answer(200, SessionRead), owner=OwnerRule.CALLER, tag=_TAG)
async def read_session(caller: Caller | None, services: ProjectServices) -> dict[str, Any]:
    """Whether the presented credential is good, and whose it is."""
    user = None if caller is None else user_read(await services.accounts.get_user(caller))
    return {"authenticated": caller is not None, "user": user, "store_api_key": None}


ENDPOINTS = (log_in, log_out, refresh, read_session, log_in_automatically)
