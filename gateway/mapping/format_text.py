"""The shapes of a format's TOML texts: which keys there are and of which type; what they mean stands in the model."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal, TypedDict

from gateway.catalog.reading import LOOSE, Name, Shape, Words
from gateway.mapping.feedback_text import FeedbackText
from gateway.mapping.format_model import BatchFact, Document, Fact

__all__ = ["BindText", "BindingText", "FactText", "FieldsHead", "FormatText", "HeadValues", "facts_of"]


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
    receiver: Words | None = None
    sealing: Words | None = None
    withdrawn: Words | None = None
    feedback: FeedbackText | None = None
    facts: dict[Name, FactText] | None = None


class FieldsHead(Shape):
    """What every ``format.toml`` of sheets, tables or JSON says."""

    id: Name
    version: Words
    zh: Words
    en: Words
    standard: Words
    receiver: Words
    sealing: Words
    valid_from: date | None = None
    valid_to: date | None = None
    facts: dict[Name, FactText] | None = None

    def values(self) -> HeadValues:
        """The same as :class:`~gateway.mapping.fields_format.FieldsFormat` takes it."""
        return HeadValues(
            id=self.id,
            version=self.version,
            zh=self.zh,
            en=self.en,
            standard=self.standard,
            receiver=self.receiver,
            sealing=self.sealing,
            valid_from=self.valid_from,
            valid_to=self.valid_to,
            facts=facts_of(self.facts),
        )


class HeadValues(TypedDict):
    """What a head says, by the names of the model."""

    id: str
    version: str
    zh: str
    en: str
    standard: str
    receiver: str
    sealing: str
    valid_from: date | None
    valid_to: date | None
    facts: tuple[Fact, ...]


def facts_of(texts: Mapping[str, FactText] | None) -> tuple[Fact, ...]:
    """The tables ``[facts.<id>]`` as the model has them."""
    return tuple(Fact(id=name, zh=one.zh, en=one.en, profile=one.profile) for name, one in (texts or {}).items())


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
    file: Words | None = None
    repeat: dict[Words, Words] | None = None
    bind: list[BindText]
