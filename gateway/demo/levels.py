"""Four levels as working folders, each with another way up: the bureau sends, the province fetches, to the ministry go files.

A platform beside the ministry takes the same records from the province by its front-end database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Final

from gateway.clock import Clock, Ids
from gateway.demo.bureau import BUREAU
from gateway.demo.business import PERMITS, rows
from gateway.demo.database import insert
from gateway.demo.nodes import PROVINCE, tighten
from gateway.demo.platform import PLATFORM_CODE, PLATFORM_NAME, Platform
from gateway.workfolder import lay_out

__all__ = ["LEVELS", "LISTENING", "SPOILT", "WITHDRAWN", "Business", "Level", "Levels"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One level's organisation."""

    name: str
    words: str
    code: str


LEVELS: Final = (
    Level(name="bureau", words=BUREAU.name, code=BUREAU.code),
    Level(name="head", words="示例森工总局", code="11239900700100105T"),
    Level(name="province", words=PROVINCE.name, code=PROVINCE.code),
    Level(name="ministry", words="示例部", code="11100000000000101B"),
)
LISTENING: Final = ("head", "province")
"""The levels that others call over HTTP."""
SPOILT: Final = 3
"""ID of the row that only the ministry refuses: its document is called by its number."""
WITHDRAWN: Final = 5
"""ID of the row that is deleted."""
_STRICTER: Final = ("[rules.name-is-not-number]", 'weight = "notice"', 'weight = "reject"')


class Business:
    """The bureau's licence system: a table of a few good rows, one of them spoilt."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def build(self, count: int, seed: int, today: date) -> None:
        """Make the table with ``count`` rows."""
        with closing(sqlite3.connect(self.file)) as connection, connection:
            connection.execute(f"CREATE TABLE {PERMITS.name} ({', '.join(PERMITS.columns)})")
            for chunk in rows(PERMITS, count, seed, today=today):
                insert(connection, PERMITS, chunk)
        self._change("UPDATE {table} SET REMARK = WS_NAME, WS_NAME = WS_NO WHERE ID = ?", SPOILT)

    def mend(self) -> None:
        """The unit corrects its row."""
        self._change("UPDATE {table} SET WS_NAME = REMARK, REMARK = NULL WHERE ID = ?", SPOILT)

    def delete(self) -> None:
        """The unit takes a decision back."""
        self._change("DELETE FROM {table} WHERE ID = ?", WITHDRAWN)

    def _change(self, statement: str, number: int) -> None:
        with closing(sqlite3.connect(self.file)) as connection, connection:
            connection.execute(statement.format(table=PERMITS.name), (number,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """The working folders below ``folder``."""

    folder: Path

    @property
    def business(self) -> Business:
        """The bureau's licence system."""
        return Business(self.folder / "business.db")

    @property
    def platform(self) -> Platform:
        """The platform's front-end database."""
        return Platform(file=self.folder / "platform.db", catalog=PERMITS.catalog)

    def config(self, name: str) -> Path:
        """A node's configuration."""
        return self.folder / name / "config.toml"

    def lay_out(self, *, clock: Clock, ids: Ids) -> None:
        """Make the folders, with the certificates of the neighbours; ports are told later, by :meth:`configure`."""
        for level in LEVELS:
            lay_out(
                self.folder / level.name, code=level.code, name=level.words, hosts=["127.0.0.1"], clock=clock, ids=ids
            )
        for lower, upper in pairwise(LEVELS):
            for one, other in ((lower, upper), (upper, lower)):
                for purpose in ("signing", "tls"):
                    data = (self.folder / other.name / "certs" / f"{purpose}.crt").read_bytes()
                    (self.folder / one.name / "certs" / f"{other.name}-{purpose}.crt").write_bytes(data)
        for name in ("outgoing", "incoming"):
            (self.folder / "exchange" / name).mkdir(parents=True)
        self.platform.build(self.folder / "province" / "mappings")
        section, old, new = _STRICTER
        tighten(self.folder / "ministry" / "mappings" / "catalogs" / f"{PERMITS.catalog}.toml", section, old, new)

    def configure(self, name: str, ports: Mapping[str, int]) -> None:
        """Write what the node ``name`` needs to know; ``ports`` are those of the nodes in :data:`LISTENING`."""
        urls = {other: f'url = "https://127.0.0.1:{port}"\n' for other, port in ports.items()}
        listen = f'\n[receive]\nlisten = "127.0.0.1:{ports.get(name, 0)}"\n'
        place = f'url = "file://{self.folder.resolve()}/exchange"\n'
        match name:
            case "bureau":
                query = f"SELECT * FROM {PERMITS.name} ORDER BY ID"  # noqa: S608 — the demonstration's own table
                text = self._peer("head", urls["head"])
                text += (
                    f'\n[sources.permits]\nkind = "sql"\nmapping = "{PERMITS.mapping}"\n'
                    f'url = "sqlite:///{self.business.file.resolve()}"\nquery = "{query}"\n'
                )
                text += _exchange("head", "permits")
            case "head":
                # The province fetches here; what it has to say of the records further up is asked of it.
                away = 'delivery = "pull"\n' + urls["province"]
                text = self._peer("bureau") + self._peer("province", away)
                text += listen + _allow("bureau") + _from("bureau") + _exchange("province", "from-bureau")
            case "province":
                text = self._peer("head", urls["head"])
                text += self._peer("ministry", place)
                text += (
                    f'\n[peers.platform]\ncode = "{PLATFORM_CODE}"\nname = "{PLATFORM_NAME}"\nfeedback = "taken-down"\n'
                    f'database = {{ url = "sqlite:///{self.platform.file.resolve()}", poll = "1s" }}\n'
                )
                text += listen + _allow("head") + _from("head") + _exchange("ministry", "from-head")
                text += _exchange("platform", "from-head", name="rows", form="front-tables")
                text += f'\n[pulls.permits]\npeer = "head"\ncatalog = "{PERMITS.catalog}"\n'
            case _:
                swapped = 'folders = { outgoing = "incoming", incoming = "outgoing" }\n'
                text = self._peer("province", place + swapped) + "\n[receive]\n" + _allow("province")
        file = self.config(name)
        kept = file.read_text("utf-8").split("[peers.")[0]
        file.write_text(kept + text, "utf-8")

    @staticmethod
    def _peer(name: str, more: str = "") -> str:
        level = next(one for one in LEVELS if one.name == name)
        return (
            f'\n[peers.{name}]\ncode = "{level.code}"\nname = "{level.words}"\n{more}'
            f'certificates = ["certs/{name}-signing.crt"]\n'
            + ("" if "file://" in more else f'tls_certificates = ["certs/{name}-tls.crt"]\n')
        )


def _allow(peer: str) -> str:
    return f'allow = {{ {peer} = ["{PERMITS.catalog}"] }}\n'


def _from(peer: str) -> str:
    return f'\n[sources.from-{peer}]\nkind = "records"\ncatalog = "{PERMITS.catalog}"\npeers = ["{peer}"]\n'


def _exchange(peer: str, source: str, *, name: str = "up", form: str = "credit-2018") -> str:
    return f'\n[exchanges.{name}]\ncatalog = "{PERMITS.catalog}"\nsource = "{source}"\nformat = "{form}"\npeer = "{peer}"\n'
