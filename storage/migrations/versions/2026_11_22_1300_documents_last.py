"""A flow's document becomes the last column of its row, so that SQLite reads the others without walking over it.

SQLite keeps a row's columns in the order of the table, and reaches what comes behind a large one through all of its pages. PostgreSQL
keeps large values elsewhere, so nothing changes there.

Revision: 2026_11_22_1300
After: 2026_11_22_1200
"""

from alembic import op

revision = "2026_11_22_1300"
down_revision = "2026_11_22_1200"


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    # Not by a new table in place of the old one: rows of other tables refer to this one.
    for statement in (
        "ALTER TABLE flows ADD COLUMN moved_document TEXT",
        "UPDATE flows SET moved_document = document",
        "ALTER TABLE flows DROP COLUMN document",
        "ALTER TABLE flows RENAME COLUMN moved_document TO document",
    ):
        op.execute(statement)
