"""Quarantined rows as a workbook for the units that have to mend them (退回): their own columns and values, and what is wrong in words.

The one home of xlsxwriter. A workbook is opened by people, so what a row holds is text here and nothing else: every cell is written as a
string, never as a formula, number or link, and a value that a spreadsheet could take for a formula once it is copied out stands behind
an apostrophe (OWASP ASVS 5.0 §1.2.10). That is done to this copy alone; what is stored, sent and hashed is never touched.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import xlsxwriter

from gateway.catalog.model import Catalog
from gateway.delivery.cases import row_of
from gateway.errors import DeliveryError
from gateway.mapping.problems import problem_fix, problem_text
from gateway.store.quarantine import Reason, Stage, StoredCase
from gateway.texts import DEFAULT_LANGUAGE, say_text, template

__all__ = ["Handback", "Part", "cell_text", "reason_text", "write_handback"]

_LONGEST: Final = 32_000  # UTF-16 units; a cell of ECMA-376 takes 32,767, and the mark comes on top
_MOST_ROWS: Final = 1_000_000  # a sheet takes 1,048,576
_SHEET_NAME: Final = 31
_RISKY: Final = frozenset(
    "=+-@\t\r\n\0＝＋－＠"
)  # the full-width ones too: an input method's spreadsheet reads them alike
_OURS: Final = ("case", "stage", "unit", "where", "since", "fields", "problems", "fixes")
_WIDTHS: Final = (9, 12, 21, 16, 12, 18, 60, 60)
_OWN_WIDTH: Final = 20
_CASES = Callable[[str], Iterator[StoredCase]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One exchange in the workbook. ``columns`` are the source's own, in the order that the unit knows; others follow as they come."""

    exchange: str
    catalog: Catalog
    columns: Sequence[str] = ()


@dataclass(slots=True, kw_only=True)
class Handback:
    """What was written: rows by exchange, by unit and by the code of each reason."""

    rows: Counter[str] = field(default_factory=Counter)
    units: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)


def write_handback(
    file: Path,
    parts: Sequence[Part],
    cases: _CASES,
    *,
    now: datetime,
    language: str = DEFAULT_LANGUAGE,
    force: bool = False,
    before: Callable[[Handback], None] = lambda _done: None,
) -> Handback:
    """Write the workbook: counts first, then a sheet for each exchange, and another for what its format or its receiver refused, whose
    rows are in the catalog's fields. ``cases`` gives the cases of an exchange, the same ones each time it is called.

    The file is the owner's alone (0600), appears under its name when it is whole, and replaces another only with ``force``. ``before`` is
    told what is in it just before that; when it raises, there is no file.

    Raises DeliveryError ``handback-exists``, ``handback-empty``, ``handback-unwritable``.
    """
    if file.exists() and not force:
        raise DeliveryError("handback-exists", file=str(file))
    try:
        with _workshop(file) as (whole, folder):
            with closing(_Book(whole, folder, language, now)) as book:
                for part in parts:
                    book.add(part, cases)
                done = book.finish()
            if not done.rows:
                raise DeliveryError("handback-empty")
            before(done)
            _publish(whole, file, force=force)
    except OSError as error:
        raise DeliveryError("handback-unwritable", file=str(file), reason=error.strerror or "?") from error
    return done


@contextmanager
def _workshop(file: Path) -> Iterator[tuple[Path, Path]]:
    """A folder of the owner's alone beside ``file``, for the workbook and the pieces that it is made from: they hold the same rows."""
    folder = Path(tempfile.mkdtemp(prefix=f".{file.name}.", dir=file.parent))
    try:
        whole = folder / "handback.xlsx"
        os.close(os.open(whole, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        yield whole, folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publish(whole: Path, file: Path, *, force: bool) -> None:
    with whole.open("rb") as written:
        os.fsync(written.fileno())
    if force:
        whole.replace(file)
        return
    try:
        os.link(whole, file)  # unlike a rename it never replaces what came there meanwhile
    except FileExistsError:
        raise DeliveryError("handback-exists", file=str(file)) from None
    except OSError:
        if file.exists():
            raise DeliveryError("handback-exists", file=str(file)) from None
        whole.replace(file)  # a file system without hard links


class _Book:
    """One workbook on its way to the disk, row by row."""

    def __init__(self, whole: Path, folder: Path, language: str, now: datetime) -> None:
        self._language = language
        self._now = now
        options = {
            "constant_memory": True,
            "tmpdir": str(folder),
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        }
        self._book = xlsxwriter.Workbook(str(whole), options)
        self._book.set_properties({"created": now.astimezone(UTC).replace(tzinfo=None)})
        text = {"num_format": "@", "valign": "top", "text_wrap": True}  # "@": stays text when somebody edits it
        self._head = self._book.add_format({**text, "bold": True, "bg_color": "#DDE6F0", "border": 1})
        self._plain = self._book.add_format(text)
        self._wrong = self._book.add_format({**text, "bg_color": "#FFE699"})
        self._counts = self._book.add_worksheet(self._name(self._say("counts")))
        self._done = Handback()
        self._finished = False

    def add(self, part: Part, cases: _CASES) -> None:
        """The sheets of one exchange; none when it has no case."""
        for suffix, stages in (("", {Stage.SOURCE}), ("refused", {Stage.FORMAT, Stage.RECEIVER})):

            def chosen(stages: set[Stage] = stages) -> Iterator[StoredCase]:
                return (case for case in cases(part.exchange) if case.stage in stages and _for_the_unit(case))

            given = part.columns if Stage.SOURCE in stages else [item.name for item in part.catalog.fields]
            columns = dict.fromkeys(given)
            found = 0
            for case in chosen():
                found += 1
                columns.update(dict.fromkeys(row_of(case)))
            if found:
                labels = {} if Stage.SOURCE in stages else self._labels(part.catalog)
                title = f"{part.exchange} {self._say(suffix)}" if suffix else part.exchange
                self._rows(part, title, list(columns), labels, chosen())

    def _labels(self, catalog: Catalog) -> Mapping[str, str]:
        chinese = self._language == DEFAULT_LANGUAGE
        return {item.name: item.zh if chinese else item.en for item in catalog.fields}

    def _rows(
        self, part: Part, title: str, columns: Sequence[str], labels: Mapping[str, str], cases: Iterator[StoredCase]
    ) -> None:
        sheet, row = None, _MOST_ROWS
        for case in cases:
            if row >= _MOST_ROWS:
                sheet, row = self._sheet(title, [labels.get(name, name) for name in columns]), 1
            self._case(sheet, row, case, part.catalog, columns)
            self._done.rows[part.exchange] += 1
            self._done.units[case.unit or ""] += 1
            self._done.codes.update({reason.code for reason in case.reasons})
            row += 1

    def _sheet(self, title: str, columns: Sequence[str]) -> Any:
        sheet = self._book.add_worksheet(self._name(title))
        for place, width in enumerate(_WIDTHS):
            sheet.set_column(place, place, width)
        sheet.set_column(len(_WIDTHS), max(len(_WIDTHS), len(_WIDTHS) + len(columns) - 1), _OWN_WIDTH)
        sheet.freeze_panes(1, 0)
        self._line(sheet, 0, [*(self._say(name) for name in _OURS), *columns], [self._head])
        return sheet

    def _case(self, sheet: Any, row: int, case: StoredCase, catalog: Catalog, columns: Sequence[str]) -> None:
        values = row_of(case)
        told = [reason_text(case.stage, reason, catalog, self._language) for reason in case.reasons]
        fixes = [problem_fix(asdict(reason), catalog, self._language) for reason in case.reasons]
        labels = self._labels(catalog)
        names = [labels.get(reason.field, reason.field) or reason.source for reason in case.reasons]
        ours = (
            str(case.id),
            self._say(f"stage-{case.stage.value}"),
            case.unit or "",
            case.locator,
            case.opened_at[:10],
            "\n".join(dict.fromkeys(name for name in names if name)),
            _listed(told),
            _listed(fixes),
        )
        wrong = {part for reason in case.reasons for part in (reason.field, *reason.source.split(" + "))}
        formats = [self._plain] * len(ours) + [self._wrong if name in wrong else self._plain for name in columns]
        self._line(sheet, row, [*ours, *(_written(values.get(name)) for name in columns)], formats)

    def _line(self, sheet: Any, row: int, texts: Sequence[str], formats: Sequence[Any]) -> None:
        for place, text in enumerate(texts):
            # Never write(): it guesses, and a guess makes formulas, numbers and links.
            sheet.write_string(
                row, place, cell_text(text, self._say("cut")), formats[place] if len(formats) > 1 else formats[0]
            )

    def finish(self) -> Handback:
        """Write the counts and put everything together."""
        done, sheet = self._done, self._counts
        sheet.set_column(0, 0, 40)
        sheet.set_column(1, 1, 44)
        sheet.set_column(2, 2, 10)
        lines: list[tuple[Sequence[str], Any]] = [
            ((self._say("title"), f"{self._now:%Y-%m-%d %H:%M} UTC", ""), self._plain),
            ((self._say("note"), "", ""), self._plain),
        ]
        for heading, counted in (("by-exchange", done.rows), ("by-unit", done.units), ("by-code", done.codes)):
            lines.append(((self._say(heading), "", self._say("rows")), self._head))
            for name, count in sorted(counted.items(), key=lambda item: (-item[1], item[0])):
                words = self._reason_name(name) if counted is done.codes else ""
                lines.append(((name or self._say("no-unit"), words, str(count)), self._plain))
        for row, (texts, look) in enumerate(lines):
            self._line(sheet, row, texts, [look])
        self._finished = True
        self._book.close()
        return done

    def close(self) -> None:
        """Let go of the files; what was not finished is thrown away with its folder."""
        if not self._finished:
            with suppress(OSError, xlsxwriter.exceptions.XlsxWriterException):
                self._book.close()

    def _reason_name(self, code: str) -> str:
        return template(f"name-{code}", self._language, "say") or ""

    def _name(self, title: str) -> str:
        """A sheet's name that no other sheet has: 31 characters, of those that a workbook takes."""
        clean = "".join("_" if sign in "[]:*?/\\'" else sign for sign in title)[:_SHEET_NAME]
        taken = {sheet.get_name().lower() for sheet in self._book.worksheets()}
        name, number = clean, 1
        while name.lower() in taken:
            number += 1
            mark = f" {number}"
            name = clean[: _SHEET_NAME - len(mark)] + mark
        return name

    def _say(self, word: str) -> str:
        return say_text(f"handback-{word}", self._language, {})


def reason_text(stage: Stage, reason: Reason, catalog: Catalog, language: str) -> str:
    """A reason as a sentence; what the receiver rejected is told in the receiver's own words."""
    if stage is Stage.RECEIVER:
        facts = {"code": reason.code, "field": reason.source, "words": reason.expected}
        if reason.level:
            return say_text("receiver-above-said", language, {**facts, "level": reason.level})
        return say_text("receiver-said", language, facts)
    return problem_text(asdict(reason), catalog, language)


def _for_the_unit(case: StoredCase) -> bool:
    """What could not be sent again as it was is our own affair: nothing in the row is wrong."""
    return not all(reason.code.startswith("as-sent-") for reason in case.reasons)


def _listed(texts: Sequence[str]) -> str:
    given = list(dict.fromkeys(text for text in texts if text))
    return given[0] if len(given) == 1 else "\n".join(f"{number}. {text}" for number, text in enumerate(given, 1))


def _written(value: object) -> str:
    return "" if value is None else str(value)


def cell_text(text: str, cut: str) -> str:
    """``text`` as a cell may hold it: no sign that a workbook or a screen would act on, not too long (``cut`` says so), and behind an
    apostrophe when it begins as a formula could."""
    shown = "".join(map(_sign, text)) if any(map(_special, text)) else text
    if len(shown.encode("utf-16-le")) // 2 > _LONGEST:
        shown = shown.encode("utf-16-le")[: 2 * _LONGEST].decode("utf-16-le", errors="ignore") + cut
    return f"'{shown}" if text[:1] in _RISKY and text else shown


def _special(sign: str) -> bool:
    code = ord(sign)
    return (
        (code < 0x20 and sign != "\n")
        or 0x7F <= code < 0xA0
        or 0xD800 <= code < 0xE000
        or code in {0xFFFE, 0xFFFF}
        or 0x200E <= code < 0x2010
        or 0x202A <= code < 0x202F
        or 0x2066 <= code < 0x206A
    )


def _sign(sign: str) -> str:
    """A control character as its picture (U+2400 …), what has none and reorders or breaks text as its number."""
    if not _special(sign):
        return sign
    code = ord(sign)
    return chr(0x2400 + code) if code < 0x20 else f"‹U+{code:04X}›"
