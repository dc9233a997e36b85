"""One way in for every route and both faces: a credential becomes a `Caller`, or an error of the domain.

Accepted, in this order: `Authorization: Bearer` (an API key or a session token), `x-api-key` in the query, `x-api-key` as a header,
the session cookie. The first one presented decides: a good key does not rescue a bad token. An address that presented many bad keys is
told to wait; credentials that were good before are let through meanwhile, for behind a proxy all share one address.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode

from starlette.requests import HTTPConnection, cookie_parser
from starlette.types import Scope

from mcp_server.authority import is_loopback, parse_authority, parse_origin
from projects.access.caller import Caller
from projects.access.rate_counter import RateCounter, address_key
from projects.errors import CredentialsMissing, InvalidApiKey, InvalidToken, NotPermitted
from projects.services import ProjectServices

ACCESS_COOKIE = "access_token_lf"
API_KEY_NAME = "x-api-key"
API_KEY_PREFIX = "sk-"
BAD_KEYS_PER_MINUTE = 20
_GOOD_KEYS_KEPT = 10_000


class BadKeys:
    """Counts keys and projects' tokens that were not good, by address. Guessing one is hopeless anyway; this keeps the attempts cheap
    and visible, and an issuer from being asked without end."""

    def __init__(self, per_minute: int = BAD_KEYS_PER_MINUTE) -> None:
        self._counter = RateCounter(per_minute)
        self._good: OrderedDict[bytes, None] = OrderedDict()  # by digest, so that no key stays in memory

    async def check(self, scope: Scope, key: str, authenticate_key: Callable[[str], Awaitable[Caller]]) -> Caller:
        """Raises InvalidApiKey or InvalidToken as `authenticate_key` does, or TooManyRequests without having asked it."""
        digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        address = peer(scope)
        if digest not in self._good:
            self._counter.require(address, "Too many bad API keys or tokens came from this address; wait a minute.")
        try:
            caller = await authenticate_key(key)
        except (InvalidApiKey, InvalidToken):
            self._good.pop(digest, None)
            self._counter.count(address)
            raise
        if digest not in self._good:
            self._good[digest] = None
            if len(self._good) > _GOOD_KEYS_KEPT:
                self._good.popitem(last=False)
        return caller


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """What this process allows. The defaults allow nothing that was not proved."""

    anonymous_access: bool = False  # requests without a credential act as the first superuser; settings refuse it off loopback
    trusted_origins: frozenset[str] = field(default_factory=frozenset)  # "https://app.example", beside the server's own
    bad_keys: BadKeys = field(default_factory=BadKeys)
    trust_loopback_origins: bool = False  # pages on this machine may speak MCP; true only while the server is bound to loopback


async def authenticate(request: HTTPConnection, services: ProjectServices, policy: AccessPolicy) -> Caller:
    """Who calls. Raises CredentialsMissing, InvalidApiKey, InvalidToken, TooManyRequests, or NotPermitted for another site's use of a
    browser's cookie."""
    scope = request.scope
    authorization = header_key = cookie = ""
    is_said_twice = False
    for name, raw in scope["headers"]:
        if name == b"authorization":
            is_said_twice = is_said_twice or bool(authorization)
            authorization = raw.decode("latin-1")
        elif name == b"x-api-key":
            is_said_twice = is_said_twice or bool(header_key)
            header_key = raw.decode("latin-1").strip()
        elif name == b"cookie":
            cookie = raw.decode("latin-1")
    if is_said_twice:  # whoever stands before us may have checked the other one
        raise InvalidToken("One credential came in two headers of the same name; send it once.")
    if authorization:
        scheme, _, value = authorization.strip().partition(" ")
        if scheme.lower() == "bearer" and (value := value.strip()):
            if value.startswith(API_KEY_PREFIX):
                return await policy.bad_keys.check(scope, value, services.api_keys.authenticate_key)
            return await services.accounts.authenticate_token(value)
    if scope["query_string"] and (query_key := _query_key(scope["query_string"])):
        return await policy.bad_keys.check(scope, query_key, services.api_keys.authenticate_key)
    if header_key:
        return await policy.bad_keys.check(scope, header_key, services.api_keys.authenticate_key)
    # From here on the browser, not the person, may have presented the credential: only our own pages may use it.
    if cookie and (token := cookie_parser(cookie).get(ACCESS_COOKIE)):
        refuse_other_sites(scope, policy)
        return await services.accounts.authenticate_token(token)
    if policy.anonymous_access:
        refuse_other_sites(scope, policy)
        return await services.accounts.automatic_caller()
    raise CredentialsMissing()


async def authenticate_socket(connection: HTTPConnection, services: ProjectServices, policy: AccessPolicy) -> Caller:
    """Who opens a WebSocket: by the rule for requests, with the names beside that clients of voice have for their credentials.

    Browsers send the headers of a handshake themselves and let their pages set none, so a key or a session token (`token`) may stand in
    the query, and no page of another origin may open a socket, whatever it presents. Raises what `authenticate` raises.
    """
    scope = connection.scope
    refuse_foreign_origin(scope, policy)
    headers = [(API_KEY_NAME.encode() if name in (b"api_key", b"api-key") else name, value) for name, value in scope["headers"]]
    query = [(API_KEY_NAME if name == "api_key" else name, value) for name, value in _pairs(scope["query_string"])]
    token = next((value.strip() for name, value in query if name == "token" and value.strip()), "")
    if token and not any(name == b"authorization" for name, _ in headers):
        headers.append((b"authorization", b"Bearer " + token.encode("latin-1", "replace")))
    text = urlencode(query, encoding="latin-1", errors="replace")
    return await authenticate(HTTPConnection({**scope, "headers": headers, "query_string": text.encode()}), services, policy)


def refuse_other_sites(scope: Scope, policy: AccessPolicy) -> None:
    """Raise NotPermitted when a page of another origin made the browser send this request."""
    if (origin := _header(scope, b"origin")) is not None:
        if not is_own_origin(scope, origin, policy):
            raise NotPermitted("This origin may not use the browser's session: send an API key, or add it to the trusted origins.")
    elif scope.get("method", "GET") not in ("GET", "HEAD", "OPTIONS") and _header(scope, b"sec-fetch-site") in ("cross-site", "same-site"):
        raise NotPermitted("A page of another site may not change things with the browser's session.")


def refuse_foreign_origin(scope: Scope, policy: AccessPolicy) -> None:
    """Raise NotPermitted when a page that this server does not know speaks MCP or opens a WebSocket, whatever credential it holds."""
    if (origin := _header(scope, b"origin")) is None or is_own_origin(scope, origin, policy):
        return
    if policy.trust_loopback_origins and (parsed := parse_origin(origin)) is not None and is_loopback(parsed.host):
        return
    raise NotPermitted("This origin may not use the server: add it to the trusted origins.")


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


def bearer_of(scope: Scope) -> str:
    """The bearer token of the request; empty when there is none."""
    scheme, _, value = (_header(scope, b"authorization") or "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""


def presents_credential(scope: Scope) -> bool:
    """Whether the request holds anything that means to prove who calls, of whatever sort."""
    if any(name in (b"authorization", b"x-api-key") and value.strip() for name, value in scope["headers"]):
        return True
    return has_query_key(scope)


def has_query_key(scope: Scope) -> bool:
    return bool(scope["query_string"]) and bool(_query_key(scope["query_string"]))


def peer(scope: Scope) -> str:
    """The address whose tries are counted together."""
    client = scope.get("client")
    return address_key(client[0]) if client else ""


def _query_key(query: bytes) -> str:
    for name, value in _pairs(query):
        if name == API_KEY_NAME and value.strip():
            return value.strip()
    return ""


def _pairs(query: bytes) -> list[tuple[str, str]]:
    return parse_qsl(query.decode("latin-1"), keep_blank_values=True)


def _header(scope: Scope, wanted: bytes) -> str | None:
    for name, value in scope["headers"]:
        if name == wanted:
            text: str = value.decode("latin-1").strip()
            return text
    return None
