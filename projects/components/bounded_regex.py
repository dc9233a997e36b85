"""Regular expressions written by users, with a bound on their time and size: one that explodes ends as an error, not as a stuck server."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from projects.engine.component import ComponentError

if TYPE_CHECKING:
    import regex

TIME_LIMIT_SECONDS = 1.0
PATTERN_LIMIT = 2_000
UNROLLED_LIMIT = 100_000
MATCH_LIMIT = 100_000
RESULT_LIMIT = 50_000_000

_COUNTED = re.compile(r"\{\s*(\d{1,20})")

Result = TypeVar("Result")


class InvalidPattern(ComponentError):
    """The pattern is not a regular expression."""


async def matches_at_start(pattern: str, text: str) -> bool:
    return await _bounded(pattern, lambda compiled: compiled.match(text, timeout=TIME_LIMIT_SECONDS, concurrent=True) is not None)


async def find_all(pattern: str, text: str) -> list[str]:
    """The whole text of every match."""

    def find(compiled: regex.Pattern[str]) -> list[str]:
        return [match.group() for match in _matches(compiled, text)]

    return await _bounded(pattern, find)


async def replace_all(pattern: str, replacement: str, text: str) -> str:
    def replace(compiled: regex.Pattern[str]) -> str:
        parts: list[str] = []
        size = position = 0
        for match in _matches(compiled, text):
            parts += [text[position : match.start()], match.expand(replacement)]
            position = match.end()
            size += len(parts[-1]) + len(parts[-2])
            if size > RESULT_LIMIT:
                raise ComponentError(f"The text would grow beyond {RESULT_LIMIT:,} characters.")
        return "".join([*parts, text[position:]])

    return await _bounded(pattern, replace)


def _matches(compiled: regex.Pattern[str], text: str) -> list[regex.Match[str]]:
    deadline = monotonic() + TIME_LIMIT_SECONDS
    found: list[regex.Match[str]] = []
    for match in compiled.finditer(text, timeout=TIME_LIMIT_SECONDS, concurrent=True):
        found.append(match)
        if len(found) > MATCH_LIMIT:
            raise ComponentError(f"The pattern matches more than {MATCH_LIMIT:,} times.")
        if monotonic() > deadline:
            raise TimeoutError
    return found


async def _bounded(pattern: str, use: Callable[[regex.Pattern[str]], Result]) -> Result:
    """In a thread, so that other runs go on meanwhile."""
    if len(pattern) > PATTERN_LIMIT:
        raise InvalidPattern(f"The pattern has {len(pattern)} characters, at most {PATTERN_LIMIT} are allowed.")
    # The compiler writes counted repeats out, nested ones multiplied; no comment or class can hide from the product of all counts.
    if math.prod(max(1, int(count)) for count in _COUNTED.findall(pattern)) > UNROLLED_LIMIT:
        raise InvalidPattern(f"The repeats of the pattern multiply to more than {UNROLLED_LIMIT:,}.")

    def work() -> Result:
        import regex  # here, because it costs a start 40 ms and few flows use patterns

        try:
            return use(regex.compile(pattern))
        except (regex.error, RecursionError, IndexError) as error:
            raise InvalidPattern(f"Invalid regex pattern: {error}") from error
        except TimeoutError as error:
            raise ComponentError(
                f"The pattern took longer than {TIME_LIMIT_SECONDS:g} s on this text and was stopped. Write it without nested repeats."
            ) from error

    return await asyncio.to_thread(work)
