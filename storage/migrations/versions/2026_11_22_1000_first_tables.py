"""The first tables: people and their credentials, projects, flows, variables, files, and what runs leave behind.

Revision: 2026_11_22_1000
After: nothing
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_22_1000"
down_revision = None


def upgrade() -> None:
    catalogue = op.create_table(
        "catalogue",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        _primary_key("catalogue"),
    )
    op.bulk_insert(catalogue, [{"id": 1, "version": 0}])

    _create_people()
    _create_projects()
    _create_run_records()


def _create_people() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("username", sa.String(255), nullable=False),
        sa.Column("username_key", sa.String(255), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        _flag("is_active", default=False),
        _flag("is_superuser", default=False),
        sa.Column("profile_image", sa.Text()),
        sa.Column("preferences", sa.Text()),
        _moment("created_at"),
        _moment("updated_at"),
        _moment("last_login_at", nullable=True),
        _primary_key("users"),
        _unique("users", "username_key"),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("refresh_id", sa.String(36), nullable=False),
        _moment("created_at"),
        _moment("expires_at"),
        _moment("revoked_at", nullable=True),
        _primary_key("sessions"),
        _refers("sessions", "user_id", "users"),
    )
    _index("sessions", "user_id")
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(255)),
        sa.Column("key_hash", sa.String(64), nullable=False),
        sa.Column("prefix", sa.String(16), nullable=False),
        _flag("is_active", default=True),
        _moment("created_at"),
        _moment("expires_at", nullable=True),
        _moment("last_used_at", nullable=True),
        sa.Column("total_uses", sa.BigInteger(), server_default="0", nullable=False),
        _primary_key("api_keys"),
        _refers("api_keys", "user_id", "users"),
        _unique("api_keys", "key_hash"),
    )
    _index("api_keys", "user_id")


def _create_projects() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("owner_id", sa.String(36), nullable=False),
        sa.Column("parent_id", sa.String(36)),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("auth_settings", sa.Text()),
        _moment("created_at"),
        _moment("updated_at"),
        _primary_key("projects"),
        _refers("projects", "owner_id", "users"),
        _refers("projects", "parent_id", "projects", ondelete="SET NULL"),
        _unique("projects", "owner_id", "name"),
    )
    op.create_table(
        "flows",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("owner_id", sa.String(36), nullable=False),
        sa.Column("project_id", sa.String(36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("endpoint_name", sa.String(255)),
        sa.Column("document", sa.Text()),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        _flag("is_component", default=False),
        _flag("has_webhook", default=False),
        _flag("is_locked", default=False),
        _flag("is_tool", default=False),
        sa.Column("tool_name", sa.Text()),
        sa.Column("tool_description", sa.Text()),
        sa.Column("access", sa.String(16), server_default="PRIVATE", nullable=False),
        sa.Column("flow_type", sa.String(16), server_default="workflow", nullable=False),
        sa.Column("icon", sa.Text()),
        sa.Column("icon_background", sa.String(16)),
        sa.Column("gradient", sa.String(64)),
        sa.Column("tags", sa.Text()),
        _moment("created_at"),
        _moment("updated_at"),
        _primary_key("flows"),
        _refers("flows", "owner_id", "users"),
        _refers("flows", "project_id", "projects"),
        _unique("flows", "owner_id", "name"),
        _unique("flows", "owner_id", "endpoint_name"),
    )
    _index("flows", "project_id")
    _index("flows", "owner_id", "project_id")
    op.create_table(
        "variables",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("owner_id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("default_fields", sa.Text()),
        _moment("created_at"),
        _moment("updated_at"),
        _primary_key("variables"),
        _refers("variables", "owner_id", "users"),
        _unique("variables", "owner_id", "name"),
    )
    op.create_table(
        "files",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("owner_id", sa.String(36), nullable=False),
        sa.Column("flow_id", sa.String(36)),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("blob_key", sa.Text(), nullable=False),
        sa.Column("media_type", sa.String(255), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        _moment("created_at"),
        _moment("updated_at"),
        _primary_key("files"),
        _refers("files", "owner_id", "users"),
        _refers("files", "flow_id", "flows"),
        _unique("files", "blob_key"),
    )
    _index("files", "owner_id")
    _index("files", "flow_id")


def _create_run_records() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("owner_id", sa.String(36), nullable=False),
        sa.Column("principal", sa.String(128), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("project_id", sa.String(36)),
        sa.Column("flow_id", sa.String(36), nullable=False),
        sa.Column("flow_version", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="1", nullable=False),
        sa.Column("lease_owner", sa.String(64)),
        _moment("lease_expires_at", nullable=True),
        sa.Column("idempotency_key", sa.String(255)),
        sa.Column("body_digest", sa.String(64)),
        sa.Column("request", sa.Text()),
        sa.Column("result", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.Column("warnings", sa.Text()),
        _moment("created_at"),
        _moment("started_at", nullable=True),
        _moment("finished_at", nullable=True),
        _primary_key("runs"),
        _refers("runs", "owner_id", "users"),
        _refers("runs", "flow_id", "flows"),
        _unique("runs", "principal", "idempotency_key"),
    )
    _index("runs", "flow_id")
    _index("runs", "owner_id", "created_at")
    _index("runs", "state", "lease_expires_at")
    op.create_table(
        "messages",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("owner_id", sa.String(36), nullable=False),
        sa.Column("flow_id", sa.String(36), nullable=False),
        sa.Column("run_id", sa.String(36)),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("context_id", sa.Text(), server_default="", nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("sender_name", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("files", sa.Text(), nullable=False),
        sa.Column("properties", sa.Text(), nullable=False),
        sa.Column("category", sa.String(32), nullable=False),
        sa.Column("content_blocks", sa.Text(), nullable=False),
        _flag("is_error", default=False),
        _flag("is_edited", default=False),
        sa.Column("duration_seconds", sa.Double()),
        _moment("created_at"),
        _primary_key("messages"),
        _refers("messages", "owner_id", "users"),
        _refers("messages", "flow_id", "flows"),
    )
    _index("messages", "flow_id")
    _index("messages", "run_id")
    _index("messages", "owner_id", "flow_id", "session_id", "created_at")
    op.create_table(
        "vertex_builds",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("owner_id", sa.String(36), nullable=False),
        sa.Column("flow_id", sa.String(36), nullable=False),
        sa.Column("run_id", sa.String(36), nullable=False),
        sa.Column("vertex_id", sa.Text(), nullable=False),
        sa.Column("is_valid", sa.Boolean(), nullable=False),
        sa.Column("params", sa.Text()),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("artifacts", sa.Text(), nullable=False),
        sa.Column("duration_seconds", sa.Double(), nullable=False),
        _moment("created_at"),
        _primary_key("vertex_builds"),
        _refers("vertex_builds", "owner_id", "users"),
        _refers("vertex_builds", "flow_id", "flows"),
    )
    op.create_table(
        "transactions",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("owner_id", sa.String(36), nullable=False),
        sa.Column("flow_id", sa.String(36), nullable=False),
        sa.Column("run_id", sa.String(36), nullable=False),
        sa.Column("vertex_id", sa.Text(), nullable=False),
        sa.Column("target_id", sa.Text()),
        sa.Column("inputs", sa.Text(), nullable=False),
        sa.Column("outputs", sa.Text(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("error", sa.Text()),
        _moment("created_at"),
        _primary_key("transactions"),
        _refers("transactions", "owner_id", "users"),
        _refers("transactions", "flow_id", "flows"),
    )
    for table in ("vertex_builds", "transactions"):
        _index(table, "flow_id")
        _index(table, "run_id")
        _index(table, "owner_id", "flow_id", "created_at")


def _moment(name: str, *, nullable: bool = False) -> "sa.Column[int]":
    """Microseconds since 1970."""
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _flag(name: str, *, default: bool) -> "sa.Column[bool]":
    return sa.Column(name, sa.Boolean(), server_default=sa.true() if default else sa.false(), nullable=False)


def _primary_key(table: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}"))


def _unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=op.f(f"uq_{table}_{'_'.join(columns)}"))


def _refers(table: str, column: str, to: str, *, ondelete: str = "CASCADE") -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=op.f(f"fk_{table}_{column}_{to}"), ondelete=ondelete)


def _index(table: str, *columns: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))
