"""Structured Output: a schema table becomes a JSON schema, a model's answer becomes records."""

import json
from typing import Any

import pytest

from projects.components.llm_operations.structured_output import StructuredOutput
from projects.components.models_and_agents.structured import SchemaField, json_in, json_schema, schema_fields
from projects.engine.component import Component, ComponentError
from projects.engine.values import Table
from projects.errors import ProviderBusy, ProviderFailed
from tests.fakes import FakeChatModel, FakeModels, FakeRunContext, build, output_of

SCHEMA = [
    {"name": "company", "description": "Whose figures", "type": "str", "multiple": "False"},
    {"name": "revenue", "description": "", "type": "float", "multiple": False},
    {"name": "tags", "type": "str", "multiple": "True"},
]
ACME = {"company": "Acme", "revenue": 1.5, "tags": ["a"]}


def extracting(*answers: Any, **inputs: Any) -> tuple[Component, FakeChatModel]:
    model = FakeChatModel(script=list(answers))
    given = {"input_value": "Acme made 1.5", "output_schema": SCHEMA, **inputs}
    return build(StructuredOutput, context=FakeRunContext(models=FakeModels(chat=model)), **given), model


def answered(*records: dict[str, Any]) -> str:
    return json.dumps({"objects": list(records)})


async def test_one_record_is_that_record_and_the_schema_goes_to_the_provider() -> None:
    component, model = extracting(answered(ACME))
    assert (await output_of(component, "structured_output")).data == ACME
    (options,) = model.options
    assert options.response_schema is not None
    assert options.response_schema["properties"]["objects"]["items"]["properties"]["tags"]["type"] == "array"
    assert [message.role for message in model.asked[0]] == ["system", "user"]


async def test_several_records_go_under_results_and_are_rows_of_the_table() -> None:
    component, model = extracting(answered(ACME, {**ACME, "company": "Bolt"}))
    assert [row["company"] for row in (await output_of(component, "structured_output")).data["results"]] == ["Acme", "Bolt"]
    table = await output_of(component, "dataframe_output")
    assert isinstance(table, Table) and table.columns == ["company", "revenue", "tags"] and len(table.rows) == 2
    assert len(model.asked) == 1  # both outputs come from one answer


@pytest.mark.parametrize("status", [400, 404, 422, 501])
async def test_a_provider_that_refuses_the_schema_is_asked_in_words(status: int) -> None:
    component, model = extracting(
        ProviderFailed("No.", provider="P", provider_status=status), f"Here:\n```json\n{answered(ACME)}\n```\nBye"
    )
    assert (await output_of(component)).data == ACME
    assert model.options[1].response_schema is None
    assert '"revenue"' in model.asked[1][0].text


async def test_an_answer_that_is_no_json_is_asked_for_once_more_and_then_told() -> None:
    component, model = extracting("I would say Acme.", "Still: Acme.")
    with pytest.raises(ComponentError, match=r"did not answer with JSON of the schema\. It answered: Still: Acme"):
        await output_of(component)
    assert len(model.asked) == 2


@pytest.mark.parametrize("error", [ProviderFailed("Down.", provider="P", provider_status=500), ProviderBusy("Busy.", provider="P")])
async def test_a_provider_s_failure_stays_a_provider_s_failure(error: ProviderFailed) -> None:
    component, _ = extracting(error)
    with pytest.raises(type(error)):
        await output_of(component)


async def test_values_are_read_in_the_schema_s_types_and_what_is_not_asked_for_is_dropped() -> None:
    component, _ = extracting(answered({"company": 7, "revenue": "2.5", "tags": "x", "more": 1}))
    assert (await output_of(component)).data == {"company": "7", "revenue": 2.5, "tags": ["x"]}


async def test_fields_that_the_model_leaves_out_are_there_and_empty() -> None:
    component, _ = extracting(answered({"company": "Acme"}))
    assert (await output_of(component)).data == {"company": "Acme", "revenue": None, "tags": []}


async def test_nothing_found_is_an_error_and_not_an_empty_record() -> None:
    component, _ = extracting(answered())
    with pytest.raises(ComponentError, match="found nothing"):
        await output_of(component)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "schema is empty"),
        ([{"name": " "}], "Row 1 .* no name"),
        ([{"name": "a"}, {"name": "a"}], "'a' twice"),
        ([{"name": "a", "type": "date"}], "'a' has the type 'date'"),
    ],
)
async def test_a_schema_that_cannot_be_used_is_told_before_the_model_is_asked(rows: list[dict[str, Any]], message: str) -> None:
    component, model = extracting(output_schema=rows)
    with pytest.raises(ComponentError, match=message):
        await output_of(component)
    assert model.asked == []


def test_every_type_of_a_schema_table_has_its_json_type() -> None:
    fields = schema_fields([{"name": kind, "type": kind} for kind in ("str", "int", "float", "bool", "dict")])
    found = json_schema(fields, title="My records!")
    properties = found["properties"]["objects"]["items"]["properties"]
    assert [item["type"] for item in properties.values()] == ["string", "integer", "number", "boolean", "object"]
    assert found["title"] == "My_records_"
    assert SchemaField("a", "str") == schema_fields([{"name": "a"}])[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ("[1, 2]", [1, 2]),
        ('Sure!\n```json\n{"a": 1}\n```', {"a": 1}),
        ('```\n{"a": 1}\n```', {"a": 1}),
        ('The answer is {"a": {"b": 2}} as you see.', {"a": {"b": 2}}),
        ("{'a': True, b: [1, 2,]}", {"a": True, "b": [1, 2]}),
        ("No JSON here.", None),
        ("", None),
    ],
)
def test_the_json_of_an_answer_is_found_wherever_it_stands(text: str, value: Any) -> None:
    assert json_in(text) == value
