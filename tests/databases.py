"""Both databases for tests: a migrated one without anything in it for each test.

SQLite is a file in the test's own folder. PostgreSQL is the server that HEADWATER_TEST_POSTGRES_URL names, else one started here
for the session from the installed programs, else those tests are skipped.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from storage import migrate
from storage.database import Database, DatabaseSettings
from storage.ids import new_id
from storage.run_writer import RunWriter

SERVER_SETTING = "HEADWATER_TEST_POSTGRES_URL"
BUSY_SECONDS = 60  # tests of what happens after it set their own; others may have twenty writers on a slow machine


class PostgresqlServer:
    """A server on which databases may be made and dropped."""

    def __init__(self, address: str) -> None:
        self._address = make_url(address).set(drivername="postgresql")
        self._template: str | None = None
        self._first_rows: dict[str, list[tuple[Any, ...]]] = {}  # what migrations leave in each table, in the template's order of columns
        self._emptied: list[str] = []

    def settings_of(self, name: str) -> DatabaseSettings:
        return DatabaseSettings(
            url=self._address.set(database=name).render_as_string(hide_password=False), busy_timeout_seconds=BUSY_SECONDS
        )

    def execute(self, statement: str) -> None:
        with self._connect() as connection:
            connection.execute(statement.encode())

    @contextmanager
    def empty_database(self) -> Iterator[DatabaseSettings]:
        name = self._create("template0")
        try:
            yield self.settings_of(name)
        finally:
            self._drop(name)

    @contextmanager
    def migrated_database(self) -> Iterator[DatabaseSettings]:
        """One that was emptied after another test where there is one: that takes a hundredth of the time of making and dropping it."""
        name = self._emptied.pop() if self._emptied else self._create(self._make_template())
        try:
            yield self.settings_of(name)
        finally:
            if self._is_emptied(name):
                self._emptied.append(name)
            else:
                self._drop(name)

    def close(self) -> None:
        for name in (*self._emptied, self._template):
            if name is not None:
                self._drop(name)

    def _make_template(self) -> str:
        if self._template is None:
            template = self._create("template0")
            migrate.upgrade_now(self.settings_of(template))
            with self._connect(template) as connection:
                self._first_rows = {
                    table: connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))).fetchall()
                    for table in _tables(connection)
                }
            self._template = template
        return self._template

    def _is_emptied(self, name: str) -> bool:
        """Make it what the template is; False where that is not to be had: other tables, or not enough rights on a server given to us."""
        try:
            with self._connect(name) as connection, connection.transaction():
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                if _tables(connection) != list(self._first_rows):
                    return False
                # Neither foreign keys nor triggers: what they are for is whole again at the end.
                connection.execute("SET LOCAL session_replication_role = replica")
                for table, rows in self._first_rows.items():
                    connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
                    for row in rows:
                        places = sql.SQL(", ").join([sql.Placeholder()] * len(row))
                        connection.execute(sql.SQL("INSERT INTO {} VALUES ({})").format(sql.Identifier(table), places), row)
                connection.execute("SELECT setval(seqrelid::regclass, seqstart, false) FROM pg_sequence")
        except psycopg.errors.InsufficientPrivilege:
            return False
        return True

    def _connect(self, name: str | None = None) -> psycopg.Connection[tuple[Any, ...]]:
        address = self._address if name is None else self._address.set(database=name)
        return psycopg.connect(address.render_as_string(hide_password=False), autocommit=True)

    def _create(self, template: str) -> str:
        name = f"headwater_test_{new_id().replace('-', '')}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def _drop(self, name: str) -> None:
        self.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _tables(connection: psycopg.Connection[tuple[Any, ...]]) -> list[str]:
    rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
    return [str(name) for (name,) in rows]


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    address = os.environ.get(SERVER_SETTING)
    if address:
        server = PostgresqlServer(address)
        yield server
        server.close()
        return
    programs = _find_programs()
    if programs is None:
        pytest.skip(f"PostgreSQL is not tested: {SERVER_SETTING} names no server, and initdb and pg_ctl are not installed")
    with _started_server(programs) as address:
        yield PostgresqlServer(address)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file without anything in it, to be copied."""
    path = tmp_path_factory.mktemp("template") / "headwater.db"
    migrate.upgrade_now(DatabaseSettings(url=f"sqlite:///{path}"))
    return path


@pytest.fixture
def sqlite_settings(tmp_path: Path, sqlite_template: Path) -> DatabaseSettings:
    """A migrated SQLite file without anything in it."""
    path = tmp_path / "headwater.db"
    shutil.copy(sqlite_template, path)
    return DatabaseSettings(url=f"sqlite:///{path}", busy_timeout_seconds=BUSY_SECONDS)


@pytest.fixture
def postgresql_settings(postgresql_server: PostgresqlServer) -> Iterator[DatabaseSettings]:
    """A migrated PostgreSQL database without anything in it."""
    with postgresql_server.migrated_database() as settings:
        yield settings


@pytest.fixture(params=["sqlite", "postgresql"])
def database_settings(request: pytest.FixtureRequest) -> DatabaseSettings:
    """A migrated database without anything in it; the test runs once on each kind."""
    settings: DatabaseSettings = request.getfixturevalue(f"{request.param}_settings")
    return settings


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DatabaseSettings]:
    """A database without tables; the test runs once on each kind."""
    if request.param == "sqlite":
        yield DatabaseSettings(url=f"sqlite:///{tmp_path}/headwater.db")
    else:
        with request.getfixturevalue("postgresql_server").empty_database() as settings:
            yield settings


@pytest.fixture
async def database(database_settings: DatabaseSettings) -> AsyncIterator[Database]:
    async with Database(database_settings) as opened:
        yield opened


@pytest.fixture
async def run_writer(database_settings: DatabaseSettings) -> AsyncIterator[RunWriter]:
    async with RunWriter(database_settings) as opened:
        yield opened


def _find_programs() -> Path | None:
    """The folder that has both programs: on the PATH, or where Debian keeps them (newest version first)."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name), reverse=True)
    return next((folder for folder in folders if all((folder / name).is_file() for name in ("initdb", "pg_ctl", "postgres"))), None)


@contextmanager
def _started_server(programs: Path) -> Iterator[str]:
    """A server of our own on a Unix socket in a short path (a socket's path has at most 107 characters)."""
    folder = Path(tempfile.mkdtemp(prefix="headwater-pg-"))
    # PostgreSQL refuses to run as root.
    user: str | None = None
    if os.geteuid() == 0:
        user = next(name for name in ("postgres", "nobody") if _has_user(name))
        shutil.chown(folder, user)
    data = folder / "data"

    def run(*command: str | Path) -> None:
        # Output goes to a file: a pipe would be inherited by the server and never end.
        log = folder / "log"
        with log.open("ab") as output:
            done = subprocess.run(
                command, user=user, extra_groups=[] if user else None, cwd=folder, stdout=output, stderr=output, timeout=60
            )
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed:\n{log.read_text()}")

    try:
        run(programs / "initdb", "-D", data, "-U", "headwater", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c full_page_writes=off -c max_connections=60"
        run(programs / "pg_ctl", "-D", data, "-w", "-s", "-l", folder / "server.log", "-o", options, "start")
        try:
            yield f"postgresql://headwater@/postgres?host={folder}"
        finally:
            run(programs / "pg_ctl", "-D", data, "-w", "-s", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _has_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
