"""What text may be kept: within its limit, and nothing that a database or JSON cannot hold."""

from typing import Any
from uuid import UUID

from pydantic_core import PydanticSerializationError, to_json

from projects.errors import FieldProblem, InvalidInput


def check_text(value: str, field: str, *, max_length: int) -> None:
    """Raises InvalidInput, naming the field."""
    if len(value) > max_length:
        raise refused(field, f"{field} has {len(value):,} characters; at most {max_length:,} are kept.", kind="string_too_long")
    check_characters(value, field)


def check_characters(value: str, field: str) -> None:
    """No NUL (PostgreSQL keeps none) and no half of a surrogate pair (not valid in UTF-8)."""
    if "\x00" in value:
        raise refused(field, f"{field} contains a NUL character; remove it.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise refused(field, f"{field} contains half of a surrogate pair, which is not valid text; remove it.") from None


def json_text(value: Any, field: str) -> str:
    """The value as JSON. Raises InvalidInput when it cannot be written as JSON."""
    try:
        return to_json(value, inf_nan_mode="null").decode()
    except (PydanticSerializationError, UnicodeEncodeError, RecursionError, ValueError):
        raise refused(field, f"{field} cannot be written as JSON; use objects, lists, texts, numbers, true, false and null.") from None


def find_uuid(text: str) -> str | None:
    """The id in its usual spelling; None when the text is no UUID (32 digits, with or without the four hyphens)."""
    if len(text) not in (32, 36):
        return None
    try:
        return str(UUID(text))
    except ValueError:
        return None


def refused(field: str, message: str, *, kind: str = "value_error") -> InvalidInput:
    return InvalidInput(message, problems=[FieldProblem((field,), message, kind)])


def can_be_kept(text: str) -> bool:
    """Whether a database can be asked for this text at all: nothing stored has a NUL or half of a surrogate pair in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text
