"""Paths into JSON values: the part of jq that needs no program (`.a.b[0]`, `.items[].name`, `."odd key"`, `|`, `?`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from projects.engine.component import ComponentError

_STRING = r'"(?:[^"\\]|\\.)*"'
_STEP = re.compile(
    rf"""\s*(?:
        (?P<pipe>\|)
      | \.?\[\s*(?P<index>-?\d+)\s*\]
      | \.?\[\s*(?P<start>-?\d+)?\s*:\s*(?P<stop>-?\d+)?\s*\]
      | \.?\[\s*(?P<bracketed>{_STRING})\s*\]
      | (?P<each>\.?\[\s*\])
      | \.(?P<quoted>{_STRING})
      | \.(?P<name>[^\s.\[\]|?"(),:;=<>+*/%{{}}]+)
      | (?P<optional>\?)
      | (?P<identity>\.)
    )\s*""",
    re.VERBOSE,
)


def find(value: Any, path: str) -> list[Any]:
    """Every value the path leads to, in order."""
    found = [value]
    steps = list(_steps(path))
    for position, step in enumerate(steps):
        optional = position + 1 < len(steps) and steps[position + 1].lastgroup == "optional"
        found = [result for item in found for result in _follow(item, step, optional=optional)]
    return found


def _steps(path: str) -> Iterator[re.Match[str]]:
    position = 0
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            raise ComponentError(
                f'{path!r} is not supported from {path[position:]!r} on. Paths such as .a.b[0], .items[].name and .["odd key"] are.'
            )
        position = step.end()
        yield step


def _follow(value: Any, step: re.Match[str], *, optional: bool) -> list[Any]:
    kind = step.lastgroup
    if kind in ("pipe", "optional", "identity"):
        return [value]
    if kind == "each":
        if isinstance(value, dict | list):
            return list(value.values()) if isinstance(value, dict) else value
        return _mismatch(value, "be iterated over", optional=optional)
    if value is None:
        return [None]
    if kind in ("name", "quoted", "bracketed"):
        key = step[kind] if kind == "name" else json.loads(step[kind])
        return [value.get(key)] if isinstance(value, dict) else _mismatch(value, f"have the key {key!r}", optional=optional)
    if not isinstance(value, list | str):
        return _mismatch(value, "be indexed by number", optional=optional)
    if kind == "index":
        index = int(step["index"])
        return [value[index]] if -len(value) <= index < len(value) and isinstance(value, list) else [None]
    start, stop = step["start"], step["stop"]
    return [value[int(start) if start else None : int(stop) if stop else None]]


def _mismatch(value: Any, what: str, *, optional: bool) -> list[Any]:
    if optional:
        return []
    raise ComponentError(f"A {type(value).__name__} cannot {what}.")
