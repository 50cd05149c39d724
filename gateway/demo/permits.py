"""The bureau's licences: what it permits, to whom and for how long, as rows of its licence system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from gateway.demo.bureau import Bureau
from gateway.demo.days import Day
from gateway.demo.desk import CLERK_COLUMNS, Addressees, Cell, Clerks, Row, document_number
from gateway.demo.names import PLACES
from gateway.demo.subjects import SUBJECT_COLUMNS, Subject

__all__ = ["PERMIT_COLUMNS", "PermitDesk"]

PERMIT_COLUMNS: Final = (
    "ID",
    *SUBJECT_COLUMNS,
    "WS_NAME",
    "WS_NO",
    "XK_TYPE",
    "ZS_NAME",
    "ZS_NO",
    "XK_CONTENT",
    "JD_DATE",
    "VALID_FROM",
    "VALID_TO",
    "JG_NAME",
    "JG_USCC",
    "ZT",
    "LY_NAME",
    "LY_USCC",
    "REMARK",
    *CLERK_COLUMNS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sort:
    """One sort of licence. ``months`` None is long-term, for which the system leaves the end empty."""

    document: str
    kind: str
    certificate: str | None
    content: str
    months: int | None
    forest: bool = False
    to: Addressees = Addressees.BUSINESSES


_SORTS: Final = (
    _Sort(
        document="准予道路货物运输经营行政许可决定书",
        kind="01",
        certificate="道路运输经营许可证",
        content="准予从事道路普通货物运输经营，自有货车{a}辆，停车场设在{p}",
        months=48,
    ),
    _Sort(
        document="准予道路旅客运输经营行政许可决定书",
        kind="普通",
        certificate="道路运输经营许可证",
        content="准予经营{p}至局址班车客运，客车{a}辆",
        months=72,
    ),
    _Sort(
        document="林区公共汽车线路特许经营决定书",
        kind="02",
        certificate="线路特许经营证",
        content="特许经营{p}环线公共汽车客运，配车{a}辆",
        months=60,
    ),
    _Sort(
        document="机动车维修经营备案通知书",
        kind="其他-备案",
        certificate=None,
        content="机动车维修经营备案，维修车间{a}间，地址{p}",
        months=None,
    ),
    _Sort(
        document="占用、挖掘公路行政许可决定书",
        kind="01",
        certificate=None,
        content="准予在{p}林区公路K{a}+{b}处挖掘路面{a}平方米埋设管线，完工后按原标准修复",
        months=3,
        to=Addressees.ANYONE,
    ),
    _Sort(
        document="公路增设平面交叉道口行政许可决定书",
        kind="1",
        certificate=None,
        content="准予在{p}林区公路K{a}+{b}处增设平面交叉道口一处",
        months=None,
        to=Addressees.ANYONE,
    ),
    _Sort(
        document="超限运输车辆行驶公路行政许可决定书",
        kind="01",
        certificate="超限运输车辆通行证",
        content="准予运输不可解体物品经{p}林区公路通行，车货总质量{b}00千克以内，通行{a}次",
        months=3,
    ),
    _Sort(
        document="公路建设项目施工许可决定书",
        kind="04",
        certificate="公路工程施工许可证",
        content="准予{p}林区公路改建工程第{a}标段施工",
        months=24,
    ),
    _Sort(
        document="林木采伐行政许可决定书",
        kind="01",
        certificate="林木采伐许可证",
        content="准予在{p}林场{a}林班采伐，蓄积{b}立方米，采伐后次年完成更新",
        months=12,
        forest=True,
        to=Addressees.ANYONE,
    ),
    _Sort(
        document="临时使用林地行政许可决定书",
        kind="核准",
        certificate=None,
        content="准予在{p}临时使用林地0.{b}公顷，用于修筑运材道路",
        months=24,
        forest=True,
    ),
    _Sort(
        document="道路运输从业资格认可决定书",
        kind="03",
        certificate="道路运输从业人员从业资格证",
        content="认可道路货物运输驾驶员从业资格，考点{p}",
        months=72,
        to=Addressees.PERSONS,
    ),
    _Sort(
        document="林木种子生产经营登记通知书",
        kind="05",
        certificate="林木种子生产经营登记证",
        content="登记苗圃{a}处，位于{p}，年产苗木{b}千株",
        months=60,
        forest=True,
        to=Addressees.ANYONE,
    ),
)

_REMARKS: Final = (None, None, None, None, None, "网上申请", "邮寄送达", "换证\r\n原证已收回")


class PermitDesk:
    """Writes licences to ``subjects``."""

    def __init__(self, bureau: Bureau, subjects: Sequence[Subject], random: Random) -> None:
        self._chance = random.random
        self._clerks = Clerks(random)
        self._unit = (bureau.name, bureau.code)
        self._sorts = tuple(
            (
                sort,
                sort.to.among(subjects),
                "示林资许" if sort.forest else "示林交许",
                (bureau.forest.name, bureau.forest.code)
                if sort.forest
                else (bureau.transport.name, bureau.transport.code),
            )
            for sort in _SORTS
        )

    def row(self, number: int, day: Day) -> Row:
        """Licence ``number``, decided on ``day``, in the order of :data:`PERMIT_COLUMNS`."""
        chance = self._chance
        sort, addressees, word, authority = self._sorts[int(chance() * len(self._sorts))]
        various = chance()
        a, b = 1 + int(various * 40), 100 + int(various * 7919) % 900
        certified: tuple[Cell, Cell] = ("无", None)
        if sort.certificate is not None:
            certified = (sort.certificate, f"2399{day.year}{number:07d}")
        return (
            number,
            *addressees[int(chance() * len(addressees))],
            sort.document,
            document_number(word, day.year, number),
            sort.kind,
            *certified,
            sort.content.format(p=PLACES[b % len(PLACES)], a=a, b=b),
            day.written,
            day.iso if number % 3 else day.next,
            None if sort.months is None else day.end[sort.months],
            *authority,
            ("1", "1", "1", "有效", "在用", "2")[b % 6] if number % 5 == 0 else "1",
            *self._unit,
            _REMARKS[a % len(_REMARKS)],
            *self._clerks.cells(number, day, various),
        )
