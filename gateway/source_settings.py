"""A source of the configuration as an object that can be read."""

from __future__ import annotations

from typing import assert_never

from gateway.clock import Clock
from gateway.config import CsvSourceSettings, ExcelSourceSettings, Settings, SqlSourceSettings
from gateway.mappings import Mappings
from gateway.sources.port import Source
from gateway.sources.sql import SqlSource

__all__ = ["build_source"]


def build_source(settings: Settings, name: str, mappings: Mappings, clock: Clock) -> Source:
    """The source called ``name``. Raises ConfigError when a secret is missing."""
    chosen = settings.sources[name]
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
            raise NotImplementedError
        case ExcelSourceSettings():
            raise NotImplementedError
        case _:
            assert_never(chosen)
