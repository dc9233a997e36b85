"""Filling `{name}` and `{{name}}` in templates. Names are keys and nothing more: no attribute, index or format is ever evaluated."""

from __future__ import annotations

import re
from collections.abc import Callable

from projects.errors import LimitReached

Lookup = Callable[[str], str]

# What could not be a name (quotes, line breaks, nested braces) is left as it is written, so JSON in a template survives.
_SINGLE = re.compile(r"""\{\{|\}\}|\{([^{}"'\r\n]+)\}""")
_DOUBLE = re.compile(r"""\{\{([^{}"']+)\}\}""")
_NO_NAME = re.compile(r"[#/^&!>]|.*[\r\n]")

MAX_CHARACTERS = 50_000_000  # of a filled text: one short name may stand for a long text a million times


def fill(template: str, lookup: Lookup) -> str:
    """Replace each `{name}` by what `lookup` answers; doubled braces become single ones. Values are never read again.

    Raises LimitReached when the text would be beyond all bounds.
    """
    bounded = _bounded(lookup)

    def replacement(match: re.Match[str]) -> str:
        name = match.group(1)
        return match.group()[0] if name is None else bounded(name)

    return _SINGLE.sub(replacement, template)


def fill_double(template: str, lookup: Lookup) -> str:
    """Replace each `{{name}}`; single braces are ordinary text. Raises as `fill`."""
    bounded = _bounded(lookup)

    def replacement(match: re.Match[str]) -> str:
        name = match.group(1).strip()
        return bounded(name) if name and _NO_NAME.match(name) is None else match.group()

    return _DOUBLE.sub(replacement, template)


def _bounded(lookup: Lookup) -> Lookup:
    left = MAX_CHARACTERS

    def looked_up(name: str) -> str:
        nonlocal left
        text = lookup(name)
        left -= len(text)
        if left < 0:
            raise LimitReached(f"The filled template would have more than {MAX_CHARACTERS:,} characters.")
        return text

    return looked_up
