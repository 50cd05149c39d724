"""Records taken back by order, and how long a record is published.

Revision 0005.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """From a node whose records come back when their rows do."""
    op.create_table(
        "record_order",
        sa.Column("record_id", _IDENTITY, autoincrement=False, nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("person", sa.Text()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["record.id"], name=op.f("fk_record_order_record_id_record")),
        sa.PrimaryKeyConstraint("record_id", name=op.f("pk_record_order")),
    )
    op.create_table(
        "publicity",
        sa.Column("record_id", _IDENTITY, autoincrement=False, nullable=False),
        sa.Column("since", sa.Text(), nullable=False),
        sa.Column("until", sa.Text()),
        sa.Column("regime", sa.Text(), nullable=False),
        sa.Column("gravity", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["record.id"], name=op.f("fk_publicity_record_id_record")),
        sa.PrimaryKeyConstraint("record_id", name=op.f("pk_publicity")),
    )
    op.create_index(op.f("ix_publicity_until"), "publicity", ["until"])
