"""One record a route, and everything that reads it: matching, credentials, parsing, answering, and the OpenAPI document.

A handler is an async function whose parameters say what it needs, by name: `caller`, `services`, `information`, `request`, `query`,
`body`, `form`, `openapi_text`, `listed_endpoints`, and the parameters of its path. The decorator turns it into the record; nothing else
describes the route.
Routes that speak over a WebSocket have their record in `websocket_routing.py`.
"""

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeAlias, get_args
from urllib.parse import parse_qsl
from uuid import UUID

from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.datastructures import URL
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from projects.access.caller import Caller
from projects.errors import CredentialsMissing, FieldProblem, HeadwaterError, InvalidApiKey, InvalidInput, InvalidToken
from projects.services import ProjectServices
from rest_adapter import errors, json_body
from rest_adapter.information import ListedEndpoint, ServerInformation
from rest_adapter.rate_limit import RateLimit

logger = logging.getLogger(__name__)

Handler: TypeAlias = Callable[..., Awaitable[Any]]
BodyReader: TypeAlias = Callable[[Request], Awaitable[Any]]
Authenticate: TypeAlias = Callable[[HTTPConnection], Awaitable[Caller]]

MAX_FORM_FIELDS = 20
MAX_FORM_FIELD_BYTES = 64 * 1024
_GIVEN = {"caller", "services", "information", "request", "query", "body", "form", "openapi_text", "listed_endpoints"}


class Credentials(StrEnum):
    """Which credentials a route accepts."""

    ANY = "any"  # API key in header, query or bearer; session token as bearer or cookie
    OPTIONAL = "optional"  # the same, but it also answers without
    REFRESH_COOKIE = "refresh_cookie"
    PASSWORD = "password"
    NONE = "none"


class OwnerRule(StrEnum):
    """Whose things a route touches."""

    OWNED = "owned"  # the caller's own; everybody else's answer exactly as missing ones
    CALLER = "caller"  # the caller itself: its account, keys and logins
    PUBLIC = "public"  # nobody's: facts about the server


class RateRule(StrEnum):
    """Whose tries are counted together. How many a minute says `logins_per_minute`."""

    ADDRESS = "address"
    STRANGER = "stranger"  # the address of whoever comes without a credential; known callers are not counted
    CALLER = "caller"


@dataclass(frozen=True, slots=True)
class Header:
    """A header that a route reads or answers with, beside those of all routes."""

    name: str
    description: str
    type: str = "string"


@dataclass(frozen=True, slots=True)
class Answer:
    """One status a route may answer with, and the shape of its body."""

    status: int
    model: Any = None  # a type pydantic can describe; None for an empty body or one described by `media_type` alone
    description: str = ""
    media_type: str = "application/json"
    stream_media_type: str | None = None  # when the caller may ask for the same piece by piece
    headers: tuple[Header, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """The one record of a route."""

    methods: tuple[str, ...]
    path: str
    handler: Handler
    owner: OwnerRule
    credentials: Credentials
    answers: tuple[Answer, ...]  # the first is the good one
    path_parameters: Mapping[str, Any]
    query: type[BaseModel] | None = None
    body: Any = None
    form: type[BaseModel] | None = None
    body_media_types: tuple[str, ...] = ()
    request_headers: tuple[Header, ...] = ()
    read_body: BodyReader | None = None  # instead of one JSON text: what gives the value that `body` is checked against
    statuses: Mapping[type[HeadwaterError], int] = field(default_factory=dict)
    tag: str = ""
    summary: str = ""
    description: str = ""
    rate_rule: RateRule | None = None
    is_deprecated: bool = False
    replaced_by: str = ""  # what to use instead of a deprecated one
    is_listed: bool = True  # in the OpenAPI document
    uses_services: bool = False  # so that it may find them busy

    @property
    def operation_id(self) -> str:
        return self.handler.__name__


def endpoint(
    methods: str,
    path: str,
    *answers: Answer,
    owner: OwnerRule = OwnerRule.OWNED,
    credentials: Credentials | None = None,
    tag: str = "",
    body_media_types: tuple[str, ...] = (),
    request_headers: tuple[Header, ...] = (),
    read_body: BodyReader | None = None,
    statuses: Mapping[type[HeadwaterError], int] | None = None,
    rate_rule: RateRule | None = None,
    replaced_by: str = "",
    is_listed: bool = True,
) -> Callable[[Handler], Endpoint]:
    """Make the record of a route from its handler. `methods` is one word or several, "PUT" or "GET POST".

    Credentials follow from the signature unless they are named: a handler with a `caller` needs one, `Caller | None` takes one.
    A route that something else replaces is deprecated.
    """

    def make(handler: Handler) -> Endpoint:
        hints = {name: parameter.annotation for name, parameter in inspect.signature(handler, eval_str=True).parameters.items()}
        hints.pop("return", None)
        in_path = {part[1:-1].split(":")[0] for part in path.split("/") if part.startswith("{")}
        if unknown := set(hints) - in_path - _GIVEN:
            raise TypeError(f"{handler.__name__} asks for what no request has: {', '.join(sorted(unknown))}")
        summary, _, description = (inspect.getdoc(handler) or "").partition("\n")
        accepted = credentials
        if accepted is None:
            wanted = hints.get("caller")
            accepted = Credentials.NONE if wanted is None else Credentials.OPTIONAL if type(None) in get_args(wanted) else Credentials.ANY
        media_types = body_media_types
        if not media_types and "body" in hints:
            media_types = ("application/json",)
        elif not media_types and "form" in hints:
            media_types = ("application/x-www-form-urlencoded",)
        return Endpoint(
            methods=tuple(methods.split()),
            path=path,
            handler=handler,
            owner=owner,
            credentials=accepted,
            answers=answers,
            path_parameters={name: hints.get(name, str) for name in in_path},
            query=hints.get("query"),
            body=hints.get("body"),
            form=hints.get("form"),
            body_media_types=media_types,
            request_headers=request_headers,
            uses_services="services" in hints,
            read_body=read_body,
            statuses=statuses or {},
            tag=tag,
            summary=summary.rstrip("."),
            description=description.strip(),
            rate_rule=rate_rule,
            is_deprecated=bool(replaced_by),
            replaced_by=replaced_by,
            is_listed=is_listed,
        )

    return make


def build_routes(
    endpoints: Sequence[Endpoint],
    *,
    services: ProjectServices,
    authenticate: Authenticate,
    information: ServerInformation,
    openapi_text: Callable[[], bytes],
    listed_endpoints: Callable[[], Sequence[ListedEndpoint]],
) -> list[BaseRoute]:
    """One Starlette route a path, in the order in which the paths first appear: its router looks at them one after the other.

    A collection redirects from its path without the slash. The router would do it too, but only where no path with an id matches before.
    """
    by_path: dict[str, list[Endpoint]] = {}
    for record in endpoints:
        by_path.setdefault(record.path, []).append(record)
    given = {"services": services, "information": information, "openapi_text": openapi_text, "listed_endpoints": listed_endpoints}
    routes: list[BaseRoute] = []
    for path, records in by_path.items():
        if path.endswith("/") and path[:-1] not in by_path:
            routes.append(Route(path[:-1], _SlashApp()))
        routes.append(
            Route(path, _PathApp({method: _Bound(record, authenticate, given) for record in records for method in record.methods}))
        )
    return routes


class _SlashApp:
    """Every method of a path without its last slash, before anybody is asked for a credential."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        url = URL(scope=scope)
        # Without scheme and host: those that are seen here may not be the ones that the client knows.
        await RedirectResponse(f"{url.path}/?{url.query}".removesuffix("?"), 307)(scope, receive, send)


class _PathApp:
    """All methods of one path. A method it does not have is answered here, so that `Allow` names them all."""

    def __init__(self, bound: Mapping[str, "_Bound"]) -> None:
        self._bound = dict(bound)
        if "GET" in self._bound:
            self._bound.setdefault("HEAD", self._bound["GET"])
        self._allow = ", ".join(sorted(self._bound))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        bound = self._bound.get(scope["method"])
        if bound is None:
            response: Response = errors.JsonResponse({"detail": "Method Not Allowed"}, 405, {"Allow": self._allow})
        else:
            response = await bound.answer(Request(scope, receive, send))
        await response(scope, receive, send)


class _Bound:
    """One record with what it needs to answer: credentials first, then path, query and body, then the handler."""

    def __init__(self, record: Endpoint, authenticate: Authenticate, given: Mapping[str, Any]) -> None:
        self._record = record
        self._handler = record.handler
        self._authenticate = authenticate
        self._status = record.answers[0].status
        names = inspect.signature(record.handler).parameters
        self._fixed = {name: value for name, value in given.items() if name in names}
        self._wants_request = "request" in names
        self._wants_caller = "caller" in names
        self._path_kinds = {name: kind for name, kind in record.path_parameters.items() if name in names}
        self._limit = RateLimit(given["information"].logins_per_minute) if record.rate_rule is not None else None
        self._read_body = record.read_body or read_json_body

    @cached_property
    def _path(self) -> dict[str, TypeAdapter[Any]]:
        return {name: TypeAdapter(kind) for name, kind in self._path_kinds.items()}

    @cached_property
    def _body(self) -> TypeAdapter[Any] | None:
        return None if self._record.body is None else TypeAdapter(self._record.body)

    async def answer(self, request: Request) -> Response:
        """The boundary of one request: whatever happens becomes an answer."""
        try:
            return await self._answer(request)
        except HeadwaterError as error:
            return errors.to_response(error, self._record.statuses)
        except HTTPException as error:  # Starlette's own: a form that cannot be read
            return await errors.answer_http_exception(request, error)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is left to read it
        except Exception:
            # A boundary: a mistake of ours costs one request, tells nothing of the inside, and is in the log.
            logger.exception("%s %s failed", request.method, self._record.path)
            return errors.JsonResponse({"detail": "The server failed to answer this request; its log has the reason."}, 500)

    async def _answer(self, request: Request) -> Response:
        record = self._record
        arguments = self._fixed.copy()
        address = request.client.host if request.client else ""
        if self._limit is not None and record.rate_rule is RateRule.ADDRESS:
            self._limit.count(address)
        if self._wants_caller:
            caller = arguments["caller"] = await self._caller(request)
            if self._limit is not None and caller is not None and record.rate_rule is RateRule.CALLER:
                self._limit.count(caller.user_id)
            elif self._limit is not None and caller is None and record.rate_rule is RateRule.STRANGER:
                self._limit.count(address)
        if self._wants_request:
            arguments["request"] = request
        part = "path"
        try:
            for name, adapter in self._path.items():
                value = adapter.validate_python(plain_text(request.path_params[name], part, name))
                arguments[name] = str(value) if isinstance(value, UUID) else value
            if record.query is not None:
                part = "query"
                given = {name: plain_text(value, part, name) for name, value in request.query_params.items()}
                arguments["query"] = record.query.model_validate(given)
            if self._body is not None:
                part = "body"
                arguments["body"] = self._body.validate_python(await self._read_body(request))
            elif record.form is not None:
                part = "body"
                arguments["form"] = record.form.model_validate(await _read_form(request))
        except ValidationError as error:
            entries = errors.validation_entries(error, part)
            if part == "path":
                entries = [{**entry, "loc": [part, name, *entry["loc"][1:]]} for entry in entries]
            return errors.JsonResponse({"detail": entries}, 422)
        result = await self._handler(**arguments)
        if isinstance(result, Response):
            return result
        if self._status == 204:
            return Response(status_code=204)
        return errors.JsonResponse(result, self._status)

    async def _caller(self, request: Request) -> Caller | None:
        if self._record.credentials is not Credentials.OPTIONAL:
            return await self._authenticate(request)
        try:
            return await self._authenticate(request)
        except (CredentialsMissing, InvalidApiKey, InvalidToken):
            return None


def plain_text(value: str, part: str, name: str) -> str:
    """The value of one parameter. Raises InvalidInput for one that no database can look up."""
    if "\x00" in value:
        message = "A NUL character cannot be looked up; leave it out."
        raise InvalidInput(message, problems=[FieldProblem((part, name), message, "string_nul")])
    return value


async def read_json_body(request: Request) -> Any:
    """The JSON body, whatever content type it came under: with or without a charset, or with none at all."""
    raw = await request.body()
    if not raw:
        raise InvalidInput("Send a JSON body.", problems=[FieldProblem(("body",), "Field required", "missing")])
    return json_body.read_json(raw)


async def _read_form(request: Request) -> dict[str, str]:
    """An urlencoded form, or a multipart one without files. Anything else has no fields, so the answer names the missing ones."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        async with request.form(max_files=0, max_fields=MAX_FORM_FIELDS, max_part_size=MAX_FORM_FIELD_BYTES) as form:
            return {name: value for name, value in form.items() if isinstance(value, str)}
    if media_type != "application/x-www-form-urlencoded":
        return {}
    try:
        text = (await request.body()).decode()
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS))
    except ValueError as error:
        raise InvalidInput(f"The form cannot be read: {error}.") from None
