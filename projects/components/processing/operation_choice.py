"""Reading which operation a node asks for, in the shapes editors have stored it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from projects.engine.component import ComponentError


def chosen_operation(value: Any) -> str:
    """The name in a text, in `{"name": …}` or in a list of one of these; empty text when none is chosen."""
    if isinstance(value, list | tuple):
        if len(value) > 1:
            raise ComponentError("Choose one operation; several cannot be combined in one node.")
        return chosen_operation(value[0]) if value else ""
    if isinstance(value, Mapping):
        return str(value.get("name") or "")
    return str(value or "")


def unknown_operation(name: str, known: Iterable[str]) -> ComponentError:
    return ComponentError(f"Unknown operation {name!r}. Choose one of: {', '.join(known)}.")
