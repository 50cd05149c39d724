"""Receivers that do not speak our protocol: one with files of its own, one with tables, and the publication site."""

from __future__ import annotations

import csv
import html
import io
import json
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa
from lxml import etree

from gateway.app import Gateway
from gateway.exchange.file_names import digest_line
from gateway.sites import check_sites
from tests.delivery.arrivals import Texts, assert_arrived, leaves, plain, tree
from tests.delivery.rows_of_catalogs import ROWS
from tests.delivery.stages import Setting, Stage, collect, folder_peer, places, sender
from tests.nodes import Nodes
from tests.sources.databases import Database, open_database
from tests.ways import bindings_of, head_of

__all__ = ["at_the_site", "by_own_files", "by_tables"]


class Desk(Stage):
    """Takes files away, reads them with its own programs, and answers each with a file."""

    def __init__(self, setting: Setting, nodes: Nodes, bureau: Gateway) -> None:
        super().__init__(setting, nodes, bureau)
        self.taken: dict[str, list[Texts]] = {}
        self.back = 0

    async def answer(self) -> None:
        place = self.setting.folder / "exchange"
        for file in sorted((place / "outgoing").glob("[!.]*")):
            if not file.is_file() or file.suffix == ".sha256":
                continue
            data, digest = file.read_bytes(), file.with_name(f"{file.name}.sha256")
            assert digest.read_bytes() == digest_line(file.name, data)
            rows, first = self.read(file)
            self.answer_file(file.stem, [(row, "成功", "", "") for row in range(first, first + rows)])
            digest.unlink()
            file.unlink()
        await collect(self.bureau)

    def read(self, file: Path) -> tuple[int, int]:
        """How many records the file holds, and the number of the first."""
        kind, back = head_of(self.setting.name)["document"], head_of(self.setting.name)["withdrawn"]
        first = 2 if kind == "sheet" else 1  # behind the headings
        if file.name.startswith(back.partition("{")[0]):
            told = len(etree.parse(file).getroot()) if kind == "whole" else len(_opened(file, kind))
            self.back += told
            return told, first
        bindings = bindings_of(self.setting.name)
        (binding,) = [one for one, text in bindings.items() if file.name.startswith(text["file"].partition("{")[0])]
        opened: Any = tree(file.read_bytes()) if kind == "whole" else _opened(file, kind)
        if kind == "sheet":
            assert opened.columns == [one["to"] for one in bindings[binding]["bind"]], "headings and their order"
            rows = opened.to_dicts()
            records = [{name: plain(cell) for name, cell in row.items() if cell is not None} for row in rows]
        elif kind == "whole":
            records = [dict(leaves(opened))]
        else:
            path = bindings[binding]["repeat"]["records"]
            for name in path.split("/"):
                opened = opened[name]
            records = [dict(leaves(one, path)) for one in opened]
        self.taken.setdefault(binding, []).extend(records)
        return len(records), first

    def answer_file(self, stem: str, rows: list[tuple[object, ...]]) -> None:
        """A feedback file as ``[feedback]`` of the format says."""
        said = head_of(self.setting.name)["feedback"]
        text = io.StringIO()
        csv.writer(text).writerows([[said[one] for one in ("row", "result", "code", "message")], *rows])
        name = said["file"].replace("{file}", stem)
        path = self.setting.folder / "exchange" / "incoming" / f"{name}.{said['type']}"
        path.write_bytes(text.getvalue().encode())
        path.with_name(f"{path.name}.sha256").write_bytes(digest_line(path.name, path.read_bytes()))

    def check(self) -> None:
        assert set(self.taken) == set(bindings_of(self.setting.name)), "every template has had records"
        for binding, text in bindings_of(self.setting.name).items():
            assert_arrived(self.setting.name, binding, ROWS[text["catalog"]], self.taken[binding])

    def gone(self) -> int:
        return self.back


def _opened(file: Path, kind: str) -> Any:
    """A file of JSON or a sheet, by its own reader."""
    return json.loads(file.read_bytes()) if kind == "json" else pl.read_excel(file, infer_schema_length=0)


@asynccontextmanager
async def by_own_files(setting: Setting, by_sftp: bool) -> AsyncIterator[Stage]:
    """Sheets and documents in a folder, by its path or by SFTP."""
    places(setting.folder)
    with sender(setting, folder_peer(setting, by_sftp) + '\nfeedback = "taken-down"') as (nodes, bureau):
        yield Desk(setting, nodes, bureau)


class Platform(Stage):
    """Works its tables off."""

    database: Database

    def table(self, text: Mapping[str, Any]) -> str:
        return self.database.quote(str(text["table"]))

    def make(self) -> None:
        """The tables, with the types of their engine."""
        control = head_of(self.setting.name)["control"]
        quote, text = self.database.quote, self.database.type("long")
        for binding in bindings_of(self.setting.name).values():
            types = dict.fromkeys((one["to"] for one in binding["bind"]), text)
            types |= dict.fromkeys(control.values(), text)
            key = "VARCHAR(200) COLLATE utf8mb4_bin" if self.database.kind == "mariadb" else "VARCHAR(200)"
            types |= {control["batch"]: "CHAR(36)", control["key"]: key, control["time"]: self.database.type("time")}
            types |= dict.fromkeys((control["sequence"], control["version"], control["status"]), "BIGINT")
            listed = ", ".join(f"{quote(name)} {kind}" for name, kind in types.items())
            unique = f"UNIQUE ({quote(control['batch'])}, {quote(control['key'])})"
            self.database.run(f"CREATE TABLE {self.table(binding)} ({listed}, {unique})")

    async def answer(self) -> None:
        status = self.database.quote(head_of(self.setting.name)["control"]["status"])
        for binding in bindings_of(self.setting.name).values():
            self.database.run(f"UPDATE {self.table(binding)} SET {status} = 2 WHERE {status} = 0")

    def rows(self, binding: Mapping[str, Any], op: str) -> list[Texts]:
        control = head_of(self.setting.name)["control"]
        asked = f"SELECT * FROM {self.table(binding)} WHERE {self.database.quote(control['op'])} = '{op}'"
        with self.database.engine.connect() as conn:
            found = [dict(row._mapping) for row in conn.execute(sa.text(asked))]
        ours = {str(one).lower() for one in control.values()}
        return [
            {name: plain(cell) for name, cell in row.items() if cell is not None and name.lower() not in ours}
            for row in found
        ]

    def check(self) -> None:
        for binding, text in bindings_of(self.setting.name).items():
            assert_arrived(self.setting.name, binding, ROWS[text["catalog"]], self.rows(text, "upsert"))

    def gone(self) -> int:
        return sum(len(self.rows(text, "withdraw")) for text in bindings_of(self.setting.name).values())


@contextmanager
def own_database(setting: Setting) -> Iterator[Database]:
    """The engine with a schema (PostgreSQL) or database (MariaDB) of the test's own, which its URL leads into."""
    with open_database(setting.engine, setting.folder) as database:
        name, url = f"jh_{secrets.token_hex(5)}", sa.make_url(database.url)
        what = "SCHEMA" if database.kind == "postgresql" else "DATABASE"
        url = (
            url.update_query_dict({"options": f"-csearch_path={name}"}) if what == "SCHEMA" else url.set(database=name)
        )
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        database.run(f"CREATE {what} {database.quote(name)}")
        try:
            yield Database(kind=database.kind, url=url.render_as_string(hide_password=False), engine=engine)
        finally:
            engine.dispose()
            database.run(f"DROP {what} {database.quote(name)}" + (" CASCADE" if what == "SCHEMA" else ""))


@asynccontextmanager
async def by_tables(setting: Setting) -> AsyncIterator[Stage]:
    """A front-end database with every table of the format."""
    with own_database(setting) as database:
        peer = f'feedback = "taken-down"\ndatabase = {{ url = "{database.url}", poll = "1s" }}'
        with sender(setting, peer) as (nodes, bureau):
            stage = Platform(setting, nodes, bureau)
            stage.database = database
            stage.make()
            yield stage


class Public(Stage):
    """Looks at the pages."""

    def pages(self) -> list[str]:
        return [file.read_text("utf-8") for file in (self.nodes.bureau.path / "public" / "d").rglob("*.html")]

    def check(self) -> None:
        [checked] = check_sites(self.bureau)
        assert checked["sound"], checked
        pages = self.pages()
        for catalog in self.setting.catalogs:
            for row in ROWS[catalog]:
                (page,) = [one for one in pages if row["document_number"] in one]
                assert row["authority_name"] in page
                assert html.escape(row["content"]) in page
                for name in ("person_id", "legal_representative", "legal_representative_id", "remarks"):
                    assert row.get(name) is None or row[name] not in page, name

    def gone(self) -> int:
        return sum(len(ROWS[catalog]) for catalog in self.setting.catalogs) - len(self.pages())


@asynccontextmanager
async def at_the_site(setting: Setting) -> AsyncIterator[Stage]:
    """The bureau's own site."""
    peer = (
        'url = "site:public"\nclearance = "public"\nfeedback = "taken-down"\nsite = { title = "双公示", contact = "" }'
    )
    with sender(setting, peer) as (nodes, bureau):
        yield Public(setting, nodes, bureau)
