"""A bureau that reports through a front-end database: from its own table to the receiver's, and back into ledger and quarantine."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.app import Gateway
from gateway.auditor import Wanted, entry_rows
from gateway.catalog.loader import load_catalogs
from gateway.checkup import check_node
from gateway.clock import RandomIds, SystemClock
from gateway.delivery.run import Order
from gateway.front_database import layouts_of
from gateway.mapping.table_loader import load_table_format
from gateway.orders import ORDERS
from gateway.store import batches, quarantine
from gateway.store.states import State
from tests.nodes import MAPPINGS, PROVINCE, Nodes, lay_nodes, permit, run_once
from tests.sources.databases import Database, Kind, open_database

TABLE = "JH_XZXK"


def layout() -> tuple[list[str], list[str]]:
    """The control columns and the data columns of the table for permits, as the format names them."""
    fmt = load_table_format(MAPPINGS / "formats" / "front-tables", load_catalogs(MAPPINGS))
    (permits,) = [one for one in layouts_of(fmt) if one.rows.table == TABLE]
    return list(permits.rows.named.values()), list(permits.columns)


class Platform:
    """The receiver: makes its table with the types of its own engine, and works it off."""

    def __init__(self, database: Database, schema: str) -> None:
        self.database = database
        self.schema = schema
        control, columns = layout()
        text = "VARCHAR(4000)" if database.kind == "postgresql" else "TEXT"
        key = "VARCHAR(200) COLLATE utf8mb4_bin" if database.kind == "mariadb" else "VARCHAR(200)"
        types = dict.fromkeys(columns, text) | dict.fromkeys(control, "VARCHAR(2000)")
        types |= {"JH_BATCH_ID": "CHAR(36)", "JH_KEY": key, "JH_STATUS": "INTEGER", "JH_TIME": database.type("time")}
        types |= {
            "JH_SEQUENCE": "BIGINT",
            "JH_VERSION": "BIGINT",
            "XK_JDRQ": "DATE",
            "XK_YXQZ": "DATE",
            "XK_YXQZI": "DATE",
        }
        listed = ", ".join(f"{database.quote(name)} {kind}" for name, kind in types.items())
        unique = f"UNIQUE ({database.quote('JH_BATCH_ID')}, {database.quote('JH_KEY')})"
        self.run(f"CREATE TABLE {self.table} ({listed}, {unique})")

    @property
    def table(self) -> str:
        name = self.database.quote(TABLE)
        return f"{self.database.quote(self.schema)}.{name}" if self.schema else name

    def run(self, *statements: str) -> None:
        self.database.run(*statements)

    def rows(self, *names: str) -> list[tuple[object, ...]]:
        listed = ", ".join(map(self.database.quote, names))
        statement = f"SELECT {listed} FROM {self.table} ORDER BY {self.database.quote('JH_SEQUENCE')}, {self.database.quote('JH_KEY')}"
        with self.database.engine.connect() as conn:
            return [tuple(row) for row in conn.execute(sa.text(statement))]

    def decide(self, *rejected: str) -> None:
        """Take everything but these keys."""
        quote = self.database.quote
        status, key = quote("JH_STATUS"), quote("JH_KEY")
        with self.database.engine.begin() as conn:
            for one in rejected:
                update = f"UPDATE {self.table} SET {status} = 3, {quote('JH_CODE')} = 'E12', {quote('JH_MESSAGE')} = '文书号重复'"
                conn.execute(sa.text(f"{update} WHERE {status} = 0 AND {key} = :k"), {"k": one})
            conn.execute(sa.text(f"UPDATE {self.table} SET {status} = 2 WHERE {status} = 0"))


def configure(nodes: Nodes, url: str) -> None:
    nodes.bureau.configure(f"""
[peers.province]
code = "{PROVINCE}"
name = "示例省交通运输厅"
feedback = "taken-down"
database = {{ url = "{url}", poll = "1s" }}

[sources.permits]
kind = "sql"
mapping = "credit-2018-permits"
url = "sqlite:///{nodes.business.file}"
query = "SELECT * FROM permits"

[exchanges.permits-to-province]
catalog = "administrative-license"
source = "permits"
format = "front-tables"
peer = "province"
""")


@contextmanager
def granted(database: Database) -> Iterator[tuple[Platform, str]]:
    """The receiver's table in a place of its own, and the URL of an account that may do no more than the manual says."""
    name, password = f"jh_{secrets.token_hex(5)}", secrets.token_hex(8)
    url = sa.make_url(database.url)
    account = url.set(username=name, password=password, host=url.host or "127.0.0.1")
    if database.kind == "postgresql":
        try:
            database.run(f'CREATE SCHEMA "{name}"', f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}'")
            platform = Platform(database, name)
            database.run(
                f'GRANT USAGE ON SCHEMA "{name}" TO "{name}"',
                f'GRANT SELECT, INSERT ON "{name}"."{TABLE}" TO "{name}"',
                f'ALTER ROLE "{name}" SET search_path = "{name}"',
            )
            yield platform, account.render_as_string(hide_password=False)
        finally:
            database.run(f'DROP SCHEMA "{name}" CASCADE', f'DROP ROLE IF EXISTS "{name}"')
        return
    try:
        database.run(f"CREATE DATABASE `{name}`", f"CREATE USER '{name}'@'%%' IDENTIFIED BY '{password}'")
        platform = Platform(database, name)
        database.run(f"GRANT SELECT, INSERT ON `{name}`.`{TABLE}` TO '{name}'@'%%'")
        yield platform, account.set(database=name).render_as_string(hide_password=False)
    finally:
        database.run(f"DROP DATABASE IF EXISTS `{name}`", f"DROP USER IF EXISTS '{name}'@'%%'")


async def settle(bureau: Gateway) -> None:
    """Let a person ask now instead of waiting for the next question."""
    with bureau.database.read() as conn:
        open_ones = [one.id for one in batches.open_batches(conn)]
    for one in open_ones:
        await ORDERS["retry"](bureau, {"batch": one, "person": "tester", "reason": "test"}, lambda _stage, _count: None)
    async with bureau.exchange("permits-to-province") as exchange:
        await bureau.runner.run(exchange, Order(person="tester", reason="test"), lambda _stage, _count: None)


@pytest.mark.sends(catalog="administrative-license", format="front-tables", mode="database")
@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
async def test_the_whole_way_with_the_rights_that_the_manual_grants(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = lay_nodes(tmp_path)
    rows = [permit(1), permit(2), permit(3, XK_FRDB="李'; DROP TABLE x--")]
    nodes.business.write(rows)
    configure(nodes, "env:FRONT_DB")
    keys = [str(row["XK_WSH"]) for row in rows]
    with open_database(kind, tmp_path) as database, granted(database) as (platform, url):
        monkeypatch.setenv("FRONT_DB", url)
        found = await asyncio.to_thread(check_node, nodes.bureau.path / "config.toml", SystemClock(), RandomIds())
        assert [one.code for one in found if one.severity == "error"] == []
        with nodes.bureau.open() as bureau:
            assert (await run_once(bureau)).sealed == 3
            written = platform.rows("JH_KEY", "JH_OP", "JH_VERSION", "JH_STATUS", "XK_FRDB", "XK_JDRQ", "XK_XDR_SWDJ")
            assert sorted(str(one[0]) for one in written) == sorted(keys)
            assert [tuple(map(str, one[1:])) for one in written if one[0] == keys[2]] == [
                ("upsert", "1", "0", "李'; DROP TABLE x--", "2026-09-01", "None")
            ]
            platform.decide(keys[1])
            await settle(bureau)
            with bureau.database.read() as conn:
                (batch,) = batches.list_batches(conn, limit=10)
                assert batch.state is State.RECONCILED
                (case,) = quarantine.cases(conn)
            assert (case.key, case.reasons[0].code, case.reasons[0].expected) == (
                keys[1],
                "receiver-rejected",
                "E12 文书号重复",
            )
            nodes.business.write([rows[1], rows[2]])
            assert (await run_once(bureau)).vanished == 1
            (_, _, _, gone) = sorted(platform.rows("JH_SEQUENCE", "JH_KEY", "JH_OP", "XK_XDR_MC"))
            assert gone == (2, keys[0], "withdraw", None)
            platform.decide()
            await settle(bureau)
            entries = list(entry_rows(bureau, Wanted(kind="batch.reconciled"), 0))
            assert [one["withdrawn"] for one in entries] == [0, 1]
            assert all(one["feedback_sha256"] for one in entries)


def test_the_check_names_everything_that_is_wrong_with_the_tables(tmp_path: Path) -> None:
    nodes = lay_nodes(tmp_path)
    with open_database("sqlite", tmp_path) as database:
        configure(nodes, database.url)

        def told() -> list[tuple[str, object]]:
            found = check_node(nodes.bureau.path / "config.toml", SystemClock(), RandomIds())
            return [(one.code, one.facts.get("columns")) for one in found if one.key == "peers.province.database"]

        assert told() == [("front-table-missing", None)]
        platform = Platform(database, "")
        assert told() == []
        database.run(
            f"ALTER TABLE {TABLE} RENAME COLUMN XK_NR TO NR", f"ALTER TABLE {TABLE} RENAME COLUMN JH_CODE TO DM"
        )
        assert told() == [("front-column-missing", "JH_CODE, XK_NR")]
        database.run(f"DROP TABLE {TABLE}", f"CREATE TABLE {TABLE.lower()} ({', '.join([*layout()[0], *layout()[1]])})")
        assert told() == [("front-without-unique", "JH_BATCH_ID, JH_KEY")]
        database.run(f"CREATE UNIQUE INDEX one_copy ON {TABLE.lower()} (JH_KEY, JH_BATCH_ID)")
        assert told() == [], "capitals do not count"
        assert platform.schema == ""
    (tmp_path / "local.db").unlink()
    assert [code for code, _ in told()] == ["front-unreachable"], "no empty database is made in its place"
