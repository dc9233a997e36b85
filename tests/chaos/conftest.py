"""The chaos scripts run on SQLite and on PostgreSQL; `CHAOS=short` makes each of them small enough for CI."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.hardship import Place
from tests.databases import PostgresqlServer

IS_SHORT = os.environ.get("CHAOS") == "short"


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A data folder and a database for the processes of one test; what is still alive at its end is killed."""
    database_url = None
    if request.param == "postgresql":
        server: PostgresqlServer = request.getfixturevalue("postgresql_server")
        empty = server.empty_database()
        database_url = empty.__enter__().url
        request.addfinalizer(lambda: empty.__exit__(None, None, None))
    place = Place(tmp_path, database_url)
    try:
        yield place
    finally:
        place.kill_all()


@pytest.fixture
def only_at_length() -> None:
    """For what takes long and what the short form has another test of."""
    if IS_SHORT:
        pytest.skip("not in the short form")


@pytest.fixture
def many() -> int:
    """How often the scripts do what they do many times; their texts say it for 100."""
    return 10 if IS_SHORT else 100
