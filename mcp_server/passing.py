"""What is passed on between servers: which thing a request is about, and how it looked when its client sent it.

Above: `relay.py`, which knows the servers. Below: ASGI scopes and headers.
"""

import json
import re
from collections.abc import Mapping
from urllib.parse import parse_qs

from starlette.types import Scope

from mcp_server.authority import is_loopback
from mcp_server.middleware import HOST_IS_CHECKED_KEY

ORIGIN_HEADER = b"x-headwater-relay-origin"
_BUILD = re.compile(r"^/api/v1/build(?:_public_tmp)?/([0-9a-fA-F-]{32,36})/(?:events|cancel)/?$")

Thing = tuple[str, str]
"""What a request is about: session, sse or build, and its id."""


def thing_of(scope: Scope, headers: Mapping[bytes, bytes]) -> Thing | None:
    path: str = scope["path"]
    if "/api/v1/mcp" in path:
        if (session := headers.get(b"mcp-session-id")) is not None:
            return "session", session.decode("latin-1")
        if scope["method"] == "POST" and b"session_id=" in scope["query_string"]:
            found = parse_qs(scope["query_string"].decode("latin-1")).get("session_id", [])
            return ("sse", found[0]) if found else None
        return None
    start = path.find("/api/v1/build")
    built = _BUILD.match(path[start:]) if start >= 0 else None
    return ("build", built.group(1)) if built is not None else None


def target_of(scope: Scope) -> bytes:
    """Path and query as they came and as they are sent on."""
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return raw_path.partition(b"?")[0] + (b"?" + query if query else b"")


def origin_of(scope: Scope) -> bytes:
    """Whose request it is that is passed on, and what the client called this server."""
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"host"]
    return json.dumps(
        {
            "client": scope.get("client"),
            "scheme": scope.get("scheme", "http"),
            "hosts": hosts,
            "is_checked": bool(scope.get(HOST_IS_CHECKED_KEY)),
        }
    ).encode()


def as_it_came(scope: Scope, headers: Mapping[bytes, bytes], *, is_from_peer: bool) -> Scope:
    """The request as it was before it was passed on. A peer has checked the Host; a worker says whether it came from one that had."""
    origin = json.loads(headers.get(ORIGIN_HEADER, b"{}"))
    client = origin.get("client")
    if is_from_peer and client and is_loopback(client[0]):
        client = None  # whoever is at the peer's machine is not at this one
    found: Scope = {
        **scope,
        "client": tuple(client) if client else scope.get("client"),
        "scheme": origin.get("scheme", scope.get("scheme", "http")),
        HOST_IS_CHECKED_KEY: is_from_peer or bool(origin.get("is_checked")),
    }
    if is_from_peer:
        rest = [(name, value) for name, value in scope["headers"] if name.lower() != b"host"]
        found["headers"] = [*((b"host", each.encode("latin-1")) for each in origin.get("hosts", [])), *rest]
    return found
