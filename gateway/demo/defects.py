"""The ways in which a local row can be wrong: a closed catalogue that meets every code with which the rules refuse or remark a record.

Codes of other stations stay outside: ``schema-violation``, ``pattern-mismatch`` and ``too-short`` belong to formats,
``version-conflict`` to a receiver, ``integer-invalid`` to catalogs that count something.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, TypeAlias

from gateway.catalog.identifiers import PLACEHOLDER, resident_check_character
from gateway.catalog.model import Weight
from gateway.catalog.publicity import add_months
from gateway.demo.bureau import BUREAU
from gateway.demo.business import PENALTIES, PERMITS
from gateway.demo.desk import Cell
from gateway.demo.subjects import Kind

__all__ = ["DEFECTS", "Cells", "Defect"]

Cells: TypeAlias = Mapping[str, Cell]
"""Cells of a row by column."""


_GB18030: Final = "已送达当事人".encode("gb18030")  # written by a program that took no heed of the database's UTF-8
_THREE_MONTHS_UNTIL: Final = date(2026, 3, 31)  # the last day of the regime before 发展改革委令第36号


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One way of being wrong.

    ``cells`` gives the cells to put over a good row that ``fits``; its second argument is a good row read before it. The row then has a
    problem with ``code`` and of that ``weight``, and no other but the notices in ``also``.
    """

    id: str
    table: str
    code: str
    cells: Callable[[Cells, Cells], Cells]
    fits: Callable[[Cells], bool]
    weight: Weight = Weight.REJECT
    also: tuple[str, ...] = ()


def _put(**cells: Cell) -> Callable[[Cells, Cells], Cells]:
    return lambda _row, _earlier: cells


def _anything(_row: Cells) -> bool:
    return True


def _addressed_to(*kinds: Kind) -> Callable[[Cells], bool]:
    return lambda row: row["XDR_TYPE"] in kinds


_PERSON = _addressed_to(Kind.PERSON)
_COMPANY = _addressed_to(Kind.LEGAL)
_BUSINESS = _addressed_to(Kind.LEGAL, Kind.UNINCORPORATED, Kind.SOLE_TRADER)
_SOLE_TRADER = _addressed_to(Kind.SOLE_TRADER)


def _filled(column: str) -> Callable[[Cells], bool]:
    return lambda row: row[column] is not None


def _resident(column: str) -> Callable[[Cells], bool]:
    """Whether the column holds an identifier whose last character is its check: 9, 15 or 18 characters."""
    return lambda row: _bare(row[column])[:17].isdigit()


def _bare(cell: Cell) -> str:
    return str(cell or "").replace("-", "")


def _miscopied(column: str) -> Callable[[Cells, Cells], Cells]:
    """The identifier with another last character: its check must fail."""
    return lambda row, _earlier: {column: str(row[column])[:-1] + ("1" if str(row[column]).endswith("0") else "0")}


def _never_born(row: Cells, _earlier: Cells) -> Cells:
    """An id number with a birthday on the 30th of February and the right check character."""
    first17 = f"{str(row['ZRR_ID_NO'])[:6]}19900230{str(row['ZRR_ID_NO'])[14:17]}"
    return {"ZRR_ID_NO": first17 + resident_check_character(first17)}


def _decided(row: Cells) -> date:
    return date.fromisoformat(str(row["UPDATED_AT"])[:10])


def _after(column: str, months: int) -> Callable[[Cells, Cells], Cells]:
    """A date so many months after the decision, or before it."""
    return lambda row, _earlier: {column: add_months(_decided(row), months).isoformat()}


def _inserted(column: str, character: str) -> Callable[[Cells, Cells], Cells]:
    """The text with a character inside that no record may carry."""
    return lambda row, _earlier: {column: f"{str(row[column])[:2]}{character}{str(row[column])[2:]}"}


def _lengthened(column: str, length: int) -> Callable[[Cells, Cells], Cells]:
    """The text repeated until it has more than ``length`` characters."""
    return lambda row, _earlier: {column: str(row[column]).strip() * (length // len(str(row[column]).strip()) + 1)}


def _same_number(column: str) -> Callable[[Cells, Cells], Cells]:
    return lambda _row, earlier: {column: earlier[column]}


def _published_too_long(row: Cells, _earlier: Cells) -> Cells:
    end = add_months(_decided(row), 37).isoformat()
    return {"PUBLIC_END": end, "VALID_TO": end}


def _published_before(row: Cells, _earlier: Cells) -> Cells:
    return {"PUBLIC_END": (_decided(row) - timedelta(days=10)).isoformat()}


def _published_too_briefly(row: Cells, _earlier: Cells) -> Cells:
    """One month, of a decision from the years when three were the least; since 2026-04-01 a minor case may have less."""
    decided = min(_decided(row), _THREE_MONTHS_UNTIL)
    return {"JD_DATE": decided.isoformat(), "PUBLIC_END": add_months(decided, 1).isoformat()}


def _outlived(row: Cells, _earlier: Cells) -> Cells:
    decided = _decided(row)
    return {"PUBLIC_END": add_months(decided, 12).isoformat(), "VALID_TO": (decided + timedelta(days=7)).isoformat()}


def _ended_before(row: Cells, _earlier: Cells) -> Cells:
    return {"PUBLIC_END": None, "VALID_TO": add_months(_decided(row), -1).isoformat()}


def _typed_narrow(row: Cells) -> bool:
    """Whether the number is told apart from a name by nothing: full-width digits are made narrow in numbers only."""
    return not any("０" <= character <= "９" for character in str(row["WS_NO"]))


def _named_by_number(row: Cells, _earlier: Cells) -> Cells:
    return {"WS_NAME": row["WS_NO"]}


_Change: TypeAlias = Callable[[Cells, Cells], Cells]
_Test: TypeAlias = Callable[[Cells], bool]


def _permit(name: str, code: str, cells: _Change, fits: _Test = _anything, *, weight: Weight = Weight.REJECT) -> Defect:
    return Defect(id=name, table=PERMITS.name, code=code, cells=cells, fits=fits, weight=weight)


def _penalty(
    name: str,
    code: str,
    cells: _Change,
    fits: _Test = _anything,
    *,
    weight: Weight = Weight.REJECT,
    also: tuple[str, ...] = (),
) -> Defect:
    return Defect(id=name, table=PENALTIES.name, code=code, cells=cells, fits=fits, weight=weight, also=also)


DEFECTS: Final = (
    _permit("subject-name-missing", "required-missing", _put(XDR_NAME=None)),
    _permit("subject-name-too-long", "too-long", _lengthened("XDR_NAME", 200)),
    _permit("subject-name-private-use", "character-forbidden", _inserted("XDR_NAME", "\ue5e5")),
    _permit("subject-kind-unknown", "code-unknown", _put(XDR_TYPE="05")),
    _permit("subject-code-missing", "required-missing", _put(XDR_USCC="无"), _COMPANY),
    _permit("subject-code-miscopied", "identifier-invalid", _miscopied("XDR_USCC"), _BUSINESS),
    _permit("subject-code-placeholder", "placeholder-code", _put(XDR_USCC=PLACEHOLDER), _COMPANY),
    _permit(
        "subject-registration-miscopied", "identifier-invalid", _miscopied("XDR_GSZC_NO"), _resident("XDR_GSZC_NO")
    ),
    _permit(
        "subject-organisation-miscopied", "identifier-invalid", _miscopied("XDR_ORG_CODE"), _filled("XDR_ORG_CODE")
    ),
    _permit("representative-missing", "required-missing", _put(FR_NAME=None), _COMPANY),
    _permit("representative-id-miscopied", "identifier-invalid", _miscopied("FR_ID_NO"), _filled("FR_ID_NO")),
    _permit("representative-id-missing", "required-missing", _put(FR_ID_NO=None), _filled("FR_ID_NO")),
    _permit("representative-of-person", "must-be-empty", _put(FR_NAME="枫示例"), _PERSON),
    _permit("person-id-of-company", "must-be-empty", _put(ZRR_ID_NO="239901199001010015"), _COMPANY),
    _permit("person-id-missing", "required-missing", _put(ZRR_ID_NO="/"), _PERSON),
    _permit("person-id-miscopied", "identifier-invalid", _miscopied("ZRR_ID_NO"), _resident("ZRR_ID_NO")),
    _permit("person-id-never-born", "identifier-invalid", _never_born, _resident("ZRR_ID_NO")),
    _permit("person-id-kind-missing", "required-missing", _put(ZRR_ID_TYPE=None), _PERSON),
    _permit("person-id-kind-unknown", "code-unknown", _put(ZRR_ID_TYPE="99"), _PERSON),
    _permit("document-name-missing", "required-missing", _put(WS_NAME=" ")),
    _permit("document-number-missing", "key-missing", _put(WS_NO=None)),
    _permit("document-number-twice", "key-duplicate", _same_number("WS_NO")),
    _permit("document-number-too-long", "too-long", _lengthened("WS_NO", 64)),
    _permit("licence-kind-unnamed", "code-unknown", _put(XK_TYPE="06")),
    _permit("content-missing", "required-missing", _put(XK_CONTENT="")),
    _permit("content-too-long", "too-long", _lengthened("XK_CONTENT", 4000)),
    _permit("content-control-character", "character-forbidden", _inserted("XK_CONTENT", "\x0b")),
    _permit("decision-on-no-day", "date-invalid", _put(JD_DATE="2025-02-30")),
    _permit("decision-in-no-century", "date-invalid", _put(JD_DATE="25.3.8")),
    _permit("decision-as-serial-number", "date-invalid", _put(JD_DATE=45726)),
    _permit("decision-missing", "required-missing", _put(JD_DATE=None)),
    _permit("valid-before-decision", "order-violated", _after("VALID_FROM", -1)),
    _permit("ended-before-start", "order-violated", _after("VALID_TO", -12)),
    _permit("authority-code-placeholder", "placeholder-code", _put(JG_USCC=PLACEHOLDER)),
    _permit("authority-code-miscopied", "identifier-invalid", _miscopied("JG_USCC")),
    _permit("unit-code-miscopied", "identifier-invalid", _miscopied("LY_USCC")),
    _permit("unit-code-missing", "required-missing", _put(LY_USCC=None)),
    _permit("status-unknown", "code-unknown", _put(ZT="9")),
    _permit("remark-too-long", "too-long", _put(REMARK="材料补正。" * 103)),
    _permit("remark-in-other-encoding", "column-unreadable", _put(REMARK=_GB18030)),
    _permit(
        "sole-trader-placeholder", "placeholder-code", _put(XDR_USCC=PLACEHOLDER), _SOLE_TRADER, weight=Weight.NOTICE
    ),
    _permit("document-name-is-number", "same-text", _named_by_number, _typed_narrow, weight=Weight.NOTICE),
    _penalty("subject-code-miscopied", "identifier-invalid", _miscopied("XDR_USCC"), _BUSINESS),
    _penalty("subject-code-of-person", "must-be-empty", _put(XDR_USCC=BUREAU.code), _PERSON),
    _penalty("case-number-missing", "key-missing", _put(CASE_DOC_NO=None)),
    _penalty("case-number-twice", "key-duplicate", _same_number("CASE_DOC_NO")),
    _penalty("violation-missing", "required-missing", _put(WF_TYPE=None)),
    _penalty("facts-too-long", "too-long", _lengthened("WF_FACT", 2000)),
    _penalty("facts-control-character", "character-forbidden", _inserted("WF_FACT", "\x1f")),
    _penalty("basis-missing", "required-missing", _put(CF_BASIS=None)),
    _penalty("penalty-kind-unnamed", "code-unknown", _put(CF_TYPE="9")),
    _penalty("penalty-kind-repealed", "code-not-in-force", _put(CF_TYPE="5", REVOKED_LICENCE="道路运输经营许可证")),
    _penalty("fine-missing", "required-missing", _put(FINE_YUAN=None), _filled("FINE_YUAN")),
    _penalty("fine-in-words", "decimal-invalid", _put(FINE_YUAN="贰仟元")),
    _penalty("fine-below-a-fen", "decimal-too-precise", _put(FINE_YUAN=1234.567)),
    _penalty("fine-negative", "decimal-out-of-range", _put(FINE_YUAN=-2000)),
    _penalty("fine-beyond-measure", "decimal-out-of-range", _put(FINE_YUAN=2 * 10**16)),
    _penalty("gains-missing", "required-missing", _put(CONFISCATE_YUAN=None), _filled("CONFISCATE_YUAN")),
    _penalty("licence-missing", "required-missing", _put(REVOKED_LICENCE="—"), _filled("REVOKED_LICENCE")),
    _penalty("decision-on-no-day", "date-invalid", _put(JD_DATE="2025/11/31")),
    _penalty("ended-before-decision", "order-violated", _ended_before),
    _penalty("published-too-long", "publicity-out-of-regime", _published_too_long),
    _penalty("authority-code-placeholder", "placeholder-code", _put(JG_USCC=PLACEHOLDER)),
    _penalty("remark-in-other-encoding", "column-unreadable", _put(REMARK=_GB18030)),
    _penalty("published-before-decision", "order-violated", _published_before, also=("publicity-out-of-regime",)),
    _penalty(
        "published-too-short",
        "publicity-out-of-regime",
        _published_too_briefly,
        weight=Weight.NOTICE,
    ),
    _penalty("published-beyond-validity", "order-violated", _outlived, weight=Weight.NOTICE),
    _penalty(
        "sole-trader-placeholder", "placeholder-code", _put(XDR_USCC=PLACEHOLDER), _SOLE_TRADER, weight=Weight.NOTICE
    ),
)
"""The catalogue, in the order of the tables' columns."""
