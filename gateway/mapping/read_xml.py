"""Records' elements read back along the outline: for every leaf a column of texts, whatever is or is not there.

Nothing here judges. What stands in a record but not in the outline is named, so that nothing is dropped in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lxml import etree

from gateway.mapping.outline import Node

__all__ = ["XmlReader"]

_NOTHING: Final = -1


class XmlReader:
    """Reads records along one outline, row by row.

    ``columns[slot.index][row]`` is a leaf's text, None where it does not stand, ``""`` where it stands with nothing
    in it; ``extra`` are (row, element name) of what the outline does not hold, or holds once where the record has
    more.
    """

    def __init__(self, outline: Node, leaves: int, rows: int) -> None:
        self._root = _place(outline)
        self.columns: list[list[str | None]] = [[None] * rows for _ in range(leaves)]
        self.extra: list[tuple[int, str]] = []

    def read(self, record: etree._Element, row: int) -> None:
        """Put the texts of ``record`` into ``row``."""
        self._take(self._root, record, row)

    def _take(self, place: _Place, element: etree._Element, row: int) -> None:
        columns = self.columns
        for name, index in place.attributes:
            columns[index][row] = element.get(name)
        known = place.children.get
        for child in element:
            inner = known(child.tag)
            if inner is None:
                self.extra.append((row, child.tag))
                continue
            if inner.text != _NOTHING:
                column = columns[inner.text]
                if column[row] is not None:
                    self.extra.append((row, child.tag))
                    continue
                column[row] = child.text or ""
            if inner.deep:
                self._take(inner, child, row)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """What to do at an element: the leaf that its text is, the leaves that its attributes are, its children's places."""

    text: int
    attributes: tuple[tuple[str, int], ...]
    children: Mapping[str, _Place]
    deep: bool


def _place(node: Node) -> _Place:
    attributes = tuple((slot.name, slot.index) for slot in node.attributes)
    children = {child.name: _place(child) for child in node.elements()}
    return _Place(
        text=node.text.index if node.text is not None else _NOTHING,
        attributes=attributes,
        children=children,
        deep=bool(attributes or children),
    )
