"""Rules for dates: every shape seen in local files read into a date, and a date written in the shape a receiver wants.

A shape is read only when nothing but its own digits and signs stand there; two-digit years, day-first dates and months without a day
are refused, because they would have to be guessed. A time of day is dropped, an instant becomes the day it is in the node's time zone.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from gateway.catalog.model import FieldType
from gateway.mapping.model import Compiled, ProblemExpr, RuleContext
from gateway.mapping.rule_kind import Parameter, ParameterKind, Parameters, RuleKind
from gateway.mapping.rules_text import FULL_WIDTH_DIGITS, HALF_WIDTH_DIGITS, WHITE_SPACE

__all__ = ["DATE_RULES", "SHAPES", "TEXT_SHAPES"]

_YEAR: Final = (
    r"(?:19|[2-9][0-9])[0-9]{2}"  # 1900…9999: "9999-12-31" is written for "without end", years before 1900 are slips
)
_TIME: Final = r"(?:[01]?[0-9]|2[0-3]):[0-5]?[0-9](?::[0-5]?[0-9](?:[.,][0-9]+)?)?"
_SEPARATED: Final = {
    "yyyy-MM-dd": rf"{_YEAR}-[0-9]{{1,2}}-[0-9]{{1,2}}",
    "yyyy/MM/dd": rf"{_YEAR}/[0-9]{{1,2}}/[0-9]{{1,2}}",
    "yyyy.MM.dd": rf"{_YEAR}\.[0-9]{{1,2}}\.[0-9]{{1,2}}",
    "yyyy年M月d日": rf"{_YEAR}年[0-9]{{1,2}}月[0-9]{{1,2}}日",
}
_COMPACT: Final = {
    "yyyyMMdd": rf"{_YEAR}[0-9]{{4}}",
    "yyyyMMddHHmmss": rf"{_YEAR}[0-9]{{4}}(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]",
}
_INSTANT: Final = (
    rf"{_YEAR}-[0-9]{{2}}-[0-9]{{2}}[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{{1,9}})?"
    r"(?:Z|[+-][0-9]{2}:?[0-9]{2})"
)

TEXT_SHAPES: Final = (*_SEPARATED, *_COMPACT, "date-time", "instant")
SHAPES: Final = (*TEXT_SHAPES, "excel-serial", "epoch-ms")

# The ISO shape, also with a time, is always understood: native date columns arrive in it.
_ISO: Final = _SEPARATED["yyyy-MM-dd"]

# A number is taken for a date only within 1950…2100. In Excel's 1900 system day 60 is a 29 February 1900 that never was, so
# that serials below 61 are a day off; the range leaves them out.
_EXCEL_FIRST, _EXCEL_LAST, _EXCEL_EPOCH = 18_264, 73_415, 25_569  # 1950-01-01, 2100-12-31, 1970-01-01
_FIRST_YEAR, _LAST_YEAR = 1950, 2100

_WRITTEN: Final = {
    "yyyy-MM-dd": "%Y-%m-%d",
    "yyyy/MM/dd": "%Y/%m/%d",
    "yyyy.MM.dd": "%Y.%m.%d",
    "yyyyMMdd": "%Y%m%d",
    "yyyy年M月d日": "%Y年%-m月%-d日",
    "yyyy-MM-ddTHH:mm:ss": "%Y-%m-%dT00:00:00",
}


def _date(value: pl.Expr, parameters: Parameters, context: RuleContext) -> Compiled:
    shapes = parameters.texts("shapes", TEXT_SHAPES)
    text = value.str.strip_chars(WHITE_SPACE).str.replace_many(
        [*FULL_WIDTH_DIGITS, "－", "／", "．", "：", "\u3000"], [*HALF_WIDTH_DIGITS, "-", "/", ".", ":", " "]
    )
    read = [*_separated(text, shapes), *_compact(text, shapes)]
    if "instant" in shapes:
        read.append(_instant(text, context.time_zone))
    if "excel-serial" in shapes:
        read.append(_excel(text))
    if "epoch-ms" in shapes:
        read.append(_epoch(text, context.time_zone))
    found = pl.coalesce(read)
    wrong = value.is_not_null() & found.is_null()
    return Compiled(
        value=found,
        type=FieldType.DATE,
        problems=(ProblemExpr(code="date-invalid", when=wrong, expected=_shown(shapes)),),
    )


def _shown(shapes: tuple[str, ...]) -> str:
    """The shapes that a person can type; the others' own names when there are none."""
    typed = [shape for shape in shapes if shape in _SEPARATED or shape == "yyyyMMdd"]
    return "、".join(typed or shapes)


def _separated(text: pl.Expr, shapes: tuple[str, ...]) -> list[pl.Expr]:
    days = "|".join({_ISO: 1} | {pattern: 1 for shape, pattern in _SEPARATED.items() if shape in shapes})
    timed = f"^({days})(?:[ T]{_TIME})?$" if "date-time" in shapes else f"^({days})$"
    patterns = [timed] if "date-time" in shapes else [timed, f"^({_ISO})[ T]{_TIME}$"]
    read = []
    for pattern in patterns:
        day = text.str.extract(pattern, 1).str.replace_many(["/", ".", "年", "月", "日"], ["-", "-", "-", "-", ""])
        read.append(day.str.to_date("%Y-%m-%d", strict=False))
    return read


def _compact(text: pl.Expr, shapes: tuple[str, ...]) -> list[pl.Expr]:
    wanted = [pattern for shape, pattern in _COMPACT.items() if shape in shapes]
    if not wanted:
        return []
    # Without the length, "%Y%m%d" would also read seven digits.
    day = text.str.extract(f"^(?:{'|'.join(wanted)})$", 0).str.head(8)
    return [day.str.to_date("%Y%m%d", strict=False)]


def _instant(text: pl.Expr, time_zone: str) -> pl.Expr:
    written = (
        text.str.extract(f"^{_INSTANT}$", 0)
        .str.replace(" ", "T", literal=True)
        .str.replace("Z", "+00:00", literal=True)
    )
    moment = written.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", time_zone="UTC", time_unit="us", strict=False)
    return moment.dt.convert_time_zone(time_zone).dt.date()


def _excel(text: pl.Expr) -> pl.Expr:
    serial = text.str.extract(r"^([0-9]{5})(?:\.[0-9]+)?$", 1).cast(pl.Int32)
    return pl.when(serial.is_between(_EXCEL_FIRST, _EXCEL_LAST)).then((serial - _EXCEL_EPOCH).cast(pl.Date))


def _epoch(text: pl.Expr, time_zone: str) -> pl.Expr:
    # Ten digits would be seconds: eleven to thirteen are milliseconds for certain.
    milliseconds = text.str.extract(r"^-?[0-9]{11,13}$", 0).cast(pl.Int64)
    moment = pl.from_epoch(milliseconds, "ms").dt.replace_time_zone("UTC").dt.convert_time_zone(time_zone)
    return pl.when(moment.dt.year().is_between(_FIRST_YEAR, _LAST_YEAR)).then(moment.dt.date())


def _write_date(value: pl.Expr, parameters: Parameters, _context: RuleContext) -> Compiled:
    return Compiled(value=value.dt.to_string(_WRITTEN[parameters.text("shape")]), type=FieldType.TEXT)


DATE_RULES: Final = (
    RuleKind(
        name="date",
        compile=_date,
        gives=FieldType.DATE,
        parameters={"shapes": Parameter(kind=ParameterKind.TEXTS, choices=SHAPES)},
    ),
    RuleKind(
        name="write-date",
        compile=_write_date,
        takes=frozenset({FieldType.DATE}),
        parameters={"shape": Parameter(kind=ParameterKind.TEXT, required=True, choices=tuple(_WRITTEN))},
    ),
)
