"""The tables of what is taken back by order, and of publication periods."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Table, Text

from gateway.store.terms import Identity, metadata

__all__ = ["publicity", "record_order"]

record_order = Table(
    "record_order",
    metadata,
    Column("record_id", Identity, ForeignKey("record.id"), primary_key=True, autoincrement=False),
    Column("code", Text, nullable=False),
    Column("basis", Text, nullable=False),
    Column("person", Text),  # None: by rule
    Column("reason", Text, nullable=False),
    Column("at", Text, nullable=False),
)

publicity = Table(
    "publicity",
    metadata,
    Column("record_id", Identity, ForeignKey("record.id"), primary_key=True, autoincrement=False),
    Column("since", Text, nullable=False),  # the day of its first publication
    Column("until", Text),  # the last day; None: without end
    Column("regime", Text, nullable=False),
    Column("gravity", Text, nullable=False),
    Index(None, "until"),
)
