"""One catalog's records as documents of one format, compiled once: canonical frame → bodies, and bodies → canonical frame.

Out: every leaf's text is made in a column, judged there against the facets of its type and the demands of its place,
and only records without a problem are rendered. In: every body is parsed safely, passes libxml2, and is read back
along the same binding. A bad record is a problem in both directions, never an exception.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import polars as pl

from gateway.catalog.loader import Library
from gateway.catalog.model import Catalog, Weight
from gateway.errors import MappingError
from gateway.mapping.canonical import canonical_schema
from gateway.mapping.explain import Explanation
from gateway.mapping.facets import forbidden_characters
from gateway.mapping.format_model import Binding, Format
from gateway.mapping.gate import Gate
from gateway.mapping.leaf_plan import LeafPlan, compile_leaf
from gateway.mapping.model import ProblemExpr
from gateway.mapping.outline import outline_of
from gateway.mapping.presence import gaps
from gateway.mapping.problems import PROBLEMS, no_problems, value_class
from gateway.mapping.read_xml import XmlReader
from gateway.mapping.render_xml import XmlWriter, escaped, unsafe
from gateway.mapping.safe_xml import parse_safely
from gateway.mapping.telling import Flag, tell

__all__ = ["DocumentPlan", "ReadBack", "Rendered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """``frame`` has ``@key`` and ``body`` (the record's element, one line) of the records that may go out, in their
    order; ``problems`` (schema :data:`gateway.mapping.problems.PROBLEMS`) say why the others may not.
    """

    frame: pl.DataFrame
    problems: pl.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """``records`` are the bodies that could be read: the canonical columns and ``@row``; ``problems`` the others', and notices."""

    records: pl.DataFrame
    problems: pl.DataFrame


class DocumentPlan:
    """The compiled way between one catalog and one format. Any thread may use it."""

    def __init__(self, fmt: Format, catalog: Catalog, library: Library) -> None:
        """Compile. Raises MappingError ``format-without-catalog`` when the format has no binding for the catalog."""
        binding = fmt.bindings.get(catalog.id)
        if binding is None:
            raise MappingError("format-without-catalog", format=fmt.id, catalog=catalog.id)
        self.format = fmt
        self.catalog = catalog
        self.digest = _digest(fmt, binding, library)
        self._outline = outline_of(fmt.schema.roots[binding.root], binding.leaves)
        leaves = (compile_leaf(slot, catalog, library.crosswalks) for slot in self._outline.slots())
        self.leaves = tuple(sorted(leaves, key=lambda leaf: leaf.slot.index))
        self._texts = [pl.col(leaf.column) for leaf in self.leaves]
        self._root = fmt.shown(self._outline.name)
        self._writer = XmlWriter(self._outline, fmt)
        self._writing = list(_writing_flags(self.leaves))
        self._judging = [*_judging_flags(self.leaves), *self._gap_flags()]
        self._gate = Gate(fmt)
        self._targets = {leaf.field.name: leaf.target for leaf in reversed(self.leaves) if leaf.field is not None}
        self._fields = {
            fmt.shown(*leaf.slot.leaf.steps): leaf.field.name for leaf in self.leaves if leaf.field is not None
        }

    def target(self, field: str) -> str:
        """The target's name for a catalog field; the field's own name when the format does not carry it."""
        return self._targets.get(field, field)

    def render(self, records: pl.DataFrame) -> Rendered:
        """The bodies of ``records``, a canonical frame with ``@key`` and, for problems to name, ``@row``."""
        row = pl.col("@row") if "@row" in records.columns else pl.lit(None, dtype=pl.String)
        taken = records.lazy().select(row.alias("@row"), "@key", *canonical_schema(self.catalog))
        wide = taken.with_columns(
            *(leaf.written.value.alias(leaf.column) for leaf in self.leaves),
            *(when.alias(flag.column) for flag, when in self._writing),
        ).collect()
        # Few columns ever hold a sign that XML must escape: looking first costs less than escaping all.
        found = wide.select(unsafe(pl.col(leaf.column)).any() for leaf in self.leaves).row(0, named=True)
        judging = [*self._judging, *_character_flags(leaf for leaf in self.leaves if found[leaf.column])]
        # Lazily, so that what several checks of one text share is worked out once.
        wide = wide.lazy().with_columns(when.alias(flag.column) for flag, when in judging).collect()
        raised = _raised(wide, [flag for flag, _ in (*self._writing, *judging)])
        problems = no_problems()
        if raised:
            bad = pl.any_horizontal([flag.column for flag in raised])
            problems = tell(wide.filter(bad), raised, _silenced(raised))
            wide = wide.filter(~bad)
        texts = [escaped(pl.col(leaf.column)) if found[leaf.column] else pl.col(leaf.column) for leaf in self.leaves]
        return Rendered(frame=wide.select("@key", body=self._writer.expression(texts)), problems=problems)

    def read(self, bodies: Sequence[bytes], rows: Sequence[str] | None = None) -> ReadBack:
        """The records in ``bodies``. ``rows`` are their names in ``@row``; without them the positions 0, 1, 2 …

        A record that libxml2 refuses, or whose value is none of the catalog's type, is among the problems and not
        among the records. What a record holds beyond the binding is a notice.
        """
        names = list(rows) if rows is not None else [str(position) for position in range(len(bodies))]
        reader = XmlReader(self._outline, len(self.leaves), len(bodies))
        refused: list[tuple[int, Explanation]] = []
        taken = [False] * len(bodies)
        for position, body in enumerate(bodies):
            explanations = self._take(body, position, reader)
            taken[position] = not explanations
            refused += ((position, explanation) for explanation in explanations)
        wide = pl.DataFrame(
            [
                pl.Series("@row", names, dtype=pl.String),
                pl.Series("@key", [None] * len(names), dtype=pl.String),
                pl.Series("@taken", taken, dtype=pl.Boolean),
                *(pl.Series(leaf.column, reader.columns[leaf.slot.index], dtype=pl.String) for leaf in self.leaves),
            ]
        )
        return self._read(wide, self._told(refused, reader.extra, names))

    def _read(self, wide: pl.DataFrame, told: pl.DataFrame) -> ReadBack:
        """Texts to canonical values, with what was found wrong before and what is found wrong now."""
        reading = {leaf.field.name: leaf for leaf in reversed(self.leaves) if leaf.field is not None}
        flags = list(_reading_flags(reading.values()))
        wide = wide.with_columns(
            *(leaf.read.value.alias(name) for name, leaf in reading.items() if leaf.read is not None),
            *(when.alias(flag.column) for flag, when in flags),
        )
        raised = _raised(wide, [flag for flag, _ in flags])
        bad = pl.any_horizontal([~pl.col("@taken"), *(flag.column for flag in raised)])
        columns = [
            pl.col(name).cast(kind) if name in reading else pl.lit(None, dtype=kind).alias(name)
            for name, kind in canonical_schema(self.catalog).items()
        ]
        return ReadBack(
            records=wide.filter(~bad).select(*columns, "@row"),
            problems=pl.concat([told, tell(wide, raised, {})]),
        )

    def _take(self, body: bytes, position: int, reader: XmlReader) -> tuple[Explanation, ...]:
        """Read ``body`` into the reader's row, or say why it is refused."""
        try:
            element = parse_safely(body)
        except MappingError:
            return (Explanation(target=self._root, code="schema-violation", expected="XML 1.0, UTF-8"),)
        if element.tag != self._outline.name:
            return (
                Explanation(target=self.format.shown(str(element.tag)), code="schema-violation", expected=self._root),
            )
        if not self._gate.accepts(element):
            return self._gate.explain(element)
        reader.read(element, position)
        return ()

    def _told(
        self, refused: Iterable[tuple[int, Explanation]], extra: Iterable[tuple[int, str]], names: Sequence[str]
    ) -> pl.DataFrame:
        """What the reading of the bodies found, as problems."""
        rejections = (
            {
                "@row": names[position],
                "field": self._fields.get(explanation.target, ""),
                "source": explanation.target,
                "code": explanation.code,
                "weight": Weight.REJECT.value,
                "value_class": explanation.value_class,
                "expected": explanation.expected,
            }
            for position, explanation in refused
        )
        notices = (
            {
                "@row": names[position],
                "field": "",
                "source": self.format.shown(name),
                "code": "element-not-taken",
                "weight": Weight.NOTICE.value,
                "value_class": "",
                "expected": "",
            }
            for position, name in extra
        )
        return pl.DataFrame([*rejections, *notices], schema=PROBLEMS)

    def _gap_flags(self) -> Iterable[tuple[Flag, pl.Expr]]:
        by_index = {leaf.slot.index: leaf for leaf in self.leaves}
        for place, gap in enumerate(gaps(self._outline, self._texts)):
            leaf = by_index[gap.slot.index]
            flag, when = _flag(leaf, f"!gap:{place}", gap.problem, value_class(pl.col(leaf.column)))
            yield replace(flag, source=gap.named), when


def _digest(fmt: Format, binding: Binding, library: Library) -> str:
    """SHA-256 (hex) over the format's digest and the crosswalks that the binding uses; a line ``<hex> <name>`` each."""
    rules = [rule for leaf in binding.leaves for rule in leaf.rules]
    used = sorted({str(rule.parameters["crosswalk"]) for rule in rules if "crosswalk" in rule.parameters})
    lines = [f"{fmt.digest(binding.catalog)} format"]
    lines += [f"{library.files[f'codelists/crosswalks/{name}.csv']} crosswalk {name}" for name in used]
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def _writing_flags(leaves: Iterable[LeafPlan]) -> Iterable[tuple[Flag, pl.Expr]]:
    """What the rules of the binding refuse, told of the catalog's value."""
    for leaf in leaves:
        for place, problem in enumerate(leaf.written.problems):
            described = pl.lit("") if leaf.field is None else value_class(pl.col(leaf.field.name), leaf.field.type)
            yield _flag(leaf, f"!{leaf.slot.index}:{place}", problem, described)


def _judging_flags(leaves: Iterable[LeafPlan]) -> Iterable[tuple[Flag, pl.Expr]]:
    """What the schema refuses, told of the text that would stand in the document."""
    for leaf in leaves:
        for place, problem in enumerate(leaf.checks):
            yield _flag(leaf, f"?{leaf.slot.index}:{place}", problem, value_class(pl.col(leaf.column)))


def _character_flags(leaves: Iterable[LeafPlan]) -> Iterable[tuple[Flag, pl.Expr]]:
    for leaf in leaves:
        text = pl.col(leaf.column)
        yield _flag(leaf, f"?{leaf.slot.index}:c", forbidden_characters(text), value_class(text))


def _reading_flags(leaves: Iterable[LeafPlan]) -> Iterable[tuple[Flag, pl.Expr]]:
    """What cannot be read as the catalog's type although the schema lets it stand."""
    for leaf in leaves:
        if leaf.read is not None:
            for place, problem in enumerate(leaf.read.problems):
                yield _flag(leaf, f"!{leaf.slot.index}:{place}", problem, value_class(pl.col(leaf.column)))


def _flag(leaf: LeafPlan, column: str, problem: ProblemExpr, described: pl.Expr) -> tuple[Flag, pl.Expr]:
    flag = Flag(
        column=column,
        field=leaf.field.name if leaf.field is not None else "",
        source=leaf.target,
        code=problem.code,
        weight=Weight.REJECT,
        expected=problem.expected,
        described=described,
    )
    return flag, problem.when.fill_null(value=False)


def _raised(wide: pl.DataFrame, flags: Sequence[Flag]) -> list[Flag]:
    """The flags that are true anywhere."""
    truths = wide.select(pl.col([flag.column for flag in flags]).any()).row(0, named=True) if flags else {}
    return [flag for flag in flags if truths[flag.column]]


def _silenced(raised: Sequence[Flag]) -> dict[str, list[str]]:
    """A value that its rule refused is gone: it is not missing as well."""
    refused: dict[str, list[str]] = {}
    for flag in raised:
        if flag.column.startswith("!") and not flag.column.startswith("!gap"):
            refused.setdefault(flag.field, []).append(flag.column)
    return {flag.column: refused.get(flag.field, []) for flag in raised if flag.column.startswith("!gap")}
