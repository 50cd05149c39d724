"""The shapes of a catalog's TOML text: which keys there are and of which type; what they mean stands in the model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Limit

from gateway.catalog.model import Disclosure, FieldType, Identifier, Weight
from gateway.catalog.reading import LOOSE, Name, Shape, Words

__all__ = ["CheckText", "DeadlineText", "FieldText", "HeadText", "PartText", "RuleText", "WhenText"]

_List = Annotated[tuple[Words, ...], Limit(strict=False, min_length=1)]


class CheckText(Shape):
    """One test on one field: exactly one of the four keys, which the reader checks."""

    is_: Annotated[_List | None, Limit(alias="is")] = None
    has: _List | None = None
    filled: bool = False
    empty: bool = False


WhenText = Annotated[dict[str, CheckText], Limit(min_length=1)]
_AnyWhenText = Annotated[list[WhenText], Limit(min_length=1)]


class FieldText(Shape):
    """A table ``[fields.<name>]``."""

    zh: Words
    en: Words
    type: Annotated[FieldType, LOOSE]
    part: Words | None = None
    max_length: Annotated[int, Limit(ge=1)] | None = None
    precision: Annotated[int, Limit(ge=1, le=38)] | None = None
    scale: Annotated[int, Limit(ge=0)] | None = None
    required: bool = False
    required_when: _AnyWhenText = Limit(default=[])
    empty_when: _AnyWhenText = Limit(default=[])
    codelist: Words | None = None
    open_prefix: Words | None = None
    separator: Words | None = None
    identifier: Annotated[Identifier, LOOSE] | None = None
    identifier_when: WhenText = Limit(default={})
    placeholder: Words | None = None
    placeholder_when: WhenText = Limit(default={})
    personal: bool = False
    disclosure: Annotated[Disclosure, LOOSE]
    profile: bool = False
    note: str = ""


class RuleText(Shape):
    """A table ``[rules.<id>]``."""

    kind: Literal["order", "differs", "publicity"]
    fields: Annotated[tuple[Words, ...], Limit(strict=False, min_length=2)]
    weight: Annotated[Weight, LOOSE]
    limit: Literal["earliest", "latest"] | None = None


class PartText(Shape):
    """A table ``[parts.<name>]``."""

    zh: Words
    en: Words
    key: _List
    within: Words | None = None


class DeadlineText(Shape):
    """``deadline = { field = "…", working_days = … }``."""

    field: Words
    working_days: Annotated[int, Limit(ge=1)]
    profile: bool = False


class HeadText(Shape):
    """The catalog's own keys; fields, parts and rules are read one by one, so that a mistake in one hides none in another."""

    id: Name
    version: Words
    zh: Words
    en: Words
    standard: Words
    category: str = ""
    subject_kinds: _List
    key: _List
    unit: Words
    deadline: DeadlineText
    fields: Annotated[dict[str, object], Limit(min_length=1)]
    rules: dict[str, object] = Limit(default={})
    parts: dict[str, object] = Limit(default={})
