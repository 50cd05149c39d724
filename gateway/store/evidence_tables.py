"""The tables of evidence: the ledger itself, what it shows of others, and what persons have to look at or have ordered to keep."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from gateway.store.terms import Identity, metadata, one_of

__all__ = [
    "alarm",
    "checkpoint",
    "cosignature",
    "entry",
    "ledger_head",
    "legal_hold",
    "outside",
    "peer_head",
    "setting",
    "tile",
]

peer_head = Table(
    "peer_head",
    metadata,
    Column("peer", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("claimed_at", Text, nullable=False),  # the peer's own time of the document that carried it
    Column("seen_at", Text, nullable=False),
    Column("batch_id", Text, nullable=False),
    Column("proved", Boolean, nullable=False),  # shown to lie on one history with the largest one held before it
    Column("note", LargeBinary, nullable=False),
    PrimaryKeyConstraint("peer", "size"),
)

alarm = Table(
    "alarm",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("code", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("raised_at", Text, nullable=False),
    Column("last_at", Text, nullable=False),
    Column("times", Integer, nullable=False),
    Column("closed_at", Text),
    Column("person", Text),
    Column("reason", Text),
    Index(
        "uq_alarm_open",
        "code",
        "subject",
        unique=True,
        sqlite_where=text("closed_at IS NULL"),
        postgresql_where=text("closed_at IS NULL"),
    ),
)

legal_hold = Table(
    "legal_hold",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("scope", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("released_at", Text),
    one_of("scope", ("batch", "subject")),
    Index(
        "uq_legal_hold_open",
        "scope",
        "name",
        unique=True,
        sqlite_where=text("released_at IS NULL"),
        postgresql_where=text("released_at IS NULL"),
    ),
)

outside = Table(
    "outside",
    metadata,
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("size", BigInteger, nullable=False),  # of the newest checkpoint that it vouched for; 0 = none yet
    Column("at", Text),  # when it last did
    Column("waiting_since", Text),  # asked since then, without success; None while nothing is owed
    Column("failures", Integer, nullable=False),  # in a row
    Column("next_at", Text),  # not asked before
    Column("why", Text),
    PrimaryKeyConstraint("kind", "name"),
    one_of("kind", ("peer", "authority", "witness")),
)

cosignature = Table(
    "cosignature",
    metadata,
    Column("witness", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("line", Text, nullable=False),
    Column("at", Text, nullable=False),
    PrimaryKeyConstraint("witness", "size"),
    Index(None, "size"),
)

setting = Table(
    "setting",
    metadata,
    Column("key", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
)

ledger_head = Table(
    "ledger_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("edge", LargeBinary, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

entry = Table(
    "entry",
    metadata,
    Column("idx", Identity, primary_key=True, autoincrement=False),
    Column("leaf_hash", LargeBinary, nullable=False),
    Column("kind", Text, nullable=False),
    Column("route", Text),
    Column("route_seq", Integer),
    Column("batch_id", Text),
    Column("leaf", LargeBinary, nullable=False),
    Index(None, "route", "idx"),
    Index(None, "route", "route_seq"),
    Index(None, "batch_id"),
    # Keys, anchors, orders: few among many, and wanted by their kind at every start.
    Index(
        "ix_entry_kind",
        "kind",
        "idx",
        sqlite_where=text("route IS NULL"),
        postgresql_where=text("route IS NULL"),
    ),
)

tile = Table(
    "tile",
    metadata,
    Column("level", Integer, nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("level", "n"),
)

checkpoint = Table(
    "checkpoint",
    metadata,
    Column("size", Identity, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", LargeBinary, nullable=False),
)
