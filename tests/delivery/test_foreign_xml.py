"""A receiver that takes XML, from the source to the ledger: documents by its own XSD go out, its answers come back record by record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import pytest
from lxml import etree
from xmlschema import XMLSchema10

from gateway.app import Gateway
from gateway.orders import ORDERS
from gateway.package.batch import parse_batch
from gateway.package.container import open_package
from gateway.store import batches, quarantine
from gateway.store.batches import Batch
from gateway.store.states import State
from tests.delivery.foreign import answer, lay_foreign, take
from tests.delivery.test_by_files import collect
from tests.exchange.sshd import Account, sshd
from tests.mapping.record_samples import PENALTY
from tests.mapping.record_samples import mappings as source_mappings
from tests.nodes import BUREAU, COLUMNS, MAPPINGS, PROVINCE, Nodes, permit, run_once

FORMAT = MAPPINGS / "formats" / "message-fields"
SEVERAL = {
    "format.toml": """
id = "permit-list"
version = "1"
zh = "许可名单"
en = "List of permits"
standard = "none"
receiver = "试验"
sealing = "密封批次"
xsd = "list.xsd"
document = "whole"
withdrawn = "gone_{yyyyMMdd}_{sequence}"
[feedback]
file = "{file}_反馈"
type = "csv"
row = "序号"
result = "结果"
code = "代码"
message = "说明"
accepted = ["成功"]
""",
    "list.xsd": """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:test:list" elementFormDefault="qualified">
  <xs:element name="List"><xs:complexType><xs:sequence>
    <xs:element name="Batch" type="xs:string"/>
    <xs:element name="Count" type="xs:positiveInteger"/>
    <xs:element name="Permit" maxOccurs="2"><xs:complexType>
      <xs:sequence><xs:element name="Content" type="xs:string"/></xs:sequence>
      <xs:attribute name="number" type="xs:string" use="required"/>
    </xs:complexType></xs:element>
  </xs:sequence></xs:complexType></xs:element>
</xs:schema>
""",
    "bindings/administrative-license.toml": """
catalog = "administrative-license"
root = "List"
file = "list_{yyyyMMdd}_{sequence}"
repeat = { records = "Permit" }
bind = [
  { to = "Batch", batch = "id" },
  { to = "Count", batch = "count" },
  { to = "Permit/@number", field = "document_number", empty = "reject" },
  { to = "Permit/Content", field = "content", empty = "reject" },
]
""",
}


def penalty(number: int) -> Mapping[str, object]:
    return {**PENALTY, "CF_WSH": f"黑森交罚〔2026〕{number}号"}


def newest(bureau: Gateway) -> Batch:
    with bureau.database.read() as conn:
        return max(batches.list_batches(conn, limit=10), key=lambda one: one.sequence)


def hold(schema: Path, document: bytes) -> etree._Element:
    """Both processors take the document, apart from the gateway."""
    element = etree.fromstring(document)
    XMLSchema10(str(schema)).validate(element)
    etree.XMLSchema(etree.parse(str(schema))).assertValid(element)
    return element


def take_all(place: Path, pattern: str) -> dict[str, bytes]:
    """The receiver takes its files away, in the order of their names."""
    names = sorted(file.name for file in (place / "outgoing").glob(pattern))
    return dict(take(place, name) for name in names)


async def go(
    nodes: Nodes,
    place: Path,
    what: str,
    rows: Sequence[Mapping[str, object]],
    write: Callable[[Sequence[Mapping[str, object]]], None],
) -> None:
    """Four records go out, one is refused, three vanish and are told by a list."""
    number, file = {"permits": ("XK_WSH", "xzxk"), "penalties": ("CF_WSH", "xzcf")}[what]
    write(rows)
    with nodes.bureau.open() as bureau:
        await run_once(bureau, f"{what}-to-province")
        batch = newest(bureau)
        messages = take_all(place, f"{file}_*.xml")
        made = datetime.fromisoformat(batch.created_at).astimezone(bureau.settings.node.time_zone)
        stem = f"{file}_{made:%Y%m%d%H%M%S}_000001"
        assert list(messages) == [f"{stem}_{place:06}" for place in range(1, 5)]
        for data, row in zip(messages.values(), rows, strict=True):
            message = hold(FORMAT / "message-fields.xsd", data)
            head = {child.tag: child.text for child in message.find("Header")}  # type: ignore[union-attr]  # the schema says so
            assert head == {"sender": BUREAU, "receiver": PROVINCE, "flow": batch.id, "sn": "1"}
            assert message.findtext(f"Body/fields/{number}") == row[number]
        first, second, *others = messages
        for one in (first, *others):
            answer(place, one, [(1, "成功", "", "")])
        assert (await collect(bureau))["receipts"] == [], "one file is not answered yet"
        answer(place, second, [(1, "失败", "E1", "重复")])
        assert len((await collect(bureau))["receipts"]) == 1
        with bureau.database.read() as conn:
            (case,) = quarantine.cases(conn)
        assert newest(bureau).state is State.RECONCILED
        assert (case.key, case.reasons[0].expected) == (rows[1][number], "E1 重复")
        write(rows[:1])
        assert (await run_once(bureau, f"{what}-to-province")).vanished == 3
        stem, data = take(place, "cxqd_*_000002.xml")
        gone = etree.fromstring(data)
        assert sorted(one.findtext("记录编号") or "" for one in gone) == sorted(str(row[number]) for row in rows[1:])
        assert {one.findtext("操作") for one in gone} == {"撤销"}
        answer(place, stem, [(row, "成功", "", "") for row in (1, 2, 3)])
        assert len((await collect(bureau))["receipts"]) == 1
        assert newest(bureau).state is State.RECONCILED


@pytest.mark.sends(catalog="administrative-license", format="message-fields", mode="file")
async def test_permits_go_out_and_answers_come_back(tmp_path: Path) -> None:
    nodes = lay_foreign(tmp_path, FORMAT.name)
    rows = [permit(number, XK_NR=f"许可 <{number}> & 其他") for number in range(1, 5)]
    await go(nodes, tmp_path / "exchange", "permits", rows, lambda given: nodes.business.write(given, COLUMNS))


@pytest.mark.sends(catalog="administrative-penalty", format="message-fields", mode="file")
async def test_penalties_go_out_and_answers_come_back(tmp_path: Path) -> None:
    nodes = lay_foreign(tmp_path, FORMAT.name, what="penalties")
    columns = source_mappings()["credit-2018-penalties"].columns()
    rows = [penalty(number) for number in range(1, 5)]
    await go(nodes, tmp_path / "exchange", "penalties", rows, lambda given: nodes.business.write(given, columns))


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    (tmp_path / "sshd").mkdir()
    with sshd(tmp_path / "sshd") as running:
        yield running


@pytest.mark.sends(catalog="administrative-license", format="message-fields", mode="sftp")
async def test_documents_go_by_sftp(tmp_path: Path, account: Account) -> None:
    address = account.address(tmp_path)
    nodes = lay_foreign(
        tmp_path,
        FORMAT.name,
        url=f"sftp://{address.user}@127.0.0.1:{account.port}{tmp_path}/exchange",
        further=f'sftp = {{ host_keys = ["{account.host_key}"], private_key = "file:{account.private_key}" }}',
    )
    nodes.business.write([permit(1), permit(2)])
    with nodes.bureau.open() as bureau:
        await run_once(bureau)
        for stem, data in take_all(tmp_path / "exchange", "xzxk_*.xml").items():
            hold(FORMAT / "message-fields.xsd", data)
            answer(tmp_path / "exchange", stem, [(1, "成功", "", "")])
        assert len((await collect(bureau))["receipts"]) == 1
        assert newest(bureau).state is State.RECONCILED


async def test_what_is_no_answer_to_the_document_closes_nothing(tmp_path: Path) -> None:
    nodes, place = lay_foreign(tmp_path, FORMAT.name), tmp_path / "exchange"
    nodes.business.write([permit(1)])
    with nodes.bureau.open() as bureau:
        await run_once(bureau)
        stem, _ = take(place, "xzxk_*.xml")
        for wrong in ([(2, "成功", "", "")], [(1, "成功", "", ""), (1, "成功", "", "")]):
            answer(place, stem, wrong)  # type: ignore[arg-type]  # rows of any cells
            assert (await collect(bureau))["receipts"] == []
            assert newest(bureau).state is not State.RECONCILED
        assert (place / "incoming" / "aside" / f"{stem}_反馈.csv").exists()
        answer(place, stem, [(1, "成功", "", "")])
        assert len((await collect(bureau))["receipts"]) == 1


async def test_a_batch_that_is_refused_goes_again_with_the_same_bytes(tmp_path: Path) -> None:
    nodes, place = lay_foreign(tmp_path, FORMAT.name), tmp_path / "exchange"
    nodes.business.write([permit(1), permit(2)])
    with nodes.bureau.open() as bureau:
        await run_once(bureau)
        sent = take_all(place, "xzxk_*.xml")
        for stem in sent:
            answer(place, stem, [("", "失败", "E9", "报文不对")])
        order = {"batch": newest(bureau).id, "person": "tester", "reason": "ask now"}
        await ORDERS["retry"](bureau, order, lambda _stage, _count: None)
        assert newest(bureau).state is State.REFUSED
    with nodes.bureau.open() as bureau:
        # Another process, another day: nothing is worked out anew.
        await ORDERS["retry"](bureau, order, lambda _stage, _count: None)
        assert take_all(place, "xzxk_*.xml") == sent
        for stem in sent:
            answer(place, stem, [(1, "成功", "", "")])
        assert len((await collect(bureau))["receipts"]) == 1


async def test_as_many_records_in_a_document_as_it_takes(tmp_path: Path) -> None:
    nodes, place = lay_foreign(tmp_path, "permit-list"), tmp_path / "exchange"
    folder = nodes.bureau.path / "mappings" / "formats" / "permit-list"
    for name, text in SEVERAL.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    rows = [permit(number) for number in range(1, 4)]
    nodes.business.write(rows)
    with nodes.bureau.open() as bureau:
        await run_once(bureau)
        documents = take_all(place, "list_*.xml")
        assert [stem[-13:] for stem in documents] == ["000001_000001", "000001_000002"]
        held = [hold(folder / "list.xsd", data) for data in documents.values()]
        space = "{urn:test:list}"
        assert [one.findtext(f"{space}Count") for one in held] == ["2", "1"]
        assert {one.findtext(f"{space}Batch") for one in held} == {newest(bureau).id}
        numbers = [permit.get("number") for one in held for permit in one.iterfind(f"{space}Permit")]
        assert numbers == [row["XK_WSH"] for row in rows]
        first, second = documents
        answer(place, first, [(1, "成功", "", ""), (2, "失败", "E1", "重复")])
        answer(place, second, [(1, "成功", "", "")])
        assert len((await collect(bureau))["receipts"]) == 1
        with bureau.database.read() as conn:
            (case,) = quarantine.cases(conn)
        assert case.key == rows[1]["XK_WSH"]
        package = _package(bureau)
        assert all(b"urn:credit-exchange:fields:1" in (one.body or b"") for one in parse_batch(package).records)


def _package(bureau: Gateway) -> bytes:
    with bureau.database.read() as conn:
        return open_package(batches.package_bytes(conn, newest(bureau).id)).document
