"""A catalog made up for tests whose records hold parts: orders with lines, lines with deliveries, and orders with contacts beside them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from gateway.catalog.loader import Library, load_catalogs
from gateway.mapping.loader import load_source_mapping
from gateway.mapping.plan import RecordPlan

CATALOG = """
id = "orders"
version = "1"
zh = "订单"
en = "Orders"
standard = "none"
subject_kinds = ["法人及非法人组织"]
key = ["number"]
unit = "unit"
deadline = { field = "ordered_on", working_days = 7 }

[parts.lines]
zh = "行"
en = "Lines"
key = ["line"]

[parts.deliveries]
zh = "交货"
en = "Deliveries"
key = ["delivered_on"]
within = "lines"

[parts.contacts]
zh = "联系人"
en = "Contacts"
key = ["contact"]

[fields.number]
zh = "订单号"
en = "Number"
type = "text"
required = true
disclosure = "public"

[fields.unit]
zh = "单位"
en = "Unit"
type = "text"
required = true
disclosure = "public"

[fields.ordered_on]
zh = "日期"
en = "Ordered on"
type = "date"
required = true
disclosure = "public"

[fields.note]
zh = "备注"
en = "Note"
type = "text"
disclosure = "public"

[fields.line]
zh = "行号"
en = "Line"
type = "integer"
part = "lines"
required = true
disclosure = "public"

[fields.price]
zh = "价格"
en = "Price"
type = "decimal"
precision = 10
scale = 2
part = "lines"
required = true
disclosure = "public"

[fields.delivered_on]
zh = "交货日期"
en = "Delivered on"
type = "date"
part = "deliveries"
required = true
disclosure = "public"

[fields.place]
zh = "交货地点"
en = "Place"
type = "text"
part = "deliveries"
max_length = 10
disclosure = "public"

[fields.contact]
zh = "联系人"
en = "Contact"
type = "text"
part = "contacts"
required = true
disclosure = "government"

[rules.in-order]
kind = "order"
fields = ["ordered_on", "delivered_on"]
weight = "reject"
"""
KINDS = "code,zh,en,valid_from,valid_to,note\n法人及非法人组织,法人及非法人组织,Organisation,,,\n"
REGIMES = "[regimes]\n"
COLUMNS = ("NO", "UNIT", "DAY", "NOTE", "LINE", "PRICE", "DELIVERED", "PLACE", "CONTACT")
_RULES = {"DAY": '["date"]', "DELIVERED": '["date"]', "LINE": '["integer"]', "PRICE": '["decimal"]'}
_FIELDS = ("number", "unit", "ordered_on", "note", "line", "price", "delivered_on", "place", "contact")
_ONCE = {"number", "unit", "ordered_on"}
MAPPING = 'id = "order-rows"\nversion = "1"\nzh = "订单"\nen = "Orders"\ncatalog = "orders"\n' + "".join(
    f'\n[fields.{field}]\ncolumn = "{column}"\nrules = {_RULES.get(column, "[]")}\n'
    f'empty = "{"reject" if field in _ONCE else "leave"}"\n'
    for field, column in zip(_FIELDS, COLUMNS, strict=True)
)
ROW: Mapping[str, str] = {"NO": "A1", "UNIT": "11230500001755309F", "DAY": "2026-03-02"}


def write_mappings(folder: Path, catalog: str = CATALOG) -> Path:
    """The smallest mappings folder that holds the catalog and a source mapping for it."""
    texts = {
        "catalogs/orders.toml": catalog,
        "codelists/subject-kinds.csv": KINDS,
        "codelists/working-days.csv": "date,working,note\n",
        "codelists/publicity-regimes.toml": REGIMES,
        "sources/order-rows.toml": MAPPING,
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return folder


@cache
def library() -> Library:
    with TemporaryDirectory() as folder:
        return load_catalogs(write_mappings(Path(folder)))


@cache
def plan() -> RecordPlan:
    with TemporaryDirectory() as folder:
        home = write_mappings(Path(folder))
        mapping = load_source_mapping(home / "sources" / "order-rows.toml", library())
    return RecordPlan(mapping, library().catalogs["orders"], library())


def rows(*changes: Mapping[str, str]) -> pl.DataFrame:
    """Rows of the source, each the first one changed; ``@row`` counts from 1."""
    told = [
        {**dict.fromkeys(COLUMNS), **ROW, **change, "@row": str(number)}
        for number, change in enumerate(changes, start=1)
    ]
    return pl.DataFrame(told, schema={**dict.fromkeys(COLUMNS, pl.String), "@row": pl.String})
