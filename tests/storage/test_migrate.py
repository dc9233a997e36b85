import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from storage import fresh_sqlite, migrate
from storage.database import Database, DatabaseSettings, DatabaseUnavailable
from storage.migrations import written_down
from storage.tables import Base
from tests.owners import add_flow, add_owner, add_rows, message_row

ROOT = Path(migrate.__file__).parents[1]


async def test_an_empty_database_becomes_what_the_tables_say(empty_database_settings: DatabaseSettings) -> None:
    assert not await migrate.is_current(empty_database_settings)
    assert await migrate.upgrade(empty_database_settings)
    assert await migrate.is_current(empty_database_settings)
    async with Database(empty_database_settings) as database:
        assert await database.catalogue_version() == 0
    engine = create_engine(empty_database_settings.url.replace("+aiosqlite", ""))
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"include_name": migrate.is_compared})
            assert compare_metadata(context, Base.metadata) == []
    finally:
        engine.dispose()


async def test_an_empty_database_has_the_same_shape_as_one_that_was_migrated(tmp_path: Path) -> None:
    made, migrated = (DatabaseSettings(url=f"sqlite:///{tmp_path / name}.db") for name in ("made", "migrated"))
    assert await migrate.upgrade(made)
    with migrate.locked_connection(migrated) as connection:
        assert migrate.apply_scripts(connection)
    told = "the migrations changed: run python -m storage.migrations.written_down"
    assert written_down.describe(migrated.sqlite_path) == fresh_sqlite.SCRIPT.read_text(encoding="utf-8"), told
    assert _everything_in(made) == _everything_in(migrated)


def _everything_in(settings: DatabaseSettings) -> dict[str, object]:
    """Every table, index and trigger with its SQL in one line, and the rows of every table."""
    with closing(sqlite3.connect(settings.sqlite_path)) as connection:
        shapes: list[tuple[str, str, str]] = connection.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_master").fetchall()
        found: dict[str, object] = {f"{kind} {name}": " ".join(sql.split()) for kind, name, sql in shapes}
        found |= {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for kind, name, _ in shapes if kind == "table"}
    return found


async def test_upgrading_again_does_nothing(empty_database_settings: DatabaseSettings) -> None:
    await migrate.upgrade(empty_database_settings)
    assert not await migrate.upgrade(empty_database_settings)


def test_the_head_constant_is_the_newest_script() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.SCRIPTS))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [migrate.HEAD]


def test_scripts_are_dated_and_say_what_they_do() -> None:
    names = [path.stem for path in (migrate.SCRIPTS / "versions").glob("*.py")]
    assert all(name.startswith("20") and len(name.split("_")) > 4 for name in names)


async def test_three_processes_at_once_migrate_one_database_once(empty_database_settings: DatabaseSettings) -> None:
    program = (
        "import asyncio, sys\nfrom storage import migrate\nfrom storage.database import DatabaseSettings\n"
        "print(asyncio.run(migrate.upgrade(DatabaseSettings(url=sys.argv[1]))))"
    )
    command = [sys.executable, "-c", program, empty_database_settings.url]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    processes = [
        await asyncio.create_subprocess_exec(*command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)
    ]
    answers = await asyncio.gather(*(process.communicate() for process in processes))
    assert [process.returncode for process in processes] == [0, 0, 0], answers
    assert sorted(output.decode().strip() for output, _ in answers) == ["False", "False", "True"]
    assert await migrate.is_current(empty_database_settings)


async def test_two_upgrades_in_one_process_get_along(empty_database_settings: DatabaseSettings) -> None:
    assert sorted(await asyncio.gather(*(migrate.upgrade(empty_database_settings) for _ in range(2)))) == [False, True]


async def test_a_database_of_a_newer_version_is_refused(database_settings: DatabaseSettings) -> None:
    async with Database(database_settings) as database, database.transaction() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '2099_01_01_0000'"))
    with pytest.raises(migrate.DatabaseTooNew, match="2099_01_01_0000"):
        await migrate.upgrade(database_settings)


async def test_the_first_start_on_sqlite_does_not_load_alembic(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\nfrom storage import migrate\nfrom storage.database import DatabaseSettings\n"
        "assert asyncio.run(migrate.upgrade(DatabaseSettings(url=sys.argv[1])))\nassert 'alembic' not in sys.modules"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, f"sqlite:///{tmp_path}/new.db", env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert await process.wait() == 0


async def test_a_usual_start_loads_neither_alembic_nor_the_other_database(database_settings: DatabaseSettings) -> None:
    program = (
        "import asyncio, sys\nfrom storage import migrate, run_writer\nfrom storage.database import DatabaseSettings\n"
        "assert not asyncio.run(migrate.upgrade(DatabaseSettings(url=sys.argv[1])))\n"
        "postgresql = {'psycopg', 'sqlalchemy.dialects.postgresql'} if sys.argv[1].startswith('sqlite') else set()\n"
        "loaded = {'alembic'} | postgresql\n"
        "assert not loaded & set(sys.modules), loaded & set(sys.modules)"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, database_settings.url, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert await process.wait() == 0


async def test_a_server_that_does_not_answer_is_unavailable(tmp_path: Path) -> None:
    settings = DatabaseSettings(url=f"postgresql://nobody@/none?host={tmp_path}", busy_timeout_seconds=1)
    with pytest.raises(DatabaseUnavailable):
        await migrate.upgrade(settings)


async def test_moving_the_documents_loses_none_and_nothing_that_refers_to_a_flow(
    empty_database_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(migrate, "HEAD", "2026_11_22_1200")
        with migrate.locked_connection(empty_database_settings) as connection:
            migrate.apply_scripts(connection)
    async with Database(empty_database_settings) as database:
        owner = await add_owner(database, "ada")
        flow_id = await add_flow(database, owner, document='{"nodes": [], "edges": []}', endpoint_name="kept")
        await add_rows(database, message_row(owner, flow_id, "hello"))
    assert await migrate.upgrade(empty_database_settings)
    async with Database(empty_database_settings) as database, database.reading() as session:
        row = (await session.execute(text("SELECT document, endpoint_name FROM flows"))).one()
        assert tuple(row) == ('{"nodes": [], "edges": []}', "kept")
        assert (await session.execute(text("SELECT text FROM messages"))).scalars().all() == ["hello"]
