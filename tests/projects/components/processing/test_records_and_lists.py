"""The smaller components for records, lists, JSON and patterns."""

import json
from typing import Any

import pytest

from projects.components.processing.alter_metadata import AlterMetadata
from projects.components.processing.combine_text import CombineText
from projects.components.processing.create_data import CreateData
from projects.components.processing.create_list import CreateList
from projects.components.processing.dynamic_create_data import DynamicCreateData
from projects.components.processing.extract_key import ExtractKey
from projects.components.processing.filter_data import FilterData
from projects.components.processing.filter_values import FilterValues
from projects.components.processing.json_cleaner import JSONCleaner
from projects.components.processing.merge_data import MergeData
from projects.components.processing.parse_json import ParseJSON
from projects.components.processing.regex_extractor import RegexExtractor
from projects.components.processing.select_data import SelectData
from projects.components.processing.transformations import json_repair
from projects.components.processing.update_data import UpdateData
from projects.engine.component import ComponentError
from projects.engine.values import Data, Message
from tests.fakes import build, output_of

TWO = [Data({"text": "a", "n": 1}), Data({"text": "b", "m": 2})]


async def test_create_data_collects_the_fields_in_their_order() -> None:
    fields: dict[str, Any] = {
        "field_10_key": {"z": 3},
        "field_2_key": {"b": Message(text="two")},
        "field_1_key": {"a": 1},
        "number_of_fields": 3,
    }
    data = await output_of(build(CreateData, text_key="b", **fields))
    assert list(data.data.items()) == [("a", 1), ("b", "two"), ("z", 3)]
    assert data.text == "two"


async def test_a_text_key_that_is_not_there_is_refused_when_asked() -> None:
    with pytest.raises(ComponentError, match="'x' is not among the keys: a"):
        await output_of(build(CreateData, text_key="x", text_key_validator=True, field_1_key={"a": 1}))


async def test_update_data_changes_one_or_all_and_leaves_the_originals() -> None:
    one = await output_of(build(UpdateData, old_data=[Data({"a": 1})], field_1_key={"a": 2, "b": 3}))
    assert one.data == {"a": 2, "b": 3}
    several = await output_of(build(UpdateData, old_data=TWO, field_1_key={"n": 9}))
    assert [item.data["n"] for item in several] == [9, 9]
    assert TWO[0].data == {"text": "a", "n": 1}


async def test_a_form_reads_its_fields_by_their_types() -> None:
    rows = [{"field_name": "who"}, {"field_name": "age", "field_type": "Number"}, {"field_name": "ok", "field_type": "Boolean"}, {}]
    rows += [{"field_name": "more", "field_type": "Data"}, {"field_name": "unset", "field_type": "Number"}]
    fields: dict[str, Any] = {"dynamic_who": Message(text="Ann"), "dynamic_age": "41", "dynamic_ok": "true", "dynamic_more": Data({"a": 1})}
    form = build(DynamicCreateData, form_fields=rows, **fields)
    assert (await output_of(form)).data == {"who": "Ann", "age": 41, "ok": True, "more": {"a": 1}, "unset": None}
    assert (await output_of(form, "message")).text.splitlines()[:2] == ["who: Ann", "age: 41"]


async def test_keys_are_filtered_extracted_and_selected() -> None:
    assert (await output_of(build(FilterData, data=TWO[0], filter_criteria=["n", "x"]))).data == {"n": 1}
    assert (await output_of(build(ExtractKey, data_input=TWO[0], key="n"))).data == {"n": 1}
    assert [item.data for item in await output_of(build(ExtractKey, data_input=TWO, key="n"))] == [{"n": 1}]
    assert "error" in (await output_of(build(ExtractKey, data_input=TWO[1], key="n"))).data
    assert (await output_of(build(SelectData, data_list=TWO, data_index=1))).data == TWO[1].data
    with pytest.raises(ComponentError, match="the list has 2"):
        await output_of(build(SelectData, data_list=TWO, data_index=2))


@pytest.mark.parametrize(
    ("operator", "value", "count"), [("equals", "a", 1), ("not equals", "a", 1), ("contains", "", 2), ("starts with", "c", 0)]
)
async def test_records_are_filtered_by_a_value(operator: str, value: str, count: int) -> None:
    found = await output_of(build(FilterValues, input_data=TWO, filter_key="text", filter_value=value, operator=operator))
    assert len(found) == count


async def test_two_texts_are_combined() -> None:
    assert (await output_of(build(CombineText, text1="a", text2="b", delimiter="-"))).text == "a-b"


@pytest.mark.parametrize(
    ("operation", "rows"),
    [
        ("Concatenate", [{"text": "a\nb", "n": 1, "m": 2}]),
        ("Append", [{"text": "a", "n": 1}, {"text": "b", "m": 2}]),
        ("Merge", [{"text": ["a", "b"], "n": 1, "m": 2}]),
        ("Join", [{"text": "a", "n": 1, "text_doc2": "b", "m_doc2": 2}]),
    ],
)
async def test_records_are_combined_into_a_table(operation: str, rows: list[Any]) -> None:
    assert (await output_of(build(MergeData, data_inputs=TWO, operation=operation))).rows == rows


async def test_one_record_has_nothing_to_be_combined_with() -> None:
    assert (await output_of(build(MergeData, data_inputs=TWO[:1]))).rows == []


async def test_metadata_is_added_and_removed() -> None:
    fields: dict[str, Any] = {"input_value": [TWO[0]], "text_in": "t", "metadata": {"by": "me", " ": 1}, "remove_fields": ["n "]}
    altered = await output_of(build(AlterMetadata, **fields))
    assert [item.data for item in altered] == [{"text": "t", "by": "me"}, {"text": "a", "by": "me"}]
    assert (await output_of(build(AlterMetadata, **fields), "dataframe")).columns == ["text", "by"]


async def test_texts_become_a_list_of_records() -> None:
    assert [item.data for item in await output_of(build(CreateList, texts=["a", "b"]))] == [{"text": "a"}, {"text": "b"}]
    assert (await output_of(build(CreateList, texts=[]), "dataframe")).columns == ["text"]


@pytest.mark.parametrize(
    ("value", "query", "found"),
    [
        (Message(text='{"items": [{"n": 1}, {"n": 2}]}'), ".items[]", [{"n": 1}, {"n": 2}]),
        (Data({"a": {"b": 5}}), ".a.b", [{"text": "5"}]),
        ("{a: 1,}", ".", [{"a": 1}]),
        ([Data({"a": 1}), Data({"a": 2})], ".[].a", [{"text": "1"}, {"text": "2"}]),
        ("", ".", []),
    ],
)
async def test_json_is_searched_by_a_path(value: Any, query: str, found: list[Any]) -> None:
    assert [item.data for item in await output_of(build(ParseJSON, input_value=value, query=query))] == found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{'a': 1, b: [1, 2,], c: True d: None}", {"a": 1, "b": [1, 2], "c": True, "d": None}),
        ('{"a": "unfinished', {"a": "unfinished"}),
        ('{"a": {"b": [1, {"c": 2', {"a": {"b": [1, {"c": 2}]}}),
        ('{"a": 1 // why\n, /* no */ "b": -2.5e3}', {"a": 1, "b": -2500.0}),
        ('{"a": "\\ud83d\\ude00 \\u00e9 \\n"}', {"a": "\U0001f600 é \n"}),
        ('{"half": "\\ud83d"}', {"half": "\ufffd"}),
        ("[1 2 3]", [1, 2, 3]),
    ],
)
def test_json_as_models_write_it_is_read(text: str, value: Any) -> None:
    assert json_repair.repaired(text) == value


def test_repair_of_deep_or_empty_text_ends_as_an_error() -> None:
    for text in ("", "   ", "[" * 10_000):
        with pytest.raises(json_repair.NotReadable):
            json_repair.repaired(text)


async def test_the_cleaner_takes_the_object_out_of_the_text() -> None:
    assert json.loads((await output_of(build(JSONCleaner, json_str="Sure!\n```json\n{'a': 1,}\n```"))).text) == {"a": 1}
    with pytest.raises(ComponentError, match="no JSON object"):
        await output_of(build(JSONCleaner, json_str="nothing"))
    with pytest.raises(ComponentError, match="no valid JSON"):
        await output_of(build(JSONCleaner, json_str="{'a': 1}", validate_json=True))


async def test_all_matches_of_a_pattern_are_found() -> None:
    extractor = build(RegexExtractor, input_text="a1 b22", pattern=r"[a-z](\d+)")
    assert [item.data for item in await output_of(extractor)] == [{"match": "a1"}, {"match": "b22"}]
    assert (await output_of(extractor, "text")).text == "a1\nb22"
    assert (await output_of(build(RegexExtractor, input_text="a", pattern="z"), "text")).text == "No matches found"
    assert "error" in (await output_of(build(RegexExtractor, input_text="a", pattern="(")))[0].data
