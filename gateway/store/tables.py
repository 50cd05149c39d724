"""Every table of the store, in SQLAlchemy Core terms that SQLite and PostgreSQL share.

The tables themselves are made by ``migrations/``; a test holds both to the same schema. Times are text of 27 characters as
:func:`gateway.clock.instant` writes them, days are ``YYYY-MM-DD``, JSON is text, digests are 32 raw bytes except where the protocol
prints them (64 hex). Fat columns stand in tables of their own, or last, so that scans over narrow columns stay narrow.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from gateway.store.states import State

__all__ = [
    "OPS",
    "attempt",
    "batch",
    "checkpoint",
    "entry",
    "inbox_batch",
    "inbox_record",
    "ledger_head",
    "metadata",
    "package",
    "quarantine",
    "receipt",
    "record",
    "record_content",
    "refused_receipt",
    "run",
    "sender_head",
    "share",
    "tile",
    "watermark",
]

OPS = ("upsert", "withdraw", "stop-share")

# SQLite makes a column its row number only when the type is spelled INTEGER.
_Identity = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _one_of(column: str, values: Iterable[str | StrEnum]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


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
    _one_of("kind", ("scheduled", "manual", "resync")),
    _one_of("state", ("open", "closed", "failed")),
    Index(None, "exchange", "started_at"),
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
    Column("id", _Identity, primary_key=True),
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
    _one_of("op", OPS),
    # Everything that "what is due" and "what is present" ask of a record: neither reads the table itself.
    Index("ix_record_due", "catalog", "source", "deadline", "version", "op"),
)

record_content = Table(
    "record_content",
    metadata,
    Column("record_id", _Identity, ForeignKey("record.id"), primary_key=True, autoincrement=False),
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
    _one_of("state", State),
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
    _one_of("outcome", ("acknowledged", "refused", "later", "unknown")),
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
    Column("id", _Identity, primary_key=True),
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
    Column("record_id", _Identity, ForeignKey("record.id"), nullable=False),
    Column("version", Integer, nullable=False),  # sealed and not given up; 0 = none
    Column("accepted", Integer, nullable=False),  # taken by the receiver; 0 = none
    Column("batch_id", Text, ForeignKey("batch.id")),
    Column("outcome", Text),
    Column("code", Text),
    Column("field", Text),
    Column("message", Text),
    PrimaryKeyConstraint("exchange", "record_id"),
    _one_of("outcome", ("accepted", "created", "updated", "unchanged", "withdrawn", "rejected")),
    Index(None, "batch_id"),
    sqlite_with_rowid=False,
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", _Identity, primary_key=True),
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
    _one_of("stage", ("source", "format", "receiver")),
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
    PrimaryKeyConstraint("route", "key"),
    _one_of("op", OPS),
    Index("ix_inbox_record_buckets", "route", "key_hash", "version"),
)

sender_head = Table(
    "sender_head",
    metadata,
    Column("sender", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", LargeBinary, nullable=False),
    Column("at", Text, nullable=False),
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
    Column("idx", _Identity, primary_key=True, autoincrement=False),
    Column("leaf_hash", LargeBinary, nullable=False),
    Column("kind", Text, nullable=False),
    Column("route", Text),
    Column("route_seq", Integer),
    Column("batch_id", Text),
    Column("leaf", LargeBinary, nullable=False),
    Index(None, "route", "idx"),
    Index(None, "route", "route_seq"),
    Index(None, "batch_id"),
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
    Column("size", _Identity, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", LargeBinary, nullable=False),
)
