"""What every format without an XSD of its own says of itself: sheets, tables and JSON, whose records travel as fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Generic, Protocol, TypeVar

from gateway.errors import Finding
from gateway.mapping.format_model import Fact

__all__ = ["FieldsFormat"]


class _Template(Protocol):
    @property
    def catalog(self) -> str: ...


_T = TypeVar("_T", bound=_Template)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldsFormat(Generic[_T]):
    """``receiver`` says in words who demands the format; ``sealing`` how what is handed over is vouched for.

    ``texts`` are the bytes of format.toml, of every binding and of what else was read, by path in the folder. ``valid_from`` and
    ``valid_to`` are inclusive; None is open.
    """

    id: str
    version: str
    zh: str
    en: str
    standard: str
    receiver: str
    sealing: str
    templates: tuple[_T, ...]
    facts: tuple[Fact, ...]
    texts: Mapping[str, bytes]
    valid_from: date | None = None
    valid_to: date | None = None
    warnings: tuple[Finding, ...] = ()

    def catalogs(self) -> tuple[str, ...]:
        """The catalogs that it takes."""
        return tuple(dict.fromkeys(template.catalog for template in self.templates))
