"""The bureau that decides, and its offices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["BUREAU", "Bureau", "Office"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """An authority that signs decisions."""

    name: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bureau:
    """The unit whose rows they are, with the authorities that decide: for transport and for forests."""

    name: str
    code: str
    transport: Office
    forest: Office


BUREAU: Final = Bureau(
    name="示例林业局交通运输局",
    code="11230700001001013H",
    transport=Office(name="示例林业局交通运输局", code="11230700001001013H"),
    forest=Office(name="示例林业局森林资源管理局", code="1123990700100103X3"),
)
