"""Rows of a source brought together into records that hold parts, and records laid out again as rows to be checked.

Rows of one key are one record. What stands once must be said alike in all of them; a part's rows are told apart by its key, and one that
is said again (because another part has more rows) counts once. A record is good when all its rows are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import polars as pl

from gateway.catalog.model import Catalog, Weight
from gateway.mapping.canonical import canonical_schema, flat_schema
from gateway.mapping.conditions import part_stands
from gateway.mapping.parts import rows_of
from gateway.mapping.problems import PROBLEMS

__all__ = ["gathered", "spread"]

_FIRST: Final = "@first"


def gathered(
    wide: pl.DataFrame, problems: pl.DataFrame, catalog: Catalog, sources: Mapping[str, str]
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Records, problems and bad records of ``wide``: flat rows in their order with ``@row``, ``@key``, ``@unit`` and ``@bad``.

    A record has the ``@row`` of its first row, and so have the problems of all its rows. ``sources`` tells a field's columns.
    """
    keyed = wide.filter(pl.col("@key").is_not_null())
    keyed = keyed.with_columns(pl.col("@row").first().over("@key").alias(_FIRST), pl.col("@bad").any().over("@key"))
    disagreeing = pl.concat(list(_disagreements(keyed.filter(~pl.col("@bad")), catalog, sources)))
    keyed = keyed.with_columns(pl.col("@bad") | pl.col("@key").is_in(disagreeing["@key"].unique().to_list()))
    firsts = keyed.unique("@key", keep="first", maintain_order=True)
    good = keyed.filter(~pl.col("@bad"))
    records = firsts.filter(~pl.col("@bad"))
    for part in catalog.parts_within(None):
        records = records.join(_packed(good, part.name, catalog), on="@key", how="left", maintain_order="left")
    reserved = ("@row", "@key", "@unit")
    bad = pl.concat([firsts.filter("@bad").select(reserved), wide.filter(pl.col("@key").is_null()).select(reserved)])
    told = pl.concat([_retold(problems, keyed, catalog), disagreeing])
    return records.select(*canonical_schema(catalog), *reserved), told, bad


def spread(canonical: pl.DataFrame, catalog: Catalog) -> pl.DataFrame:
    """A canonical frame with ``@row`` as flat rows: one for what stands once in a record, then one for each row of each part."""
    levels: dict[str | None, pl.DataFrame] = {None: canonical}
    flat = flat_schema(catalog)
    for part in catalog.parts:
        levels[part.name] = rows_of(levels[part.within], part.name)
    laid = (
        frame.select("@row", *(pl.col(name) for name in flat if name in frame.columns)) for frame in levels.values()
    )
    whole = pl.concat([pl.DataFrame(schema={**flat, "@row": pl.String()}), *laid], how="diagonal")
    return whole.select(*flat, "@row")


def _packed(rows: pl.DataFrame, part: str, catalog: Catalog) -> pl.DataFrame:
    """``part`` as one list of structs for each row of what it stands in, beside that row's key."""
    outer = _keys(catalog, catalog.part(part).within)
    own = _keys(catalog, part)
    fields = [field.name for field in catalog.fields_of(part)]
    found = rows.filter(part_stands(part, catalog)).unique(own, keep="first", maintain_order=True)
    found = found.select(list(dict.fromkeys([*own, *fields])))
    inner = [one.name for one in catalog.parts_within(part)]
    for name in inner:
        found = found.join(_packed(rows, name, catalog), on=own, how="left", maintain_order="left")
    return found.group_by(outer, maintain_order=True).agg(pl.struct([*fields, *inner]).alias(part))


def _keys(catalog: Catalog, part: str | None) -> list[str]:
    """What tells the rows of ``part`` apart: the record's key, then those of the parts that lead to it."""
    return ["@key", *(name for step in catalog.chain(part) for name in catalog.part(step).key)]


def _disagreements(rows: pl.DataFrame, catalog: Catalog, sources: Mapping[str, str]) -> Iterator[pl.DataFrame]:
    """Records whose rows say different things of what stands once, a problem for each such field."""
    yield pl.DataFrame(schema=PROBLEMS)
    yield from _different(rows, ["@key"], [field.name for field in catalog.fields_of(None)], sources)
    for part in catalog.parts:
        standing = rows.filter(part_stands(part.name, catalog))
        names = [field.name for field in catalog.fields_of(part.name)]
        yield from _different(standing, _keys(catalog, part.name), names, sources)


def _different(
    rows: pl.DataFrame, keys: Sequence[str], names: Sequence[str], sources: Mapping[str, str]
) -> Iterator[pl.DataFrame]:
    compared = [name for name in names if name not in keys]
    counted = rows.group_by(keys, maintain_order=True).agg(
        pl.col(_FIRST).first().alias("@row"), *(pl.col(name).n_unique() for name in compared)
    )
    for name in compared:
        found = counted.filter(pl.col(name) > 1).unique("@key", keep="first", maintain_order=True)
        if not found.is_empty():
            told = {"field": name, "source": sources.get(name, ""), "code": "rows-disagree"}
            told |= {"weight": Weight.REJECT.value, "value_class": "", "expected": ""}
            yield found.select("@row", "@key", *(pl.lit(value).alias(key) for key, value in told.items()))


def _retold(problems: pl.DataFrame, keyed: pl.DataFrame, catalog: Catalog) -> pl.DataFrame:
    """Problems told of records. One of a part's row names that row; what is wrong with what stands once is told once."""
    if problems.is_empty():
        return problems
    once = [field.name for field in catalog.fields_of(None)]
    found = problems.join(keyed.select("@row", _FIRST), on="@row", how="left", maintain_order="left")
    inner = pl.col(_FIRST).is_not_null() & (pl.col(_FIRST) != pl.col("@row")) & ~pl.col("field").is_in(once)
    named = pl.when(inner).then(pl.concat_str("source", pl.lit(" @ "), "@row")).otherwise("source")
    found = found.with_columns(named.alias("source"), pl.coalesce(_FIRST, "@row").alias("@row"))
    return found.select(PROBLEMS.names()).unique(maintain_order=True)
