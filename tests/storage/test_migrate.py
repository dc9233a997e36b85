import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from storage import migrate
from storage.database import Database, DatabaseSettings, DatabaseUnavailable
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


async def test_a_usual_start_does_not_load_alembic(database_settings: DatabaseSettings) -> None:
    program = (
        "import asyncio, sys\nfrom storage import migrate, run_writer\nfrom storage.database import DatabaseSettings\n"
        "assert not asyncio.run(migrate.upgrade(DatabaseSettings(url=sys.argv[1])))\n"
        "loaded = {'alembic'} | ({'psycopg'} if sys.argv[1].startswith('sqlite') else set())\n"
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
        await migrate.upgrade(empty_database_settings)
    async with Database(empty_database_settings) as database:
        owner = await add_owner(database, "ada")
        flow_id = await add_flow(database, owner, document='{"nodes": [], "edges": []}', endpoint_name="kept")
        await add_rows(database, message_row(owner, flow_id, "hello"))
    assert await migrate.upgrade(empty_database_settings)
    async with Database(empty_database_settings) as database, database.reading() as session:
        row = (await session.execute(text("SELECT document, endpoint_name FROM flows"))).one()
        assert tuple(row) == ('{"nodes": [], "edges": []}', "kept")
        assert (await session.execute(text("SELECT text FROM messages"))).scalars().all() == ["hello"]
