"""What a catalog (信用信息目录) is: its fields, key, unit, deadline, disclosure classes and the rules over fields.

Values only; :mod:`gateway.catalog.loader` makes them from ``mappings/catalogs/*.toml`` and names every mistake there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = [
    "Catalog",
    "Condition",
    "CrossRule",
    "Deadline",
    "Disclosure",
    "Field",
    "FieldType",
    "Identifier",
    "Operator",
    "Part",
    "Weight",
]


class FieldType(StrEnum):
    """The canonical types. In frames: ``pl.String``, ``pl.Date``, ``pl.Decimal(38, scale)``, ``pl.Int64``."""

    TEXT = "text"
    DATE = "date"
    DECIMAL = "decimal"
    INTEGER = "integer"


class Disclosure(StrEnum):
    """Who may see a field: everybody, whoever the subject authorises, government only, nobody beyond the unit."""

    PUBLIC = "public"
    AUTHORISED = "authorised"
    GOVERNMENT = "government"
    NEVER = "never"

    @property
    def level(self) -> int:
        """How far up: 0 for public."""
        return list(Disclosure).index(self)

    def shows(self, other: Disclosure) -> bool:
        """Whether somebody cleared for this class may see a field of the class ``other``; what is never disclosed nobody may."""
        return other is not Disclosure.NEVER and other.level <= self.level


class Weight(StrEnum):
    """What a problem does to its record: ``reject`` puts it into quarantine, ``notice`` is reported and it goes on."""

    REJECT = "reject"
    NOTICE = "notice"


class Identifier(StrEnum):
    """Identifier rules; their check digits are in :mod:`gateway.catalog.identifiers`."""

    USCC = "uscc"  # 统一社会信用代码, GB 32100-2015
    ORGANISATION = "organisation"  # 组织机构代码, GB 11714-1997
    RESIDENT = "resident"  # 居民身份证 and 81/82/83 residence permits, GB 11643-1999
    REGISTRATION = "registration"  # 工商注册号, GS15-2006


class Operator(StrEnum):
    """The closed list of tests that a condition may put to one field."""

    IS = "is"  # the value is one of `values`
    HAS = "has"  # a multiple value holds one of `values` (or a value with that prefix)
    FILLED = "filled"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One test on one field; several in a row must all hold."""

    field: str
    operator: Operator
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One item of a catalog.

    ``required_when`` and ``empty_when`` are alternatives: the field is required (must be empty) when *any* of the
    tuples of conditions holds in *all* its conditions. ``placeholder`` names a value that stands for "there is none" and is
    reported as an exception; ``placeholder_when`` are the conditions under which it is only a notice; otherwise, and
    always when there are none, it rejects the record. ``open_prefix`` lets a coded value be written ``<prefix>…``
    beside the list (``其他-XX``).
    """

    name: str
    zh: str
    en: str
    type: FieldType
    part: str | None = None  # stands in every row of this part instead of once in the record
    max_length: int | None = None  # characters (Unicode code points)
    precision: int | None = None  # decimal: digits in all
    scale: int | None = None  # decimal: digits after the point
    required: bool = False
    required_when: tuple[tuple[Condition, ...], ...] = ()
    empty_when: tuple[tuple[Condition, ...], ...] = ()
    codelist: str | None = None
    open_prefix: str | None = None
    separator: str | None = None  # several values in one field, joined by this
    identifier: Identifier | None = None
    identifier_when: tuple[Condition, ...] = ()  # the identifier rule holds only then (id number by id kind)
    placeholder: str | None = None
    placeholder_when: tuple[Condition, ...] = ()
    personal: bool = False
    disclosure: Disclosure = Disclosure.PUBLIC
    profile: bool = False  # length or requirement is a project profile: not confirmed by a published standard
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossRule:
    """A rule over several fields. ``kind`` is one of the closed list in :mod:`gateway.mapping.checks`:

    - ``order`` — ``fields`` are dates that must not decrease, empty ones skipped;
    - ``differs`` — two fields must not hold the same text;
    - ``publicity`` — ``fields`` = (decision date, publicity end): the end must lie within the regime in force at the
      decision date; ``parameters["limit"]`` is ``latest`` (only too long is wrong), ``earliest`` (only too short) or
      absent (both).
    """

    id: str
    kind: str
    fields: tuple[str, ...]
    weight: Weight = Weight.REJECT
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """Shared within ``working_days`` after the date in ``field``; ``profile`` when no published text says so."""

    field: str
    working_days: int
    profile: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a record holds several times: the lines of an order, the works under a contract.

    ``key`` are fields of the part that tell its rows apart within one record (within one row of the part ``within``, when it stands
    inside another). A source says such a record in several rows that repeat what stands once.
    """

    name: str
    zh: str
    en: str
    key: tuple[str, ...]
    within: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """One catalog.

    ``key`` are the fields whose values, joined by ``|``, name a record; ``unit`` is the field with the unit's code. ``parts`` are in the
    order of the text, an enclosing one before those within it. ``category`` is the kind of data (数据类别) as a person files it.
    """

    id: str
    version: str
    zh: str
    en: str
    standard: str
    subject_kinds: tuple[str, ...]
    key: tuple[str, ...]
    unit: str
    deadline: Deadline
    fields: tuple[Field, ...]
    rules: tuple[CrossRule, ...] = ()
    parts: tuple[Part, ...] = ()
    category: str = ""

    def field(self, name: str) -> Field:
        """The field called ``name``. Raises KeyError."""
        for item in self.fields:
            if item.name == name:
                return item
        raise KeyError(name)

    def part(self, name: str) -> Part:
        """The part called ``name``. Raises KeyError."""
        for item in self.parts:
            if item.name == name:
                return item
        raise KeyError(name)

    def fields_of(self, part: str | None) -> tuple[Field, ...]:
        """The fields that stand once in each row of ``part``; None: once in the record."""
        return tuple(item for item in self.fields if item.part == part)

    def parts_within(self, part: str | None) -> tuple[Part, ...]:
        """The parts directly inside ``part``; None: directly in the record."""
        return tuple(item for item in self.parts if item.within == part)

    def chain(self, part: str | None) -> tuple[str, ...]:
        """The names of the parts that lead to ``part``, outermost first, itself included."""
        return () if part is None else (*self.chain(self.part(part).within), part)
