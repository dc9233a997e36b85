"""Every table, in one place: the metadata that migrations are tested against. A row class a table, no rules.

Ids are UUID text (version 7, so that they grow with time), times are aware UTC kept as whole microseconds since 1970 (portable, sortable,
and no driver guesses a zone), JSON is kept as text and parsed by whoever needs it.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Dialect, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Text, UniqueConstraint, false, true
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(moment: datetime) -> int:
    """Aware UTC datetime → whole microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    """Whole microseconds since 1970 → aware UTC datetime."""
    return _EPOCH + timedelta(microseconds=value)


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime kept as an integer of microseconds."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_microseconds(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_microseconds(int(value))


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


Id = String(36)


class CatalogueRow(Base):
    """One row. `version` grows in the transaction of every write that a cache may have seen (keys, users, projects, flows, variables)."""

    __tablename__ = "catalogue"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger, default=0)


class UserRow(Base):
    __tablename__ = "users"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    username: Mapped[str] = mapped_column(String(255))
    username_key: Mapped[str] = mapped_column(String(255), unique=True)  # case-folded
    password_hash: Mapped[str] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(default=False, server_default=false())
    is_superuser: Mapped[bool] = mapped_column(default=False, server_default=false())
    profile_image: Mapped[str | None] = mapped_column(Text)
    preferences: Mapped[str | None] = mapped_column(Text)  # JSON (optins)
    created_at: Mapped[datetime] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)
    last_login_at: Mapped[datetime | None] = mapped_column(Moment)


class SessionRow(Base):
    """A login. Tokens carry its id, so ending it ends them."""

    __tablename__ = "sessions"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    refresh_id: Mapped[str] = mapped_column(Id)  # the one refresh token that is good now
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    revoked_at: Mapped[datetime | None] = mapped_column(Moment)


class ApiKeyRow(Base):
    __tablename__ = "api_keys"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str | None] = mapped_column(String(255))
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)  # SHA-256, hex
    prefix: Mapped[str] = mapped_column(String(16))  # the first characters, to recognise it by
    is_active: Mapped[bool] = mapped_column(default=True, server_default=true())
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    last_used_at: Mapped[datetime | None] = mapped_column(Moment)
    total_uses: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")


class ProjectRow(Base):
    __tablename__ = "projects"
    __table_args__ = (UniqueConstraint("owner_id", "name"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id", ondelete="SET NULL"))
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    auth_settings: Mapped[str | None] = mapped_column(Text)  # JSON
    mcp_settings: Mapped[str | None] = mapped_column(Text)  # JSON: what else its MCP server shows
    created_at: Mapped[datetime] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)


class FlowRow(Base):
    """`document` is the text of Langflow's `data` as it came in; `version` grows with each change of it."""

    __tablename__ = "flows"
    __table_args__ = (
        UniqueConstraint("owner_id", "name"),
        UniqueConstraint("owner_id", "endpoint_name"),
        Index("ix_flows_owner_id_project_id", "owner_id", "project_id"),
    )
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    endpoint_name: Mapped[str | None] = mapped_column(String(255))
    version: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
    is_component: Mapped[bool] = mapped_column(default=False, server_default=false())
    has_webhook: Mapped[bool] = mapped_column(default=False, server_default=false())
    is_locked: Mapped[bool] = mapped_column(default=False, server_default=false())
    is_tool: Mapped[bool] = mapped_column(default=False, server_default=false())
    tool_name: Mapped[str | None] = mapped_column(Text)
    tool_description: Mapped[str | None] = mapped_column(Text)
    access: Mapped[str] = mapped_column(String(16), default="PRIVATE", server_default="PRIVATE")
    flow_type: Mapped[str] = mapped_column(String(16), default="workflow", server_default="workflow")
    icon: Mapped[str | None] = mapped_column(Text)
    icon_background: Mapped[str | None] = mapped_column(String(16))
    gradient: Mapped[str | None] = mapped_column(String(64))
    tags: Mapped[str | None] = mapped_column(Text)  # JSON list
    created_at: Mapped[datetime] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)
    # Last, because SQLite reads what comes behind a large column through all of it.
    document: Mapped[str | None] = mapped_column(Text, deferred=True, deferred_raiseload=True)


class VariableRow(Base):
    """`value` is ciphertext, whatever the type."""

    __tablename__ = "variables"
    __table_args__ = (UniqueConstraint("owner_id", "name"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(255))
    type: Mapped[str] = mapped_column(String(64))
    value: Mapped[str] = mapped_column(Text)
    default_fields: Mapped[str | None] = mapped_column(Text)  # JSON list of field display names
    created_at: Mapped[datetime] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)


class FileRow(Base):
    """A stored upload; the bytes are in the blob store under `blob_key`. `flow_id` is set for files of one flow."""

    __tablename__ = "files"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    flow_id: Mapped[str | None] = mapped_column(ForeignKey("flows.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(Text)
    blob_key: Mapped[str] = mapped_column(Text, unique=True)
    path: Mapped[str | None] = mapped_column(Text)  # the storage path callers know it by, once it is no longer made of its name
    media_type: Mapped[str] = mapped_column(String(255))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)


class RunRow(Base):
    """One run of one flow. `state`: queued, running, waiting, completed, failed, cancelled, interrupted; the last four are final."""

    __tablename__ = "runs"
    __table_args__ = (
        UniqueConstraint("principal", "idempotency_key"),
        Index("ix_runs_owner_id_created_at", "owner_id", "created_at"),
    )
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    principal: Mapped[str] = mapped_column(String(128))
    kind: Mapped[str] = mapped_column(String(16))  # call, tool, webhook, background, build
    project_id: Mapped[str | None] = mapped_column(Id)
    flow_id: Mapped[str] = mapped_column(ForeignKey("flows.id", ondelete="CASCADE"), index=True)
    flow_version: Mapped[int] = mapped_column(Integer)
    session_id: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
    lease_owner: Mapped[str | None] = mapped_column(String(64))  # the process that runs it
    lease_expires_at: Mapped[datetime | None] = mapped_column(Moment)
    idempotency_key: Mapped[str | None] = mapped_column(String(255))
    body_digest: Mapped[str | None] = mapped_column(String(64))  # SHA-256, hex, of the request that the key stands for
    request: Mapped[str | None] = mapped_column(Text)  # JSON: the invocation, for runs that may start later
    result: Mapped[str | None] = mapped_column(Text)  # JSON
    error: Mapped[str | None] = mapped_column(Text)  # JSON: code, message, component
    warnings: Mapped[str | None] = mapped_column(Text)  # JSON list of strings
    questions: Mapped[str | None] = mapped_column(Text)  # JSON list: what a waiting run asks of a person
    checkpoint: Mapped[str | None] = mapped_column(Text)  # JSON: what goes on with the run beside its vertices' results
    is_cancel_requested: Mapped[bool] = mapped_column(default=False, server_default=false())
    available_at: Mapped[datetime | None] = mapped_column(Moment)  # a queued run starts no earlier
    created_at: Mapped[datetime] = mapped_column(Moment)
    started_at: Mapped[datetime | None] = mapped_column(Moment)
    finished_at: Mapped[datetime | None] = mapped_column(Moment)


HAS_NOT_ENDED = RunRow.finished_at.is_(None)
"""Said beside the state wherever runs are looked for by it: the index leaves out those that have ended, which are the most."""
# On PostgreSQL too, by the migration: naming it here would load that dialect, 3 MB, wherever the tables are known.
Index("ix_runs_state_created_at", RunRow.state, RunRow.created_at, sqlite_where=HAS_NOT_ENDED)


class RunVertexResultRow(Base):
    """What a vertex gave in a run that may have to go on later; it is not run again then."""

    __tablename__ = "run_vertex_results"
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    vertex_id: Mapped[str] = mapped_column(Text, primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
    content: Mapped[str] = mapped_column(Text)  # JSON, typed: see `projects/engine/snapshot.py`
    created_at: Mapped[datetime] = mapped_column(Moment)


class MessageRow(Base):
    __tablename__ = "messages"
    __table_args__ = (Index("ix_messages_owner_id_flow_id_session_id_created_at", "owner_id", "flow_id", "session_id", "created_at"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    flow_id: Mapped[str] = mapped_column(ForeignKey("flows.id", ondelete="CASCADE"), index=True)
    run_id: Mapped[str | None] = mapped_column(Id, index=True)
    session_id: Mapped[str] = mapped_column(Text)
    context_id: Mapped[str] = mapped_column(Text, default="", server_default="")
    sender: Mapped[str] = mapped_column(Text)
    sender_name: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    files: Mapped[str] = mapped_column(Text)  # JSON list of storage paths
    properties: Mapped[str] = mapped_column(Text)  # JSON: source, state, usage …
    category: Mapped[str] = mapped_column(String(32))
    content_blocks: Mapped[str] = mapped_column(Text)  # JSON list
    is_error: Mapped[bool] = mapped_column(default=False, server_default=false())
    is_edited: Mapped[bool] = mapped_column(default=False, server_default=false())
    duration_seconds: Mapped[float | None] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(Moment)


class VertexBuildRow(Base):
    """What one vertex produced in one run."""

    __tablename__ = "vertex_builds"
    __table_args__ = (Index("ix_vertex_builds_flow_id_owner_id_created_at", "flow_id", "owner_id", "created_at"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    flow_id: Mapped[str] = mapped_column(ForeignKey("flows.id", ondelete="CASCADE"))
    run_id: Mapped[str] = mapped_column(Id, index=True)
    vertex_id: Mapped[str] = mapped_column(Text)
    is_valid: Mapped[bool] = mapped_column()
    params: Mapped[str | None] = mapped_column(Text)
    data: Mapped[str] = mapped_column(Text)  # JSON: outputs, logs, error
    artifacts: Mapped[str] = mapped_column(Text)  # JSON
    duration_seconds: Mapped[float] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(Moment)


class TransactionRow(Base):
    """What went in and came out of one vertex in one run; secrets masked."""

    __tablename__ = "transactions"
    __table_args__ = (Index("ix_transactions_flow_id_owner_id_created_at", "flow_id", "owner_id", "created_at"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    flow_id: Mapped[str] = mapped_column(ForeignKey("flows.id", ondelete="CASCADE"))
    run_id: Mapped[str] = mapped_column(Id)
    vertex_id: Mapped[str] = mapped_column(Text)
    target_id: Mapped[str | None] = mapped_column(Text)
    inputs: Mapped[str] = mapped_column(Text)  # JSON
    outputs: Mapped[str] = mapped_column(Text)  # JSON
    status: Mapped[str] = mapped_column(String(16))  # success, error
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)


class KnowledgeBaseRow(Base):
    """A named collection of texts. `embedding` names the model that made its vectors; None while there are none."""

    __tablename__ = "knowledge_bases"
    __table_args__ = (UniqueConstraint("owner_id", "name"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(255))
    embedding: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)


class KnowledgeRow(Base):
    """One text of a base. Its words are in an index beside the table (`knowledge_words` in the migrations), which knows rows by number."""

    __tablename__ = "knowledge_rows"
    __table_args__ = (Index("ix_knowledge_rows_base_id_digest", "base_id", "digest"),)
    number: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    base_id: Mapped[str] = mapped_column(ForeignKey("knowledge_bases.id", ondelete="CASCADE"))
    text: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String(64))  # SHA-256, hex, of the text
    details: Mapped[str] = mapped_column(Text)  # JSON object: the row's further columns
    vector: Mapped[bytes | None] = mapped_column(LargeBinary)  # float32, little-endian
    created_at: Mapped[datetime] = mapped_column(Moment)


class McpServerRow(Base):
    """An MCP server that a user's flows may name. `config` is ciphertext of JSON: it may hold credentials."""

    __tablename__ = "mcp_servers"
    __table_args__ = (UniqueConstraint("owner_id", "name"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(255))
    config: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)


class StoreEntryRow(Base):
    """A flow or component that a user shares with the others of this server, without secrets; a private one is its owner's alone."""

    __tablename__ = "store_entries"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("store_entries.id", ondelete="SET NULL"), index=True)
    name: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    tags: Mapped[str] = mapped_column(Text)  # JSON list of names
    details: Mapped[str] = mapped_column(Text)  # JSON object: what it is made of and what it needs
    is_component: Mapped[bool] = mapped_column(default=False, server_default=false())
    is_private: Mapped[bool] = mapped_column(default=True, server_default=true())
    tested_version: Mapped[str | None] = mapped_column(String(64))
    downloads: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    created_at: Mapped[datetime] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)
    document: Mapped[str] = mapped_column(Text, deferred=True, deferred_raiseload=True)


class StoreLikeRow(Base):
    __tablename__ = "store_likes"
    entry_id: Mapped[str] = mapped_column(ForeignKey("store_entries.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)


class TrustedCodeRow(Base):
    """The text of a component that runs in the server's process because the operator said so. Of the whole server, not of an owner."""

    __tablename__ = "trusted_code"
    hash: Mapped[str] = mapped_column(String(64), primary_key=True)  # SHA-256, hex, of the text
    code: Mapped[str] = mapped_column(Text)
    trusted_by: Mapped[str] = mapped_column(String(255))  # the user's name then
    trusted_at: Mapped[datetime] = mapped_column(Moment)
