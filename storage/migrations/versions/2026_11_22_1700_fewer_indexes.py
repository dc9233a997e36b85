"""Fewer indexes under what each run writes.

One index serves a flow's builds, and one its transactions, both for lists and when the flow is deleted; no query asks for the transactions
of a run; and of the runs only those that have not ended are looked for by their state.

Revision: 2026_11_22_1700
After: 2026_11_22_1600
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_22_1700"
down_revision = "2026_11_22_1600"

_OF_FLOWS = ("vertex_builds", "transactions")


def upgrade() -> None:
    for table in _OF_FLOWS:
        op.create_index(f"ix_{table}_flow_id_owner_id_created_at", table, ["flow_id", "owner_id", "created_at"])
        op.drop_index(f"ix_{table}_owner_id_flow_id_created_at", table)
        op.drop_index(f"ix_{table}_flow_id", table)
    op.drop_index("ix_transactions_run_id", "transactions")
    has_not_ended = sa.text("finished_at IS NULL")
    op.create_index("ix_runs_state_created_at", "runs", ["state", "created_at"], sqlite_where=has_not_ended, postgresql_where=has_not_ended)
    op.drop_index("ix_runs_state_lease_expires_at", "runs")


def downgrade() -> None:
    op.create_index("ix_runs_state_lease_expires_at", "runs", ["state", "lease_expires_at"])
    op.drop_index("ix_runs_state_created_at", "runs")
    op.create_index("ix_transactions_run_id", "transactions", ["run_id"])
    for table in _OF_FLOWS:
        op.create_index(f"ix_{table}_flow_id", table, ["flow_id"])
        op.create_index(f"ix_{table}_owner_id_flow_id_created_at", table, ["owner_id", "flow_id", "created_at"])
        op.drop_index(f"ix_{table}_flow_id_owner_id_created_at", table)
