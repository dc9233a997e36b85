"""Texts of components that the operator trusts, by their hashes.

Revision: 2026_11_22_1500
After: 2026_11_22_1400
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_22_1500"
down_revision = "2026_11_22_1400"


def upgrade() -> None:
    op.create_table(
        "trusted_code",
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("trusted_by", sa.String(255), nullable=False),
        sa.Column("trusted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_trusted_code")),
    )
