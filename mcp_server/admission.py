"""Who may use one project's MCP server: its owner with any credential, and by the project's own setting guests or holders of tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from starlette.datastructures import QueryParams
from starlette.requests import HTTPConnection
from starlette.types import Scope

from mcp_server.authentication import AccessPolicy, authenticate, bearer_of, has_query_key, peer, presents_credential
from mcp_server.oauth import ResourceServer
from projects.access.caller import Caller
from projects.access.project_access import AuthType, ProjectAccess, auth_type_of
from projects.access.rate_counter import RateCounter
from projects.errors import CredentialsMissing, InvalidApiKey, InvalidToken, NotFound
from projects.lifecycle import Project
from projects.services import ProjectServices

MODERN_REVISIONS = frozenset(("2026-07-28",))
"""The protocol's revisions without sessions: the SDK's list, which is not loaded yet when the first requests are let in."""


@dataclass(frozen=True, slots=True)
class GuestLimits:
    """Requests a minute that are answered without a credential."""

    by_address: int = 60
    by_project: int = 600


class Admission:
    """Asked once for each HTTP request on a project's addresses, before a message is read."""

    def __init__(
        self, policy: AccessPolicy, oauth: ResourceServer, limits: GuestLimits | None = None, *, clock: Callable[[], float] = monotonic
    ) -> None:
        self._policy = policy
        self._oauth = oauth
        limits = limits or GuestLimits()
        self._by_address = RateCounter(limits.by_address, clock=clock)
        self._by_project = RateCounter(limits.by_project, clock=clock)

    async def admit(self, scope: Scope, services: ProjectServices, project_id: str) -> tuple[Caller, Project]:
        """The caller and the project. Raises what `authenticate` raises, OAuthChallenge, TooManyRequests, NotFound."""
        caller = await self._caller(scope, services, project_id)
        try:
            project = (await services.tools.tool_map(caller, project_id)).project
        except NotFound:
            # Somebody else's project: open to anybody, it is open to a known user too, who is a guest there like the others.
            access = await services.project_access.find(project_id)
            if caller.is_confined or access is None or access.auth_type is not AuthType.NONE:
                raise
            caller = self._guest(scope, access)
            project = (await services.tools.tool_map(caller, project_id)).project
        if project is None:
            raise NotFound("project", project_id)
        if auth_type_of(project.auth_settings) is AuthType.OAUTH and has_query_key(scope):
            access = await services.project_access.find(project_id)
            if access is not None:
                message = "This project takes no key in an address, where it is written down on the way: send it as a header."
                raise self._oauth.challenge(scope, access, error="invalid_token", message=message)
        return caller, project

    async def _caller(self, scope: Scope, services: ProjectServices, project_id: str) -> Caller:
        try:
            return await authenticate(HTTPConnection(scope), services, self._policy)
        except (CredentialsMissing, InvalidApiKey, InvalidToken) as error:
            access = await services.project_access.find(project_id)
            if access is None or access.auth_type is AuthType.API_KEY:
                raise
            if access.auth_type is AuthType.OAUTH:
                return await self._token_holder(scope, access, error)
            if isinstance(error, CredentialsMissing):
                if presents_credential(scope):
                    raise InvalidToken("The Authorization header is no bearer token; leave it out to come as a guest.") from None
                return self._guest(scope, access)
            raise

    def _guest(self, scope: Scope, access: ProjectAccess) -> Caller:
        message = "Too many requests without a credential; wait, or use an API key."
        address = peer(scope)
        self._by_address.require(address, message)
        self._by_project.require(access.project_id, message)
        self._by_address.count(address)
        self._by_project.count(access.project_id)
        return access.guest(_conversation(scope))

    async def _token_holder(self, scope: Scope, access: ProjectAccess, error: CredentialsMissing | InvalidApiKey | InvalidToken) -> Caller:
        headers = [value for name, value in scope["headers"] if name == b"authorization"]
        if isinstance(error, InvalidToken) and len(headers) == 1 and (token := bearer_of(scope)):

            async def holder_of(given: str) -> Caller:
                return await self._oauth.caller_of(given, access, scope)

            try:
                return await self._policy.bad_keys.check(scope, token, holder_of)
            except InvalidToken as bad:
                raise self._oauth.challenge(scope, access, error="invalid_token", message=bad.message) from None
        is_missing = isinstance(error, CredentialsMissing)
        raise self._oauth.challenge(scope, access, error="" if is_missing else "invalid_token", message=error.message)


def _conversation(scope: Scope) -> str:
    """The MCP session that a request belongs to, whose id only who opened it knows; empty where the protocol has none."""
    headers = {name: value for name, value in scope["headers"] if name in (b"mcp-session-id", b"mcp-protocol-version")}
    if headers.get(b"mcp-protocol-version", b"").decode("latin-1").strip() in MODERN_REVISIONS:
        return ""
    session: str = headers.get(b"mcp-session-id", b"").decode("latin-1").strip()
    if session:
        return session
    return QueryParams(scope["query_string"]).get("session_id") or ""
