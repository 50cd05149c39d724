"""The bureau's penalties: what was done, by which law it is punished and how, as rows of its case system. Amounts are in yuan."""

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

__all__ = ["PENALTY_COLUMNS", "PenaltyDesk"]

PENALTY_COLUMNS: Final = (
    "ID",
    *SUBJECT_COLUMNS,
    "CASE_DOC_NO",
    "WF_TYPE",
    "WF_FACT",
    "CF_BASIS",
    "CF_TYPE",
    "CF_CONTENT",
    "FINE_YUAN",
    "CONFISCATE_YUAN",
    "REVOKED_LICENCE",
    "JD_DATE",
    "VALID_TO",
    "PUBLIC_END",
    "JG_NAME",
    "JG_USCC",
    "LY_NAME",
    "LY_USCC",
    "REMARK",
    *CLERK_COLUMNS,
)

# Months of publication that every regime since 2019 allows for a case of that gravity.
_MINOR, _GENERAL, _SERIOUS = 3, 12, 36


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sort:
    """One sort of violation. ``fine`` is the least amount, its step and the number of steps; ``gains`` likewise, in fen."""

    violation: str
    facts: str
    basis: str
    kinds: tuple[str, ...]
    content: str
    months: int
    fine: tuple[int, int, int] | None = None
    gains: tuple[int, int, int] | None = None
    licence: str | None = None
    forest: bool = False
    to: Addressees = Addressees.ANYONE


_SORTS: Final = (
    _Sort(
        violation="违法超限运输",
        facts="驾驶货车在{p}林区公路K{a}+{b}处超限行驶，车货总质量超过限定标准{b}0千克",
        basis="《公路安全保护条例》第六十四条",
        kinds=("罚款", "2"),
        content="罚款{fine}元",
        months=_GENERAL,
        fine=(500, 500, 60),
    ),
    _Sort(
        violation="违法超限运输",
        facts="驾驶货车经过{p}检查站，超限未满限定标准，当场改正",
        basis="《中华人民共和国行政处罚法》第五十一条、《公路安全保护条例》第六十四条",
        kinds=("警告", "1"),
        content="警告",
        months=_MINOR,
    ),
    _Sort(
        violation="未取得道路运输经营许可擅自从事道路运输经营",
        facts="未取得道路运输经营许可，使用货车自{p}运输原木{a}立方米",
        basis="《中华人民共和国道路运输条例》第六十三条",
        kinds=("没收违法所得;罚款", "罚款，没收违法所得"),
        content="没收违法所得{gains}元，罚款{fine}元",
        months=_GENERAL,
        fine=(3_000, 1_000, 40),
        gains=(20_000, 1_250, 900),
    ),
    _Sort(
        violation="擅自占用、挖掘公路",
        facts="未经许可在{p}林区公路K{a}+{b}处挖掘路面{a}平方米",
        basis="《中华人民共和国公路法》第七十六条",
        kinds=("罚款", "2"),
        content="罚款{fine}元，责令限期恢复原状",
        months=_GENERAL,
        fine=(2_000, 200, 100),
    ),
    _Sort(
        violation="滥伐林木",
        facts="超出采伐许可证核定数量，在{p}林场{a}林班多采林木{b}株",
        basis="《中华人民共和国森林法》第七十六条",
        kinds=("2,其他-责令限期补种树木", "罚款；其他-责令限期补种树木"),
        content="责令限期在原地补种树木，罚款{fine}元",
        months=_SERIOUS,
        fine=(10_000, 1_500, 120),
        forest=True,
    ),
    _Sort(
        violation="收购明知是滥伐的林木",
        facts="在{p}收购明知是滥伐的林木{a}立方米",
        basis="《中华人民共和国森林法》第七十八条",
        kinds=("没收非法财物;罚款", "没收非法财物, 罚款"),
        content="没收收购的林木，变卖所得{gains}元，罚款{fine}元",
        months=_SERIOUS,
        fine=(5_000, 500, 80),
        gains=(150_000, 3_333, 700),
        forest=True,
    ),
    _Sort(
        violation="擅自改变林地用途",
        facts="未经审核同意，在{p}林场{a}林班擅自改变林地用途{b}平方米",
        basis="《中华人民共和国森林法》第七十三条",
        kinds=("罚款",),
        content="责令限期恢复植被，罚款{fine}元",
        months=_GENERAL,
        fine=(6_000, 300, 90),
        forest=True,
    ),
    _Sort(
        violation="使用报废车辆从事道路运输经营，情节严重",
        facts="使用已报废货车自{p}运输木材{a}次，发生责任事故",
        basis="《中华人民共和国行政处罚法》第九条、《中华人民共和国道路运输条例》第六十六条",
        kinds=("吊销许可证件;罚款", "吊销许可证件，2"),
        content="吊销道路运输经营许可证，罚款{fine}元",
        months=_SERIOUS,
        fine=(10_000, 1_000, 20),
        licence="道路运输经营许可证 2399{b}{a:04d}",
        to=Addressees.BUSINESSES,
    ),
    _Sort(
        violation="机动车维修经营使用假冒伪劣配件",
        facts="在{p}的维修车间使用假冒伪劣配件维修机动车{a}台",
        basis="《中华人民共和国道路运输条例》第七十二条",
        kinds=("4,2", "责令停产停业;罚款"),
        content="责令停业整顿，罚款{fine}元",
        months=_GENERAL,
        fine=(20_000, 1_000, 80),
        to=Addressees.BUSINESSES,
    ),
    _Sort(
        violation="未按规定维护和检测运输车辆",
        facts="车辆{a}台逾期未做维护，{p}检查站查获",
        basis="《道路运输车辆技术管理规定》第三十一条",
        kinds=("通报批评;罚款", "通报批评，2"),
        content="通报批评，罚款{fine}元",
        months=_MINOR,
        fine=(1_000, 100, 40),
        to=Addressees.BUSINESSES,
    ),
)

_REMARKS: Final = (None, None, None, None, None, "当场缴纳", "分期缴纳", "已告知\r\n听证权利")


class PenaltyDesk:
    """Writes penalties against ``subjects``."""

    def __init__(self, bureau: Bureau, subjects: Sequence[Subject], random: Random) -> None:
        self._chance = random.random
        self._clerks = Clerks(random)
        self._unit = (bureau.name, bureau.code)
        self._sorts = tuple(
            (
                sort,
                sort.to.among(subjects),
                "示林资罚" if sort.forest else "示林交罚",
                (bureau.forest.name, bureau.forest.code)
                if sort.forest
                else (bureau.transport.name, bureau.transport.code),
            )
            for sort in _SORTS
        )

    def row(self, number: int, day: Day) -> Row:
        """Penalty ``number``, decided on ``day``, in the order of :data:`PENALTY_COLUMNS`."""
        chance = self._chance
        sort, addressees, word, authority = self._sorts[int(chance() * len(self._sorts))]
        various = chance()
        a, b = 1 + int(various * 40), 100 + int(various * 7919) % 900
        fine, gains = _amount(sort.fine, b), _amount(sort.gains, b)
        # Fen become yuan with at most two places, which a binary fraction gives back as they were typed.
        yuan: Cell = None if gains is None else gains // 100 if gains % 100 == 0 else gains / 100
        return (
            number,
            *addressees[int(chance() * len(addressees))],
            document_number(word, day.year, number),
            sort.violation,
            sort.facts.format(p=PLACES[b % len(PLACES)], a=a, b=b),
            sort.basis,
            sort.kinds[a % len(sort.kinds)],
            sort.content.format(fine=fine, gains=yuan),
            fine,
            yuan,
            None if sort.licence is None else sort.licence.format(a=a, b=b),
            day.written,
            day.end[36],
            day.end[sort.months] if number % 9 else None,
            *authority,
            *self._unit,
            _REMARKS[a % len(_REMARKS)],
            *self._clerks.cells(number, day, various),
        )


def _amount(steps: tuple[int, int, int] | None, place: int) -> int | None:
    return None if steps is None else steps[0] + steps[1] * (place % steps[2])
