"""The shapes of a format's TOML texts: which keys there are and of which type; what they mean stands in the model."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from gateway.catalog.reading import LOOSE, Name, Shape, Words
from gateway.mapping.format_model import BatchFact, Document

__all__ = ["BindText", "BindingText", "FormatText"]


class FactText(Shape):
    """A table ``[facts.<id>]``."""

    zh: Words
    en: Words
    profile: bool = False


class FormatText(Shape):
    """The whole of ``format.toml``."""

    id: Name
    version: Words
    zh: Words
    en: Words
    standard: Words
    xsd: Words
    document: Annotated[Document, LOOSE] = Document.RECORD
    valid_from: date | None = None
    valid_to: date | None = None
    prefixes: dict[Name, Words] | None = None
    facts: dict[Name, FactText] | None = None


class BindText(Shape):
    """One ``[[bind]]``; only what comes from a field needs ``empty``. Rules are read by :mod:`gateway.mapping.rule_reader`."""

    to: Words
    field: Words | None = None
    batch: Annotated[BatchFact, LOOSE] | None = None
    rules: list[object] | None = None
    empty: Literal["omit", "blank", "reject"] | None = None
    why: str = ""
    profile: bool = False


class BindingText(Shape):
    """The whole of ``bindings/<catalog>.toml``."""

    catalog: Words
    root: Words
    repeat: dict[Words, Words] | None = None
    bind: list[BindText]
