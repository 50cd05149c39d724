"""Fixtures of the sources' tests."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from gateway.errors import SourceError
from gateway.sources.port import Chunk, Source
from gateway.sources.sql import SqlSource
from gateway.texts import template
from tests.sources.databases import KINDS, Database, open_database

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Database]:
    with open_database(request.param, tmp_path) as opened:
        yield opened


def drain(source: Source, position: str | None = None, *, size: int = 10_000) -> list[Chunk]:
    """All chunks of one reading."""
    reading = source.read(position, size=size)
    with closing(reading.chunks) as chunks:
        return list(chunks)


def values(chunks: list[Chunk], column: str) -> list[Any]:
    """One column over all chunks."""
    return [value for chunk in chunks for value in chunk.frame[column].to_list()]


def problems(chunks: list[Chunk]) -> list[tuple[str, str, str]]:
    """Row, column and code of every problem, after checking that each is told in both languages."""
    frame = pl.concat([chunk.problems for chunk in chunks])
    for code, value_class in frame.select("code", "value_class").iter_rows():
        for language in ("zh-CN", "en"):
            assert template(code, language, "say"), code
            assert template(f"class-{value_class}", language, "say"), value_class
    return frame.select("@row", "source", "code").rows()


def source_of(database: Database, query: str, **options: Any) -> SqlSource:
    """A source on the database under test."""
    return SqlSource(name="permits", url=database.url, query=query, zone=SHANGHAI, **options)


def code_of(error: pytest.ExceptionInfo[SourceError]) -> str:
    """The code, after checking that it has a sentence in both languages whose places are all filled."""
    told = [part(language) for part in (error.value.say, error.value.fix) for language in ("zh-CN", "en")]
    assert told[0] != told[1]
    assert "{" not in "".join(told)
    return error.value.code
