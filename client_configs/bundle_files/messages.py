"""What the bridge has to know of JSON-RPC messages: which revision they follow, which headers that asks for, and how an error looks.

Revisions before 2026-07-28 have a session, opened by `initialize`. Since then each request says its revision itself, and headers repeat
what it calls.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
SERVER_ERROR = -32000

REVISION_KEY = "io.modelcontextprotocol/protocolVersion"
NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
PLAIN_HEADER = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")

# What may be sent a second time when nobody knows whether the first one arrived: it only reads.
REPEATABLE = frozenset(
    (
        *("initialize", "ping", "server/discover", "subscriptions/listen", "logging/setLevel", "completion/complete"),
        *("tools/list", "prompts/list", "prompts/get", "resources/list", "resources/templates/list", "resources/read", "tasks/get"),
    )
)


def revision_of(message: dict[str, Any]) -> str | None:
    """The revision a request names itself; None for those that belong to a session."""
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    revision = meta.get(REVISION_KEY) if isinstance(meta, dict) else None
    return revision if isinstance(revision, str) else None


def routing_headers(message: dict[str, Any]) -> dict[str, str]:
    """The headers that a request without a session has beside its body."""
    revision, method, params = revision_of(message), str(message.get("method", "")), message.get("params")
    if revision is None:
        return {}
    headers = {"MCP-Protocol-Version": header_text(revision), "Mcp-Method": header_text(method)}
    named_by = "taskId" if method.startswith("tasks/") else NAMED_BY.get(method)
    name = params.get(named_by) if named_by is not None and isinstance(params, dict) else None
    if isinstance(name, str):
        headers["Mcp-Name"] = header_text(name)
    return headers


def header_text(value: str) -> str:
    """The value where a header can hold it, else its base64 with the marks that say so."""
    if PLAIN_HEADER.fullmatch(value) and not value.startswith("=?"):
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def error_answer(identifier: Any, code: int, text: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identifier, "error": {"code": code, "message": text}}


def encoded(message: Any) -> bytes:
    """One line: JSON of this form has no line breaks, and no character that another encoding would change."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"
