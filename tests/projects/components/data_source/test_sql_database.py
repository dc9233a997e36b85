import json

import pytest

from projects.components.data_source.sql_database import SqlDatabase
from projects.components.registry import load_registry
from projects.engine.component import ComponentError
from projects.engine.values import Table
from projects.errors import InvalidInput, TweaksRefused
from projects.flows.document import compile_document
from projects.flows.tweaks import apply_tweaks
from tests.fakes import FakeRunContext, build, output_of
from tests.flow_documents import document, node

URL = "sqlite:////data.db"


def context() -> FakeRunContext:
    return FakeRunContext(databases={URL: Table([{"id": 1, "name": "Ada"}])})


async def test_the_rows_of_the_query_are_a_table() -> None:
    world = context()
    table = await output_of(build(SqlDatabase, context=world, database_url=URL, query=" SELECT 1 "))
    assert table.rows == [{"id": 1, "name": "Ada"}] and world.queries == [(URL, "SELECT 1")]
    table = await output_of(build(SqlDatabase, context=world, database_url=URL, query="SELECT 1", include_columns=False))
    assert table.rows == [{"0": 1, "1": "Ada"}]


async def test_a_failure_is_told_or_becomes_a_row() -> None:
    with pytest.raises(InvalidInput):
        await output_of(build(SqlDatabase, context=context(), database_url="sqlite:////other.db", query="SELECT 1"))
    with pytest.raises(ComponentError, match="no SQL"):
        await output_of(build(SqlDatabase, context=context(), database_url=URL, query=""))
    (row,) = (await output_of(build(SqlDatabase, context=context(), database_url="x", query="SELECT 1", add_error=True))).rows
    assert "operator" in row["error"] and row["query"] == "SELECT 1"


FIELDS: dict[str, object] = {"database_url": URL, "query": "SELECT 1", "add_error": False}


@pytest.mark.parametrize("field", ["database_url", "query"])
def test_a_tweak_sets_address_and_statement_only_where_the_author_allows_it(field: str) -> None:
    registry = load_registry(plugins=False)
    closed = compile_document(json.dumps(document([node("SQLComponent", "SQL-a", FIELDS, outputs=("run_sql_query",))], [])), registry)
    with pytest.raises(TweaksRefused, match=f"SQL-a.{field}"):
        apply_tweaks(closed.graph, {"SQL-a": {field: "sqlite:////etc/other.db", "add_error": True}})
    marked = FIELDS | {field: {"value": FIELDS[field], "api_editable": True}}
    opened = compile_document(json.dumps(document([node("SQLComponent", "SQL-a", marked, outputs=("run_sql_query",))], [])), registry)
    graph, _ = apply_tweaks(opened.graph, {"SQL-a": {field: "SELECT 2", "add_error": True}})
    assert graph.vertices["SQL-a"].fields[field].value == "SELECT 2" and graph.vertices["SQL-a"].fields["add_error"].value is True
