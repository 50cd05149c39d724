"""A bureau with rows of every catalog of a format, and the receiver of a mode: sent, answered, and what then lies at the receiver."""

from __future__ import annotations

import json
import sqlite3
import tomllib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.app import Gateway
from gateway.fetching import pull_once
from gateway.orders import ORDERS
from gateway.receiving import open_listener
from tests.delivery.arrivals import Texts, assert_arrived, elements, plain
from tests.delivery.rows_of_catalogs import ROWS, Row
from tests.exchange.sshd import Account
from tests.nodes import BUREAU, MAPPINGS, PROVINCE, Nodes, lay_nodes
from tests.sources.databases import Kind
from tests.ways import bindings_of, catalogs_of

__all__ = [
    "Setting",
    "Stage",
    "by_pull",
    "by_service",
    "collect",
    "folder_peer",
    "places",
    "sealed_by_files",
    "sender",
    "write_rows",
]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a stage is made of: the format, a folder of the test's own, the account at OpenSSH's server, the engine of tables."""

    name: str
    folder: Path
    account: Callable[[], Account]
    engine: Kind = "sqlite"

    @property
    def catalogs(self) -> tuple[str, ...]:
        return catalogs_of(self.name)


class Stage:
    """The sender is open. ``answer`` lets the receiver take what lies there and answer; ``check`` looks at what it has then."""

    def __init__(self, setting: Setting, nodes: Nodes, bureau: Gateway) -> None:
        self.setting = setting
        self.nodes = nodes
        self.bureau = bureau

    @property
    def one_by_one(self) -> bool:
        """Whether each batch is to be answered before the next one leaves."""
        return False

    async def answer(self) -> None:
        """A receiver that answers at once has nothing left to do."""

    def check(self) -> None:
        raise NotImplementedError

    def gone(self) -> int:
        """How many records the receiver was told to take back."""
        raise NotImplementedError


def fields_of(catalog: str) -> Mapping[str, Mapping[str, object]]:
    """A catalog's fields, by its text."""
    found: Mapping[str, Mapping[str, object]] = tomllib.loads(
        (MAPPINGS / "catalogs" / f"{catalog}.toml").read_text("utf-8")
    )["fields"]
    return found


def write_rows(business: Path, catalog: str, rows: Iterable[Row]) -> None:
    """A table of the catalog, a column for each field, in place of what there was."""
    columns = list(fields_of(catalog))
    listed, marks = ", ".join(f'"{one}"' for one in columns), ", ".join("?" for _ in columns)
    with sqlite3.connect(business) as conn:
        conn.execute(f'DROP TABLE IF EXISTS "{catalog}"')
        conn.execute(f'CREATE TABLE "{catalog}" ({listed})')
        conn.executemany(
            f'INSERT INTO "{catalog}" VALUES ({marks})', [[row.get(one) for one in columns] for row in rows]
        )
    conn.close()


def map_rows(mappings: Path, catalog: str) -> None:
    """A source mapping of each column to the field of its name."""
    rules = {"date": '["date"]', "decimal": '["decimal"]', "integer": '["integer"]', "text": '["trim", "line-ends"]'}
    text = f'id = "rows-{catalog}"\nversion = "1"\nzh = "{catalog}"\nen = "{catalog}"\ncatalog = "{catalog}"\n'
    for name, field in fields_of(catalog).items():
        empty = "reject" if field.get("required") else "leave"
        text += f'\n[fields.{name}]\ncolumn = "{name}"\nrules = {rules[str(field["type"])]}\nempty = "{empty}"\n'
    (mappings / "sources" / f"rows-{catalog}.toml").write_text(text, "utf-8")


def lay_sender(setting: Setting, nodes: Nodes, peer: str) -> None:
    """A source and an exchange for each catalog, to ``peer`` (its table's text)."""
    text = f'\n[peers.province]\ncode = "{PROVINCE}"\nname = "示例省交通运输厅"\n{peer}\n'
    for catalog in setting.catalogs:
        write_rows(nodes.business.file, catalog, ROWS[catalog])
        map_rows(nodes.bureau.path / "mappings", catalog)
        text += (
            f'\n[sources.{catalog}]\nkind = "sql"\nmapping = "rows-{catalog}"\nurl = "sqlite:///{nodes.business.file}"\n'
            f"query = 'SELECT * FROM \"{catalog}\"'\n"
            f'\n[exchanges.{catalog}]\ncatalog = "{catalog}"\nsource = "{catalog}"\nformat = "{setting.name}"\npeer = "province"\n'
        )
    nodes.bureau.configure(text)


@contextmanager
def sender(setting: Setting, peer: str) -> Iterator[tuple[Nodes, Gateway]]:
    nodes = lay_nodes(setting.folder)
    lay_sender(setting, nodes, peer)
    with nodes.bureau.open() as bureau:
        yield nodes, bureau


SIGNED = 'certificates = ["certs/{name}-signing.crt"]\n'
GUARDED = SIGNED + 'tls_certificates = ["certs/{name}-tls.crt"]\n'


def bureau_as_peer(more: str) -> str:
    return f'\n[peers.bureau]\ncode = "{BUREAU}"\nname = "示例林业局交通运输局"\n{more}\n'


def receive(setting: Setting, more: str = "") -> str:
    """The section of a node that takes every catalog, each in the format of the setting."""
    formats = ", ".join(f'{one} = "{setting.name}"' for one in setting.catalogs)
    return f"\n[receive]\nallow = {{ bureau = {list(setting.catalogs)} }}\nformats = {{ {formats} }}\n{more}\n"


def places(folder: Path) -> Path:
    for one in ("outgoing", "incoming"):
        (folder / "exchange" / one).mkdir(parents=True)
    return folder / "exchange"


def folder_peer(setting: Setting, by_sftp: bool) -> str:
    """The lines of a peer by files: its place, and the account where it is a server's."""
    place = setting.folder / "exchange"
    if not by_sftp:
        return f'url = "file://{place}"'
    account = setting.account()
    user = account.address(place).user
    keys = f'sftp = {{ host_keys = ["{account.host_key}"], private_key = "file:{account.private_key}" }}'
    return f'url = "sftp://{user}@127.0.0.1:{account.port}{place}"\n{keys}'


class Sealed(Stage):
    """A node of ours. What it holds is read from its journal by SQLite alone."""

    def held(self) -> list[tuple[str, str, bytes | None, str | None]]:
        (journal,) = (self.nodes.province.path / "var").glob("*.db")
        with sqlite3.connect(journal) as conn:
            found = conn.execute("SELECT route, op, body, content FROM inbox_record").fetchall()
        conn.close()
        return found

    def check(self) -> None:
        bodies: dict[str, list[Texts]] = {}
        contents: dict[str, list[Texts]] = {}
        for route, _, body, content in self.held():
            assert body is not None
            assert content is not None
            root, texts = elements(body)
            catalog = route.split("/")[1]
            assert root == bindings_of(self.setting.name)[catalog]["root"]
            bodies.setdefault(catalog, []).append(texts)
            filled = {name: value for name, value in json.loads(content).items() if value is not None}
            contents.setdefault(catalog, []).append({name: plain(value) for name, value in filled.items()})
        for catalog in self.setting.catalogs:
            assert_arrived(self.setting.name, catalog, ROWS[catalog], bodies[catalog])
            # Read back: field by field the row that the sender had.
            rows = [{name: plain(text) for name, text in row.items()} for row in ROWS[catalog]]
            assert sorted(map(sorted_items, contents[catalog])) == sorted(map(sorted_items, rows)), catalog

    def gone(self) -> int:
        return sum(op == "withdraw" for _, op, _, _ in self.held())


def sorted_items(texts: Texts) -> list[tuple[str, str]]:
    return sorted(texts.items())


@asynccontextmanager
async def by_service(setting: Setting) -> AsyncIterator[Stage]:
    nodes = lay_nodes(setting.folder)
    nodes.province.configure(bureau_as_peer(GUARDED.format(name="bureau")) + receive(setting, 'listen = "127.0.0.1:0"'))
    with nodes.province.open() as province:
        listener = open_listener(province)
        await listener.start()
        try:
            lay_sender(setting, nodes, f'url = "{listener.url}"\n{GUARDED.format(name="province")}timeout = "60s"')
            with nodes.bureau.open() as bureau:
                yield Sealed(setting, nodes, bureau)
        finally:
            await listener.stop()


class Collected(Sealed):
    """Packages and receipts travel as files."""

    province: Gateway

    @property
    def one_by_one(self) -> bool:
        # Of batches that lie there together each asks, after every receipt, for a new proof of the ledger: n of them take n rounds.
        return len(self.setting.catalogs) > 4

    async def answer(self) -> None:
        await collect(self.province)
        await collect(self.bureau)


async def collect(gateway: Gateway) -> None:
    await ORDERS["collect"](gateway, {"peers": []}, lambda _stage, _count: None)


@asynccontextmanager
async def sealed_by_files(setting: Setting, by_sftp: bool) -> AsyncIterator[Stage]:
    place = places(setting.folder)
    with sender(setting, folder_peer(setting, by_sftp) + "\n" + SIGNED.format(name="province")) as (nodes, bureau):
        swapped = 'folders = { outgoing = "incoming", incoming = "outgoing" }'
        theirs = f'url = "file://{place}"\n{SIGNED.format(name="bureau")}{swapped}'
        nodes.province.configure(bureau_as_peer(theirs) + receive(setting))
        with nodes.province.open() as province:
            stage = Collected(setting, nodes, bureau)
            stage.province = province
            yield stage


class Pulled(Sealed):
    """The receiver fetches."""

    province: Gateway

    async def answer(self) -> None:
        for catalog in self.setting.catalogs:
            await pull_once(self.province, catalog)


@asynccontextmanager
async def by_pull(setting: Setting) -> AsyncIterator[Stage]:
    nodes = lay_nodes(setting.folder)
    lay_sender(setting, nodes, f'delivery = "pull"\n{GUARDED.format(name="province")}')
    file = nodes.bureau.path / "config.toml"
    file.write_text(file.read_text("utf-8") + '\n[receive]\nlisten = "127.0.0.1:0"\n', "utf-8")
    with nodes.bureau.open() as bureau:
        listener = open_listener(bureau)
        await listener.start()
        try:
            text = bureau_as_peer(f'url = "{listener.url}"\n{GUARDED.format(name="bureau")}')
            for catalog in setting.catalogs:
                text += f'\n[pulls.{catalog}]\npeer = "bureau"\ncatalog = "{catalog}"\nformat = "{setting.name}"\n'
            nodes.province.configure(text)
            with nodes.province.open() as province:
                stage = Pulled(setting, nodes, bureau)
                stage.province = province
                yield stage
        finally:
            await listener.stop()
