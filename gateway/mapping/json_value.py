"""A record's texts as a JSON value, and values as bytes: the same texts always make the same bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from gateway.mapping.json_model import JsonKind, JsonLeaf, JsonTemplate

__all__ = ["NUMBER", "Branch", "Row", "branch_of", "json_bytes", "leaf_value"]

NUMBER: Final = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$"
"""RFC 8259 §6 without an exponent."""

Row = tuple[Sequence[str | None], Mapping[str, Sequence[object]]]
"""The texts of a level's leaves, in its order, and the finished rows of the parts directly in it."""


@dataclass(slots=True)
class Branch:
    """An object of the document. ``required`` says that it stands wherever its parent does; a member is a leaf by its number in the level,
    an object, or the name of the part whose rows it holds."""

    required: bool
    members: dict[str, Branch | int | str] = field(default_factory=dict)

    def value(self, leaves: Sequence[JsonLeaf], row: Row) -> tuple[dict[str, object] | None, bool]:
        """The object, None where it does not stand; and whether anything in it comes from the record."""
        texts, parts = row
        out: dict[str, object] = {}
        alive, bound = False, False
        for name, member in self.members.items():
            if isinstance(member, Branch):
                inner, lives = member.value(leaves, row)
                bound = bound or not member.only_fixed(leaves)
                if inner is not None:
                    out[name] = inner
                alive = alive or lives
            elif isinstance(member, str):
                bound, rows = True, list(parts.get(member, ()))
                if rows:
                    out[name], alive = rows, True
            else:
                leaf, text = leaves[member], texts[member]
                bound = bound or not leaf.fixed
                if text is not None:
                    out[name] = leaf_value(leaf, text)
                    alive = alive or not leaf.fixed
        return (out if alive or self.required or not bound else None), alive

    def only_fixed(self, leaves: Sequence[JsonLeaf]) -> bool:
        """Whether nothing in it comes from the record."""
        return all(
            member.only_fixed(leaves)
            if isinstance(member, Branch)
            else isinstance(member, int) and leaves[member].fixed
            for member in self.members.values()
        )


def branch_of(
    template: JsonTemplate, base: tuple[str, ...], leaves: Sequence[JsonLeaf], arrays: Mapping[str, tuple[str, ...]]
) -> Branch:
    """The object at ``base`` with the ``leaves`` and the ``arrays`` of parts that stand once in it, in the order of the binding."""
    root = Branch(required=True)
    placed: list[tuple[tuple[str, ...], int | str]] = [(leaf.steps, number) for number, leaf in enumerate(leaves)]
    placed += [(path, part) for part, path in arrays.items()]
    for steps, member in placed:
        here, path = root, base
        for step in steps[len(base) : -1]:
            path = (*path, step)
            inner = here.members.setdefault(step, Branch(required=path in template.demanded))
            if not isinstance(inner, Branch):
                raise TypeError(step)
            here = inner
        here.members[steps[-1]] = member
    return root


def leaf_value(leaf: JsonLeaf, text: str) -> object:
    """A leaf's text as what stands in the document. A text that is none of the leaf's kind stays a string, which the schema refuses."""
    if text == "":
        return None if leaf.nullable else ""
    match leaf.kind:
        case JsonKind.NUMBER if re.fullmatch(NUMBER, text):
            return Decimal(text) if "." in text else int(text)
        case JsonKind.BOOLEAN if text in {"true", "false"}:
            return text == "true"
        case JsonKind.LIST:
            return [one for one in text.split(leaf.separator) if one]
        case _:
            return text


def json_bytes(value: object) -> bytes:
    """UTF-8, one line, members in their order, numbers digit by digit as they were."""
    return (_text(value) + "\n").encode()


def _text(value: object) -> str:
    match value:
        case Mapping():
            return "{" + ",".join(f"{_text(str(name))}:{_text(inner)}" for name, inner in value.items()) + "}"
        case list():
            return "[" + ",".join(map(_text, value)) + "]"
        case bool() | None | str() | int():
            return json.dumps(value, ensure_ascii=False)
        case Decimal():
            return f"{value:f}"
        case _:
            raise TypeError(type(value).__name__)
