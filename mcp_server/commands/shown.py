"""Texts of flows on a terminal: what is read is what is there."""

from __future__ import annotations

import unicodedata

_INVISIBLE = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))  # controls, and what changes the direction or the look of what follows
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")  # drawn as nothing, and some may be names in Python


def visible(text: str, *, kept: str = "") -> str:
    """The text with what nobody sees, and what a terminal obeys, written out as `\\u…`; also the ends of lines, unless they are `kept`."""
    return "".join(f"\\u{ord(each):04x}" if _is_hidden(each) and each not in kept else each for each in text)


def _is_hidden(character: str) -> bool:
    kind = unicodedata.category(character)
    is_selector = kind == "Mn" and unicodedata.name(character, "").startswith("VARIATION SELECTOR")
    return kind in _INVISIBLE or (kind == "Zs" and character != " ") or character in _BLANK or is_selector
