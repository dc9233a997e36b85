"""JSON as it arrives: read once, with a place in the text for every complaint, and nothing in it that storage could not keep."""

import re
from typing import Any

from pydantic_core import from_json

from projects.errors import FieldProblem, InvalidInput

_PLACE = re.compile(r" at line (\d+) column (\d+)$")
_PART = "body"


def read_json(text: bytes | str) -> Any:
    """The value of a JSON text. Raises InvalidInput whose problem says at which offset it stops being JSON.

    NaN and Infinity are not JSON; half of a surrogate pair, numbers of thousands of digits and hundreds of nested brackets are
    refused by the parser. A NUL character is refused here, because PostgreSQL cannot keep one.
    """
    raw = text.encode() if isinstance(text, str) else text
    try:
        value = from_json(raw, allow_inf_nan=False, cache_strings="keys")
    except ValueError as error:
        reason = str(error)
        place = _PLACE.search(reason)
        offset = _offset(raw, int(place[1]), int(place[2])) if place else 0
        what = reason[: place.start()] if place else reason
        message = f"This is not JSON: {what}."
        raise InvalidInput(message, problems=[FieldProblem((_PART, offset), message, "json_invalid")]) from None
    if b"\\u0000" in raw and (path := _find_nul(value, ())) is not None:
        message = "A NUL character cannot be kept; leave it out."
        raise InvalidInput(message, problems=[FieldProblem((_PART, *path), message, "string_nul")])
    return value


def _offset(raw: bytes, line: int, column: int) -> int:
    lines = raw.split(b"\n", line - 1)
    return max(0, len(raw) - len(lines[-1]) + column - 1) if len(lines) == line else len(raw)


def _find_nul(value: Any, path: tuple[str | int, ...]) -> tuple[str | int, ...] | None:
    """Where the first NUL is. Recursion is bounded by the parser's own limit on nesting."""
    match value:
        case str():
            return path if "\x00" in value else None
        case dict():
            for key, item in value.items():
                if "\x00" in key:
                    return path
                if (found := _find_nul(item, (*path, key))) is not None:
                    return found
        case list():
            for index, item in enumerate(value):
                if (found := _find_nul(item, (*path, index))) is not None:
                    return found
        case _:
            pass
    return None
