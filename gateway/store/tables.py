"""Every table of the store, in SQLAlchemy Core terms that SQLite and PostgreSQL share.

The tables themselves are made by ``migrations/``; a test holds both to the same schema. Times are text of 27 characters as
:func:`gateway.clock.instant` writes them, days are ``YYYY-MM-DD``, JSON is text, digests are 32 raw bytes except where the protocol
prints them (64 hex). Fat columns stand in tables of their own, or last, so that scans over narrow columns stay narrow.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from gateway.store.evidence_tables import (
    alarm,
    checkpoint,
    cosignature,
    entry,
    ledger_head,
    legal_hold,
    outside,
    peer_head,
    setting,
    tile,
)
from gateway.store.level_tables import feedback, feedback_taken, origin
from gateway.store.publication_tables import publicity, record_order
from gateway.store.states import State
from gateway.store.terms import Identity, metadata, one_of

__all__ = [
    "OPS",
    "alarm",
    "attempt",
    "batch",
    "checkpoint",
    "cosignature",
    "entry",
    "feedback",
    "feedback_taken",
    "inbox_batch",
    "inbox_record",
    "ledger_head",
    "legal_hold",
    "metadata",
    "origin",
    "outside",
    "package",
    "pause",
    "peer",
    "peer_head",
    "publicity",
    "quarantine",
    "receipt",
    "record",
    "record_content",
    "record_order",
    "refused_receipt",
    "run",
    "setting",
    "share",
    "tile",
    "timetable",
    "watermark",
]

OPS = ("upsert", "withdraw", "stop-share")

run = Table(
    "run",
    metadata,
    Column("id", Text, primary_key=True),
    Column("exchange", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("due_at", Text),
    Column("started_at", Text, nullable=False),
    Column("closed_at", Text),
    Column("state", Text, nullable=False),
    Column("mapping_digest", Text, nullable=False),
    Column("person", Text),
    Column("reason", Text),
    Column("figures", Text),
    UniqueConstraint("exchange", "due_at"),  # one tick, one run: a second daemon finds it taken
    one_of("kind", ("scheduled", "manual", "resync")),
    one_of("state", ("open", "closed", "failed")),
    Index(None, "exchange", "started_at"),
)

timetable = Table(
    "timetable",
    metadata,
    Column("exchange", Text, primary_key=True),
    Column("schedule", Text, nullable=False),
    Column("since", Text, nullable=False),  # ticks before it were never promised
)

pause = Table(
    "pause",
    metadata,
    Column("scope", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("reason", Text, nullable=False),
    PrimaryKeyConstraint("scope", "name"),
    one_of("scope", ("exchange", "peer")),
)

peer = Table(
    "peer",
    metadata,
    Column("code", Text, primary_key=True),
    Column("failures", Integer, nullable=False),  # in a row
    Column("opened_at", Text),  # out of reach since; None while it is reached
    Column("probe_at", Text),
    Column("why", Text),
    Column("drains", Boolean, server_default=false(), nullable=False),  # back, and its backlog is not gone yet
)

watermark = Table(
    "watermark",
    metadata,
    Column("exchange", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("position", Text, nullable=False),
    Column("run_id", Text, ForeignKey("run.id"), nullable=False),
    Column("at", Text, nullable=False),
    PrimaryKeyConstraint("exchange", "source"),
)

record = Table(
    "record",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("catalog", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("op", Text, nullable=False),
    Column("unit", Text),
    Column("deadline", Text),
    Column("reason", Text),
    Column("run_id", Text, ForeignKey("run.id"), nullable=False),
    Column("changed_at", Text, nullable=False),
    UniqueConstraint("catalog", "source", "key"),
    one_of("op", OPS),
    # Everything that "what is due" and "what is present" ask of a record: neither reads the table itself.
    Index("ix_record_due", "catalog", "source", "deadline", "version", "op"),
)

record_content = Table(
    "record_content",
    metadata,
    Column("record_id", Identity, ForeignKey("record.id"), primary_key=True, autoincrement=False),
    Column("content", Text, nullable=False),
)

batch = Table(
    "batch",
    metadata,
    Column("id", Text, primary_key=True),
    Column("exchange", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("previous_id", Text),
    Column("run_id", Text, ForeignKey("run.id"), nullable=False),
    Column("state", Text, nullable=False),
    Column("total", Integer, nullable=False),
    Column("upsert", Integer, nullable=False),
    Column("withdraw", Integer, nullable=False),
    Column("stop_share", Integer, nullable=False),
    Column("record_root", Text, nullable=False),
    Column("mapping_digest", Text, nullable=False),
    Column("format", Text, nullable=False),
    Column("package_sha256", Text, nullable=False),
    Column("manifest_sha256", Text, nullable=False),
    Column("signer_key_id", Text, nullable=False),
    Column("checkpoint", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("next_attempt_at", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("give_up_at", Text),
    Column("fence", Integer, nullable=False),
    Column("lease_owner", Text),
    Column("lease_until", Text),
    Column("closed_at", Text),
    Column("void_of", Text, ForeignKey("batch.id")),
    Column("person", Text),
    Column("reason", Text),
    Column("figures", Text),
    Column("deadline", Text),  # the earliest of its records
    Column("asks", Integer, server_default="0", nullable=False),  # how often its receipt was asked for
    one_of("state", State),
    CheckConstraint('total = "upsert" + withdraw + stop_share', name="total"),
    # An abandoned batch and the void batch that takes its place share one sequence number.
    Index(
        "uq_batch_route_sequence",
        "route",
        "sequence",
        unique=True,
        sqlite_where=text("state <> 'abandoned'"),
        postgresql_where=text("state <> 'abandoned'"),
    ),
    Index(None, "route", "state", "sequence"),
    Index(None, "exchange", "state"),
    Index(None, "run_id"),
)

package = Table(
    "package",
    metadata,
    Column("batch_id", Text, ForeignKey("batch.id"), primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

attempt = Table(
    "attempt",
    metadata,
    Column("batch_id", Text, ForeignKey("batch.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("started_at", Text, nullable=False),
    Column("ended_at", Text),
    Column("outcome", Text),
    Column("status", Integer),
    Column("code", Text),
    Column("detail", Text),
    PrimaryKeyConstraint("batch_id", "number"),
    one_of("outcome", ("acknowledged", "refused", "later", "unknown")),
)

receipt = Table(
    "receipt",
    metadata,
    Column("batch_id", Text, ForeignKey("batch.id"), primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("received_at", Text, nullable=False),
    Column("late", Boolean, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

refused_receipt = Table(
    "refused_receipt",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("batch_id", Text, ForeignKey("batch.id"), nullable=False),
    Column("code", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Index(None, "batch_id"),
)

share = Table(
    "share",
    metadata,
    Column("exchange", Text, nullable=False),
    Column("record_id", Identity, ForeignKey("record.id"), nullable=False),
    Column("version", Integer, nullable=False),  # sealed and not given up; 0 = none
    Column("accepted", Integer, nullable=False),  # taken by the receiver; 0 = none
    Column("batch_id", Text, ForeignKey("batch.id")),
    Column("outcome", Text),
    Column("code", Text),
    Column("field", Text),
    Column("message", Text),
    PrimaryKeyConstraint("exchange", "record_id"),
    one_of("outcome", ("accepted", "created", "updated", "unchanged", "withdrawn", "rejected")),
    Index(None, "batch_id"),
    sqlite_with_rowid=False,
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("exchange", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("key", Text),
    Column("locator", Text, nullable=False),
    Column("unit", Text),
    Column("row_digest", LargeBinary, nullable=False),
    Column("identity", LargeBinary, nullable=False),
    Column("opened_run", Text, ForeignKey("run.id"), nullable=False),
    Column("last_run", Text, ForeignKey("run.id"), nullable=False),
    Column("opened_at", Text, nullable=False),
    Column("closed_at", Text),
    Column("closed_why", Text),
    Column("reasons", Text, nullable=False),
    Column("row", Text, nullable=False),
    one_of("stage", ("source", "format", "receiver")),
    Index(
        "uq_quarantine_identity",
        "identity",
        unique=True,
        sqlite_where=text("closed_at IS NULL"),
        postgresql_where=text("closed_at IS NULL"),
    ),
    Index(
        "ix_quarantine_open",
        "exchange",
        "source",
        "stage",
        "key",
        sqlite_where=text("closed_at IS NULL"),
        postgresql_where=text("closed_at IS NULL"),
    ),
    Index(None, "exchange", "opened_at"),
)

inbox_batch = Table(
    "inbox_batch",
    metadata,
    Column("id", Text, primary_key=True),
    Column("route", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("catalog", Text, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("package_sha256", Text, nullable=False),
    Column("receipt_sha256", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("counts", Text, nullable=False),
    Column("checkpoint", Text, nullable=False),
    Column("received_at", Text, nullable=False),
    Column("receipt", LargeBinary, nullable=False),
    Column("package", LargeBinary, nullable=False),
    UniqueConstraint("route", "sequence"),
)

inbox_record = Table(
    "inbox_record",
    metadata,
    Column("route", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("key_hash", LargeBinary, nullable=False),
    Column("version", Integer, nullable=False),
    Column("op", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("batch_id", Text, ForeignKey("inbox_batch.id"), nullable=False),
    Column("changed_at", Text, nullable=False),
    Column("body", LargeBinary),
    Column("content", Text),
    Column("reason", Text),  # the code of why it was taken back
    Column("basis", Text),  # its owner's words for it
    PrimaryKeyConstraint("route", "key"),
    one_of("op", OPS),
    Index("ix_inbox_record_buckets", "route", "key_hash", "version"),
    Index(None, "batch_id", "key"),  # what a batch brought and no later one changed
)
