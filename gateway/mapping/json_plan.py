"""One template of a JSON format compiled: canonical records → texts by place → documents, each held against the receiver's schema.

The texts of a record travel in its sealed body; :meth:`JsonPlan.carry` makes the receiver's documents of them again, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import polars as pl

from gateway.catalog.loader import Library
from gateway.catalog.model import Catalog, Weight
from gateway.errors import MappingError
from gateway.mapping.batch_facts import SOME_BATCH, BatchFacts
from gateway.mapping.canonical import canonical_schema
from gateway.mapping.columns import Cells
from gateway.mapping.conditions import all_hold
from gateway.mapping.document import Documents, Rendered
from gateway.mapping.fields_plan import fields_body
from gateway.mapping.format_model import RECORDS
from gateway.mapping.json_level import JsonLevel, JsonRow
from gateway.mapping.json_model import JsonFormat, JsonTemplate, pointer
from gateway.mapping.json_schema import JsonRefusal
from gateway.mapping.json_value import branch_of, json_bytes
from gateway.mapping.problems import PROBLEMS, no_problems, value_class
from gateway.package.fields import Fields

__all__ = ["JsonPlan"]

_CHUNK: Final = 1_000
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Made:
    """A record that may go out so far."""

    row: str | None
    key: str
    texts: JsonRow
    value: object


class JsonPlan:
    """The compiled way from a catalog's records to one template, and from sealed bodies to its documents. Any thread may use it."""

    def __init__(self, fmt: JsonFormat, template: JsonTemplate, library: Library) -> None:
        self.format = fmt
        self.template = template
        self.catalog: Catalog = library.catalogs[template.catalog]
        self._record = JsonLevel(template, None, self.catalog, library)
        self._outside = [leaf for leaf in template.leaves if not template.in_record(leaf.steps)]
        self._around = Cells([leaf.column for leaf in self._outside], self.catalog, library)
        self._fields = {leaf.steps: leaf.column.field for leaf in template.leaves if leaf.column.field is not None}

    def belongs(self) -> pl.Expr:
        """Whether a record belongs into the template."""
        return all_hold(self.template.when, self.catalog)

    def bodies(self, records: pl.DataFrame, facts: BatchFacts) -> Rendered:
        """The ``Fields`` bodies of those of ``records`` (canonical, with ``@key`` and perhaps ``@row``) that belong into the template."""
        # What is not known yet stands around the records alone; the schema is asked as if it were some batch's.
        some = replace(facts, id=SOME_BATCH.id, sequence=SOME_BATCH.sequence)
        made, problems = self._made(records, some)
        texts = [fields_body(self.template.id, self._record.named(one.texts)) for one in made]
        schema = {"@key": pl.String, "body": pl.String}
        frame = pl.DataFrame({"@key": [one.key for one in made], "body": texts}, schema=schema)
        return Rendered(frame=frame, problems=problems)

    def documents(self, records: pl.DataFrame, facts: BatchFacts) -> Documents:
        """Those of ``records`` that belong into the template as documents: as many in one as its array takes, or one each.

        Raises MappingError ``json-gate-refused`` when the schema refuses what stands around the records.
        """
        made, problems = self._made(records, facts)
        parts = list(_parts(made, self.most))
        documents = self._documents([[one.value for one in part] for part in parts], facts)
        keys = (tuple(one.key for one in part) for part in parts)
        return Documents(documents=tuple(zip(documents, keys, strict=True)), problems=problems)

    def knows(self, body: Fields) -> bool:
        """Whether every text of a sealed body has a place in the template, and nothing gets lost when it is carried."""
        return dict(self._record.named(self._record.row(body.texts))) == dict(body.texts)

    def carry(self, bodies: Iterable[Fields], facts: BatchFacts) -> tuple[tuple[bytes, int], ...]:
        """The documents of sealed ``bodies`` of this template, each with the number of records in it. The same bodies and facts make the
        same bytes.

        Raises MappingError ``json-gate-refused``.
        """
        parts = list(_parts([self._record.value(self._record.row(body.texts)) for body in bodies], self.most))
        return tuple(zip(self._documents(parts, facts), map(len, parts), strict=True))

    @property
    def most(self) -> int | None:
        """How many records a document takes; None: any number."""
        return 1 if self.template.records is None else self.template.most

    def _made(self, records: pl.DataFrame, facts: BatchFacts) -> tuple[list[_Made], pl.DataFrame]:
        """The records that may go out, and why others may not."""
        row = pl.col("@row") if "@row" in records.columns else pl.lit(None, dtype=pl.String)
        taken = records.filter(self.belongs()).select(row.alias("@row"), "@key", *canonical_schema(self.catalog))
        batch = facts.frame(taken.height).row(0, named=True)
        rows, bad, told = self._record.fill(
            taken.with_columns(pl.lit(value).alias(one) for one, value in batch.items())
        )
        good = [
            _Made(row, key, texts, self._record.value(texts))
            for (row, key), texts, wrong in zip(taken.select("@row", "@key").iter_rows(), rows, bad, strict=True)
            if not wrong
        ]
        refused: list[dict[str, object]] = []
        made: list[_Made] = []
        for part in _parts(good, min(_CHUNK, self.most or _CHUNK)):
            against = self._against(part, facts)
            made += (one for place, one in enumerate(part) if place not in against)
            refused += (self._problem(part[place], one) for place in sorted(against) for one in against[place])
        problems = _told(refused)
        return made, pl.concat([told, problems])

    def _against(self, part: Sequence[_Made], facts: BatchFacts) -> Mapping[int, list[JsonRefusal]]:
        """What the schema has against records, by their place in ``part``."""
        found, rest = self._judged([one.value for one in part], facts)
        if rest and len(part) > 1:
            # What cannot be laid at one record's door is looked for in each by itself.
            for place, one in enumerate(part):
                alone, around = self._judged([one.value], facts)
                if place not in found and (alone or around):
                    found[place] = alone.get(0, around)
        elif rest and not found:
            found[0] = rest
        return found

    def _judged(
        self, values: Sequence[object], facts: BatchFacts
    ) -> tuple[dict[int, list[JsonRefusal]], list[JsonRefusal]]:
        """What the schema has against a document of ``values``: by the record, and what names none."""
        base = self.template.records
        found: dict[int, list[JsonRefusal]] = {}
        rest: list[JsonRefusal] = []
        document = self._document(values, facts)
        for one in self.template.schema.refusals(document):
            inside = one.path[len(base)] if base is not None and len(one.path) > len(base) else None
            if base is None:
                found.setdefault(0, []).append(one)
            elif one.path[: len(base)] == base and isinstance(inside, int):
                path = (*base, *one.path[len(base) + 1 :])
                told = JsonRefusal(path=path, code=one.code, expected=one.expected, value=one.value)
                found.setdefault(inside, []).append(told)
            elif one.path != base or one.code not in {"rows-few", "rows-many"}:
                # How many records a document holds is not known yet.
                rest.append(one)
        return found, rest

    def _documents(self, parts: Sequence[Sequence[object]], facts: BatchFacts) -> Iterator[bytes]:
        for values in parts:
            document = self._document(values, facts)
            first = next(iter(self.template.schema.refusals(document)), None)
            if first is not None:
                facts_ = {"format": self.format.id, "path": pointer(first.path), "code": first.code}
                raise MappingError("json-gate-refused", **facts_)
            yield json_bytes(document)

    def _document(self, values: Sequence[object], facts: BatchFacts) -> object:
        """The document around records."""
        template = self.template
        if template.records is None:
            return values[0]
        if not template.records:
            return list(values)
        frame = pl.DataFrame({"@row": [None], "@key": [None]}, schema={"@row": pl.String, "@key": pl.String})
        wide, _, _ = self._around.fill(pl.concat([frame, facts.frame(len(values))], how="horizontal"))
        texts = [wide.item(0, f"@cell:{place}") for place in range(len(self._outside))]
        branch = branch_of(template, (), self._outside, {RECORDS: template.records})
        return branch.value(self._outside, (texts, {RECORDS: values}))[0]

    def _problem(self, one: _Made, refusal: JsonRefusal) -> dict[str, object]:
        names = tuple(step for step in refusal.path if isinstance(step, str))
        return {
            "@row": one.row,
            "@key": one.key,
            "field": self._fields.get(names, ""),
            "source": pointer(refusal.path),
            "code": refusal.code,
            "weight": Weight.REJECT.value,
            "value_class": refusal.value if isinstance(refusal.value, str) else None,
            "expected": refusal.expected,
        }


def _told(refused: Sequence[Mapping[str, object]]) -> pl.DataFrame:
    """Problems, the value itself replaced by its class."""
    if not refused:
        return no_problems()
    frame = pl.DataFrame(refused, schema=PROBLEMS)
    described = value_class(pl.col("value_class").fill_null(""))
    return frame.with_columns(pl.when(pl.col("value_class").is_not_null()).then(described).otherwise(pl.lit("")))


def _parts(values: Sequence[_T], most: int | None) -> Iterator[Sequence[_T]]:
    for start in range(0, len(values), most or max(1, len(values))):
        yield values[start : start + (most or len(values))]
