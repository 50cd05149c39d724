"""Sealed batches of whole XML formats as the receiver's own documents, each held against its XSD again.

As many records in a document as its element takes, or one each. The list of what is taken back is a document in no namespace, an element
a record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from gateway.delivery.carry_fields import FieldsCarrier
from gateway.delivery.feedback_file import HEADINGS
from gateway.errors import DeliveryError
from gateway.mapping.batch_facts import BatchFacts
from gateway.mapping.format_model import Format
from gateway.mapping.whole_plan import WholePlan
from gateway.package.characters import escape
from gateway.package.fields import Fields

__all__ = ["XmlCarrier"]

_LIST, _ITEM = "撤销清单", "记录"
_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'


class XmlCarrier(FieldsCarrier[Format]):
    """``plan_of`` gives the plan of a format (its id) for a catalog (its id).

    Raises MappingError ``gate-refused``, DeliveryError ``xml-file-unsaid`` beside what every carrier raises.
    """

    first = 1  # documents have no headings

    def __init__(
        self, format_of: Callable[[str], Format], plan_of: Callable[[str, str], WholePlan], zone: ZoneInfo
    ) -> None:
        super().__init__(format_of, zone)
        self._plan_of = plan_of

    def _fillings(self, fmt: Format, catalog: str) -> Mapping[str, _Xml]:
        plan = self._plan_of(fmt.id, catalog)
        file = fmt.bindings[catalog].file
        if file is None:
            raise DeliveryError("xml-file-unsaid", format=fmt.id, catalog=catalog)
        return {catalog: _Xml(file, plan)}

    def _ending(self, fmt: Format) -> str:
        del fmt
        return ".xml"

    def _list(self, fmt: Format, rows: Sequence[Sequence[str | None]]) -> bytes:
        del fmt
        items = "".join(f"<{_ITEM}>{_cells(row)}</{_ITEM}>\n" for row in rows)
        return f"{_DECLARATION}<{_LIST}>\n{items}</{_LIST}>\n".encode()


@dataclass(frozen=True, slots=True)
class _Xml:
    file: str
    plan: WholePlan

    def knows(self, body: Fields) -> bool:
        return self.plan.knows(body)

    def documents(self, bodies: Sequence[Fields], facts: BatchFacts) -> Sequence[tuple[bytes, int]]:
        return self.plan.carry(bodies, facts)


def _cells(row: Sequence[str | None]) -> str:
    """The cells of a row under its headings; an empty one is left out."""
    named = zip(HEADINGS, row, strict=True)
    return "".join(f"<{name}>{escape(text, place=name)}</{name}>" for name, text in named if text is not None)
