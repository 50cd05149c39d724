r"""The canonical form of a record: its types in a frame, its text in the store, its digest for telling a change.

The text of a value: text itself; a date as ``yyyy-MM-dd``; a decimal in plain digits without exponent and without zeros at the end of
the fraction (``0.2``, ``12``); an integer in plain digits. A record's content is a JSON object of those texts, empty fields left out. Its
digest is SHA-256 over ``name \x1e text \x1f`` of its filled fields in order of name: independent of JSON, of this program's libraries,
and of fields that a later version of the catalog adds and that are empty. A part is a JSON array of such objects, in the order of its rows;
its text in the digest is that array.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final, assert_never

import polars as pl

from gateway.catalog.model import Catalog, Field, FieldType
from gateway.mapping.parts import NUMBER, joined, nested, rows_of
from gateway.mapping.rules_number import DIGITS, plain_decimal

__all__ = [
    "canonical_schema",
    "canonical_text",
    "canonical_type",
    "canonical_value",
    "decode",
    "encode",
    "flat_schema",
]

_NAME_END, _VALUE_END = "\x1e", "\x1f"

# RFC 8259 §7: what must be escaped in a JSON string.
_TO_ESCAPE: Final = r'[\x00-\x1f"\\]'
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\"} | {chr(code): f"\\u{code:04x}" for code in range(0x20)}


def canonical_type(field: Field) -> pl.DataType:
    """The column type of ``field`` in a canonical frame."""
    match field.type:
        case FieldType.TEXT:
            return pl.String()
        case FieldType.DATE:
            return pl.Date()
        case FieldType.DECIMAL:
            return pl.Decimal(DIGITS, field.scale or 0)
        case FieldType.INTEGER:
            return pl.Int64()
        case _:
            assert_never(field.type)


def canonical_schema(catalog: Catalog) -> Mapping[str, pl.DataType]:
    """The columns of a canonical frame, in catalog order, without the reserved ones (``@row``, ``@key``, ``@unit``).

    A part is a column ``List(Struct)`` behind the fields.
    """
    return _schema(catalog, None)


def flat_schema(catalog: Catalog) -> Mapping[str, pl.DataType]:
    """The columns of a frame with one row for each row of a source, the fields of parts among the others."""
    return {field.name: canonical_type(field) for field in catalog.fields}


def _schema(catalog: Catalog, part: str | None) -> dict[str, pl.DataType]:
    fields = {field.name: canonical_type(field) for field in catalog.fields_of(part)}
    inner = {one.name: pl.List(pl.Struct(_schema(catalog, one.name))) for one in catalog.parts_within(part)}
    return {**fields, **inner}


def canonical_text(value: pl.Expr, field: Field) -> pl.Expr:
    """A column of the canonical type of ``field`` as its text; null stays null."""
    match field.type:
        case FieldType.TEXT:
            return value
        case FieldType.DATE:
            return value.dt.to_string("%Y-%m-%d")
        case FieldType.DECIMAL:
            return plain_decimal(value, field.scale or 0)
        case FieldType.INTEGER:
            return value.cast(pl.String)
        case _:
            assert_never(field.type)


def canonical_value(text: pl.Expr, field: Field) -> pl.Expr:
    """The inverse of :func:`canonical_text`. Evaluating it on another text raises a polars error."""
    match field.type:
        case FieldType.TEXT:
            return text
        case FieldType.DATE:
            return text.str.to_date("%Y-%m-%d")
        case FieldType.DECIMAL | FieldType.INTEGER:
            return text.cast(canonical_type(field))
        case _:
            assert_never(field.type)


def encode(frame: pl.DataFrame, catalog: Catalog) -> tuple[pl.Series, list[bytes]]:
    """A canonical frame as content texts and digests, row by row. Columns that are not the catalog's are left alone."""
    texts = _texts(frame, catalog, None)
    hashed = texts.select(_joined((_hashed(name) for name in sorted(texts.columns)), separator="")).to_series()
    digests = [hashlib.sha256(text).digest() for text in hashed.cast(pl.Binary)]
    return _objects(texts, catalog, None).alias("content"), digests


def decode(content: pl.Series | Iterable[str], catalog: Catalog) -> pl.DataFrame:
    """Content texts as a canonical frame; a field that a text does not hold is null, one that the catalog does not know is dropped."""
    texts = content if isinstance(content, pl.Series) else pl.Series("content", list(content), dtype=pl.String)
    return _values(texts.cast(pl.String).str.json_decode(_written(catalog, None)).struct.unnest(), catalog, None)


def _texts(frame: pl.DataFrame, catalog: Catalog, part: str | None) -> pl.DataFrame:
    """Every field of ``part`` as its text, every part within it as a JSON array."""
    texts = frame.select(canonical_text(pl.col(field.name), field) for field in catalog.fields_of(part))
    for inner in catalog.parts_within(part):
        rows = rows_of(frame, inner.name)
        objects = _objects(_texts(rows, catalog, inner.name), catalog, inner.name)
        array = joined(pl.DataFrame([rows[NUMBER], objects.alias(inner.name)]), inner.name, frame.height, separator=",")
        whole = pl.concat_str(pl.lit("["), pl.col(inner.name), pl.lit("]"))
        texts = texts.with_columns(array).with_columns(whole.alias(inner.name))
    return texts


def _objects(texts: pl.DataFrame, catalog: Catalog, part: str | None) -> pl.Series:
    """Texts as JSON objects, empty ones left out."""
    arrays = {inner.name for inner in catalog.parts_within(part)}
    fields = [name for name in texts.columns if name not in arrays]
    # Few columns ever hold a quote or a line end: looking first costs a tenth of escaping all.
    unsafe = texts.select(pl.col(name).str.contains(_TO_ESCAPE).any() for name in fields).row(0)
    escaped = texts.with_columns(_escaped(name) for name, found in zip(fields, unsafe, strict=True) if found)
    quote = {name: "" if name in arrays else '"' for name in texts.columns}
    members = _joined(
        (pl.concat_str(pl.lit(f'"{name}":{sign}'), pl.col(name), pl.lit(sign)) for name, sign in quote.items()),
        separator=",",
    )
    return escaped.select(pl.concat_str(pl.lit("{"), members, pl.lit("}"))).to_series()


def _written(catalog: Catalog, part: str | None) -> pl.Struct:
    """What a JSON object holds: texts, and lists of such objects."""
    fields: dict[str, pl.DataType] = {field.name: pl.String() for field in catalog.fields_of(part)}
    inner = {one.name: pl.List(_written(catalog, one.name)) for one in catalog.parts_within(part)}
    return pl.Struct({**fields, **inner})


def _values(parsed: pl.DataFrame, catalog: Catalog, part: str | None) -> pl.DataFrame:
    """Texts as canonical values."""
    values = parsed.select(canonical_value(pl.col(field.name), field) for field in catalog.fields_of(part))
    for inner in catalog.parts_within(part):
        rows = rows_of(parsed, inner.name)
        read = _values(rows, catalog, inner.name)
        values = values.with_columns(
            nested(read.with_columns(rows[NUMBER]), read.columns, inner.name, parsed.height).cast(
                pl.List(pl.Struct(_schema(catalog, inner.name)))
            )
        )
    return values


def _hashed(name: str) -> pl.Expr:
    return pl.concat_str(pl.lit(f"{name}{_NAME_END}"), pl.col(name), pl.lit(_VALUE_END))


def _joined(parts: Iterable[pl.Expr], *, separator: str) -> pl.Expr:
    return pl.concat_str(list(parts), separator=separator, ignore_nulls=True)


def _escaped(name: str) -> pl.Expr:
    return pl.col(name).str.replace_many(list(_ESCAPES), list(_ESCAPES.values()))
