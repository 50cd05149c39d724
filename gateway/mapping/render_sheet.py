"""Records as a receiver's sheet: the columns of one template filled from canonical records, every cell a text, every problem told."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from gateway.catalog.loader import Library
from gateway.catalog.model import Catalog
from gateway.mapping.batch_facts import BatchFacts
from gateway.mapping.columns import ColumnsPlan, cell_column
from gateway.mapping.sheet_file import sheet_file
from gateway.mapping.sheet_model import SheetFormat, SheetTemplate

__all__ = ["RenderedSheet", "SheetPlan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedSheet:
    """``data`` is the file called ``name`` with the records ``keys``, in their order, one a row; None when no record may go out.

    ``problems`` (schema :data:`gateway.mapping.problems.PROBLEMS`) say why others may not.
    """

    name: str
    data: bytes | None
    keys: tuple[str, ...]
    problems: pl.DataFrame


class SheetPlan:
    """The compiled way from a catalog's records to one template. Any thread may use it."""

    def __init__(self, fmt: SheetFormat, template: SheetTemplate, library: Library) -> None:
        self.format = fmt
        self.template = template
        self.catalog: Catalog = library.catalogs[template.catalog]
        self._columns = ColumnsPlan(template.columns, template.when, self.catalog, library)

    def render(self, records: pl.DataFrame, facts: BatchFacts) -> RenderedSheet:
        """The sheet of those of ``records`` (canonical, with ``@key`` and perhaps ``@row``) that belong into the template.

        Raises MappingError ``sheet-too-large``.
        """
        filled = self._columns.fill(records, facts)
        return RenderedSheet(
            name=self.template.file_name(self.format.type, facts.created_at, facts.sequence),
            data=self._file(filled.good) if not filled.good.is_empty() else None,
            keys=tuple(filled.good["@key"]),
            problems=filled.problems,
        )

    def _file(self, good: pl.DataFrame) -> bytes:
        headings = [column.heading for column in self.template.columns]
        rows = good.select(cell_column(place) for place in range(len(headings))).iter_rows()
        return sheet_file(self.format.type, self.template.sheet, headings, rows)
