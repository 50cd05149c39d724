"""A source of the configuration as an object that can be read."""

from __future__ import annotations

from typing import assert_never

from gateway.clock import Clock
from gateway.config import CsvSourceSettings, ExcelSourceSettings, Settings, SqlSourceSettings
from gateway.mappings import Mappings
from gateway.sources.csv_file import CsvSource
from gateway.sources.excel_file import ExcelSource
from gateway.sources.port import Source
from gateway.sources.sql import SqlSource
from gateway.sources.template import Template

__all__ = ["OwnSource", "build_source"]

OwnSource = SqlSourceSettings | CsvSourceSettings | ExcelSourceSettings
"""Settings of a source whose rows are this organisation's own."""


def build_source(settings: Settings, name: str, chosen: OwnSource, mappings: Mappings, clock: Clock) -> Source:
    """The source called ``name``. Raises ConfigError when a secret is missing, Findings when its mapping cannot be used."""
    match chosen:
        case SqlSourceSettings():
            return SqlSource(
                name=name,
                url=settings.database_url(chosen.url),
                query=chosen.query,
                zone=settings.node.time_zone,
                cursor=chosen.cursor if chosen.mode == "cursor" else None,
                overlap=chosen.overlap,
                null_cursor=chosen.null_cursor,
                limit=chosen.statement_timeout,
                clock=clock,
            )
        case CsvSourceSettings():
            return CsvSource(
                name=name,
                path=str(settings.path(chosen.path)),
                templates=(_template(chosen.mapping, mappings),),
                encoding=chosen.encoding,
                separator=chosen.separator,
                complete=chosen.complete,
            )
        case ExcelSourceSettings():
            return ExcelSource(
                name=name,
                path=str(settings.path(chosen.path)),
                templates=(_template(chosen.mapping, mappings),),
                complete=chosen.complete,
            )
        case _:
            assert_never(chosen)


def _template(mapping_id: str, mappings: Mappings) -> Template:
    """What the files of a source must look like: the headings of its mapping, or else the columns that the mapping reads."""
    mapping = mappings.source_mapping(mapping_id)
    return Template(id=mapping.id, headings=mapping.headings or mapping.columns())
