"""What a JSON-RPC message asks of whoever carries it: its revision, its headers, and whether it may be sent twice."""

import base64
import json
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

Message = dict[str, Any]

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
SUBSCRIPTION_KEY = "io.modelcontextprotocol/subscriptionId"
LISTEN = "subscriptions/listen"
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
CANCELLED = "notifications/cancelled"
INITIALIZE = "initialize"
INITIALIZED = "notifications/initialized"

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
BRIDGE_ERROR = -32000

# Where the name stands that the header Mcp-Name repeats.
NAMED_BY: Mapping[str, str] = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}

# What only reads, or says the same when it is said again. Everything else, tools/call before all, is sent once.
REPEATABLE = frozenset(
    (
        INITIALIZE,
        *("ping", "server/discover", "logging/setLevel", LISTEN),
        *("tools/list", "prompts/list", "prompts/get", "completion/complete"),
        *("resources/list", "resources/templates/list", "resources/read", "resources/subscribe", "resources/unsubscribe"),
        *("tasks/get", "tasks/cancel"),
    )
)

# By the capability that announces it, the notification that its list may be another now.
LIST_CHANGES: Mapping[str, str] = {
    "tools": "notifications/tools/list_changed",
    "prompts": "notifications/prompts/list_changed",
    "resources": "notifications/resources/list_changed",
}
FOLLOWED: Mapping[str, str] = {f"{name}ListChanged": method for name, method in LIST_CHANGES.items()}
"""The same by the words in which subscriptions/listen asks for it."""


class Kind(Enum):
    REQUEST = auto()
    NOTIFICATION = auto()
    RESPONSE = auto()


class NotAMessage(Exception):
    """The line is no JSON-RPC message; `code` and `request_id` are for the answer."""

    def __init__(self, message: str, code: int, request_id: str | int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.request_id = request_id


def parse(line: bytes) -> tuple[Kind, Message]:
    """Raises NotAMessage."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise NotAMessage("The line is no JSON.", PARSE_ERROR) from None
    if not isinstance(message, dict):
        raise NotAMessage("One line holds one JSON-RPC object.", INVALID_REQUEST)
    identity = message.get("id")
    if "method" not in message and ("result" in message or "error" in message):
        return Kind.RESPONSE, message
    if not isinstance(message.get("method"), str):
        raise NotAMessage("A message needs a method.", INVALID_REQUEST, identity if is_id(identity) else None)
    if "id" not in message:
        return Kind.NOTIFICATION, message
    if not is_id(identity):
        raise NotAMessage("The id of a request is a text or a number.", INVALID_REQUEST)
    return Kind.REQUEST, message


def is_id(value: object) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool)


def params_of(message: Message) -> Message:
    params = message.get("params")
    return params if isinstance(params, dict) else {}


def revision_of(message: Message) -> str | None:
    """The revision that a message without a session names for itself; None for those of the revisions with sessions."""
    meta = params_of(message).get("_meta")
    version = meta.get(VERSION_KEY) if isinstance(meta, dict) else None
    return version if isinstance(version, str) else None


def routing_headers(message: Message, revision: str) -> dict[str, str]:
    """What streamable HTTP of revision 2026-07-28 repeats of a message in headers."""
    headers = {"mcp-protocol-version": header_text(revision), "mcp-method": header_text(message["method"])}
    name = params_of(message).get(NAMED_BY.get(message["method"], ""))
    if isinstance(name, str):
        headers["mcp-name"] = header_text(name)
    return headers


def header_text(value: str) -> str:
    """The value, or its base64 between marks where a header could not carry it unchanged."""
    if value == value.strip() and all(" " <= character <= "~" for character in value) and not value.startswith("=?"):
        return value
    return f"=?base64?{base64.b64encode(value.encode('utf-8', 'replace')).decode()}?="


def title_of(message: Message) -> str:
    """The request in words for a person."""
    name = params_of(message).get(NAMED_BY.get(message["method"], ""))
    return f'{message["method"]} "{name}"' if isinstance(name, str) else str(message["method"])


def error_answer(request_id: str | int | None, text: str, code: int = BRIDGE_ERROR) -> Message:
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": text}}


class EventReader:
    """Takes a body of server-sent events apart, piece by piece, and gives the data of each whole event.

    By bytes, because JSON may hold characters that count as line ends in a text but not in this format.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> list[bytes]:
        pending = self._rest + piece
        ends_in_return = pending.endswith(b"\r")  # half of a \r\n, perhaps
        lines = pending.replace(b"\r\n", b"\n").split(b"\n") if not ends_in_return else [pending]
        self._rest = lines.pop()
        events = []
        for line in lines:
            if line == b"":
                if self._data:
                    events.append(b" ".join(self._data))  # a line end within JSON is but a space
                    self._data = []
            elif line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
        return events
