"""`python -m storage.migrations.written_down`: writes `fresh_sqlite.sql` anew. Run it after adding a migration; a test compares the two."""

import sqlite3
import sys
import tempfile
from pathlib import Path

from storage.database import DatabaseSettings
from storage.fresh_sqlite import SCRIPT
from storage.migrate import apply_scripts, locked_connection

_HEADER = "-- What the migrations make of an empty database. Written by `python -m storage.migrations.written_down`.\n"
# What full-text search keeps its index in is made with the virtual table.
_OBJECTS = """
SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT IN (
    SELECT v.name || suffix.column1 FROM sqlite_master v, (VALUES ('_data'), ('_idx'), ('_docsize'), ('_config')) suffix
    WHERE v.sql LIKE 'CREATE VIRTUAL TABLE%'
) ORDER BY rowid
"""


def describe(path: Path) -> str:
    """The script that makes such a database as this one, which was just migrated and used by nobody."""
    connection = sqlite3.connect(path)
    try:
        made = [_tidy(sql) for (sql,) in connection.execute(_OBJECTS)]
        (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        rows = connection.execute("SELECT id, version FROM catalogue").fetchall()
    finally:
        connection.close()
    filled = [f"INSERT INTO catalogue (id, version) VALUES ({id}, {version})" for id, version in rows]
    filled.append(f"INSERT INTO alembic_version (version_num) VALUES ('{revision}')")
    return _HEADER + "".join(f"\n{statement};\n" for statement in (*made, *filled))


def _tidy(sql: str) -> str:
    return "\n".join(line.rstrip().replace("\t", "    ") for line in sql.splitlines() if line.strip())


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "migrated.db"
        with locked_connection(DatabaseSettings(url=f"sqlite:///{path}")) as connection:
            apply_scripts(connection)
        SCRIPT.write_text(describe(path), encoding="utf-8")
    sys.stdout.write(f"Wrote {SCRIPT}.\n")


if __name__ == "__main__":
    main()
