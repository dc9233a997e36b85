"""Knowledge: named bases of texts, with vectors where a model made them, and an index of their words.

Revision: 2026_11_22_1100
After: 2026_11_22_1000
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_22_1100"
down_revision = "2026_11_22_1000"


def upgrade() -> None:
    op.create_table(
        "knowledge_bases",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("owner_id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("embedding", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_knowledge_bases")),
        sa.UniqueConstraint("owner_id", "name", name=op.f("uq_knowledge_bases_owner_id_name")),
        _refers("knowledge_bases", "owner_id", "users"),
    )
    op.create_table(
        "knowledge_rows",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("owner_id", sa.String(36), nullable=False),
        sa.Column("base_id", sa.String(36), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("vector", sa.LargeBinary()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_knowledge_rows")),
        _refers("knowledge_rows", "owner_id", "users"),
        _refers("knowledge_rows", "base_id", "knowledge_bases"),
    )
    op.create_index(op.f("ix_knowledge_rows_owner_id"), "knowledge_rows", ["owner_id"])
    op.create_index(op.f("ix_knowledge_rows_base_id_digest"), "knowledge_rows", ["base_id", "digest"])
    if op.get_bind().dialect.name == "sqlite":
        _index_words_on_sqlite()
    else:
        op.execute("CREATE INDEX knowledge_words ON knowledge_rows USING gin (to_tsvector('english', text))")


def _index_words_on_sqlite() -> None:
    """The index refers to the table's texts instead of keeping them again; triggers keep the two together."""
    op.execute(
        "CREATE VIRTUAL TABLE knowledge_words USING fts5("
        "text, content='knowledge_rows', content_rowid='number', tokenize='porter unicode61 remove_diacritics 2')"
    )
    op.execute(
        "CREATE TRIGGER knowledge_words_insert AFTER INSERT ON knowledge_rows BEGIN "
        "INSERT INTO knowledge_words (rowid, text) VALUES (new.number, new.text); END"
    )
    op.execute(
        "CREATE TRIGGER knowledge_words_delete AFTER DELETE ON knowledge_rows BEGIN "
        "INSERT INTO knowledge_words (knowledge_words, rowid, text) VALUES ('delete', old.number, old.text); END"
    )


def _refers(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=op.f(f"fk_{table}_{column}_{to}"), ondelete="CASCADE")
