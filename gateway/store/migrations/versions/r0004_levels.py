"""What a node between others remembers: where records come from that it passes on, why they were taken back, what is said further up.

Revision 0004.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """From a node whose ledger is kept honest from outside."""
    op.add_column("inbox_record", sa.Column("reason", sa.Text(), nullable=True))
    op.create_index(op.f("ix_inbox_record_batch_id_key"), "inbox_record", ["batch_id", "key"])
    op.create_table(
        "origin",
        sa.Column("record_id", _IDENTITY, nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("op", sa.Text(), nullable=False),
        sa.CheckConstraint("op IN ('upsert', 'withdraw', 'stop-share')", name=op.f("ck_origin_op")),
        sa.ForeignKeyConstraint(["record_id"], ["record.id"], name=op.f("fk_origin_record_id_record")),
        sa.PrimaryKeyConstraint("record_id", name=op.f("pk_origin")),
    )
    op.create_table(
        "feedback",
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("level_code", sa.Text(), nullable=False),
        sa.Column("level_name", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.CheckConstraint("result IN ('rejected', 'accepted')", name=op.f("ck_feedback_result")),
        sa.PrimaryKeyConstraint("route", "number", name=op.f("pk_feedback")),
    )
    op.create_index(op.f("ix_feedback_route_key"), "feedback", ["route", "key"])
    op.create_table(
        "feedback_taken",
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("route", "number", name=op.f("pk_feedback_taken")),
    )
