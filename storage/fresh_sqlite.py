"""An empty SQLite database gets the newest shape from one script, which `migrations/written_down.py` made of the migrations.

It takes a tenth of their time, and Alembic with its 12 MB stays out of a server that starts for the first time. With PostgreSQL the
migrations themselves run.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection

SCRIPT = Path(__file__).with_name("fresh_sqlite.sql")


def is_empty(connection: Connection) -> bool:
    """Whether it is SQLite and nothing was ever made in it."""
    return connection.dialect.name == "sqlite" and not connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()


def fill(connection: Connection) -> None:
    """Inside the transaction that is open."""
    for statement in _statements(SCRIPT.read_text(encoding="utf-8")):
        connection.exec_driver_sql(statement)


def _statements(script: str) -> Iterator[str]:
    """`executescript` would end the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
