"""What a rule of the closed list declares of itself: the types it takes and gives, its parameters, its compiler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeGuard

import polars as pl

from gateway.catalog.model import FieldType
from gateway.mapping.model import Compiled, RuleContext

__all__ = ["Columns", "Compiler", "Parameter", "ParameterKind", "Parameters", "RuleKind"]

_VALUE = "value:"


class ParameterKind(StrEnum):
    """What a parameter may hold in the text."""

    TEXT = "text"
    TEXTS = "texts"  # a list of texts, at least one, none twice
    TABLE = "table"  # text → text, at least one row
    COUNT = "count"  # a whole number, 0 or more
    OUTCOME = "outcome"  # "reject", "keep" or "value:…"


class Columns(StrEnum):
    """How many columns a rule begins with."""

    NONE = "none"  # makes its value itself
    ONE = "one"
    SEVERAL = "several"  # brings several columns together; only the first rule of a field can


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter. ``choices`` closes the list of texts it may hold."""

    kind: ParameterKind
    required: bool = False
    choices: tuple[str, ...] = ()

    def accepts(self, value: object) -> bool:
        """Whether ``value``, as it stands in the text, may be given."""
        match self.kind:
            case ParameterKind.TEXT:
                return isinstance(value, str) and self._chosen([value])
            case ParameterKind.TEXTS:
                return _is_texts(value) and len(set(value)) == len(value) and self._chosen(value)
            case ParameterKind.TABLE:
                return isinstance(value, dict) and _is_texts([*value, *value.values()])
            case ParameterKind.COUNT:
                return isinstance(value, int) and not isinstance(value, bool) and value >= 0
            case ParameterKind.OUTCOME:
                return isinstance(value, str) and (
                    value in {"reject", "keep"} or (value.startswith(_VALUE) and len(value) > len(_VALUE))
                )

    def _chosen(self, values: list[str]) -> bool:
        return not self.choices or set(values) <= set(self.choices)


class Parameters:
    """The parameters of one rule, read by type. They were accepted by :class:`Parameter` before; another type raises TypeError."""

    def __init__(self, given: Mapping[str, object]) -> None:
        self._given = given

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def text(self, name: str, default: str | None = None) -> str:
        """The text of ``name``."""
        value = self._given.get(name, default)
        if not isinstance(value, str):
            raise TypeError(f"{name} must be a text")
        return value

    def texts(self, name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The list of texts of ``name``."""
        value = self._given.get(name, list(default))
        if not _is_texts(value):
            raise TypeError(f"{name} must be a list of texts")
        return tuple(value)

    def table(self, name: str) -> dict[str, str]:
        """The table of ``name``, text → text."""
        value = self._given.get(name)
        if not isinstance(value, dict) or not _is_texts([*value, *value.values()]):
            raise TypeError(f"{name} must be a table of texts")
        return dict(value)

    def count(self, name: str) -> int:
        """The whole number of ``name``."""
        value = self._given.get(name)
        if not isinstance(value, int):
            raise TypeError(f"{name} must be a whole number")
        return value

    def outcome(self, name: str) -> tuple[str, str | None]:
        """``("reject", None)``, ``("keep", None)`` or ``("value", "…")``."""
        said = self.text(name)
        return ("value", said.removeprefix(_VALUE)) if said.startswith(_VALUE) else (said, None)


Compiler = Callable[[pl.Expr, Parameters, RuleContext], Compiled]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleKind:
    """One rule of the closed list. Exactly one parameter of ``one_of`` must be given, when there are any."""

    name: str
    compile: Compiler
    takes: frozenset[FieldType] = frozenset({FieldType.TEXT})
    gives: FieldType = FieldType.TEXT
    columns: Columns = Columns.ONE
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    one_of: tuple[str, ...] = ()


def _is_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)
