"""Filling `{name}` and `{{name}}` in templates. Names are keys and nothing more: no attribute, index or format is ever evaluated."""

from __future__ import annotations

import re
from collections.abc import Callable

Lookup = Callable[[str], str]

# What could not be a name (quotes, line breaks, nested braces) is left as it is written, so JSON in a template survives.
_SINGLE = re.compile(r"""\{\{|\}\}|\{([^{}"'\r\n]+)\}""")
_DOUBLE = re.compile(r"""\{\{\s*([^{}"'\s#/^&!>][^{}"'\r\n]*?)\s*\}\}""")


def fill(template: str, lookup: Lookup) -> str:
    """Replace each `{name}` by what `lookup` answers; doubled braces become single ones. Values are never read again."""

    def replacement(match: re.Match[str]) -> str:
        name = match.group(1)
        return match.group()[0] if name is None else lookup(name)

    return _SINGLE.sub(replacement, template)


def fill_double(template: str, lookup: Lookup) -> str:
    """Replace each `{{name}}`; single braces are ordinary text."""
    return _DOUBLE.sub(lambda match: lookup(match.group(1)), template)
