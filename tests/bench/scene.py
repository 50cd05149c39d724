"""What is measured on: a business database with any number of good permits, and two nodes that know each other."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from gateway.clock import RandomIds, SystemClock
from gateway.config import Settings, load_settings
from gateway.demo.business import PERMITS, rows
from gateway.demo.nodes import lay_out_nodes
from tests.bench.figures import Deadline, Progress

__all__ = ["BATCH_SIZE", "EXCHANGE", "SOURCE", "Scene", "build_business"]

EXCHANGE: Final = "permits-to-province"
SOURCE: Final = "permits"
BATCH_SIZE: Final = 5_000
_SEED: Final = 20261001
_TODAY: Final = date(2026, 10, 1)  # the same rows whenever it is measured
_TRANSFER_SECONDS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Two working folders and the business database that the bureau's node reads."""

    folder: Path
    business: Path
    count: int

    @classmethod
    def laid_out(cls, folder: Path, business: Path, count: int) -> Scene:
        """Lay both nodes out below ``folder``; the bureau reads the first ``count`` rows of ``business``."""
        lay_out_nodes(folder, business, clock=SystemClock(), ids=RandomIds())
        scene = cls(folder=folder, business=business, count=count)
        text = scene.config("bureau").read_text("utf-8")
        text = re.sub(r"batch_size = \d+", f"batch_size = {BATCH_SIZE}", text)
        text = text.replace(
            'url = "https://127.0.0.1:0"\n', f'url = "https://127.0.0.1:0"\ntimeout = "{_TRANSFER_SECONDS}s"\n'
        )
        text = text.replace(f"SELECT * FROM {PERMITS.name} ORDER BY ID", scene.query)
        scene.config("bureau").write_text(text, "utf-8")
        return scene

    @property
    def query(self) -> str:
        """What the bureau's source asks of the business database."""
        return f"SELECT * FROM {PERMITS.name} WHERE ID <= {self.count} ORDER BY ID"

    def config(self, node: str) -> Path:
        """The configuration of ``bureau`` or ``province``."""
        return self.folder / node / "config.toml"

    def settings(self, node: str) -> Settings:
        """The same, read."""
        return load_settings(self.config(node))

    def journal(self, node: str) -> Path:
        """The node's database, once it has one."""
        return self.folder / node / "var" / "gateway.db"

    def point_at(self, url: str) -> None:
        """Tell the bureau where the province listens."""
        config = self.config("bureau")
        config.write_text(config.read_text("utf-8").replace("https://127.0.0.1:0", url), "utf-8")


def build_business(file: Path, count: int, *, progress: Progress, deadline: Deadline) -> None:
    """Write ``count`` good permits into a new SQLite database."""
    columns = ", ".join(f"{column} INTEGER PRIMARY KEY" if column == "ID" else column for column in PERMITS.columns)
    marks = ", ".join("?" * len(PERMITS.columns))
    written = 0
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"CREATE TABLE {PERMITS.name} ({columns})")
        for chunk in rows(PERMITS, count, _SEED, today=_TODAY):
            connection.execute("BEGIN")
            connection.executemany(f"INSERT INTO {PERMITS.name} VALUES ({marks})", chunk)
            connection.execute("COMMIT")
            written += len(chunk)
            deadline.left()
            progress.tell(f"generating permits: {written:,} of {count:,}")
    progress.done()
