"""SQL of flows: only allowed databases, only reading, within bounds; on SQLite and on PostgreSQL."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from projects.engine.component import ComponentError
from projects.errors import InvalidInput, LimitReached
from projects.sql_queries import SqlQueries
from storage.database import DatabaseSettings

ROWS: LiteralString = "INSERT INTO people VALUES (1, 'Ada', 1.5), (2, 'Bob 100%', NULL)"


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with a table `people`."""
    if request.param == "sqlite":
        with closing(sqlite3.connect(tmp_path / "data.db")) as connection, connection:
            connection.execute("CREATE TABLE people (id INTEGER, name TEXT, score REAL)")
            connection.execute(ROWS)
        return f"sqlite:///{tmp_path}/data.db"
    settings: DatabaseSettings = request.getfixturevalue("postgresql_settings")
    with psycopg.connect(settings.postgresql_conninfo) as server:
        server.execute("CREATE TABLE people (id INTEGER, name TEXT, score DOUBLE PRECISION)")
        server.execute(ROWS)
    return settings.postgresql_conninfo


async def test_rows_come_with_their_columns(address: str) -> None:
    table = await SqlQueries([address]).query(address, "SELECT id, name, score, id FROM people WHERE name LIKE '%%' ORDER BY id")
    assert table.columns == ["id", "name", "score", "id_2"]
    assert table.rows == [{"id": 1, "name": "Ada", "score": 1.5, "id_2": 1}, {"id": 2, "name": "Bob 100%", "score": None, "id_2": 2}]
    empty = await SqlQueries([address]).query(address, "SELECT id, name FROM people WHERE id = 9")
    assert (empty.columns, empty.rows) == (["id", "name"], [])


WRITES = [
    "INSERT INTO people VALUES (3, 'Eve', 0)",
    "UPDATE people SET name = 'x'",
    "DELETE FROM people",
    "DROP TABLE people",
    "CREATE TABLE more (id INTEGER)",
    "SELECT 1; DELETE FROM people",
    "COMMIT; DELETE FROM people",
    "WITH gone AS (DELETE FROM people RETURNING id) SELECT * FROM gone",
]


@pytest.mark.parametrize("query", WRITES)
async def test_nothing_is_ever_changed(address: str, query: str) -> None:
    queries = SqlQueries([address])
    with pytest.raises(ComponentError, match="The database says"):
        await queries.query(address, query)
    assert len((await queries.query(address, "SELECT * FROM people")).rows) == 2


async def test_rows_text_and_time_are_bounded(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LimitReached, match="more than 1 rows"):
        await SqlQueries([address], max_rows=1).query(address, "SELECT * FROM people")
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(ComponentError, match=r"took longer than 0\.2 seconds"):
        await SqlQueries([address], timeout_seconds=0.2).query(address, endless)
    with pytest.raises(LimitReached, match="characters"):
        await SqlQueries([address]).query(address, "SELECT 1 -- " + "x" * 100_000)
    monkeypatch.setattr("projects.sql_queries.MAX_CHARACTERS", 5)
    with pytest.raises(LimitReached, match="characters of text"):
        await SqlQueries([address]).query(address, "SELECT name FROM people")


async def test_only_listed_databases_are_reached(address: str, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path}/other.db"
    (tmp_path / "other.db").touch()
    for url in (other, "", "nonsense", "sqlite://", "sqlite:///:memory:", "sqlite:///other.db", "mysql://x/y", "postgresql://elsewhere/db"):
        with pytest.raises(InvalidInput, match="HEADWATER_ALLOWED_DATABASES"):
            await SqlQueries([address]).query(url, "SELECT 1")
    with pytest.raises(InvalidInput, match="allowed"):
        await SqlQueries([]).query(address, "SELECT 1")


async def test_an_allowed_sqlite_file_opens_no_other_one(tmp_path: Path) -> None:
    for name in ("data.db", "secret.db"):
        with closing(sqlite3.connect(tmp_path / name)) as connection, connection:
            connection.execute("CREATE TABLE t (x)")
    queries = SqlQueries([f"sqlite:///{tmp_path}/data.db"])
    for query in (f"ATTACH '{tmp_path}/secret.db' AS s", "PRAGMA query_only = OFF", "VACUUM INTO '/tmp/x'", "SELECT load_extension('x')"):
        with pytest.raises(ComponentError, match="The database says"):
            await queries.query(f"sqlite:///{tmp_path}/data.db", query)
    (tmp_path / "link.db").symlink_to(tmp_path / "secret.db")
    with pytest.raises(InvalidInput):
        await queries.query(f"sqlite:///{tmp_path}/link.db", "SELECT 1")
    assert (await queries.query(f"sqlite+aiosqlite:///{tmp_path}/x/../data.db", "PRAGMA table_info(t)")).rows[0]["name"] == "x"


async def test_of_a_flows_address_only_the_place_and_its_own_credentials_count() -> None:
    queries = SqlQueries(["postgresql://reader:secret@db.example.org/shop?sslmode=require"])
    found = queries._find("postgresql+psycopg://DB.example.org:5432/shop")
    assert found.username == "reader" and found.password == "secret" and found.query == {"sslmode": "require"}
    mine = queries._find("postgres://me:mine@db.example.org/shop")
    assert (mine.username, mine.password, dict(mine.query)) == ("me", "mine", {"sslmode": "require"})
    assert queries._find("postgresql://admin@db.example.org/shop").password == ""
    for url in ("postgresql://db.example.org/shop?host=other", "postgresql://db.example.org/other", "postgresql://db.example.org:1/shop"):
        with pytest.raises(InvalidInput):
            queries._find(url)


def test_an_allowed_address_that_cannot_be_used_is_told_at_once() -> None:
    for url in ("mysql://x/y", "sqlite:///relative.db", "nonsense"):
        with pytest.raises(InvalidInput, match="An allowed database cannot be used"):
            SqlQueries([url])
