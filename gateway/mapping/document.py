"""One catalog's records as documents of one format, compiled once: canonical frame → bodies, and bodies → canonical frame.

Out: every leaf's text is made and judged in columns (:mod:`gateway.mapping.level`), and only records without a problem are rendered. In:
every body is parsed safely, passes libxml2, and is read back along the same binding. A bad record is a problem in both directions,
never an exception.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from gateway.catalog.loader import Library
from gateway.catalog.model import Catalog, Weight
from gateway.errors import MappingError
from gateway.mapping.batch_facts import BatchFacts
from gateway.mapping.canonical import canonical_schema, canonical_type
from gateway.mapping.explain import Explanation
from gateway.mapping.format_model import RECORDS, Binding, Document, Format
from gateway.mapping.gate import Gate, refusal
from gateway.mapping.leaf_plan import LeafPlan
from gateway.mapping.level import Level, Written, problem_flag, raised_flags
from gateway.mapping.outline import outline_of
from gateway.mapping.parts import NUMBER, nested
from gateway.mapping.presence import count_column
from gateway.mapping.problems import PROBLEMS, no_problems, value_class
from gateway.mapping.read_xml import Read, XmlReader
from gateway.mapping.render_xml import XmlWriter, rows_column
from gateway.mapping.safe_xml import parse_safely
from gateway.mapping.telling import Flag, tell

__all__ = ["DocumentPlan", "Documents", "ReadBack", "Rendered"]

_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """``frame`` has ``@key`` and ``body`` (the record's element, one line) of the records that may go out, in their
    order; ``problems`` (schema :data:`gateway.mapping.problems.PROBLEMS`) say why the others may not.
    """

    frame: pl.DataFrame
    problems: pl.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """Whole documents, each UTF-8 with its declaration and the keys of the records in it; ``problems`` as in :class:`Rendered`."""

    documents: tuple[tuple[bytes, tuple[str, ...]], ...]
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
        self._outline = outline_of(fmt.schema.roots[binding.root], binding.leaves, binding.repeat)
        self._whole = Level(self._outline, None, catalog, library, XmlWriter(self._outline, fmt))
        self.gathers = RECORDS in binding.repeat.values()
        self.record = self._whole.inner[0] if self.gathers else self._whole
        self.leaves = tuple(sorted(_leaves(self._whole), key=lambda leaf: leaf.slot.index))
        self._root = fmt.shown(self._outline.name)
        self.gate = Gate(fmt)
        self._targets = {leaf.field.name: leaf.target for leaf in reversed(self.leaves) if leaf.field is not None}
        self._fields = {
            fmt.shown(*leaf.slot.leaf.steps): leaf.field.name for leaf in self.leaves if leaf.field is not None
        }

    def target(self, field: str) -> str:
        """The target's name for a catalog field; the field's own name when the format does not carry it."""
        return self._targets.get(field, field)

    def render(self, records: pl.DataFrame, facts: BatchFacts | None = None) -> Rendered:
        """The bodies of ``records``, a canonical frame with ``@key`` and, for problems to name, ``@row``. A record that stands in a batch
        tells nothing of it: ``facts`` are for formats whose records do.

        Raises MappingError ``format-whole``: what makes whole documents has no element for a record in a batch.
        """
        del facts
        self._only_records()
        taken = self._taken(records)
        written = self.record.write(taken, declared=True)
        frame = pl.DataFrame([taken["@key"], written.texts.alias("body")]).filter(pl.col("body").is_not_null())
        return Rendered(frame=frame, problems=written.problems)

    def documents(self, records: pl.DataFrame, facts: BatchFacts) -> Documents:
        """``records`` (as in :meth:`render`) as whole documents: one for all of them where the binding says where records stand in it,
        otherwise one for each.

        Raises MappingError ``gate-refused`` when libxml2 refuses a document of which nothing was known to be wrong.
        """
        written = self.written(records, facts)
        good = pl.DataFrame([records["@key"], written.texts.alias("body")]).filter(pl.col("body").is_not_null())
        if not self.gathers:
            made = [(self.passed(body), (key,)) for key, body in good.iter_rows()]
            return Documents(documents=tuple(made), problems=written.problems)
        if good.is_empty():
            return Documents(documents=(), problems=written.problems)
        body, told = self.around(good["body"], facts)
        problems = pl.concat([written.problems, told])
        if body is None:
            return Documents(documents=(), problems=problems)
        return Documents(documents=((self.passed(body), tuple(good["@key"])),), problems=problems)

    def written(self, records: pl.DataFrame, facts: BatchFacts) -> Written:
        """``records`` (as in :meth:`render`) as elements of their own, that say of the batch what they may."""
        taken = self._taken(records)
        batch = facts.frame(taken.height if self.gathers else 1).row(0, named=True)
        around = taken.with_columns(pl.lit(value).alias(name) for name, value in batch.items())
        return self.record.write(around, declared=not self.gathers)

    def around(self, elements: pl.Series, facts: BatchFacts) -> tuple[str | None, pl.DataFrame]:
        """The document around records' ``elements``, and what is wrong with it; None where something is."""
        count = len(elements)
        around = facts.frame(count).with_columns(pl.lit("").alias("@row"), pl.lit(None, pl.String).alias("@key"))
        columns = pl.DataFrame(
            {
                rows_column(RECORDS): ["".join(elements)],
                count_column(RECORDS): pl.Series([count], dtype=pl.UInt32),
                f"{rows_column(RECORDS)}:good": [True],
            }
        )
        document = self._whole.finish(around, [(columns, no_problems())], declared=True)
        return document.texts.item(), document.problems

    @property
    def most(self) -> int | None:
        """How many records a document takes; None: any number."""
        return self._whole.rows[0].most if self.gathers else 1

    def read(self, bodies: Sequence[bytes], rows: Sequence[str] | None = None) -> ReadBack:
        """The records in ``bodies``. ``rows`` are their names in ``@row``; without them the positions 0, 1, 2 …

        A record that libxml2 refuses, or whose value is none of the catalog's type, is among the problems and not
        among the records. What a record holds beyond the binding is a notice. Raises MappingError as :meth:`render`.
        """
        self._only_records()
        names = list(rows) if rows is not None else [str(position) for position in range(len(bodies))]
        reader = XmlReader(self._outline, len(bodies))
        refused: list[tuple[int, Explanation]] = []
        taken = [False] * len(bodies)
        for position, body in enumerate(bodies):
            explanations = self._take(body, position, reader)
            taken[position] = not explanations
            refused += ((position, explanation) for explanation in explanations)
        told = [self.told(refused, reader.extra, names)]
        values, bad = self._values(self.record, reader.levels, pl.Series(names, dtype=pl.String), told)
        good = ~bad & pl.Series(taken, dtype=pl.Boolean)
        columns = values.select(
            (pl.col(name) if name in values.columns else pl.lit(None)).cast(kind).alias(name)
            for name, kind in canonical_schema(self.catalog).items()
        )
        records = columns.with_columns(pl.Series("@row", names, dtype=pl.String)).filter(good)
        return ReadBack(records=records, problems=pl.concat(told))

    def _values(
        self, level: Level, found: Mapping[str | None, Read], names: pl.Series, told: list[pl.DataFrame]
    ) -> tuple[pl.DataFrame, pl.Series]:
        """The canonical values of a level, whose rows are of the records ``names``, and which rows hold what cannot be read."""
        read = found[level.part]
        wide = pl.DataFrame(
            [
                names.alias("@row"),
                pl.Series("@key", [None] * len(names), dtype=pl.String),
                *(pl.Series(leaf.column, read.columns[leaf.slot.index], dtype=pl.String) for leaf in level.leaves),
            ]
        )
        home = [leaf for leaf in level.leaves if leaf.field is not None and leaf.field.part == level.part]
        reading = {leaf.field.name: leaf for leaf in reversed(home) if leaf.field is not None}
        flags = list(_reading_flags(reading.values()))
        wide = wide.with_columns(
            *(leaf.read.value.alias(name) for name, leaf in reading.items() if leaf.read is not None),
            *(when.alias(flag.column) for flag, when in flags),
        )
        raised = raised_flags(wide, [flag for flag, _ in flags])
        told.append(tell(wide, raised, {}))
        wide = wide.with_columns(
            pl.any_horizontal([pl.lit(value=False), *(flag.column for flag in raised)]).alias("@bad")
        )
        bad = wide["@bad"]
        kinds = {field.name: canonical_type(field) for field in self.catalog.fields_of(level.part)}
        values = wide.select(
            (pl.col(name) if name in reading else pl.lit(None)).cast(kind).alias(name) for name, kind in kinds.items()
        )
        for inner in level.inner:
            parents = pl.Series(NUMBER, found[inner.part].parents, dtype=pl.UInt32)
            below, spoilt = self._values(inner, found, names.gather(parents), told)
            rows = below.with_columns(parents)
            values = values.with_columns(nested(rows, below.columns, inner.part or "", len(names)))
            bad = bad | pl.int_range(len(names), dtype=pl.UInt32, eager=True).is_in(parents.filter(spoilt).implode())
        return values, bad

    def _taken(self, records: pl.DataFrame) -> pl.DataFrame:
        """The columns that are written: the catalog's, and the names of the records."""
        row = pl.col("@row") if "@row" in records.columns else pl.lit(None, dtype=pl.String)
        return records.select(row.alias("@row"), "@key", *canonical_schema(self.catalog))

    def _only_records(self) -> None:
        if self.format.document is Document.WHOLE:
            raise MappingError("format-whole", format=self.format.id)

    def refusals(self, body: str) -> tuple[Explanation, ...]:
        """What libxml2 has against a document; nothing when it accepts it."""
        element = parse_safely(body.encode())
        return () if self.gate.accepts(element) else self.gate.explain(element)

    def passed(self, body: str) -> bytes:
        """A whole document that libxml2 accepts. What one record shows was judged before; this is about records beside each other.

        Raises MappingError ``gate-refused``.
        """
        if refused := self.refusals(body):
            raise refusal(self.format.id, refused[0])
        return _DECLARATION + body.encode() + b"\n"

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
        if not self.gate.accepts(element):
            return self.gate.explain(element)
        reader.read(element, position)
        return ()

    def told(
        self,
        refused: Iterable[tuple[int, Explanation]],
        extra: Iterable[tuple[int, str]],
        names: Sequence[str | None],
        keys: Sequence[str] = (),
    ) -> pl.DataFrame:
        """What was found in bodies by their place, as problems: ``refused`` and, as notices, ``extra``. ``names`` are their ``@row``, ``keys``
        their ``@key`` where that is known."""
        rejections = (
            {
                "@row": names[position],
                "@key": keys[position] if keys else None,
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


def _digest(fmt: Format, binding: Binding, library: Library) -> str:
    """SHA-256 (hex) over the format's digest and the crosswalks that the binding uses; a line ``<hex> <name>`` each."""
    rules = [rule for leaf in binding.leaves for rule in leaf.rules]
    used = sorted({str(rule.parameters["crosswalk"]) for rule in rules if "crosswalk" in rule.parameters})
    lines = [f"{fmt.digest(binding.catalog)} format"]
    lines += [f"{library.files[f'codelists/crosswalks/{name}.csv']} crosswalk {name}" for name in used]
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def _leaves(level: Level) -> Iterator[LeafPlan]:
    for one in level.all():
        yield from one.leaves


def _reading_flags(leaves: Iterable[LeafPlan]) -> Iterable[tuple[Flag, pl.Expr]]:
    """What cannot be read as the catalog's type although the schema lets it stand."""
    for leaf in leaves:
        if leaf.read is not None:
            for place, problem in enumerate(leaf.read.problems):
                field = leaf.field.name if leaf.field is not None else ""
                described = value_class(pl.col(leaf.column))
                yield problem_flag(field, leaf.target, f"!{leaf.slot.index}:{place}", problem, described)
