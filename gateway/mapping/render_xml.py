"""Records as XML text, a whole frame at a time: one element a record, on one line, whose bytes stand alone.

The text is put together by column expressions along the outline, in schema order (with `concat_str`: `format` of polars 2.1
panics on a column whose first chunk is empty, which a filter can leave behind). Every record declares the
namespaces it uses, so that it means the same inside a batch and by itself. Line ends and tabs are written as
references: a parser would otherwise change them (XML 1.0 §2.11, §3.3.3), and a record is one line.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from html import escape
from typing import Final

import polars as pl

from gateway.mapping.format_model import Format, WhenEmpty
from gateway.mapping.outline import Cluster, Node, Rows, Slot
from gateway.mapping.presence import filled, stands
from gateway.mapping.schema import XSI, Model, local_name, namespace_of

__all__ = ["XmlWriter", "escaped", "rows_column", "unsafe"]

_ESCAPES: Final = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",  # also in `]]>`, which may not stand in text
    '"': "&quot;",
    "\t": "&#9;",
    "\n": "&#10;",
    "\r": "&#13;",
}


_UNSAFE: Final = r"[\x00-\x1F&<>\"\x{FFFE}\x{FFFF}]"
"""What must be escaped, and what XML 1.0 cannot carry at all (surrogates cannot come up in a text column)."""


def unsafe(value: pl.Expr) -> pl.Expr:
    """Whether a text cannot stand in a document as it is."""
    return value.str.contains(_UNSAFE)


def escaped(value: pl.Expr) -> pl.Expr:
    """A text as it stands between tags or in an attribute's double quotes."""
    return value.str.replace_many(list(_ESCAPES), list(_ESCAPES.values()))


def rows_column(part: str) -> str:
    """Where the elements of the rows of ``part`` stand, joined; null for none."""
    return f"@xml:{part}"


class XmlWriter:
    """Compiles an outline into text expressions over the columns that hold its leaves: one for each of its levels."""

    def __init__(self, outline: Node, fmt: Format) -> None:
        self._outline = outline
        self._prefixes = _prefixes(outline, fmt)

    def expression(self, node: Node, values: Mapping[int, pl.Expr], *, declared: bool) -> pl.Expr:
        """The element of ``node``. ``values[slot.index]`` is a leaf's text, escaped; null where there is nothing to write.

        ``declared`` says that it stands by itself and names every namespace of the outline.
        """
        return self._element(node, values, self._declarations() if declared else "")

    def _element(self, node: Node, values: Mapping[int, pl.Expr], declarations: str = "") -> pl.Expr:
        if not node.name:
            # The group of a row, which stands wherever its row does.
            return pl.concat_str([pl.lit(""), *(self._member(one, values) for one in node.members)], ignore_nulls=True)
        name = self._name(node.tag)
        as_type = f' {self._name(f"{{{XSI}}}type")}="{self._name(node.as_type)}"' if node.as_type else ""
        declarations += as_type
        nil = node.text is not None and node.text.blank_is_nil
        if node.text is not None and not node.attributes and not declarations and not nil:
            # The usual leaf: a null text makes the whole element null, which is how it is left out.
            return pl.concat_str(pl.lit(f"<{name}>"), _content(node.text, values), pl.lit(f"</{name}>"))
        inner = [self._member(member, values) for member in node.members]
        if node.text is not None:
            inner = [_content(node.text, values)]
        attributes = [self._attribute(slot, values) for slot in node.attributes]
        if node.text is not None and nil:
            said = pl.lit(f' {self._name(f"{{{XSI}}}nil")}="true"')
            attributes.append(pl.when(values[node.text.index].is_null()).then(said))
        start = [pl.lit(f"<{name}{declarations}"), *attributes, pl.lit(">")]
        whole = pl.concat_str([*start, *inner, pl.lit(f"</{name}>")], ignore_nulls=True)
        # The element of a row stands wherever its row does.
        when = stands(node, values)
        return whole if when is None else pl.when(when).then(whole)

    def _attribute(self, slot: Slot, values: Mapping[int, pl.Expr]) -> pl.Expr:
        return pl.concat_str(pl.lit(f' {self._name(slot.name)}="'), _content(slot, values), pl.lit('"'))

    def _member(self, member: Node | Cluster | Rows, values: Mapping[int, pl.Expr]) -> pl.Expr:
        if isinstance(member, Rows):
            return pl.col(rows_column(member.part))
        if isinstance(member, Node):
            return self._element(member, values)
        parts = [self._member(inner, values) for inner in member.members]
        if member.model is Model.CHOICE:
            chosen = zip(member.members, parts, strict=True)
            parts = [pl.when(filled(inner, values)).then(part) for inner, part in chosen]
        whole = pl.concat_str(parts, ignore_nulls=True)
        when = stands(member, values)
        return whole if when is None else pl.when(when).then(whole)

    def _name(self, name: str) -> str:
        prefix = self._prefixes[namespace_of(name)]
        return f"{prefix}:{local_name(name)}" if prefix else local_name(name)

    def _declarations(self) -> str:
        """The namespaces of the record. ``xmlns=""`` frees elements without a namespace from what stands around the record."""
        return "".join(
            f' xmlns{":" if prefix else ""}{prefix}="{escape(namespace)}"'
            for namespace, prefix in self._prefixes.items()
            if namespace or "" in _namespaces(self._outline)
        )


def _content(slot: Slot, values: Mapping[int, pl.Expr]) -> pl.Expr:
    value = values[slot.index]
    return value.fill_null("") if slot.leaf.when_empty is WhenEmpty.BLANK else value


def _prefixes(outline: Node, fmt: Format) -> Mapping[str, str]:
    """Namespace → prefix for all names of the outline. The record's own namespace goes without one where it can.

    It cannot when elements without a namespace stand in the record (they need the empty prefix), and attributes never
    can.
    """
    elements, attributes = _namespaces(outline), _attribute_namespaces(outline)
    given = {XSI: "xsi"} | {namespace: prefix for prefix, namespace in fmt.prefixes.items() if prefix}
    own = namespace_of(outline.name)
    prefixes = {"": ""}
    for number, namespace in enumerate(dict.fromkeys([own, *elements, *attributes])):
        if namespace:
            bare = namespace == own and "" not in elements and own not in attributes
            prefixes[namespace] = "" if bare else given.get(namespace) or _new_prefix(number, given.values())
    return prefixes


def _new_prefix(number: int, taken: Collection[str]) -> str:
    prefix = f"n{number}"
    while prefix in taken:
        prefix += "n"
    return prefix


def _namespaces(node: Node) -> list[str]:
    """The namespaces of the element names, in document order."""
    own = [namespace_of(node.name), *([namespace_of(node.as_type)] if node.as_type else [])]
    return [*own, *(found for inner in node.elements() for found in _namespaces(inner))]


def _attribute_namespaces(node: Node) -> list[str]:
    own = [namespace_of(slot.name) for slot in node.attributes if namespace_of(slot.name)]
    own += [XSI] if node.as_type or (node.text is not None and node.text.blank_is_nil) else []
    return [*own, *(found for inner in node.elements() for found in _attribute_namespaces(inner))]
