"""A receiver's own files, workbooks or XML, by the suite that every transport passes: it takes them, and answers with a list of rows. It signs
nothing."""

from __future__ import annotations

import csv
import fnmatch
import io
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from lxml import etree

from gateway.catalog.loader import load_catalogs
from gateway.delivery.carry import FormatCarrier
from gateway.delivery.carry_sheets import SheetCarrier
from gateway.delivery.carry_xml import XmlCarrier
from gateway.exchange.file_names import digest_line
from gateway.exchange.folder_place import FolderPlace
from gateway.exchange.foreign import ForeignTransport
from gateway.exchange.outcome import Acknowledged, Later, NotReady, Refused, Taken
from gateway.exchange.place import Place
from gateway.exchange.port import NodeInfo
from gateway.exchange.recorder import Recorder
from gateway.mapping.sheet_loader import load_sheet_format
from gateway.mapping.sheet_model import SheetFormat
from gateway.mappings import Mappings
from gateway.package.certificates import Certificate
from gateway.package.header import FormatReference
from tests.exchange.conformance import KEYS, Bench, Conformance, Manner, post
from tests.exchange.post import FailingPlace, SetClock
from tests.nodes import MAPPINGS
from tests.package.samples import RECEIVER, ecdsa

HEADINGS = ("行号", "结果", "代码", "说明")
LICENCES, WITHDRAWALS = "行政许可_法人_2026112214.xlsx", "撤销清单_20261122140237_000001.xlsx"
Rows = list[tuple[object, ...]]
WRONGS: dict[str, Callable[[Rows], bytes]] = {
    "a row of another file": lambda rows: feedback([*rows, (99, "成功", "", "")]),
    "a row twice": lambda rows: feedback([*rows, rows[0]]),
    "a row missing": lambda rows: feedback(rows[1:]) if len(rows) > 1 else feedback([(7, "成功", "", "")]),
    "no row number": lambda rows: feedback([*rows, ("", "成功", "", "")]),
    "words for a number": lambda rows: feedback([("第二行", "成功", "", "")]),
    "other headings": lambda _rows: "row,result\n2,成功\n".encode(),
    "rubbish": lambda _rows: b"\x00\xff PK nothing",
    "nothing": lambda _rows: b"",
}


def feedback(rows: Rows) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([HEADINGS, *rows])
    return text.getvalue().encode("gb18030")


@pytest.fixture(scope="module")
def split() -> SheetFormat:
    return load_sheet_format(MAPPINGS / "formats" / "credit-2018-split", load_catalogs(MAPPINGS))


@pytest.fixture(scope="module")
def messages() -> FormatCarrier:
    mappings = Mappings(MAPPINGS, "Asia/Shanghai")
    xml = XmlCarrier(
        mappings.format,
        lambda name, catalog: mappings.whole_plan(name, mappings.catalog(catalog)),
        ZoneInfo("Asia/Shanghai"),
    )
    return FormatCarrier(lambda _id: xml)


def carrier_of(sheets: Callable[[], SheetFormat]) -> FormatCarrier:
    """The carrier of one format, as it is when it is asked for."""
    carrier = SheetCarrier(lambda _id: sheets(), ZoneInfo("Asia/Shanghai"))
    return FormatCarrier(lambda _id: carrier)


class ForeignBench:
    """The other organisation: a clerk with a spreadsheet."""

    ending = ".xlsx"
    named = (LICENCES, "撤销清单_*.xlsx")  # a batch's first file of records, and that of what is taken back
    taken_down = True
    format = FormatReference(id="credit-2018-split", version="1")
    trusted: Sequence[Certificate] = (ecdsa().certificate,)
    wrongs = tuple(WRONGS)

    def __init__(self, root: Path, place: Place, carrier: FormatCarrier) -> None:
        self.root = root
        self.packages: dict[str, bytes] = {}
        self.kept: dict[str, bytes] = {}
        self.takings: list[tuple[str, str]] = []
        self.manner = Manner.ACCEPT
        self.rejected: Collection[str] = ()
        self.wrong = ""
        self.place = FailingPlace(place)
        self.clock = SetClock()
        self.transport = ForeignTransport(
            self.place,
            peer="platform",
            node=NodeInfo(code=RECEIVER.code, name=RECEIVER.name, versions=(1,)),
            clock=self.clock,
            carrier=carrier,
            recorder=Recorder(receiver=RECEIVER, signer=ecdsa().signer, clock=SetClock()),
            package_of=self.packages.get,
            waiting=lambda: list(self.packages),
        )

    def body(self, number: int) -> str:
        return (
            '<Fields xmlns="urn:credit-exchange:fields:1" template="administrative-license.legal">'
            f'<Field name="行政许可决定文书号">{number}号</Field></Fields>'
        )

    async def behave(self, manner: Manner, *, rejected: Collection[str] = ()) -> None:
        again = bool(self.wrong)
        self.manner, self.rejected, self.wrong = manner, rejected, ""
        gone, here = self.root.with_name("gone"), self.root
        if (manner is Manner.VANISH) != gone.exists():
            (here if manner is Manner.VANISH else gone).rename(gone if manner is Manner.VANISH else here)
        self.place.fails, self.place.of = ("rename", self.ending) if manner is Manner.LOSE else ("", "")
        self.place.persists = True
        if again:
            self.answer_all()

    async def answer_wrongly(self, how: str) -> None:
        self.kept.clear()
        self.wrong = how

    async def work(self) -> None:
        outgoing = self.root / "outgoing"
        for file in sorted(outgoing.glob(f"*{self.ending}")):
            (outgoing / "taken").mkdir(exist_ok=True)
            if self.manner is not Manner.REFUSE:
                self.takings.append((list(self.packages)[-1], file.name))  # names do not tell the batch
            self.kept[file.stem] = file.read_bytes()
            for each in (file, outgoing / f"{file.name}.sha256"):
                each.rename(outgoing / "taken" / each.name)
        if self.manner is not Manner.LATE:
            self.answer_all()

    def answer_all(self) -> None:
        for name, data in list(self.kept.items()):
            answer = self.answer(data)
            path = self.root / "incoming" / f"{name}_反馈.csv"
            path.write_bytes(answer)
            path.with_name(path.name + ".sha256").write_bytes(digest_line(path.name, answer))
        if not self.wrong:
            self.kept.clear()

    def answer(self, data: bytes) -> bytes:
        if self.manner is Manner.REFUSE:
            return feedback([("", "失败", "E-9", "模板不对")])
        # Records by the number that they show, what is taken back by its key.
        bad = {text for number, key in enumerate(KEYS) if key in self.rejected for text in (key, f"{number}号")}
        rows: Rows = [
            (row, "失败", "identifier-invalid", "代码不对") if text in bad else (row, "成功", "", "")
            for row, text in self.read(data)
        ]
        return WRONGS[self.wrong](rows) if self.wrong else feedback(rows)

    def read(self, data: bytes) -> list[tuple[int, str]]:
        """What each row of a file is called, by its number."""
        sheet = pl.read_excel(io.BytesIO(data), infer_schema_length=0)
        column = "记录编号" if "记录编号" in sheet.columns else "行政许可决定文书号"
        return list(enumerate(sheet[column].to_list(), start=2))

    async def copies(self, batch_id: str) -> int:
        """Each batch has the file of records and that of what is taken back."""
        taken = [name for batch, name in self.takings if batch == batch_id]
        first, gone = (len(fnmatch.filter(taken, name)) for name in self.named)
        assert first == gone
        return first


class XmlBench(ForeignBench):
    """A service that takes a message for each record."""

    ending = ".xml"
    named = ("xzxk_20261122140237_*_000001.xml", "cxqd_20261122140237_*.xml")
    format = FormatReference(id="message-fields", version="1")

    def body(self, number: int) -> str:
        texts = {
            "XK_WSH": f"{number}号", "XK_XMMC": "许可", "XK_NR": "内容", "XK_XDR": "甲公司", "XK_JDRQ": "2026/11/20", "XK_XZJG": "甲局",
        }  # fmt: skip
        fields = "".join(f'<Field name="Body/fields/{name}">{text}</Field>' for name, text in texts.items())
        return f'<Fields xmlns="urn:credit-exchange:fields:1" template="administrative-license">{fields}</Fields>'

    def answer(self, data: bytes) -> bytes:
        return super().answer(data).replace("行号".encode("gb18030"), "序号".encode("gb18030"))

    def read(self, data: bytes) -> list[tuple[int, str]]:
        element = etree.fromstring(data)
        path = "记录/记录编号" if element.tag == "撤销清单" else "Body/fields/XK_WSH"
        return [(row, one.text or "") for row, one in enumerate(element.iterfind(path), start=1)]


def lay_out(folder: Path) -> Path:
    for name in ("outgoing", "incoming"):
        (folder / "exchange" / name).mkdir(parents=True)
    return folder / "exchange"


class TestForeign(Conformance):
    """Workbooks in a folder."""

    @pytest.fixture
    async def bench(self, tmp_path: Path, split: SheetFormat) -> AsyncIterator[Bench]:
        root = lay_out(tmp_path)
        bench = ForeignBench(root, FolderPlace(root, peer="platform"), carrier_of(lambda: split))
        yield bench
        await bench.transport.close()

    async def test_the_files_are_the_receiver_s(self, bench: Bench, split: SheetFormat) -> None:
        """Names, headings, order, digests: and the same bytes whenever they are made."""
        assert isinstance(bench, ForeignBench)
        posted = post(bench)
        assert await bench.transport.send(posted.outgoing) == Taken()
        outgoing = bench.root / "outgoing"
        mark = f".{posted.outgoing.batch_id}.put"
        names = [LICENCES, WITHDRAWALS, f"{LICENCES}.sha256", f"{WITHDRAWALS}.sha256", mark]
        assert sorted(path.name for path in outgoing.iterdir()) == sorted(names)
        sheet = pl.read_excel(outgoing / LICENCES, infer_schema_length=0)
        assert len(sheet.columns) == 24
        assert sheet.columns[1] == "行政相对人代码_1 (统一社会信用代码)"
        assert sheet["行政许可决定文书号"].to_list() == ["0号", "1号", "2号"]
        back = pl.read_excel(outgoing / WITHDRAWALS, infer_schema_length=0)
        assert back.rows() == [(KEYS[3], "撤销", "revoked", None)]
        carrier = carrier_of(lambda: split)
        first, second = (carrier.carry(posted.outgoing.package) for _ in range(2))
        assert [(one.name, one.data) for one in first] == [(one.name, one.data) for one in second]
        assert first[0].data == (outgoing / LICENCES).read_bytes()

    async def test_a_receipt_is_taken_down_once(self, bench: Bench) -> None:
        """Asked again, by whomever, the very same bytes: two receipts for one batch would contradict each other."""
        posted = post(bench)
        await bench.transport.send(posted.outgoing)
        await bench.work()
        first = await bench.transport.receipt(posted.outgoing.batch_id)
        again = await bench.transport.receipt(posted.outgoing.batch_id)
        assert isinstance(first, Acknowledged)
        assert isinstance(again, Acknowledged)
        assert first.receipt == again.receipt
        after = await bench.transport.send(posted.outgoing)
        assert isinstance(after, Acknowledged)
        assert after.receipt == first.receipt

    async def test_feedback_on_one_of_two_files_is_not_all(self, bench: Bench) -> None:
        assert isinstance(bench, ForeignBench)
        posted = post(bench)
        await bench.transport.send(posted.outgoing)
        await bench.work()
        late = next((bench.root / "incoming").glob("撤销清单*.csv"))
        late.rename(bench.root / "late")
        assert await bench.transport.receipt(posted.outgoing.batch_id) == NotReady()
        (bench.root / "late").rename(late)
        assert isinstance(await bench.transport.receipt(posted.outgoing.batch_id), Acknowledged)

    async def test_feedback_without_a_digest_counts_when_nobody_touches_it_any_more(self, bench: Bench) -> None:
        assert isinstance(bench, ForeignBench)
        posted = post(bench)
        await bench.transport.send(posted.outgoing)
        await bench.work()
        for digest in (bench.root / "incoming").glob("*.sha256"):
            digest.unlink()
        assert await bench.transport.receipt(posted.outgoing.batch_id) == NotReady()
        bench.clock.passed += timedelta(minutes=2)
        assert isinstance(await bench.transport.receipt(posted.outgoing.batch_id), Acknowledged)

    async def test_another_batch_s_file_of_that_name_is_waited_for(self, bench: Bench) -> None:
        assert isinstance(bench, ForeignBench)
        (bench.root / "outgoing" / LICENCES).write_bytes(b"an earlier batch")
        posted = post(bench)
        assert await bench.transport.send(posted.outgoing) == Later(why="file-name-busy", status=409)
        (bench.root / "outgoing" / LICENCES).unlink()
        assert await bench.transport.send(posted.outgoing) == Taken()

    async def test_old_feedback_is_never_taken_for_this_batch_s(self, bench: Bench) -> None:
        assert isinstance(bench, ForeignBench)
        stale = bench.root / "incoming" / f"{LICENCES.removesuffix('.xlsx')}_反馈.csv"
        stale.write_bytes(feedback([(row, "成功", "", "") for row in (2, 3, 4)]))
        stale.with_name(stale.name + ".sha256").write_bytes(digest_line(stale.name, stale.read_bytes()))
        posted = post(bench)
        await bench.transport.send(posted.outgoing)
        assert await bench.transport.receipt(posted.outgoing.batch_id) == NotReady()
        assert not stale.exists()
        assert (stale.parent / "aside" / stale.name).exists()

    async def test_a_format_that_says_nothing_of_withdrawals_refuses_them(
        self, tmp_path: Path, split: SheetFormat
    ) -> None:
        root = lay_out(tmp_path / "silent")
        silent = carrier_of(lambda: replace(split, withdrawn=None))
        bench = ForeignBench(root, FolderPlace(root, peer="platform"), silent)
        answer = await bench.transport.send(post(bench).outgoing)
        assert isinstance(answer, Refused)
        assert answer.code == "sheets-withdrawal"

    async def test_batches_with_feedback_are_found(self, bench: Bench) -> None:
        assert isinstance(bench, ForeignBench)
        posted = post(bench)
        await bench.transport.send(posted.outgoing)
        assert await bench.transport.arrived() == []
        await bench.work()
        assert [one.batch_id for one in await bench.transport.arrived()] == [posted.outgoing.batch_id]


class TestXml(Conformance):
    """Whole XML messages in a folder, one for each record."""

    @pytest.fixture
    async def bench(self, tmp_path: Path, messages: FormatCarrier) -> AsyncIterator[Bench]:
        root = lay_out(tmp_path)
        bench = XmlBench(root, FolderPlace(root, peer="platform"), messages)
        yield bench
        await bench.transport.close()

    async def test_feedback_on_some_of_the_messages_is_not_all(self, bench: Bench) -> None:
        assert isinstance(bench, ForeignBench)
        posted = post(bench)
        await bench.transport.send(posted.outgoing)
        assert len(list((bench.root / "outgoing").glob("*.xml"))) == len(KEYS)
        await bench.work()
        late = next((bench.root / "incoming").glob("*_000003_反馈.csv"))
        late.rename(bench.root / "late")
        assert await bench.transport.receipt(posted.outgoing.batch_id) == NotReady()
        (bench.root / "late").rename(late)
        assert isinstance(await bench.transport.receipt(posted.outgoing.batch_id), Acknowledged)
