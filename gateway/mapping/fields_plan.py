"""One catalog's records as ``Fields`` bodies: for formats of sheets and tables, whose shape knows no schema of records.

What a body holds are exactly the texts that the receiver's shape will show. A carrier puts them into that shape at each attempt; nothing
is worked out anew then, so the same package makes the same file or rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import polars as pl

from gateway.catalog.loader import Library
from gateway.catalog.model import Catalog, Condition, Weight
from gateway.errors import MappingError
from gateway.mapping.batch_facts import BatchFacts
from gateway.mapping.columns import ColumnsPlan, cell_column
from gateway.mapping.document import Rendered
from gateway.mapping.format_model import BatchFact, Format, WhenEmpty
from gateway.mapping.problems import PROBLEMS
from gateway.mapping.render_xml import escaped
from gateway.mapping.schema import load_schema
from gateway.mapping.sheet_model import SheetColumn
from gateway.package.characters import escape
from gateway.package.fields import FIELDS

__all__ = [
    "UNTOLD",
    "BodiesPlan",
    "FieldsFormat",
    "FieldsPlan",
    "FieldsTemplate",
    "fields_body",
    "fields_format",
]

_SCHEMA: Final = "fields-1.xsd"
UNTOLD: Final = frozenset({BatchFact.ID, BatchFact.SEQUENCE, BatchFact.COUNT})
"""What a record cannot tell of its batch: a record that is sent again as it was stands in another one."""


class FieldsTemplate(Protocol):
    """A sheet or a table that takes those of a catalog's records for which ``when`` holds."""

    @property
    def id(self) -> str:
        """Its name in the format's folder."""
        ...

    @property
    def catalog(self) -> str:
        """The catalog's id."""
        ...

    @property
    def when(self) -> tuple[Condition, ...]:
        """Which records belong into it."""
        ...

    @property
    def columns(self) -> tuple[SheetColumn, ...]:
        """Its columns in order."""
        ...


class FieldsFormat(Protocol):
    """A format of sheets or tables."""

    @property
    def id(self) -> str:
        """The format's id."""
        ...

    @property
    def version(self) -> str:
        """The format's version."""
        ...

    @property
    def templates(self) -> Sequence[FieldsTemplate]:
        """Its templates, of all catalogs."""
        ...

    @property
    def texts(self) -> Mapping[str, bytes]:
        """The bytes of format.toml and of every binding by path in the folder."""
        ...


class BodiesPlan(Protocol):
    """What makes the bodies of one template."""

    def belongs(self) -> pl.Expr:
        """Whether a record belongs into the template."""
        ...

    def bodies(self, records: pl.DataFrame, facts: BatchFacts) -> Rendered:
        """The bodies of those of ``records`` that belong into it."""
        ...


class FieldsPlan:
    """The compiled way from a catalog's records to bodies. Any thread may use it."""

    def __init__(
        self,
        fmt: FieldsFormat,
        catalog: Catalog,
        library: Library,
        zone: str,
        plan_of: Callable[[FieldsTemplate], BodiesPlan] | None = None,
    ) -> None:
        """Compile; ``zone`` is where an instant becomes a calendar day, ``plan_of`` compiles templates that are no plain columns.

        Raises MappingError ``format-without-catalog`` when the format has no template for the catalog, ``fields-batch-fact`` when a column
        tells what a record cannot tell.
        """
        self._templates = [one for one in fmt.templates if one.catalog == catalog.id]
        if not self._templates:
            raise MappingError("format-without-catalog", format=fmt.id, catalog=catalog.id)
        for template in self._templates:
            for column in template.columns:
                if column.batch in UNTOLD:
                    raise MappingError("fields-batch-fact", format=fmt.id, column=column.heading, fact=column.batch)
        self._zone = ZoneInfo(zone)
        compiled = plan_of or (lambda one: _ColumnBodies(one, catalog, library))
        self._plans = [compiled(one) for one in self._templates]
        self.digest = _digest(fmt, self._templates, library)

    def render(self, records: pl.DataFrame, facts: BatchFacts) -> Rendered:
        """The bodies of ``records``, a canonical frame with ``@key`` and ``@row``, in their order.

        A record belongs into exactly one template; one that does not is a problem, ``template-none`` or ``template-several``.
        """
        told = replace(facts, created_at=facts.created_at.astimezone(self._zone))
        homes = pl.sum_horizontal(plan.belongs().cast(pl.UInt32) for plan in self._plans)
        counted = records.with_columns(homes.alias("@homes"))
        sound = records.filter(counted["@homes"] == 1)
        parts: list[pl.DataFrame] = []
        problems = [_homeless(counted.filter(pl.col("@homes") != 1))]
        for plan in self._plans:
            made = plan.bodies(sound, told)
            problems.append(made.problems)
            parts.append(made.frame)
        bodies = pl.concat(parts)
        frame = records.select("@key").join(bodies, on="@key", how="inner", maintain_order="left")
        return Rendered(frame=frame, problems=pl.concat(problems))


class _ColumnBodies:
    """A template of plain columns."""

    def __init__(self, template: FieldsTemplate, catalog: Catalog, library: Library) -> None:
        self._template = template
        self._plan = ColumnsPlan(template.columns, template.when, catalog, library)

    def belongs(self) -> pl.Expr:
        return self._plan.belongs()

    def bodies(self, records: pl.DataFrame, facts: BatchFacts) -> Rendered:
        filled = self._plan.fill(records, facts)
        frame = filled.good.select("@key", _body(self._template).alias("body"))
        return Rendered(frame=frame, problems=filled.problems)


def _fields_start(template: str) -> str:
    """The start tag of a body."""
    return f'<Fields xmlns="{FIELDS}" template="{escape(template, place="template")}">'


def _field_start(name: str) -> str:
    """The start tag of a field."""
    return f'<Field name="{escape(name, place="Field/@name")}">'


def fields_body(template: str, named: Iterable[tuple[str, str]]) -> str:
    """A body of texts under their names."""
    fields = (f"{_field_start(name)}{escape(text, place=name)}</Field>" for name, text in named)
    return f"{_fields_start(template)}{''.join(fields)}</Fields>"


def _body(template: FieldsTemplate) -> pl.Expr:
    parts = [pl.lit(_fields_start(template.id))]
    for place, column in enumerate(template.columns):
        start = _field_start(column.heading)
        text = escaped(pl.col(cell_column(place)))
        if column.when_empty is WhenEmpty.BLANK:
            text = text.fill_null("")
        parts.append(pl.concat_str(pl.lit(start), text, pl.lit("</Field>")))
    return pl.concat_str([*parts, pl.lit("</Fields>")], ignore_nulls=True)


def _homeless(frame: pl.DataFrame) -> pl.DataFrame:
    """Records that belong into no template, or into several."""
    code = pl.when(pl.col("@homes") == 0).then(pl.lit("template-none")).otherwise(pl.lit("template-several"))
    columns = {
        "@row": pl.col("@row") if "@row" in frame.columns else pl.lit(None, dtype=pl.String),
        "@key": pl.col("@key"),
        "code": code,
        "weight": pl.lit(Weight.REJECT.value),
    }
    return frame.select((columns.get(name, pl.lit(""))).cast(kind).alias(name) for name, kind in PROBLEMS.items())


def _digest(fmt: FieldsFormat, templates: Sequence[FieldsTemplate], library: Library) -> str:
    """SHA-256 (hex) over what decides how a record is written: lines ``<hex> <name>`` of format.toml, the catalog's templates, the schemas,
    and the crosswalks that they use."""
    schemas = [path for path in fmt.texts if path.endswith(".json")]
    paths = ["format.toml", *(f"bindings/{one.id}.toml" for one in templates), *schemas]
    rules = [rule for one in templates for column in one.columns for rule in column.rules]
    used = sorted({str(rule.parameters["crosswalk"]) for rule in rules if "crosswalk" in rule.parameters})
    lines = [f"{hashlib.sha256(fmt.texts[path]).hexdigest()} {path}" for path in sorted(paths)]
    lines += [f"{library.files[f'codelists/crosswalks/{name}.csv']} crosswalk {name}" for name in used]
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


@cache
def fields_format(format_id: str, version: str) -> Format:
    """The schema of ``Fields`` as that of a format, for its gate."""
    folder = Path(str(resources.files("gateway.package") / "schemas"))
    schema = load_schema(folder, _SCHEMA)
    return Format(
        id=format_id,
        version=version,
        zh=format_id,
        en=format_id,
        standard=FIELDS,
        schema_file=_SCHEMA,
        schema=schema,
        prefixes={"": FIELDS},
        facts=(),
        bindings={},
        texts={_SCHEMA: (folder / _SCHEMA).read_bytes()},
    )
