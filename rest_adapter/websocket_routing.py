"""The record of a route that speaks over a WebSocket: no body, and no status once it is open.

A refusal comes before anything is accepted and is an HTTP answer like every other. What is said afterwards is the handler's.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from projects.errors import HeadwaterError
from projects.services import ProjectServices
from rest_adapter import errors
from rest_adapter.information import ServerInformation
from rest_adapter.routing import Authenticate, Credentials, Handler, OwnerRule, plain_text


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketEndpoint:
    """The one record of a route that is a conversation. OpenAPI has no words for these; the list of endpoints has."""

    path: str
    handler: Handler
    owner: OwnerRule
    credentials: Credentials
    path_parameters: Mapping[str, Any]
    tag: str = ""
    summary: str = ""
    description: str = ""


def websocket_endpoint(path: str, *, owner: OwnerRule = OwnerRule.OWNED, tag: str = "") -> Callable[[Handler], WebSocketEndpoint]:
    """Make the record of a WebSocket route from its handler, which takes `websocket`, not yet accepted, and what else it names:
    `caller`, `services`, `information` and the parameters of its path."""

    def make(handler: Handler) -> WebSocketEndpoint:
        hints = {name: parameter.annotation for name, parameter in inspect.signature(handler, eval_str=True).parameters.items()}
        in_path = {part[1:-1].split(":")[0] for part in path.split("/") if part.startswith("{")}
        if unknown := set(hints) - in_path - {"websocket", "caller", "services", "information"}:
            raise TypeError(f"{handler.__name__} asks for what no connection has: {', '.join(sorted(unknown))}")
        summary, _, description = (inspect.getdoc(handler) or "").partition("\n")
        return WebSocketEndpoint(
            path=path,
            handler=handler,
            owner=owner,
            credentials=Credentials.ANY if "caller" in hints else Credentials.NONE,
            path_parameters={name: hints.get(name, str) for name in in_path},
            tag=tag,
            summary=summary.rstrip("."),
            description=description.strip(),
        )

    return make


def build_websocket_routes(
    endpoints: Sequence[WebSocketEndpoint], *, services: ProjectServices, authenticate: Authenticate, information: ServerInformation
) -> list[BaseRoute]:
    given = {"services": services, "information": information}
    return [WebSocketRoute(record.path, _Conversation(record, authenticate, given)) for record in endpoints]


class _Conversation:
    """One WebSocket record with what it needs. Credentials and path are checked before anything is accepted, so that a refusal is an
    HTTP answer like every other."""

    def __init__(self, record: WebSocketEndpoint, authenticate: Authenticate, given: Mapping[str, Any]) -> None:
        self._record = record
        self._authenticate = authenticate
        names = inspect.signature(record.handler).parameters
        self._fixed = {name: value for name, value in given.items() if name in names}
        self._wants_caller = "caller" in names
        self._path_kinds = {name: kind for name, kind in record.path_parameters.items() if name in names}

    @cached_property
    def _path(self) -> dict[str, TypeAdapter[Any]]:
        return {name: TypeAdapter(kind) for name, kind in self._path_kinds.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        arguments = {**self._fixed, "websocket": websocket}
        try:
            if self._wants_caller:
                arguments["caller"] = await self._authenticate(websocket)
            for name, adapter in self._path.items():
                value = adapter.validate_python(plain_text(websocket.path_params[name], "path", name))
                arguments[name] = str(value) if isinstance(value, UUID) else value
        except HeadwaterError as error:
            await refuse(websocket, errors.to_response(error, {}))
            return
        except ValidationError as error:
            entries = [{**entry, "loc": ["path", name]} for entry in errors.validation_entries(error, "path")]
            await refuse(websocket, errors.JsonResponse({"detail": entries}, 422))
            return
        await self._record.handler(**arguments)


async def refuse(websocket: WebSocket, response: Response) -> None:
    """Answer a connection that was not accepted; servers that cannot send an answer then close it with 403."""
    if "websocket.http.response" in websocket.scope.get("extensions", {}):
        await websocket.send_denial_response(response)
    else:
        await websocket.close(1008)
