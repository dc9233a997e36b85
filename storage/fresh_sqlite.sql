-- What the migrations make of an empty database. Written by `python -m storage.migrations.written_down`.

CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE catalogue (
    id INTEGER NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT pk_catalogue PRIMARY KEY (id)
);

CREATE TABLE users (
    id VARCHAR(36) NOT NULL,
    username VARCHAR(255) NOT NULL,
    username_key VARCHAR(255) NOT NULL,
    password_hash TEXT NOT NULL,
    is_active BOOLEAN DEFAULT 0 NOT NULL,
    is_superuser BOOLEAN DEFAULT 0 NOT NULL,
    profile_image TEXT,
    preferences TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    last_login_at BIGINT,
    CONSTRAINT pk_users PRIMARY KEY (id),
    CONSTRAINT uq_users_username_key UNIQUE (username_key)
);

CREATE TABLE sessions (
    id VARCHAR(36) NOT NULL,
    user_id VARCHAR(36) NOT NULL,
    refresh_id VARCHAR(36) NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    CONSTRAINT pk_sessions PRIMARY KEY (id),
    CONSTRAINT fk_sessions_user_id_users FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE INDEX ix_sessions_user_id ON sessions (user_id);

CREATE TABLE api_keys (
    id VARCHAR(36) NOT NULL,
    user_id VARCHAR(36) NOT NULL,
    name VARCHAR(255),
    key_hash VARCHAR(64) NOT NULL,
    prefix VARCHAR(16) NOT NULL,
    is_active BOOLEAN DEFAULT 1 NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    total_uses BIGINT DEFAULT '0' NOT NULL,
    CONSTRAINT pk_api_keys PRIMARY KEY (id),
    CONSTRAINT fk_api_keys_user_id_users FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT uq_api_keys_key_hash UNIQUE (key_hash)
);

CREATE INDEX ix_api_keys_user_id ON api_keys (user_id);

CREATE TABLE projects (
    id VARCHAR(36) NOT NULL,
    owner_id VARCHAR(36) NOT NULL,
    parent_id VARCHAR(36),
    name VARCHAR(255) NOT NULL,
    description TEXT,
    auth_settings TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL, mcp_settings TEXT,
    CONSTRAINT pk_projects PRIMARY KEY (id),
    CONSTRAINT fk_projects_owner_id_users FOREIGN KEY(owner_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_projects_parent_id_projects FOREIGN KEY(parent_id) REFERENCES projects (id) ON DELETE SET NULL,
    CONSTRAINT uq_projects_owner_id_name UNIQUE (owner_id, name)
);

CREATE TABLE flows (
    id VARCHAR(36) NOT NULL,
    owner_id VARCHAR(36) NOT NULL,
    project_id VARCHAR(36) NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    endpoint_name VARCHAR(255),
    version INTEGER DEFAULT '1' NOT NULL,
    is_component BOOLEAN DEFAULT 0 NOT NULL,
    has_webhook BOOLEAN DEFAULT 0 NOT NULL,
    is_locked BOOLEAN DEFAULT 0 NOT NULL,
    is_tool BOOLEAN DEFAULT 0 NOT NULL,
    tool_name TEXT,
    tool_description TEXT,
    access VARCHAR(16) DEFAULT 'PRIVATE' NOT NULL,
    flow_type VARCHAR(16) DEFAULT 'workflow' NOT NULL,
    icon TEXT,
    icon_background VARCHAR(16),
    gradient VARCHAR(64),
    tags TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL, document TEXT,
    CONSTRAINT pk_flows PRIMARY KEY (id),
    CONSTRAINT fk_flows_owner_id_users FOREIGN KEY(owner_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_flows_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE,
    CONSTRAINT uq_flows_owner_id_name UNIQUE (owner_id, name),
    CONSTRAINT uq_flows_owner_id_endpoint_name UNIQUE (owner_id, endpoint_name)
);

CREATE INDEX ix_flows_project_id ON flows (project_id);

CREATE INDEX ix_flows_owner_id_project_id ON flows (owner_id, project_id);

CREATE TABLE variables (
    id VARCHAR(36) NOT NULL,
    owner_id VARCHAR(36) NOT NULL,
    name VARCHAR(255) NOT NULL,
    type VARCHAR(64) NOT NULL,
    value TEXT NOT NULL,
    default_fields TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT pk_variables PRIMARY KEY (id),
    CONSTRAINT fk_variables_owner_id_users FOREIGN KEY(owner_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT uq_variables_owner_id_name UNIQUE (owner_id, name)
);

CREATE TABLE files (
    id VARCHAR(36) NOT NULL,
    owner_id VARCHAR(36) NOT NULL,
    flow_id VARCHAR(36),
    name TEXT NOT NULL,
    blob_key TEXT NOT NULL,
    media_type VARCHAR(255) NOT NULL,
    size_bytes BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL, path TEXT,
    CONSTRAINT pk_files PRIMARY KEY (id),
    CONSTRAINT fk_files_owner_id_users FOREIGN KEY(owner_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_files_flow_id_flows FOREIGN KEY(flow_id) REFERENCES flows (id) ON DELETE CASCADE,
    CONSTRAINT uq_files_blob_key UNIQUE (blob_key)
);

CREATE INDEX ix_files_owner_id ON files (owner_id);

CREATE INDEX ix_files_flow_id ON files (flow_id);

CREATE TABLE runs (
    id VARCHAR(36) NOT NULL,
    owner_id VARCHAR(36) NOT NULL,
    principal VARCHAR(128) NOT NULL,
    kind VARCHAR(16) NOT NULL,
    project_id VARCHAR(36),
    flow_id VARCHAR(36) NOT NULL,
    flow_version INTEGER NOT NULL,
    session_id TEXT NOT NULL,
    state VARCHAR(16) NOT NULL,
    attempt INTEGER DEFAULT '1' NOT NULL,
    lease_owner VARCHAR(64),
    lease_expires_at BIGINT,
    idempotency_key VARCHAR(255),
    body_digest VARCHAR(64),
    request TEXT,
    result TEXT,
    error TEXT,
    warnings TEXT,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT, questions TEXT, checkpoint TEXT, is_cancel_requested BOOLEAN DEFAULT 0 NOT NULL, available_at BIGINT,
    CONSTRAINT pk_runs PRIMARY KEY (id),
    CONSTRAINT fk_runs_owner_id_users FOREIGN KEY(owner_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_runs_flow_id_flows FOREIGN KEY(flow_id) REFERENCES flows (id) ON DELETE CASCADE,
    CONSTRAINT uq_runs_principal_idempotency_key UNIQUE (principal, idempotency_key)
);

CREATE INDEX ix_runs_flow_id ON runs (flow_id);

CREATE INDEX ix_runs_owner_id_created_at ON runs (owner_id, created_at);

CREATE TABLE messages (
    id VARCHAR(36) NOT NULL,
    owner_id VARCHAR(36) NOT NULL,
    flow_id VARCHAR(36) NOT NULL,
    run_id VARCHAR(36),
    session_id TEXT NOT NULL,
    context_id TEXT DEFAULT '' NOT NULL,
    sender TEXT NOT NULL,
    sender_name TEXT NOT NULL,
    text TEXT NOT NULL,
    files TEXT NOT NULL,
    properties TEXT NOT NULL,
    category VARCHAR(32) NOT NULL,
    content_blocks TEXT NOT NULL,
    is_error BOOLEAN DEFAULT 0 NOT NULL,
    is_edited BOOLEAN DEFAULT 0 NOT NULL,
    duration_seconds DOUBLE,
    created_at BIGINT NOT NULL,
    CONSTRAINT pk_messages PRIMARY KEY (id),
    CONSTRAINT fk_messages_owner_id_users FOREIGN KEY(owner_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_messages_flow_id_flows FOREIGN KEY(flow_id) REFERENCES flows (id) ON DELETE CASCADE
);

CREATE INDEX ix_messages_flow_id ON messages (flow_id);

CREATE INDEX ix_messages_run_id ON messages (run_id);

CREATE INDEX ix_messages_owner_id_flow_id_session_id_created_at ON messages (owner_id, flow_id, session_id, created_at);

CREATE TABLE vertex_builds (
    id VARCHAR(36) NOT NULL,
    owner_id VARCHAR(36) NOT NULL,
    flow_id VARCHAR(36) NOT NULL,
    run_id VARCHAR(36) NOT NULL,
    vertex_id TEXT NOT NULL,
    is_valid BOOLEAN NOT NULL,
    params TEXT,
    data TEXT NOT NULL,
    artifacts TEXT NOT NULL,
    duration_seconds DOUBLE NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT pk_vertex_builds PRIMARY KEY (id),
    CONSTRAINT fk_vertex_builds_owner_id_users FOREIGN KEY(owner_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_vertex_builds_flow_id_flows FOREIGN KEY(flow_id) REFERENCES flows (id) ON DELETE CASCADE
);

CREATE TABLE transactions (
    id VARCHAR(36) NOT NULL,
    owner_id VARCHAR(36) NOT NULL,
    flow_id VARCHAR(36) NOT NULL,
    run_id VARCHAR(36) NOT NULL,
    vertex_id TEXT NOT NULL,
    target_id TEXT,
    inputs TEXT NOT NULL,
    outputs TEXT NOT NULL,
    status VARCHAR(16) NOT NULL,
    error TEXT,
    created_at BIGINT NOT NULL,
    CONSTRAINT pk_transactions PRIMARY KEY (id),
    CONSTRAINT fk_transactions_owner_id_users FOREIGN KEY(owner_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_transactions_flow_id_flows FOREIGN KEY(flow_id) REFERENCES flows (id) ON DELETE CASCADE
);

CREATE INDEX ix_vertex_builds_run_id ON vertex_builds (run_id);

CREATE TABLE knowledge_bases (
    id VARCHAR(36) NOT NULL,
    owner_id VARCHAR(36) NOT NULL,
    name VARCHAR(255) NOT NULL,
    embedding TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT pk_knowledge_bases PRIMARY KEY (id),
    CONSTRAINT uq_knowledge_bases_owner_id_name UNIQUE (owner_id, name),
    CONSTRAINT fk_knowledge_bases_owner_id_users FOREIGN KEY(owner_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TABLE knowledge_rows (
    number INTEGER NOT NULL,
    owner_id VARCHAR(36) NOT NULL,
    base_id VARCHAR(36) NOT NULL,
    text TEXT NOT NULL,
    digest VARCHAR(64) NOT NULL,
    details TEXT NOT NULL,
    vector BLOB,
    created_at BIGINT NOT NULL,
    CONSTRAINT pk_knowledge_rows PRIMARY KEY (number),
    CONSTRAINT fk_knowledge_rows_owner_id_users FOREIGN KEY(owner_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_knowledge_rows_base_id_knowledge_bases FOREIGN KEY(base_id) REFERENCES knowledge_bases (id) ON DELETE CASCADE
);

CREATE INDEX ix_knowledge_rows_owner_id ON knowledge_rows (owner_id);

CREATE INDEX ix_knowledge_rows_base_id_digest ON knowledge_rows (base_id, digest);

CREATE VIRTUAL TABLE knowledge_words USING fts5(text, content='knowledge_rows', content_rowid='number', tokenize='porter unicode61 remove_diacritics 2');

CREATE TRIGGER knowledge_words_insert AFTER INSERT ON knowledge_rows BEGIN INSERT INTO knowledge_words (rowid, text) VALUES (new.number, new.text); END;

CREATE TRIGGER knowledge_words_delete AFTER DELETE ON knowledge_rows BEGIN INSERT INTO knowledge_words (knowledge_words, rowid, text) VALUES ('delete', old.number, old.text); END;

CREATE TABLE run_vertex_results (
    run_id VARCHAR(36) NOT NULL,
    vertex_id TEXT NOT NULL,
    attempt INTEGER DEFAULT '1' NOT NULL,
    content TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT pk_run_vertex_results PRIMARY KEY (run_id, vertex_id),
    CONSTRAINT fk_run_vertex_results_run_id_runs FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);

CREATE TABLE mcp_servers (
    id VARCHAR(36) NOT NULL,
    owner_id VARCHAR(36) NOT NULL,
    name VARCHAR(255) NOT NULL,
    config TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT pk_mcp_servers PRIMARY KEY (id),
    CONSTRAINT uq_mcp_servers_owner_id_name UNIQUE (owner_id, name),
    CONSTRAINT fk_mcp_servers_owner_id_users FOREIGN KEY(owner_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TABLE store_entries (
    id VARCHAR(36) NOT NULL,
    owner_id VARCHAR(36) NOT NULL,
    parent_id VARCHAR(36),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    tags TEXT NOT NULL,
    details TEXT NOT NULL,
    is_component BOOLEAN DEFAULT 0 NOT NULL,
    is_private BOOLEAN DEFAULT 1 NOT NULL,
    tested_version VARCHAR(64),
    downloads BIGINT DEFAULT '0' NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    document TEXT NOT NULL,
    CONSTRAINT pk_store_entries PRIMARY KEY (id),
    CONSTRAINT fk_store_entries_owner_id_users FOREIGN KEY(owner_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_store_entries_parent_id_store_entries FOREIGN KEY(parent_id) REFERENCES store_entries (id) ON DELETE SET NULL
);

CREATE INDEX ix_store_entries_owner_id ON store_entries (owner_id);

CREATE INDEX ix_store_entries_parent_id ON store_entries (parent_id);

CREATE TABLE store_likes (
    entry_id VARCHAR(36) NOT NULL,
    user_id VARCHAR(36) NOT NULL,
    CONSTRAINT pk_store_likes PRIMARY KEY (entry_id, user_id),
    CONSTRAINT fk_store_likes_entry_id_store_entries FOREIGN KEY(entry_id) REFERENCES store_entries (id) ON DELETE CASCADE,
    CONSTRAINT fk_store_likes_user_id_users FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE INDEX ix_store_likes_user_id ON store_likes (user_id);

CREATE TABLE trusted_code (
    hash VARCHAR(64) NOT NULL,
    code TEXT NOT NULL,
    trusted_by VARCHAR(255) NOT NULL,
    trusted_at BIGINT NOT NULL,
    CONSTRAINT pk_trusted_code PRIMARY KEY (hash)
);

CREATE INDEX ix_vertex_builds_flow_id_owner_id_created_at ON vertex_builds (flow_id, owner_id, created_at);

CREATE INDEX ix_transactions_flow_id_owner_id_created_at ON transactions (flow_id, owner_id, created_at);

CREATE INDEX ix_runs_state_created_at ON runs (state, created_at) WHERE finished_at IS NULL;

INSERT INTO catalogue (id, version) VALUES (1, 0);

INSERT INTO alembic_version (version_num) VALUES ('2026_11_22_1700');
