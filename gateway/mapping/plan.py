"""A source mapping and its catalog compiled once: a frame of local rows in, canonical records and every problem out.

First the rules of every field, value by value; then what an empty value means; then the catalog's checks. Each way of being wrong is
one boolean column; only rows with a true one are looked at again, to tell what is wrong with them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from gateway.catalog.loader import Library
from gateway.catalog.model import Catalog, FieldType, Weight
from gateway.errors import MappingError
from gateway.mapping.canonical import canonical_schema, canonical_text, flat_schema
from gateway.mapping.checks import Check, compile_checks
from gateway.mapping.conditions import part_stands
from gateway.mapping.field_plan import FieldPlan, compile_field, intake_name
from gateway.mapping.gather import gathered, spread
from gateway.mapping.headings import find_columns
from gateway.mapping.intake import take_in
from gateway.mapping.model import EmptyPolicy, SourceMapping
from gateway.mapping.problems import value_class
from gateway.mapping.rules_text import blank_to_null
from gateway.mapping.telling import Flag, tell
from gateway.mapping.values import ValueWork, work_out

__all__ = ["Mapped", "RecordPlan"]

_RESERVED = ("@row", "@key", "@unit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """What became of a chunk: of its rows, or of the records that several rows make up where the catalog has parts.

    ``records`` are the good rows: the canonical columns, then ``@row``, ``@key``, ``@unit``. ``problems`` (schema
    :data:`gateway.mapping.problems.PROBLEMS`) are all problems of all rows, notices of good rows among them. ``bad`` has
    ``@row``, ``@key``, ``@unit`` of each row that is not among the records, once; ``@key`` is null where the row's key
    cannot be told.
    """

    records: pl.DataFrame
    problems: pl.DataFrame
    bad: pl.DataFrame


class RecordPlan:
    """The compiled way into one catalog; without a mapping (a receiver's plan) its checks alone.

    ``digest`` is the SHA-256, in hex, of every text that decides the outcome.
    """

    def __init__(
        self, mapping: SourceMapping | None, catalog: Catalog, library: Library, *, time_zone: str = "Asia/Shanghai"
    ) -> None:
        """Compile. Raises MappingError ``mapping-other-catalog`` when ``mapping`` is for another catalog."""
        if mapping is not None and mapping.catalog != catalog.id:
            raise MappingError("mapping-other-catalog", mapping=mapping.id, got=mapping.catalog, expected=catalog.id)
        self.mapping = mapping
        self.catalog = catalog
        self.digest = _digest(mapping, catalog, library)
        self.fields: tuple[FieldPlan, ...] = ()
        if mapping is not None:
            self.fields = tuple(
                compile_field(item, catalog.field(item.field), library.crosswalks, time_zone) for item in mapping.fields
            )
        self._time_zone = time_zone
        self._schema = flat_schema(catalog)
        self._sources = sources = {plan.field.name: plan.source for plan in self.fields}
        self._checks = tuple(
            (check, _check_flag(f"?{number}", check, catalog, sources))
            for number, check in enumerate(compile_checks(catalog, library))
        )
        self._rule_flags = tuple(flag for plan in self.fields for flag in _rule_flags(plan))
        self._mapping_works = tuple(self._mapping_work(plan) for plan in self.fields)
        self._checking_works = tuple(
            self._checking_work(field.name, field.type is FieldType.TEXT) for field in catalog.fields
        )

    def fields_by_column(self) -> Mapping[str, str]:
        """The catalog field that each source column serves first."""
        return {column: plan.field.name for plan in reversed(self.fields) for column in plan.mapping.columns}

    def key_columns(self) -> tuple[str, ...]:
        """The source columns that the record's key is made of; rows that are alike in them are of one record."""
        fields = (plan.mapping for plan in self.fields if plan.field.name in self.catalog.key)
        return tuple(dict.fromkeys(column for item in fields for column in item.columns))

    def map(self, frame: pl.DataFrame) -> Mapped:
        """The rows of ``frame`` (the source's columns and ``@row``) as records.

        Raises MappingError ``column-missing`` or ``column-ambiguous`` when the mapping's columns are not there: the source
        has changed, and no row of it can be right.
        """
        if self.mapping is None:
            raise ValueError("a plan without a mapping only checks")
        taken, flags = self._taken_in(frame, self.mapping)
        worked, raised = work_out(taken, self._mapping_works)
        wide = pl.concat([taken, worked], how="horizontal")
        flags += [flag for flag in self._rule_flags if flag.column in raised]
        wide, missing = self._emptied(wide, flags)
        wide, problems = self._judged(wide, [*flags, *missing], raised)
        if self.catalog.parts:
            records, problems, bad = gathered(wide, problems, self.catalog, self._sources)
            return Mapped(records=records, problems=problems, bad=bad)
        return self._told_apart(wide, problems)

    def check(self, canonical: pl.DataFrame) -> Mapped:
        """The catalog's checks over a canonical frame, its own ``@row`` kept; columns that it lacks count as empty."""
        present, schema = set(canonical.columns), canonical_schema(self.catalog)
        columns = [_column(name, kind, present) for name, kind in schema.items()]
        row = (pl.col("@row") if "@row" in present else pl.lit("")).cast(pl.String).alias("@row")
        frame = canonical.with_columns(*columns, row).select(*schema, "@row")
        rows = spread(frame, self.catalog) if self.catalog.parts else frame
        worked, raised = work_out(rows, self._checking_works)
        wide, problems = self._judged(rows.with_columns(worked), [], raised)
        if self.catalog.parts:
            # Every record is the first of its own rows; it is good when none of them is bad.
            judged = wide.with_columns(pl.col("@bad").any().over("@row")).unique(
                "@row", keep="first", maintain_order=True
            )
            parts = [part.name for part in self.catalog.parts_within(None)]
            wide = judged.join(frame.select("@row", *parts), on="@row", how="left", maintain_order="left")
            problems = problems.unique(maintain_order=True)
        return self._told_apart(wide, problems)

    def texts(self, frame: pl.DataFrame) -> pl.DataFrame:
        """What the rules begin with: ``@row`` and the mapping's columns as text, named by ``intake_name``. Raises as :meth:`map`."""
        if self.mapping is None:
            raise ValueError("a plan without a mapping only checks")
        return self._taken_in(frame, self.mapping)[0]

    def _mapping_work(self, plan: FieldPlan) -> ValueWork:
        name = plan.field.name
        own, own_flags = self._own_checks(name)
        inputs = tuple(intake_name(column) for column in plan.mapping.columns)
        flags = tuple(flag.column for flag in _rule_flags(plan))
        return ValueWork(name=name, inputs=inputs, stages=(*plan.stages(), own), flags=(*flags, *own_flags))

    def _checking_work(self, name: str, text: bool) -> ValueWork:
        own, flags = self._own_checks(name)
        cleaned = blank_to_null(pl.col(name)).alias(name) if text else pl.col(name)
        return ValueWork(name=name, inputs=(name,), stages=((cleaned,), own), flags=flags)

    def _own_checks(self, name: str) -> tuple[tuple[pl.Expr, ...], tuple[str, ...]]:
        """What a field's value shows by itself, as boolean columns, and their names."""
        own = [
            (check.own, flag.column) for check, flag in self._checks if check.field == name and check.own is not None
        ]
        return tuple(expression.alias(column) for expression, column in own), tuple(column for _, column in own)

    def _taken_in(self, frame: pl.DataFrame, mapping: SourceMapping) -> tuple[pl.DataFrame, list[Flag]]:
        """The mapping's columns as text, with a flag for each field of a column that holds unreadable values."""
        found = find_columns(mapping.columns(), frame.columns, mapping.id)
        columns = [frame["@row"].cast(pl.String)]
        unreadable: dict[str, str] = {}
        for wanted, name in found.items():
            intake = take_in(frame[name], self._time_zone)
            columns.append(intake.text.alias(intake_name(wanted)))
            if intake.unreadable is not None and intake.unreadable.any():
                unreadable[wanted] = f"!:{wanted}"
                columns.append(intake.unreadable.alias(unreadable[wanted]))
        flags = [
            _flag(unreadable[column], plan, "column-unreadable", "")
            for plan in self.fields
            for column in plan.mapping.columns
            if column in unreadable
        ]
        return pl.DataFrame(columns), flags

    def _emptied(self, wide: pl.DataFrame, flags: Sequence[Flag]) -> tuple[pl.DataFrame, list[Flag]]:
        """What the mapping says of empty values, and the fields that it does not name as nulls."""
        missing: list[Flag] = []
        columns: list[pl.Expr] = []
        absent: list[pl.Expr] = []
        for plan in self.fields:
            name = plan.field.name
            refusals = [flag.column for flag in flags if flag.field == name]
            refused = pl.any_horizontal(refusals) if refusals else pl.lit(value=False)
            if plan.mapping.empty.policy is EmptyPolicy.VALUE:
                columns.append(plan.filled(refused).alias(name))
            elif plan.mapping.empty.policy is EmptyPolicy.REJECT:
                code = "key-missing" if name in self.catalog.key else "required-missing"
                missing.append(_flag(f"!{name}:empty", plan, code, ""))
                absent.append((pl.col(name).is_null() & ~refused & self._stands(plan)).alias(missing[-1].column))
        present = set(wide.columns)
        columns += [_column(name, kind, present) for name, kind in self._schema.items() if name not in present]
        return wide.with_columns(columns).with_columns(absent), missing

    def _stands(self, plan: FieldPlan) -> pl.Expr:
        """The rows in which the field has a place."""
        part = plan.field.part
        return pl.lit(value=True) if part is None else part_stands(part, self.catalog)

    def _judged(
        self, wide: pl.DataFrame, flags: Sequence[Flag], raised: frozenset[str]
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The checks over the canonical columns of ``wide``: its rows with ``@key``, ``@unit`` and ``@bad``, and every problem."""
        checks: list[pl.Expr] = []
        told = list(flags)
        for check, flag in self._checks:
            if check.own is not None and flag.column not in raised:
                continue
            told.append(flag)
            if check.when is not None:
                both = check.when if check.own is None else pl.col(flag.column) & check.when
                checks.append(both.alias(flag.column))
        wide = wide.with_columns(self._key(), pl.col(self.catalog.unit).alias("@unit"), *checks)
        truths = wide.select(pl.col(sorted({flag.column for flag in told})).any()).row(0, named=True)
        order = {name: place for place, name in enumerate(self._schema)}
        told = sorted((flag for flag in told if truths[flag.column]), key=lambda flag: order[flag.field])
        rejecting = sorted({flag.column for flag in told if flag.weight is Weight.REJECT})
        bad = pl.any_horizontal(rejecting) if rejecting else pl.lit(value=False)
        wide = wide.with_columns(bad.alias("@bad"), self._usable_key(told))
        suspect = wide.filter(pl.any_horizontal([flag.column for flag in told])) if told else wide.clear()
        return wide.select(*self._schema, *_RESERVED, "@bad"), tell(suspect, told, _silenced(told))

    def _told_apart(self, wide: pl.DataFrame, problems: pl.DataFrame) -> Mapped:
        """Good rows and bad ones."""
        return Mapped(
            records=wide.filter(~pl.col("@bad")).select(*canonical_schema(self.catalog), *_RESERVED),
            problems=problems,
            bad=wide.filter("@bad").select(_RESERVED),
        )

    def _key(self) -> pl.Expr:
        """The key fields' texts joined; null when one of them is empty."""
        fields = [self.catalog.field(name) for name in self.catalog.key]
        texts = [canonical_text(pl.col(field.name), field) for field in fields]
        return pl.concat_str(texts, separator="|").alias("@key")

    def _usable_key(self, told: Sequence[Flag]) -> pl.Expr:
        """The key, or null where something is wrong with one of its fields: such a record must not pass for another."""
        spoilt = [flag.column for flag in told if flag.field in self.catalog.key and flag.weight is Weight.REJECT]
        return pl.when(~pl.any_horizontal(spoilt)).then("@key").alias("@key") if spoilt else pl.col("@key")


def _digest(mapping: SourceMapping | None, catalog: Catalog, library: Library) -> str:
    """SHA-256 (hex) over lines ``<sha256 hex> <name>``: the catalog's, the mapping's, those of the crosswalks it uses."""
    lines = [f"{library.digest(catalog.id)} catalog"]
    if mapping is not None:
        lines.append(f"{mapping.digest} mapping")
        rules = [rule for item in mapping.fields for rule in item.rules]
        used = {str(rule.parameters["crosswalk"]) for rule in rules if "crosswalk" in rule.parameters}
        lines += [f"{library.files[f'codelists/crosswalks/{name}.csv']} crosswalk {name}" for name in sorted(used)]
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def _rule_flags(plan: FieldPlan) -> list[Flag]:
    return [
        _flag(plan.flag_name(number, place), plan, problem.code, problem.expected)
        for number, step in enumerate(plan.steps)
        for place, problem in enumerate(step.compiled.problems)
    ]


def _flag(column: str, plan: FieldPlan, code: str, expected: str) -> Flag:
    return Flag(
        column=column,
        field=plan.field.name,
        source=plan.source,
        code=code,
        weight=Weight.REJECT,
        expected=expected,
        described=pl.lit("unreadable") if code == "column-unreadable" else value_class(plan.raw),
    )


def _check_flag(column: str, check: Check, catalog: Catalog, sources: Mapping[str, str]) -> Flag:
    return Flag(
        column=column,
        field=check.field,
        source=sources.get(check.field, ""),
        code=check.code,
        weight=check.weight,
        expected=check.expected,
        described=value_class(pl.col(check.field), catalog.field(check.field).type),
    )


def _silenced(told: Sequence[Flag]) -> Mapping[str, Sequence[str]]:
    """A check says nothing of a field that the mapping already refused: its value is gone, not wrong once more."""
    refused: dict[str, list[str]] = {}
    for flag in told:
        if flag.column.startswith("!"):
            refused.setdefault(flag.field, []).append(flag.column)
    return {flag.column: refused.get(flag.field, []) for flag in told if flag.column.startswith("?")}


def _column(name: str, kind: pl.DataType, present: set[str]) -> pl.Expr:
    return (pl.col(name) if name in present else pl.lit(None)).cast(kind).alias(name)
