"""Records' elements read back along the outline: for every leaf a column of texts, whatever is or is not there.

Nothing here judges. What stands in a record but not in the outline is named, so that nothing is dropped in silence. What is repeated
for a part's rows has columns of its own, longer than the records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from gateway.mapping.outline import Node, Rows, constants_of
from gateway.mapping.schema import XSI

__all__ = ["Read", "XmlReader"]

_NOTHING: Final = -1


@dataclass(slots=True, kw_only=True)
class Read:
    """What was read of one level. ``columns[slot.index][row]`` is a leaf's text, None where it does not stand, ``""`` where it stands
    with nothing in it. ``parents[row]`` is the row of the level above; the record's own level has none.
    """

    columns: Mapping[int, list[str | None]]
    parents: list[int] = field(default_factory=list)

    def add(self, parent: int) -> int:
        """One more row; its number."""
        self.parents.append(parent)
        for column in self.columns.values():
            column.append(None)
        return len(self.parents) - 1


class XmlReader:
    """Reads records along one outline, row by row.

    ``levels`` are what was read, by part (None: the record's own). ``extra`` are (row, element name) of what the outline does not hold,
    or holds once where the record has more.
    """

    def __init__(self, outline: Node, rows: int) -> None:
        self.levels: dict[str | None, Read] = {None: Read(columns=_columns(outline, rows))}
        for repeated in _all_rows(outline):
            self.levels[repeated.part] = Read(columns=_columns(repeated.node, 0))
        self._root = _place(outline, None)
        self.extra: list[tuple[int, str]] = []

    def read(self, record: etree._Element, row: int) -> None:
        """Put the texts of ``record`` into ``row``."""
        self._take(self._root, record, self.levels[None], row, row)

    def _take(self, place: _Place, element: etree._Element, read: Read, row: int, record: int) -> None:
        columns = read.columns
        for name, index in place.attributes:
            columns[index][row] = element.get(name)
        known = place.children.get
        used: set[int] = set()
        groups: dict[str, _Open] = {}
        for child in element:
            inner = _fitting(known((child.tag, _type_name(child)), ()), child, used)
            if inner is None:
                self.extra.append((record, child.tag))
                continue
            into, here = read, row
            if inner.group is not None:
                into = self.levels[inner.group]
                open_ = groups.get(inner.group)
                # The members of a group come in its order: one that does not follow the last begins the next.
                here = into.add(row) if open_ is None or inner.number <= open_.number else open_.row
                groups[inner.group] = _Open(row=here, number=inner.number)
            elif inner.part is not None:
                into = self.levels[inner.part]
                here = into.add(row)
            else:
                used.add(inner.number)
            if inner.text != _NOTHING:
                into.columns[inner.text][here] = child.text or ""
            if inner.deep:
                self._take(inner, child, into, here, record)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    """A row whose group is being read, and the place of its last element."""

    row: int
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """What to do at an element: the leaf that its text is, the leaves that its attributes are, its children's places.

    ``number`` tells the places of one parent apart; ``part`` is set where every element is a row. ``constants`` are what an element
    must not contradict when several places share its name. ``group`` is the part in whose row, a group, it stands beside others.
    """

    number: int
    part: str | None
    text: int
    attributes: tuple[tuple[str, int], ...]
    children: Mapping[tuple[str, str], tuple[_Place, ...]]
    deep: bool
    constants: tuple[tuple[tuple[str, ...], str], ...]
    group: str | None


def _place(node: Node, part: str | None, number: int = 0, group: str | None = None) -> _Place:
    attributes = tuple((slot.name, slot.index) for slot in node.attributes)
    children: dict[tuple[str, str], tuple[_Place, ...]] = {}
    repeated = {id(rows.node): rows.part for rows in node.rows()}
    grouped = {id(one): rows.part for rows in node.rows() if not rows.node.name for one in rows.node.elements()}
    for place, child in enumerate(node.elements()):
        read = _place(child, repeated.get(id(child)), place, grouped.get(id(child)))
        named = (child.tag, child.as_type)
        children[named] = (*children.get(named, ()), read)
    return _Place(
        number=number,
        part=part,
        text=node.text.index if node.text is not None else _NOTHING,
        attributes=attributes,
        children=children,
        deep=bool(attributes or children),
        constants=tuple(constants_of(node).items()),
        group=group,
    )


def _type_name(element: etree._Element) -> str:
    """The type as which an element says that it stands, ``{namespace}local``; "" when it does not say."""
    said = element.get(f"{{{XSI}}}type")
    if said is None:
        return ""
    prefix, _, local = said.strip().rpartition(":")
    namespace = element.nsmap.get(prefix or None)
    return f"{{{namespace}}}{local}" if namespace else local


def _fitting(places: Sequence[_Place], element: etree._Element, used: set[int]) -> _Place | None:
    """The place that an element takes: the only one of its name, or the first free one that it does not contradict."""
    for place in places:
        if place.number not in used and (len(places) == 1 or _agrees(place, element)):
            return place
    return None


def _agrees(place: _Place, element: etree._Element) -> bool:
    for steps, value in place.constants:
        here: etree._Element | None = element
        for step in steps:
            if here is not None and not step.startswith("@"):
                here = here.find(step)
        if here is None:
            continue
        found = here.get(steps[-1][1:]) if steps and steps[-1].startswith("@") else here.text
        if found is not None and found != value:
            return False
    return True


def _columns(node: Node, rows: int) -> Mapping[int, list[str | None]]:
    return {slot.index: [None] * rows for slot in node.slots()}


def _all_rows(node: Node) -> list[Rows]:
    found: list[Rows] = []
    for rows in node.rows():
        found += [rows, *_all_rows(rows.node)]
    return found
