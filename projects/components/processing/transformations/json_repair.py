"""Reading JSON as models write it: other quotes, names without quotes, missing or extra commas, Python words, unclosed brackets."""

from __future__ import annotations

import re
from typing import Any

DEPTH_LIMIT = 100

_SPACE = re.compile(r"(?:\s|//[^\n]*|/\*(?:.*?\*/|.*))*", re.DOTALL)  # a comment that never ends is the rest
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?(?=[\s,\]}:]|$)")
_WORD = re.compile(r"[^\s,:\[\]{}\"']+")
_WORDS = {"true": True, "false": False, "null": None, "none": None, "nan": None, "undefined": None}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_QUOTES = {'"': '"', "'": "'", "\u201c": "\u201d", "\u2018": "\u2019"}


class NotReadable(Exception):
    """Not even repair makes a value of the text."""


def repaired(text: str) -> Any:
    """The value the text most likely means; raises NotReadable."""
    reader = _Reader(text)
    reader.skip()
    if reader.at_end:
        raise NotReadable("The text is empty.")
    return reader.value(0)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    @property
    def at_end(self) -> bool:
        return self._position >= len(self._text)

    @property
    def _next(self) -> str:
        return self._text[self._position] if self._position < len(self._text) else ""

    def skip(self, further: str = "") -> None:
        """Past white space and comments, and past any of the `further` characters."""
        while True:
            space = _SPACE.match(self._text, self._position)
            self._position = space.end() if space else self._position
            if self.at_end or self._next not in further:
                return
            self._position += 1

    def value(self, depth: int) -> Any:
        if depth > DEPTH_LIMIT:
            raise NotReadable(f"The value is nested deeper than {DEPTH_LIMIT}.")
        match self._next:
            case "{":
                return self._object(depth)
            case "[":
                return self._array(depth)
            case quote if quote in _QUOTES:
                return self._string(quote)
            case _:
                return self._bare()

    def _object(self, depth: int) -> dict[str, Any]:
        self._position += 1
        found: dict[str, Any] = {}
        while True:
            self.skip(",")
            if self.at_end or self._next in "}]":
                self._position += 1
                return found
            key = self._string(self._next) if self._next in _QUOTES else str(self._bare(convert=False))
            self.skip(":=")
            found[key] = None if self.at_end or self._next in ",}]" else self.value(depth + 1)

    def _array(self, depth: int) -> list[Any]:
        self._position += 1
        found: list[Any] = []
        while True:
            self.skip(",")
            if self.at_end or self._next in "]}":
                self._position += 1
                return found
            found.append(self.value(depth + 1))

    def _string(self, quote: str) -> str:
        closing = _QUOTES[quote]
        self._position += 1
        parts: list[str] = []
        while not self.at_end and self._next != closing:
            character = self._next
            self._position += 1
            if character == "\\" and not self.at_end:
                parts.append(self._escaped())
            else:
                parts.append(character)
        self._position += 1
        # Two escapes may be the halves of one character; a half alone is no text and becomes the replacement character.
        return "".join(parts).encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _escaped(self) -> str:
        character = self._next
        self._position += 1
        if character == "u":
            digits = self._text[self._position : self._position + 4]
            if re.fullmatch(r"[0-9a-fA-F]{4}", digits):
                self._position += 4
                return chr(int(digits, 16))
        return _ESCAPES.get(character, character)

    def _bare(self, *, convert: bool = True) -> Any:
        if convert and (number := _NUMBER.match(self._text, self._position)):
            self._position = number.end()
            return float(number.group()) if number.group(1) or number.group(2) else int(number.group())
        word = _WORD.match(self._text, self._position)
        if word is None:
            self._position += 1  # a character that fits nowhere is left out
            return ""
        self._position = word.end()
        return _WORDS.get(word.group().lower(), word.group()) if convert else word.group()
