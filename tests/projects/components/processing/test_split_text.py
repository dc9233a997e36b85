"""Split Text."""

from typing import Any

import pytest

from projects.components.processing.split_text import SplitText
from projects.engine.component import ComponentError
from projects.engine.values import Data, Message, Table
from tests.fakes import build, output_of


async def chunks(text: str, **fields: Any) -> list[str]:
    table = await output_of(build(SplitText, data_inputs=Message(text=text), **{"chunk_overlap": 0, **fields}))
    return [row["text"] for row in table.rows]


async def test_pieces_are_merged_up_to_the_chunk_size() -> None:
    assert await chunks("aaa\nbbb\nccc\nddd", chunk_size=7) == ["aaa\nbbb", "ccc\nddd"]


async def test_neighbours_share_the_overlap() -> None:
    assert await chunks("aaa bbb ccc ddd", separator=" ", chunk_size=7, chunk_overlap=3) == ["aaa bbb", "bbb ccc", "ccc ddd"]


async def test_a_piece_longer_than_the_chunk_size_stays_whole() -> None:
    assert await chunks("short\nmuch longer than that\nend", chunk_size=6) == ["short", "much longer than that", "end"]


@pytest.mark.parametrize("typed", ["\\n", "/n", "\n"])
async def test_a_line_break_can_be_typed_in_several_ways(typed: str) -> None:
    assert await chunks("a\nb", separator=typed, chunk_size=1) == ["a", "b"]


@pytest.mark.parametrize(
    ("keep", "expected"),
    [("False", ["a", "b", "c"]), ("True", ["a", ".b", ".c"]), ("Start", ["a", ".b", ".c"]), ("End", ["a.", "b.", "c"])],
)
async def test_the_separator_can_be_kept_at_either_end(keep: str, expected: list[str]) -> None:
    assert await chunks("a.b.c", separator=".", chunk_size=2, keep_separator=keep) == expected


async def test_without_a_separator_the_text_is_cut_by_length() -> None:
    assert await chunks("abcdefg", separator="", chunk_size=3) == ["abc", "def", "g"]
    assert await chunks("abcdefg", separator="", chunk_size=3, chunk_overlap=1) == ["abc", "cde", "efg"]


async def test_the_text_comes_first_and_other_columns_are_kept() -> None:
    table = await output_of(build(SplitText, data_inputs=Table([{"page": 1, "text": "a\nb"}]), chunk_size=1, chunk_overlap=0))
    assert table.columns == ["text", "page"]
    assert table.rows == [{"text": "a", "page": 1}, {"text": "b", "page": 1}]


async def test_a_clean_output_has_only_the_text() -> None:
    table = await output_of(build(SplitText, data_inputs=Message(text="a"), clean_output=True))
    assert table.rows == [{"text": "a"}]


async def test_another_key_can_hold_the_text() -> None:
    table = await output_of(build(SplitText, data_inputs=[Data({"body": "x"}), Data({"text": "y"})], text_key="body"))
    assert [row["body"] for row in table.rows] == ["x", "y"]


@pytest.mark.parametrize("value", [None, [], Table()])
async def test_nothing_to_split_is_an_error(value: Any) -> None:
    with pytest.raises(ComponentError, match="nothing to split"):
        await output_of(build(SplitText, data_inputs=value))


@pytest.mark.parametrize("fields", [{"chunk_size": 0}, {"chunk_size": 5, "chunk_overlap": 6}, {"chunk_overlap": -1}])
async def test_sizes_that_cannot_be_are_refused(fields: dict[str, int]) -> None:
    with pytest.raises(ComponentError, match="must"):
        await chunks("x", **fields)


async def test_blank_text_has_no_chunks() -> None:
    assert await chunks("  \n \n") == []
