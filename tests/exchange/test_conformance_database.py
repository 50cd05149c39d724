"""The database mode by the suite that every transport passes: on SQLite, PostgreSQL and MariaDB, with outcomes in the rows and in a table."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.exchange.conformance import Bench, Conformance
from tests.exchange.front import FrontBench
from tests.sources.databases import KINDS, open_database

WAYS = (*((kind, "rows") for kind in KINDS), ("postgresql", "table"))
CASES = [pytest.param((kind, told), id=f"{kind}-{told}") for kind, told in WAYS]


class TestDatabase(Conformance):
    """Outcomes in the rows themselves, and in a feedback table."""

    @pytest.fixture(params=CASES)
    async def bench(self, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
        kind, told = request.param
        with open_database(kind, tmp_path) as database:
            bench = FrontBench(database, feedback=told == "table")
            yield bench
            await bench.transport.close()
