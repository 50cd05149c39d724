"""Tables of a node between others: where the records come from that it passes on, and what is said of them further up."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text

from gateway.store.terms import Identity, metadata, one_of

__all__ = ["feedback", "feedback_taken", "origin"]

# Which route a record of ours came by, and its version and operation there as they were taken last.
origin = Table(
    "origin",
    metadata,
    Column("record_id", Identity, ForeignKey("record.id"), primary_key=True),
    Column("route", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("op", Text, nullable=False),
    one_of("op", ("upsert", "withdraw", "stop-share")),
)

# What we have to tell the sender of a route: numbered without a gap, so that it can ask for what comes after.
feedback = Table(
    "feedback",
    metadata,
    Column("route", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("key", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("result", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("level_code", Text, nullable=False),
    Column("level_name", Text, nullable=False),
    Column("at", Text, nullable=False),
    PrimaryKeyConstraint("route", "number"),
    one_of("result", ("rejected", "accepted")),
    Index(None, "route", "key"),
)

# What the receiver of a route has told us, as it was sealed; ``number`` is the last one in it.
feedback_taken = Table(
    "feedback_taken",
    metadata,
    Column("route", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("route", "number"),
)
