"""Runs that wait and go on: what their vertices gave, what they ask; settings of a project's MCP server; MCP servers a user knows.

Revision: 2026_11_22_1200
After: 2026_11_22_1100
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_22_1200"
down_revision = "2026_11_22_1100"


def upgrade() -> None:
    op.add_column("runs", sa.Column("questions", sa.Text()))
    op.add_column("runs", sa.Column("checkpoint", sa.Text()))
    op.add_column("runs", sa.Column("is_cancel_requested", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("runs", sa.Column("available_at", sa.BigInteger()))
    op.create_table(
        "run_vertex_results",
        sa.Column("run_id", sa.String(36), nullable=False),
        sa.Column("vertex_id", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "vertex_id", name=op.f("pk_run_vertex_results")),
        _refers("run_vertex_results", "run_id", "runs"),
    )
    op.add_column("files", sa.Column("path", sa.Text()))
    op.add_column("projects", sa.Column("mcp_settings", sa.Text()))
    op.create_table(
        "mcp_servers",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("owner_id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mcp_servers")),
        sa.UniqueConstraint("owner_id", "name", name=op.f("uq_mcp_servers_owner_id_name")),
        _refers("mcp_servers", "owner_id", "users"),
    )


def _refers(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=op.f(f"fk_{table}_{column}_{to}"), ondelete="CASCADE")
