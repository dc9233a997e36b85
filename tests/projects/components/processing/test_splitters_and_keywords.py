"""The older text splitters, Keyword Search and Merge Flows."""

from typing import Any

import pytest

from projects.components.flow_controls.merge_flows import MergeFlows
from projects.components.processing.keyword_search import KeywordSearch
from projects.components.processing.text_splitters import CharacterTextSplitter, RecursiveCharacterTextSplitter
from projects.engine.component import Component, ComponentError
from projects.engine.values import Data, Message, Table
from tests.fakes import build, output_of


async def pieces(component: type[Component], text: Any, **inputs: Any) -> list[str]:
    found = await output_of(build(component, data_input=[text], **inputs), "data")
    return [item.data["text"] for item in found]


async def test_a_text_is_split_at_the_separator_and_keeps_its_metadata() -> None:
    assert await pieces(CharacterTextSplitter, Message("one\n\ntwo\n\nthree"), chunk_size=8, chunk_overlap=0) == ["one\n\ntwo", "three"]
    assert await pieces(CharacterTextSplitter, Message("a|b|c"), chunk_size=1, chunk_overlap=0, separator="|") == ["a", "b", "c"]
    found = await output_of(build(CharacterTextSplitter, data_input=[Data({"text": "x", "page": 3})]), "dataframe")
    assert found.rows == [{"text": "x", "page": 3}]


async def test_the_recursive_one_goes_on_with_finer_separators() -> None:
    text = "A short paragraph.\n\nA paragraph that is\nrather longer than the others."
    found = await pieces(RecursiveCharacterTextSplitter, Message(text), chunk_size=20, chunk_overlap=0)
    assert found == ["A short paragraph.", "A paragraph that is", "rather longer than", "the others."]
    found = await pieces(RecursiveCharacterTextSplitter, Message("abcdefghij"), chunk_size=4, chunk_overlap=0)
    assert found == ["abcd", "efgh", "ij"]
    found = await pieces(RecursiveCharacterTextSplitter, Message("a\\b c"), chunk_size=2, chunk_overlap=0, separators=[" "])
    assert found == ["a\\b", "c"]  # nothing finer was given


async def test_sizes_that_cannot_be_and_nothing_to_split_are_told() -> None:
    with pytest.raises(ComponentError, match="chunk overlap"):
        await pieces(CharacterTextSplitter, Message("x"), chunk_size=5, chunk_overlap=6)
    with pytest.raises(ComponentError, match="nothing to split"):
        await output_of(build(RecursiveCharacterTextSplitter, data_input=[]), "data")


TABLE = Table([{"name": "red door", "note": "Blue"}, {"name": "red", "note": ""}, {"name": "door red blue", "note": "x"}])


async def found(**inputs: Any) -> list[str]:
    table = await output_of(build(KeywordSearch, dataframe=TABLE, **inputs))
    return [row["name"] for row in table.rows]


async def test_rows_with_more_of_the_keywords_come_first() -> None:
    assert await found(keywords='["red", "door", "blue"]', column="name") == ["door red blue", "red door", "red"]
    assert await found(keywords="red, door", match_type="any") == ["red door", "red", "door red blue"]
    assert await found(keywords="RED, blue", match_type="all") == ["red door", "door red blue"]  # in whatever column
    assert await found(keywords="RED, Blue", case_sensitive=True) == ["red door"]
    assert await found(keywords="red", number_candidates=1) == ["red door"]
    assert await found(keywords="nothing") == []


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"keywords": " , "}, "at least one"),
        ({"keywords": "x", "column": "no"}, "no column 'no'"),
        ({"keywords": "x", "match_type": "z"}, "coverage"),
    ],
)
async def test_a_search_that_cannot_be_made_is_told(inputs: dict[str, Any], reason: str) -> None:
    with pytest.raises(ComponentError, match=reason):
        await found(**inputs)


async def test_merged_branches_give_one_message() -> None:
    assert (await output_of(build(MergeFlows, inputs=[Message("a"), Message("b")]))).text == "done"
