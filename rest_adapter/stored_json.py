"""JSON that is kept as a text goes into answers as that text: a page of large documents is neither parsed nor written anew."""

import secrets
from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json

# Stands for a text until all is written. Nobody outside this process can know it, so no value can pretend to be it.
_MARK = f"stored-{secrets.token_hex(16)}"
_QUOTED_MARK = f'"{_MARK}"'.encode()


class StoredJson:
    """One JSON value as its text. No dataclass: the serializer would write one by itself."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def stored_json(text: str) -> Any:
    """The text's value for an answer: as it is, or parsed when it may hold numbers that JSON does not know."""
    return from_json(text) if "NaN" in text or "Infinity" in text else StoredJson(text)


def write_json(content: Any) -> bytes:
    """Any JSON value, with `StoredJson` anywhere in it."""
    texts: list[bytes] = []

    def stand_in(value: Any) -> str:
        if not isinstance(value, StoredJson):
            raise TypeError(f"{type(value).__name__} is no JSON value")
        texts.append(value.text.encode())
        return _MARK

    try:
        written = to_json(content, inf_nan_mode="null", fallback=stand_in)
    except PydanticSerializationError:
        # What a component says may hold half of a surrogate pair, which is no reason to answer nothing.
        texts.clear()
        written = to_json(_encodable(content), inf_nan_mode="null", fallback=stand_in)
    if not texts:
        return written
    first, *others = written.split(_QUOTED_MARK)
    return b"".join([first, *(piece for pair in zip(texts, others, strict=True) for piece in pair)])


def _encodable(value: Any) -> Any:
    """The value with a question mark for each half of a surrogate pair."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {_encodable(name): _encodable(item) for name, item in value.items()}
        case list() | tuple():
            return [_encodable(item) for item in value]
        case _:
            return value
