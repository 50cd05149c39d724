"""From the bureau's own database to its site: masked, for its period, and gone when it is taken back."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway import withdrawal
from gateway.again import preview_resync
from gateway.catalog.identifiers import resident_check_character
from gateway.checkup import check_node
from gateway.clock import RandomIds, SystemClock
from gateway.errors import ConfigError
from gateway.mapping.masking import has_number
from gateway.sites import check_sites
from tests.mapping.record_samples import AUTHORITY, PENALTY
from tests.mapping.record_samples import mappings as source_mappings
from tests.nodes import Business, Folder, Nodes, lay_nodes, run_once

COLUMNS = source_mappings()["credit-2018-penalties"].columns()
PERSON = "2301021990050500" + "1"
PERSON = PERSON + resident_check_character(PERSON)
COMPANY, NATURAL, MINOR, TRADER = (f"黑森交罚〔2026〕{number}号" for number in range(1, 5))
DATES = {"CF_JDRQ": "2026-05-06", "CF_YXQ": "2029-05-06", "CF_GSJZQ": None}


def rows() -> list[Mapping[str, object]]:
    person = {"CF_XDR_SHXYM": None, "CF_FRDB": None, "CF_XDR_LB": "自然人"}
    named = {"CF_XDR_MC": "欧阳震华", "CF_XDR_ZJLX": "身份证", "CF_XDR_ZJHM": PERSON}
    said = f"欧阳震华（{PERSON}，电话13912345678）驾驶车辆"
    trader = {"CF_XDR_LB": "个体工商户", "CF_XDR_MC": "李雪莲", "CF_FRDB": "李雪莲"}
    return [
        {**PENALTY, **DATES, "CF_WSH": COMPANY},
        {**PENALTY, **DATES, **person, **named, "CF_WSH": NATURAL, "CF_SY": said},
        {**PENALTY, **DATES, "CF_WSH": MINOR, "CF_CFLB": "警告", "CF_NR_FK": None, "CF_NR": "警告"},
        {**PENALTY, **DATES, **trader, "CF_WSH": TRADER},
    ]


def write(business: Business, given: list[Mapping[str, object]]) -> None:
    business.write(given, COLUMNS)


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    laid = lay_nodes(tmp_path)
    write(laid.business, rows())
    laid.bureau.configure(f"""
[peers.site]
code = "11230000000000019J"
name = "示例林业局公示网站"
url = "site:public"
clearance = "public"
feedback = "taken-down"
site = {{ title = "示例林业局双公示", contact = "0450-0000000" }}

[sources.penalties]
kind = "sql"
mapping = "credit-2018-penalties"
url = "sqlite:///{laid.business.file}"
query = "SELECT * FROM permits"

[exchanges.publish]
catalog = "administrative-penalty"
source = "penalties"
format = "publication"
peer = "site"
""")
    return laid


def texts(bureau: Folder) -> str:
    files = sorted(path for path in (bureau.path / "public").rglob("*") if path.suffix in {".html", ".json"})
    return "\n".join(path.read_text("utf-8") for path in files)


@pytest.mark.sends(catalog="administrative-penalty", format="publication", mode="site")
async def test_what_the_public_sees(nodes: Nodes) -> None:
    bureau = nodes.bureau
    with bureau.open() as gateway:
        statement = await run_once(gateway, "publish")
        assert (statement.quarantined, statement.sealed, statement.answered.created) == (0, 3, 3)
        [checked] = check_sites(gateway)
        assert checked["sound"], checked
    site = texts(bureau)
    assert COMPANY in site
    assert NATURAL in site
    assert MINOR not in site, "a warning alone is a minor case"
    assert "欧＊＊＊" in site
    assert "李＊＊" in site
    for name in ("欧阳震华", "李雪莲", "王某", PERSON, "13912345678"):
        assert name not in site, name
    details = (bureau.path / "public" / "d").rglob("*.html")
    for path in details:
        article = path.read_text("utf-8").partition("<article>")[2].partition("</article>")[0]
        assert not has_number(article.replace(AUTHORITY, "")), path
    assert 'id="until" datetime="2027-05-06"' in site, "an ordinary case: a year, by the rule of its day"


async def test_taken_back_over_or_vanished_is_gone_with_the_next_run(nodes: Nodes) -> None:
    with nodes.bureau.open() as gateway:
        with pytest.raises(ConfigError, match="site-empty"):
            check_sites(gateway)
        await run_once(gateway, "publish")
        order = {"catalog": "administrative-penalty", "keys": [COMPANY], "code": "revoked", "basis": "复议决定"}
        done = await withdrawal.withdraw(
            gateway, {**order, "person": "甲", "reason": "复议"}, lambda _stage, _count: None
        )
        assert (len(done["statements"]), done["failed"]) == (1, {})
        assert COMPANY not in texts(nodes.bureau)
        with gateway.database.begin() as conn:
            over = "UPDATE publicity SET until = '2026-08-01' WHERE record_id IN (SELECT id FROM record WHERE key = ?)"
            conn.exec_driver_sql(over, (NATURAL,))
        statement = await run_once(gateway, "publish")
        assert statement.withdraw == 1
        assert NATURAL not in texts(nodes.bureau)
        write(nodes.business, rows()[:3])
        assert (await run_once(gateway, "publish")).withdraw == 1
        assert TRADER not in texts(nodes.bureau)
        assert (await run_once(gateway, "publish")).sealed == 0
        [checked] = check_sites(gateway)
        assert (checked["sound"], checked["shown"]) == (True, 0)


async def test_a_change_of_the_record_never_moves_its_period(nodes: Nodes) -> None:
    with nodes.bureau.open() as gateway:
        await run_once(gateway, "publish")
        serious = {"CF_CFLB": "罚款;吊销许可证件", "CF_NR_ZKDX": "许可证1号", "CF_GSJZQ": "2029-05-06"}
        write(nodes.business, [{**rows()[0], **serious}, *rows()[1:]])
        statement = await run_once(gateway, "publish")
        assert (statement.quarantined, statement.upsert) == (0, 1), statement.quarantined_by
    page = texts(nodes.bureau)
    assert "吊销许可证件" in page
    assert "2029-05-06 止" not in page
    assert page.count('id="until" datetime="2027-05-06"') == 3


def test_the_check_knows_a_site_and_what_its_format_may_demand(nodes: Nodes) -> None:
    config = nodes.bureau.path / "config.toml"
    assert [one.code for one in check_node(config, SystemClock(), RandomIds()) if one.severity == "error"] == []
    text = config.read_text("utf-8")
    wrong = text.replace('clearance = "public"', "").replace('feedback = "taken-down"', "")
    config.write_text(wrong, "utf-8")
    found = {one.code for one in check_node(config, SystemClock(), RandomIds())}
    assert {"config-site-not-public", "config-site-signs-nothing"} <= found
    with sqlite3.connect(nodes.business.file) as conn:
        assert conn.execute("SELECT count(*) FROM permits").fetchone() == (4,)
    conn.close()


async def test_what_was_sent_to_those_who_saw_more_is_not_repeated_to_the_public(nodes: Nodes) -> None:
    with nodes.bureau.open() as gateway:
        await run_once(gateway, "publish")
    mapping = nodes.bureau.path / "mappings" / "sources" / "credit-2018-penalties.toml"
    mapping.write_text(mapping.read_text("utf-8") + "\n# another text\n", "utf-8")
    with nodes.bureau.open() as gateway:
        looked = await preview_resync(
            gateway, {"exchange": "publish", "all": True, "mapping": "as-sent"}, lambda _stage, _count: None
        )
        assert looked["chosen"] == {"as-sent-clearance": 3}
