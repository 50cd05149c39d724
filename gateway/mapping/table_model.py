"""What a format of database tables (前置库) is: a table for each catalog, its columns, and those through which both sides tell of a batch.

Values only; :mod:`gateway.mapping.table_loader` makes them from ``mappings/formats/<id>/`` and names every mistake there.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.catalog.model import Condition
from gateway.mapping.fields_format import FieldsFormat
from gateway.mapping.sheet_model import SheetColumn

__all__ = ["ControlColumns", "FeedbackColumns", "TableFormat", "TableTemplate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlColumns:
    """The columns beside the data: of which batch, number and record a row is, what it asks, and what the receiver says of it."""

    batch: str = "JH_BATCH_ID"
    sequence: str = "JH_SEQUENCE"
    key: str = "JH_KEY"
    version: str = "JH_VERSION"
    op: str = "JH_OP"
    status: str = "JH_STATUS"
    code: str = "JH_CODE"
    message: str = "JH_MESSAGE"
    time: str = "JH_TIME"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackColumns:
    """A table of its own in which the receiver tells of each record, keyed by batch and record."""

    table: str
    schema: str | None = None
    batch: str = "JH_BATCH_ID"
    key: str = "JH_KEY"
    status: str = "JH_STATUS"
    code: str = "JH_CODE"
    message: str = "JH_MESSAGE"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableTemplate:
    """One table. ``id`` is the catalog's: a catalog has one table, so that a withdrawal knows where it belongs."""

    id: str
    catalog: str
    table: str
    schema: str | None
    when: tuple[Condition, ...]
    columns: tuple[SheetColumn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFormat(FieldsFormat[TableTemplate]):
    """One format. ``feedback`` is None where the receiver writes into the rows themselves."""

    control: ControlColumns
    feedback: FeedbackColumns | None
