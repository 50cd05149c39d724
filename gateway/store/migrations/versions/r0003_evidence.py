"""What keeps the ledger honest from outside: peers' checkpoints, time-stamps, witnesses; alarms; legal holds; what was configured.

Revision 0003.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """From a node that works by itself."""
    # Nothing was ever written to it: it could hold one checkpoint of a peer, and a fork shows in any two.
    op.drop_table("sender_head")
    op.create_table(
        "peer_head",
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("claimed_at", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("proved", sa.Boolean(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("peer", "size", name=op.f("pk_peer_head")),
    )
    op.create_table(
        "alarm",
        sa.Column("id", _IDENTITY, nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("raised_at", sa.Text(), nullable=False),
        sa.Column("last_at", sa.Text(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("closed_at", sa.Text()),
        sa.Column("person", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm")),
    )
    _unique_while("uq_alarm_open", "alarm", ["code", "subject"], "closed_at IS NULL")
    op.create_table(
        "legal_hold",
        sa.Column("id", _IDENTITY, nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("released_at", sa.Text()),
        sa.CheckConstraint("scope IN ('batch', 'subject')", name=op.f("ck_legal_hold_scope")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_legal_hold")),
    )
    _unique_while("uq_legal_hold_open", "legal_hold", ["scope", "name"], "released_at IS NULL")
    op.create_table(
        "outside",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.Text()),
        sa.Column("waiting_since", sa.Text()),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.Text()),
        sa.Column("why", sa.Text()),
        sa.CheckConstraint("kind IN ('peer', 'authority', 'witness')", name=op.f("ck_outside_kind")),
        sa.PrimaryKeyConstraint("kind", "name", name=op.f("pk_outside")),
    )
    op.create_table(
        "cosignature",
        sa.Column("witness", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("witness", "size", name=op.f("pk_cosignature")),
    )
    op.create_index(op.f("ix_cosignature_size"), "cosignature", ["size"])
    op.create_table(
        "setting",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_setting")),
    )
    where = sa.text("route IS NULL")
    op.create_index("ix_entry_kind", "entry", ["kind", "idx"], sqlite_where=where, postgresql_where=where)


def _unique_while(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=True, sqlite_where=where, postgresql_where=where)
