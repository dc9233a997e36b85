"""Pages of a list, by cursors that say after which key to go on, so that what comes and goes meanwhile moves nothing."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Sequence
from typing import TypeVar

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

MAX_CURSOR_LENGTH = 4_000

T = TypeVar("T")


def make_cursor(kind: str, *keys: str) -> str:
    """Opaque to clients; `kind` keeps one list's cursor from being taken for another's."""
    return urlsafe_b64encode(json.dumps([kind, *keys], separators=(",", ":")).encode()).decode().rstrip("=")


def read_cursor(cursor: str, kind: str, *, count: int = 1) -> list[str]:
    """The keys of a cursor that this list gave out; anything else is refused with -32602."""
    try:
        if len(cursor) > MAX_CURSOR_LENGTH:
            raise ValueError("too long")
        read = json.loads(urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
    except (ValueError, Base64Error, RecursionError):
        read = None
    if not isinstance(read, list) or len(read) != count + 1 or read[0] != kind or not all(isinstance(key, str) for key in read):
        raise MCPError(INVALID_PARAMS, "Unknown cursor: start again without one.")
    return [str(key) for key in read[1:]]


def page_of(items: Sequence[T], *, kind: str, cursor: str | None, size: int, key: Callable[[T], str]) -> tuple[Sequence[T], str | None]:
    """One page and the cursor of the next one, None on the last. `items` must be sorted by `key`, which no two share."""
    start = 0
    if cursor is not None:
        (last,) = read_cursor(cursor, kind)
        start = next((index for index, item in enumerate(items) if key(item) > last), len(items))
    chosen = items[start : start + size]
    is_last = start + size >= len(items)
    return chosen, None if is_last or not chosen else make_cursor(kind, key(chosen[-1]))
