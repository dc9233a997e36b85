"""Both databases for tests: a fresh, migrated one per test, copied from a template.

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

import psycopg
import pytest
from sqlalchemy import make_url

from storage import migrate
from storage.database import Database, DatabaseSettings
from storage.ids import new_id
from storage.run_writer import RunWriter

SERVER_SETTING = "HEADWATER_TEST_POSTGRES_URL"


class PostgresqlServer:
    """A server on which databases may be made and dropped."""

    def __init__(self, address: str) -> None:
        self._address = make_url(address).set(drivername="postgresql")
        self._template: str | None = None

    def settings_of(self, name: str) -> DatabaseSettings:
        return DatabaseSettings(url=self._address.set(database=name).render_as_string(hide_password=False), busy_timeout_seconds=10)

    def execute(self, statement: str) -> None:
        with psycopg.connect(self._address.render_as_string(hide_password=False), autocommit=True) as connection:
            connection.execute(statement.encode())

    @contextmanager
    def empty_database(self) -> Iterator[DatabaseSettings]:
        with self._database("template0") as settings:
            yield settings

    @contextmanager
    def migrated_database(self) -> Iterator[DatabaseSettings]:
        if self._template is None:
            template = _new_name("template")
            self.execute(f'CREATE DATABASE "{template}" TEMPLATE template0')
            migrate.upgrade_now(self.settings_of(template))
            self._template = template
        with self._database(self._template) as settings:
            yield settings

    def close(self) -> None:
        if self._template is not None:
            self.execute(f'DROP DATABASE "{self._template}" WITH (FORCE)')

    @contextmanager
    def _database(self, template: str) -> Iterator[DatabaseSettings]:
        name = _new_name("test")
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        try:
            yield self.settings_of(name)
        finally:
            self.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


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
    return DatabaseSettings(url=f"sqlite:///{path}", busy_timeout_seconds=5)


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


def _new_name(kind: str) -> str:
    return f"headwater_{kind}_{new_id().replace('-', '')}"


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
