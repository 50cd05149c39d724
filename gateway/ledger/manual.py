"""The manual's tables of ledger entries, made from the catalogue: a test holds the manuals to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.ledger.kinds import KINDS, FieldType, Kind
from gateway.texts import DEFAULT_LANGUAGE, say_text, template

__all__ = ["kinds_table"]

_EVERYWHERE: Final = ("kind", "at", "node", "software")


def kinds_table(language: str = DEFAULT_LANGUAGE) -> str:
    """Three Markdown tables: every kind with its own fields, every field with what it holds, every form with what it may be.

    A field that says another thing in one kind than in the others has a row of its own, with the kind before its name.
    """
    comma = "、" if language == "zh-CN" else ", "
    kinds = [
        (_code(kind.name), _say(f"ledger-kind-{_slug(kind.name)}", language), _listed(_own(kind), comma))
        for kind in KINDS.values()
    ]
    fields = [(_listed(row.names, comma), _listed(row.forms, comma), said) for said, row in _told(language).items()]
    forms = [(_code(form.value), _say(f"ledger-form-{form.value}", language)) for form in FieldType]
    headings = [
        _say(f"ledger-heading-{name}", language) for name in ("kind", "when", "fields", "field", "form", "what")
    ]
    return "\n".join(
        (
            _table(headings[:3], kinds),
            _table(headings[3:], fields),
            _table([headings[4], headings[5]], forms),
        )
    )


@dataclass(slots=True)
class _Told:
    """One sentence about fields: which ones it is about, and the forms that they have."""

    names: list[str] = field(default_factory=list)
    forms: list[str] = field(default_factory=list)


def _told(language: str) -> dict[str, _Told]:
    """What every field says: once, unless it says another thing in another kind."""
    told: dict[str, _Told] = {}

    def note(said: str, name: str, form: FieldType) -> None:
        row = told.setdefault(said, _Told())
        row.names += [name] if name not in row.names else []
        row.forms += [form.value] if form.value not in row.forms else []

    note(_say("ledger-field-kind", language), "kind", FieldType.NAME)
    note(_say("ledger-field-at", language), "at", FieldType.INSTANT)
    for kind in KINDS.values():
        for name, form in {**kind.fields, **kind.optional}.items():
            own = f"ledger-field-{_slug(kind.name)}-{_slug(name)}"
            special = template(own, language, "say") is not None
            code = own if special else f"ledger-field-{_slug(name)}"
            note(_say(code, language), f"{kind.name}: {name}" if special else name, form)
    return told


def _own(kind: Kind) -> list[str]:
    return [name for name in (*kind.fields, *kind.optional) if name not in _EVERYWHERE]


def _say(code: str, language: str) -> str:
    return say_text(code, language, {})


def _slug(name: str) -> str:
    return name.replace(".", "-").replace("_", "-")


def _code(text: str) -> str:
    return f"`{text}`"


def _listed(names: Iterable[str], comma: str) -> str:
    return comma.join(map(_code, names))


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rule = "|".join(["---"] * len(headings))
    return "".join((_row(headings), f"|{rule}|\n", *map(_row, rows)))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
