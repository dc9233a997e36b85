"""The text comparisons that routers and filters share."""

from __future__ import annotations

from collections.abc import Callable, Mapping

TEXT_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "equals": lambda left, right: left == right,
    "not equals": lambda left, right: left != right,
    "contains": lambda left, right: right in left,
    "not contains": lambda left, right: right not in left,
    "starts with": lambda left, right: left.startswith(right),
    "ends with": lambda left, right: left.endswith(right),
}

NUMBER_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "less than": lambda left, right: left < right,
    "less than or equal": lambda left, right: left <= right,
    "greater than": lambda left, right: left > right,
    "greater than or equal": lambda left, right: left >= right,
}


def number_of(value: object) -> float | None:
    """The value as a number, or None when it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
