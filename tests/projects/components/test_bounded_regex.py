"""Patterns of users under a time limit."""

import asyncio
from time import process_time

import pytest

from projects.components import bounded_regex
from projects.engine.component import ComponentError


async def test_ordinary_patterns_match_find_and_replace() -> None:
    assert await bounded_regex.matches_at_start(r"\d+", "12 apples")
    assert not await bounded_regex.matches_at_start(r"apples", "12 apples")
    assert await bounded_regex.find_all(r"(\w)(\d)", "a1 b2") == ["a1", "b2"]
    assert await bounded_regex.replace_all(r"(\w)(\d)", r"\2\1", "a1 b2") == "1a 2b"


async def test_a_wrong_pattern_is_named() -> None:
    for pattern in ("(", "[", "*", "(?P<x>"):
        with pytest.raises(bounded_regex.InvalidPattern, match="Invalid regex pattern"):
            await bounded_regex.find_all(pattern, "text")


async def test_a_wrong_replacement_is_named() -> None:
    with pytest.raises(bounded_regex.InvalidPattern):
        await bounded_regex.replace_all("a", r"\7", "a")


async def test_patterns_that_explode_are_stopped_while_other_work_goes_on() -> None:
    began = process_time()
    uses = (bounded_regex.matches_at_start, bounded_regex.find_all)
    slow = [asyncio.ensure_future(use(r"(.*?,){30}P", "1," * 60)) for use in uses]
    turns = 0
    while not all(each.done() for each in slow):
        await asyncio.sleep(0)
        turns += 1
    assert turns > 100
    for each in slow:
        with pytest.raises(ComponentError, match="took longer"):
            each.result()
    assert process_time() - began < 10


@pytest.mark.parametrize(
    "pattern", ["((a{1000}){1000}){1000}", "a{1000000}", "(?x)#[\n((a{1000}){1000}){1000}#]", "a{99999999999999999999999}"]
)
async def test_a_pattern_too_large_when_written_out_is_refused(pattern: str) -> None:
    with pytest.raises(bounded_regex.InvalidPattern, match="multiply"):
        await bounded_regex.find_all(pattern, "a")


async def test_a_pattern_without_end_is_refused() -> None:
    with pytest.raises(bounded_regex.InvalidPattern, match="characters"):
        await bounded_regex.find_all("a" * 5_000, "a")


async def test_a_deeply_nested_pattern_is_refused_or_answered() -> None:
    with pytest.raises(bounded_regex.InvalidPattern):
        await bounded_regex.find_all("(" * 1_900, "a")
    assert await bounded_regex.find_all("(" * 300 + "a" + ")" * 300, "a") == ["a"]


async def test_a_text_that_would_grow_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_regex, "TIME_LIMIT_SECONDS", 60.0)  # a busy machine may need more than a second for so many matches
    with pytest.raises(ComponentError, match="grow beyond"):
        await bounded_regex.replace_all("a", "b" * 100_000, "a" * 10_000)
    with pytest.raises(ComponentError, match="more than"):
        await bounded_regex.find_all("a", "a" * 200_000)
