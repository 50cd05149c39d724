"""What a node that works by itself remembers: pauses, peers out of reach, since when a schedule holds; a batch's deadline and questions.

Revision 0002.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """From the first schema."""
    op.add_column("batch", sa.Column("deadline", sa.Text(), nullable=True))
    op.add_column("batch", sa.Column("asks", sa.Integer(), server_default="0", nullable=False))
    op.create_table(
        "pause",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint("scope IN ('exchange', 'peer')", name=op.f("ck_pause_scope")),
        sa.PrimaryKeyConstraint("scope", "name", name=op.f("pk_pause")),
    )
    op.create_table(
        "peer",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.Text(), nullable=True),
        sa.Column("probe_at", sa.Text(), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_peer")),
    )
    op.create_table(
        "timetable",
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("schedule", sa.Text(), nullable=False),
        sa.Column("since", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("exchange", name=op.f("pk_timetable")),
    )
