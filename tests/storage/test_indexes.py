"""What keeps queries quick however many runs there are: which index serves them, as SQLite's planner tells it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import Engine, Table, UniqueConstraint, event

from storage.database import Database, DatabaseSettings
from storage.queue_leases import QueueGlances, QueueLeases
from storage.runs import RunRepository
from storage.tables import Base
from storage.transactions import TransactionRepository
from storage.vertex_builds import VertexBuildRepository
from tests.owners import MOMENT

# Rows of these are deleted with their flow and trimmed per flow; when a user goes, what is left of them is looked through once.
WITHOUT_INDEX = {("vertex_builds", "owner_id"), ("transactions", "owner_id")}


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """What goes to the database, with its parameters."""
    seen: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, is_many: bool) -> None:
        if not statement.startswith(("BEGIN", "PRAGMA")):
            seen.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def plan(settings: DatabaseSettings, statement: str, parameters: Any) -> list[str]:
    with closing(sqlite3.connect(settings.sqlite_path)) as connection:
        return [str(step) for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]


async def test_looking_for_open_runs_reads_no_run_that_has_ended(sqlite_settings: DatabaseSettings) -> None:
    async with Database(sqlite_settings) as database:
        with statements() as seen:
            async with database.transaction() as session:
                leases, runs = QueueLeases(session), RunRepository(session)
                await leases.take(lease_owner="me", lease_expires_at=MOMENT, now=MOMENT, limit=1)
                await leases.count_queued()
                await leases.list_lease_owners()
                await leases.list_left_behind(now=MOMENT, dead_lease_owners=["gone"], limit=1, let_go=["1"], lease_owner="me")
                await runs.list_to_cancel(lease_owner="me")
                await runs.list_expired(now=MOMENT, limit=1)
    assert len(seen) == 6
    for statement, parameters in [*seen, (QueueGlances.QUERY, {"me": "me", "now": 0})]:
        steps = [step for step in plan(sqlite_settings, statement, parameters) if step.startswith(("SEARCH", "SCAN runs"))]
        assert any("INDEX ix_runs_state_created_at" in step for step in steps), statement
        assert all("INDEX ix_runs_state_created_at" in step or "sqlite_autoindex" in step for step in steps), statement


async def test_the_oldest_of_a_long_queue_are_taken_without_sorting_it(sqlite_settings: DatabaseSettings) -> None:
    async with Database(sqlite_settings) as database:
        with statements() as seen:
            async with database.transaction() as session:
                await QueueLeases(session).take(lease_owner="me", lease_expires_at=MOMENT, now=MOMENT, limit=1)
    ((statement, parameters),) = seen
    assert "USE TEMP B-TREE FOR ORDER BY" not in plan(sqlite_settings, statement, parameters)  # but among those of one microsecond


async def test_crowded_flows_are_found_without_reading_rows(sqlite_settings: DatabaseSettings) -> None:
    async with Database(sqlite_settings) as database:
        with statements() as seen:
            async with database.transaction() as session:
                await VertexBuildRepository(session).trim(per_flow=1, per_vertex=1, limit=1)
                await TransactionRepository(session).trim(per_flow=1, limit=1)
    per_flow = [each for each in seen if "vertex_id" not in each[0]]
    assert len(per_flow) == 2
    for statement, parameters in per_flow:
        (step,) = plan(sqlite_settings, statement, parameters)
        assert "COVERING INDEX" in step


def test_what_goes_with_another_row_is_found_by_an_index() -> None:
    def beginnings(table: Table) -> set[str]:
        unique = [constraint.columns for constraint in table.constraints if isinstance(constraint, UniqueConstraint)]
        return {next(iter(columns)).name for columns in (table.primary_key.columns, *unique, *(index.columns for index in table.indexes))}

    without = {
        (table.name, column.name)
        for table in Base.metadata.tables.values()
        for column in table.columns
        if column.foreign_keys and column.name not in beginnings(table)
    }
    assert without <= WITHOUT_INDEX | {("projects", "parent_id")}, "deleting what they refer to would read the whole table"
