"""Sealed batches of JSON as documents: as many as the schema wants, the same bytes at each attempt, nothing lost without a word."""

from __future__ import annotations

import json
from zoneinfo import ZoneInfo

import pytest

from gateway.delivery.carry import FormatCarrier
from gateway.delivery.carry_json import JsonCarrier
from gateway.errors import DeliveryError
from gateway.exchange.recorder import Told
from gateway.mapping.batch_facts import SOME_BATCH
from gateway.mappings import Mappings
from gateway.package.batch import build_batch
from gateway.package.container import BATCH
from gateway.package.header import FormatReference
from gateway.package.record import Operation, record_line
from gateway.package.sealing import seal
from tests.mapping.document_samples import LICENSE, MAPPINGS, records
from tests.package.samples import NOW, draft, ecdsa

FORMAT = "message-json"


@pytest.fixture(scope="module")
def mappings() -> Mappings:
    return Mappings(MAPPINGS, "Asia/Shanghai")


@pytest.fixture(scope="module")
def body(mappings: Mappings) -> str:
    writing = mappings.writing(FORMAT, mappings.catalog(LICENSE))
    return str(writing.bodies.render(records(LICENSE, {}), SOME_BATCH).frame["body"].item())


@pytest.fixture
def carrier(mappings: Mappings) -> JsonCarrier:
    fmt, plans = mappings.json_format(FORMAT), mappings.json_plans(FORMAT, mappings.catalog(LICENSE))
    return JsonCarrier(lambda _id: fmt, lambda _id, _catalog: plans, ZoneInfo("Asia/Shanghai"))


def sealed(*bodies: str) -> bytes:
    lines = [record_line(f"K{number}", 1, Operation.UPSERT, one) for number, one in enumerate(bodies)]
    built = build_batch(draft(catalog=LICENSE, format=FormatReference(id=FORMAT, version="1")), lines)
    return seal(BATCH, built.xml, ecdsa().signer, NOW)


def test_more_records_than_a_document_takes_make_several(carrier: JsonCarrier, body: str) -> None:
    package = sealed(*[body] * 501)
    first, second = FormatCarrier(lambda _id: carrier).carry(package)
    assert FormatCarrier(lambda _id: carrier).carry(package) == (first, second), "the same bytes at each attempt"
    stem = f"xzxk_{NOW.astimezone(ZoneInfo('Asia/Shanghai')):%Y%m%d%H%M%S}"
    assert [one.name for one in (first, second)] == [f"{stem}_000001.json", f"{stem}_000002.json"]
    assert [one.answer for one in (first, second)] == [f"{stem}_000001_反馈.csv", f"{stem}_000002_反馈.csv"]
    assert [len(json.loads(one.data)["body"]["list"]) for one in (first, second)] == [500, 1]
    assert (first.keys[0], list(second.keys)) == ("K0", ["K500"])
    answered = carrier.read(second, "序号,结果,代码,说明\n1,失败,E1,重复\n".encode())
    assert list(answered.told) == [Told(key="K500", accepted=False, code="E1", message="重复")]


@pytest.mark.parametrize(
    ("old", "new"),
    [(f'template="{LICENSE}"', 'template="another"'), ('name="body/list/document/number"', 'name="body/list/gone"')],
)
def test_what_the_format_has_no_place_for_any_more_is_not_dropped(
    carrier: JsonCarrier, body: str, old: str, new: str
) -> None:
    assert old in body
    with pytest.raises(DeliveryError) as raised:
        FormatCarrier(lambda _id: carrier).carry(sealed(body.replace(old, new)))
    assert raised.value.code == "sheets-template-unknown"
