"""One way in for every route and both faces: a credential becomes a `Caller`, or an error of the domain.

Accepted, in this order: `Authorization: Bearer` (an API key or a session token), `x-api-key` in the query, `x-api-key` as a header,
the session cookie. The first one presented decides: a good key does not rescue a bad token.
"""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from starlette.requests import HTTPConnection, cookie_parser
from starlette.types import Scope

from mcp_server.authority import is_loopback, parse_authority, parse_origin
from projects.access.caller import Caller
from projects.errors import CredentialsMissing, NotPermitted
from projects.services import ProjectServices

ACCESS_COOKIE = "access_token_lf"
API_KEY_NAME = "x-api-key"
API_KEY_PREFIX = "sk-"


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """What this process allows. The defaults allow nothing that was not proved."""

    anonymous_access: bool = False  # requests without a credential act as the first superuser; settings refuse it off loopback
    trusted_origins: frozenset[str] = field(default_factory=frozenset)  # "https://app.example", beside the server's own
    trust_loopback_origins: bool = False  # pages on this machine may speak MCP; true only while the server is bound to loopback


async def authenticate(request: HTTPConnection, services: ProjectServices, policy: AccessPolicy) -> Caller:
    """Who calls. Raises CredentialsMissing, InvalidApiKey, InvalidToken, or NotPermitted for another site's use of a browser's cookie."""
    scope = request.scope
    authorization = header_key = cookie = ""
    for name, raw in scope["headers"]:
        if name == b"authorization":
            authorization = raw.decode("latin-1")
        elif name == b"x-api-key":
            header_key = raw.decode("latin-1").strip()
        elif name == b"cookie":
            cookie = raw.decode("latin-1")
    if authorization:
        scheme, _, value = authorization.strip().partition(" ")
        if scheme.lower() == "bearer" and (value := value.strip()):
            if value.startswith(API_KEY_PREFIX):
                return await services.api_keys.authenticate_key(value)
            return await services.accounts.authenticate_token(value)
    if scope["query_string"] and (query_key := _query_key(scope["query_string"])):
        return await services.api_keys.authenticate_key(query_key)
    if header_key:
        return await services.api_keys.authenticate_key(header_key)
    # From here on the browser, not the person, may have presented the credential: only our own pages may use it.
    if cookie and (token := cookie_parser(cookie).get(ACCESS_COOKIE)):
        refuse_other_sites(scope, policy)
        return await services.accounts.authenticate_token(token)
    if policy.anonymous_access:
        refuse_other_sites(scope, policy)
        return await services.accounts.automatic_caller()
    raise CredentialsMissing()


def refuse_other_sites(scope: Scope, policy: AccessPolicy) -> None:
    """Raise NotPermitted when a page of another origin made the browser send this request."""
    if (origin := _header(scope, b"origin")) is not None:
        if not is_own_origin(scope, origin, policy):
            raise NotPermitted("This origin may not use the browser's session: send an API key, or add it to the trusted origins.")
    elif scope.get("method", "GET") not in ("GET", "HEAD", "OPTIONS") and _header(scope, b"sec-fetch-site") in ("cross-site", "same-site"):
        raise NotPermitted("A page of another site may not change things with the browser's session.")


def refuse_foreign_origin(scope: Scope, policy: AccessPolicy) -> None:
    """Raise NotPermitted when a browser page that this server does not know speaks MCP to it, whatever credential it holds."""
    if (origin := _header(scope, b"origin")) is None or is_own_origin(scope, origin, policy):
        return
    if policy.trust_loopback_origins and (parsed := parse_origin(origin)) is not None and is_loopback(parsed.host):
        return
    raise NotPermitted("This origin may not use the MCP server: add it to the trusted origins.")


def is_own_origin(scope: Scope, origin: str, policy: AccessPolicy) -> bool:
    """Whether a page of `origin` came from this server or is trusted by name.

    Behind a TLS proxy we see http while the page is https: that way round is the same place, the other is not.
    """
    if origin in policy.trusted_origins:
        return True
    page, host = parse_origin(origin), _header(scope, b"host")
    if page is None or host is None or (server := parse_authority(host)) is None:
        return False
    if page.scheme == "http" and scope.get("scheme") in ("https", "wss"):
        return False
    default_port = 443 if page.scheme == "https" else 80
    return page.host == server.host and (page.port or default_port) == (server.port or default_port)


def _query_key(query: bytes) -> str:
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name == API_KEY_NAME and value.strip():
            return value.strip()
    return ""


def _header(scope: Scope, wanted: bytes) -> str | None:
    for name, value in scope["headers"]:
        if name == wanted:
            text: str = value.decode("latin-1").strip()
            return text
    return None
