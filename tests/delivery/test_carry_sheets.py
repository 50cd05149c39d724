"""Every format of sheets that is shipped can be carried: its templates, its kind of workbook, and a word on how it is answered."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import polars as pl
import pytest

from gateway.catalog.loader import Library, load_catalogs
from gateway.delivery.carry import FormatCarrier
from gateway.delivery.carry_sheets import SheetCarrier
from gateway.errors import DeliveryError, SourceError
from gateway.exchange.carrier import Carried
from gateway.exchange.recorder import Told
from gateway.mapping.columns_loader import document_of
from gateway.mapping.sheet_loader import load_sheet_format
from gateway.mapping.sheet_model import SheetFormat, SheetTemplate
from gateway.package.batch import build_batch
from gateway.package.characters import escape
from gateway.package.container import BATCH
from gateway.package.header import FormatReference
from gateway.package.record import Operation, record_line
from gateway.package.sealing import seal
from tests.nodes import MAPPINGS
from tests.package.samples import NOW, draft, ecdsa

SHIPPED = sorted(folder.name for folder in (MAPPINGS / "formats").iterdir() if document_of(folder) == "sheet")


@pytest.fixture(scope="module")
def library() -> Library:
    return load_catalogs(MAPPINGS)


def sealed(fmt: SheetFormat, template: SheetTemplate, texts: list[str]) -> bytes:
    """A batch with one record of the template; a text for each column."""
    columns = zip(template.columns, texts, strict=True)
    fields = "".join(
        f'<Field name="{escape(one.heading, place="t")}">{escape(text, place="t")}</Field>' for one, text in columns
    )
    body = f'<Fields xmlns="urn:credit-exchange:fields:1" template="{template.id}">{fields}</Fields>'
    built = build_batch(
        draft(catalog=template.catalog, format=FormatReference(id=fmt.id, version=fmt.version)),
        [record_line("K1", 1, Operation.UPSERT, body)],
    )
    return seal(BATCH, built.xml, ecdsa().signer, NOW)


@pytest.mark.parametrize("name", SHIPPED)
def test_what_was_sealed_is_what_stands_in_the_file(name: str, library: Library) -> None:
    fmt = load_sheet_format(MAPPINGS / "formats" / name, library)
    assert fmt.feedback is not None
    assert fmt.withdrawn is not None
    sheets = SheetCarrier(lambda _id: fmt, ZoneInfo("Asia/Shanghai"))
    carrier = FormatCarrier(lambda _id: sheets)
    for template in fmt.templates:
        texts = [f"=HYPERLINK({number})<&>" for number in range(len(template.columns))]
        package = sealed(fmt, template, texts)
        (carried,) = carrier.carry(package)
        assert carried.name == template.file_name(fmt.type, NOW.astimezone(ZoneInfo("Asia/Shanghai")), 2)
        assert carried.answer == f"{carried.name.rpartition('.')[0]}_反馈.csv"
        assert carrier.carry(package)[0].data == carried.data, "the same bytes at each attempt"
        sheet = pl.read_excel(carried.data, infer_schema_length=0)
        assert sheet.columns == [column.heading for column in template.columns]
        assert sheet.rows() == [tuple(texts)]


@pytest.fixture
def carrier(library: Library) -> SheetCarrier:
    fmt = load_sheet_format(MAPPINGS / "formats" / "mot-sheets", library)
    return SheetCarrier(lambda _id: fmt, ZoneInfo("Asia/Shanghai"))


CARRIED = Carried(name="a.xls", data=b"", keys=("K1", "K2"), answer="a_反馈.csv", form="mot-sheets")
HEAD = "行号,结果,代码,说明\n"


def test_rows_are_counted_as_a_spreadsheet_does(carrier: SheetCarrier) -> None:
    answered = carrier.read(CARRIED, f"{HEAD}3,失败,E1,重复\n2,成功,,\n".encode("utf-8-sig"))
    assert answered.refused is None
    assert list(answered.told) == [
        Told(key="K2", accepted=False, code="E1", message="重复"),
        Told(key="K1", accepted=True),
    ]


def test_a_row_without_a_number_speaks_of_the_file(carrier: SheetCarrier) -> None:
    assert carrier.read(CARRIED, f"{HEAD},失败,E9,模板不对\n".encode()).refused == "E9 模板不对"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"{HEAD}4,成功,,\n", "feedback-row-unknown"),
        (f"{HEAD}1,成功,,\n", "feedback-row-unknown"),
        (f"{HEAD}2,成功,,\n2,失败,,\n", "feedback-row-repeated"),
        (f"{HEAD},成功,,\n", "feedback-row-unreadable"),
        (f"{HEAD}-2,成功,,\n", "feedback-row-unreadable"),
        (f"{HEAD}2,成功\n", "feedback-row-unreadable"),
        (HEAD, "source-file-without-rows"),
        ("", "source-file-empty"),
        ("a,b\n1,2\n", "template-not-found"),
    ],
)
def test_what_is_no_feedback_on_this_file(carrier: SheetCarrier, text: str, code: str) -> None:
    with pytest.raises((DeliveryError, SourceError)) as raised:
        carrier.read(CARRIED, text.encode())
    assert raised.value.code == code
