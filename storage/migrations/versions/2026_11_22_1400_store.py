"""The store: flows and components that users of this server share, and who likes them.

Revision: 2026_11_22_1400
After: 2026_11_22_1300
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_22_1400"
down_revision = "2026_11_22_1300"


def upgrade() -> None:
    op.create_table(
        "store_entries",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("owner_id", sa.String(36), nullable=False),
        sa.Column("parent_id", sa.String(36)),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("is_component", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("is_private", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("tested_version", sa.String(64)),
        sa.Column("downloads", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_store_entries")),
        _refers("store_entries", "owner_id", "users"),
        _refers("store_entries", "parent_id", "store_entries", "SET NULL"),
    )
    op.create_index(op.f("ix_store_entries_owner_id"), "store_entries", ["owner_id"])
    op.create_index(op.f("ix_store_entries_parent_id"), "store_entries", ["parent_id"])
    op.create_table(
        "store_likes",
        sa.Column("entry_id", sa.String(36), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.PrimaryKeyConstraint("entry_id", "user_id", name=op.f("pk_store_likes")),
        _refers("store_likes", "entry_id", "store_entries"),
        _refers("store_likes", "user_id", "users"),
    )
    op.create_index(op.f("ix_store_likes_user_id"), "store_likes", ["user_id"])


def _refers(table: str, column: str, to: str, on_delete: str = "CASCADE") -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=op.f(f"fk_{table}_{column}_{to}"), ondelete=on_delete)
