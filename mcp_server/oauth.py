"""The resource server's side of OAuth 2.1, for projects in that mode: where their metadata is, what a refusal says, whose a token is.

Answers exist for such projects alone: some clients leave out a configured key as soon as a server offers OAuth discovery.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Scope

from mcp_server.authentication import AccessPolicy, refuse_foreign_origin
from mcp_server.issuers import Issuers
from mcp_server.refusals import OAuthChallenge, http_response
from projects.access.caller import Caller
from projects.access.project_access import AuthType, ProjectAccess
from projects.errors import HeadwaterError
from projects.kept_text import find_uuid
from projects.services import ProjectServices

WELL_KNOWN = "/.well-known/oauth-protected-resource"
TRANSPORTS = ("streamable", "sse")


class ResourceServer:
    """`base_url` is the address that tokens are made out to. None: the one that a client used, which is safe on this machine only."""

    def __init__(self, base_url: str | None, issuers: Issuers, policy: AccessPolicy) -> None:
        self._base_url = base_url.rstrip("/") if base_url is not None else None
        self._issuers = issuers
        self._policy = policy

    def routes(self) -> list[BaseRoute]:
        """Where a public address has a path of its own, also with that path: a proxy may leave it on."""
        prefixes = dict.fromkeys(("", urlsplit(self._base_url or "").path))
        return [
            Route(f"{WELL_KNOWN}{prefix}/api/v1/mcp/project/{{project_id}}/{transport}", self._metadata, methods=["GET"])
            for prefix in prefixes
            for transport in TRANSPORTS
        ]

    async def caller_of(self, token: str, access: ProjectAccess, scope: Scope) -> Caller:
        """Whose token this is, for this project. Raises InvalidToken for a bad one, OAuthChallenge (403) for one that may too little."""
        claims = await self._issuers.check(token, access, [self._address(scope, access, each) for each in TRANSPORTS])
        if not claims.scopes.issuperset(access.scopes):
            raise self.challenge(
                scope,
                access,
                error="insufficient_scope",
                message=f"The token lacks a scope: needed are {' '.join(access.scopes)}.",
                status=403,
            )
        return access.token_holder(claims.subject)

    def challenge(self, scope: Scope, access: ProjectAccess, *, error: str = "", message: str, status: int = 401) -> OAuthChallenge:
        """The refusal that tells a client where to get a token."""
        transport = "sse" if not scope["path"].rstrip("/").endswith("/streamable") else "streamable"
        address = urlsplit(self._address(scope, access, transport))
        parts = [f'error="{error}"'] if error else []
        parts.append(f'resource_metadata="{address.scheme}://{address.netloc}{WELL_KNOWN}{address.path}"')
        parts.append(f'scope="{" ".join(access.scopes)}"')
        return OAuthChallenge(message, status=status, challenge=f"Bearer {', '.join(parts)}")

    async def _metadata(self, request: Request) -> Response:
        try:
            refuse_foreign_origin(request.scope, self._policy)
        except HeadwaterError as error:
            return http_response(error)
        services: ProjectServices = request.app.state.services
        project_id = find_uuid(request.path_params["project_id"])
        access = await services.project_access.find(project_id) if project_id is not None else None
        if access is None or access.auth_type is not AuthType.OAUTH:
            return JSONResponse({"detail": "Not Found"}, 404)
        transport = request.url.path.rpartition("/")[2]
        return JSONResponse(
            {
                "resource": self._address(request.scope, access, transport),
                "authorization_servers": [access.issuer],
                "scopes_supported": list(access.scopes),
                "bearer_methods_supported": ["header"],
            },
            headers={"Cache-Control": "no-store"},
        )

    def _address(self, scope: Scope, access: ProjectAccess, transport: str) -> str:
        base = self._base_url
        if base is None:
            host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "127.0.0.1")
            base = f"{scope.get('scheme', 'http')}://{host.strip().lower()}"
        return f"{base}/api/v1/mcp/project/{access.project_id}/{transport}"
