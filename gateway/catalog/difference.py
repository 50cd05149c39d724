"""What changed between two versions of a catalog: fields that came, went or differ, and the catalog's own entries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from gateway.catalog.model import Catalog, Field

__all__ = ["Difference", "differences"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference. ``place`` is ``fields.name``, ``parts.name``, ``rules.name`` or an entry; ``entry`` what differs there, "" for the whole.

    ``before`` and ``after`` are as the texts say them; "" where there is nothing.
    """

    place: str
    entry: str
    before: str
    after: str


def differences(old: Catalog | None, new: Catalog | None) -> tuple[Difference, ...]:
    """Every difference, in the order of the new catalog, then of what is no longer there. None is a catalog that does not exist."""
    if old is None or new is None:
        if old is new:
            return ()
        before, after = "" if old is None else old.version, "" if new is None else new.version
        return (Difference(place="catalog", entry="", before=before, after=after),)
    return tuple(_differences(old, new))


def _differences(old: Catalog, new: Catalog) -> Iterator[Difference]:
    for entry in ("version", "zh", "en", "standard", "category", "subject_kinds", "key", "unit", "deadline"):
        yield from _entry("catalog", entry, getattr(old, entry), getattr(new, entry))
    yield from _items(
        "fields", {field.name: field for field in old.fields}, {field.name: field for field in new.fields}
    )
    yield from _items("parts", {part.name: part for part in old.parts}, {part.name: part for part in new.parts})
    yield from _items("rules", {rule.id: rule for rule in old.rules}, {rule.id: rule for rule in new.rules})
    kept = [field.name for field in new.fields if field.name in {one.name for one in old.fields}]
    was = [field.name for field in old.fields if field.name in kept]
    if kept != was:
        yield Difference(place="fields", entry="order", before=", ".join(was), after=", ".join(kept))


def _items(kind: str, old: dict[str, object], new: dict[str, object]) -> Iterator[Difference]:
    for name, item in new.items():
        if name not in old:
            yield Difference(place=f"{kind}.{name}", entry="", before="", after=_label(item))
            continue
        for entry in fields(item):  # type: ignore[arg-type]  # fields, parts and rules are dataclasses
            yield from _entry(f"{kind}.{name}", entry.name, getattr(old[name], entry.name), getattr(item, entry.name))
    for name, item in old.items():
        if name not in new:
            yield Difference(place=f"{kind}.{name}", entry="", before=_label(item), after="")


def _entry(place: str, entry: str, before: object, after: object) -> Iterator[Difference]:
    if before != after:
        yield Difference(place=place, entry=entry, before=_said(before), after=_said(after))


def _label(item: object) -> str:
    return item.zh if isinstance(item, Field) else str(getattr(item, "zh", "") or getattr(item, "kind", ""))


def _said(value: object) -> str:
    match value:
        case None | () | False:
            return ""
        case True:
            return "true"
        case tuple():
            return ", ".join(map(_said, value))
        case _:
            return str(value)
