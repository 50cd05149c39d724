"""Demand catalogs (信用信息共享需求目录): what we ask of others, as ``mappings/demands/*.toml`` says it.

A demand names a provider, and in ``[[want]]`` tables the catalogs wanted of it: which fields, what for, how often, and, once that is
settled, the node that provides them. Whether a want is met is for whoever knows what has been received.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath
from typing import Annotated

from pydantic import Field as Limit

from gateway.catalog.identifiers import is_uscc
from gateway.catalog.model import Catalog
from gateway.catalog.reading import LOOSE, Name, Shape, Words, dotted, listed, read_shape, read_toml
from gateway.errors import Finding

__all__ = ["Demand", "Every", "Want", "parse_demand"]


class Every(StrEnum):
    """How often what is wanted is to come."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"
    CHANGE = "change"  # whenever something changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """One catalog wanted. ``provider`` is the node's 统一社会信用代码, None while nobody has agreed to provide it."""

    catalog: str
    fields: tuple[str, ...]
    purpose: str
    every: Every
    provider: str | None = None
    profile: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What we want of one provider, or of providers of one kind."""

    id: str
    version: str
    zh: str
    en: str
    wants: tuple[Want, ...]


class _WantText(Shape):
    catalog: Words
    fields: Annotated[tuple[Words, ...], Limit(strict=False, min_length=1)]
    purpose: Words
    every: Annotated[Every, LOOSE]
    provider: Words | None = None
    profile: bool = False


class _DemandText(Shape):
    id: Name
    version: Words
    zh: Words
    en: Words
    want: Annotated[list[_WantText], Limit(min_length=1)]


def parse_demand(
    file: str, data: bytes, catalogs: Mapping[str, Catalog], findings: list[Finding], *, whole: bool
) -> Demand | None:
    """The demand in the bytes of a TOML text, or None; mistakes are appended to ``findings``.

    ``whole`` says that ``catalogs`` are all there are: otherwise one that is missing may only be unreadable.
    """
    raw = read_toml(file, data, findings)
    text = None if raw is None else read_shape(_DemandText, raw, file, (), findings)
    if text is None:
        return None
    if text.id != PurePath(file).stem:
        facts = {"id": text.id, "stem": PurePath(file).stem}
        findings.append(Finding(code="catalog-id-not-file", file=file, key="id", facts=facts))
    for number, want in enumerate(text.want):
        findings += _contradictions(file, number, want, catalogs, whole=whole)
    return Demand(
        id=text.id,
        version=text.version,
        zh=text.zh,
        en=text.en,
        wants=tuple(
            Want(
                catalog=want.catalog,
                fields=want.fields,
                purpose=want.purpose,
                every=want.every,
                provider=want.provider,
                profile=want.profile,
            )
            for want in text.want
        ),
    )


def _contradictions(
    file: str, number: int, want: _WantText, catalogs: Mapping[str, Catalog], *, whole: bool
) -> list[Finding]:
    """What a want says that no catalog knows."""
    found: list[Finding] = []
    if want.provider is not None and not is_uscc(want.provider):
        facts = {"value": want.provider}
        found.append(Finding(code="demand-provider", file=file, key=dotted("want", number, "provider"), facts=facts))
    catalog = catalogs.get(want.catalog)
    if catalog is None:
        if whole:
            facts = {"catalog": want.catalog, "known": listed(catalogs)}
            found.append(Finding(code="demand-catalog", file=file, key=dotted("want", number, "catalog"), facts=facts))
        return found
    known = {field.name for field in catalog.fields}
    for place, name in enumerate(want.fields):
        if name not in known:
            key = dotted("want", number, "fields", place)
            found.append(Finding(code="catalog-field-unknown", file=file, key=key, facts={"field": name}))
    return found
