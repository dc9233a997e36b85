"""The next free name beside those that are taken. Pure: the caller reads the taken names."""

import re
from collections.abc import Collection


def free_name(wanted: str, taken: Collection[str]) -> str:
    """`wanted`, or `wanted (n)` with n one above the highest in use."""
    return _numbered(wanted, taken, before=" (", after=")")


def free_endpoint_name(wanted: str, taken: Collection[str]) -> str:
    """`wanted`, or `wanted-n` with n one above the highest in use."""
    return _numbered(wanted, taken, before="-", after="")


def _numbered(wanted: str, taken: Collection[str], *, before: str, after: str) -> str:
    if wanted not in taken:
        return wanted
    # Nine digits at most: a longer "number" is part of a name, and too long a one is no int at all.
    pattern = re.compile(re.escape(wanted + before) + r"([0-9]{1,9})" + re.escape(after))
    number = max((int(match[1]) for name in taken if (match := pattern.fullmatch(name))), default=0) + 1
    while (name := f"{wanted}{before}{number}{after}") in taken:
        number += 1
    return name
