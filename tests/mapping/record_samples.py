"""Rows and records that the tests of the record side share. Names and numbers are made up; check digits are right."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import polars as pl

from gateway.catalog.loader import Library, load_catalogs
from gateway.catalog.model import Catalog
from gateway.mapping.loader import load_source_mappings
from gateway.mapping.model import SourceMapping
from gateway.mapping.plan import RecordPlan

MAPPINGS = Path(__file__).parent.parent.parent / "mappings"
COMPANY = "91230500MA1B3N1N2M"
AUTHORITY = "11230500001755309F"
PLACEHOLDER = "00000000000000000X"
PERSON = "11010519491231002X"

LICENSE: Mapping[str, str | None] = {
    "XK_XDR_MC": "双鸭山智慧城市运营有限公司",
    "XK_XDR_LB": "法人及非法人组织",
    "XK_XDR_SHXYM": COMPANY,
    "XK_FRDB": "王某",
    "XK_XKWS": "道路运输经营许可决定书",
    "XK_WSH": "黑森交许〔2019〕1号",
    "XK_XKLB": "普通",
    "XK_NR": "许可从事道路普通货物运输",
    "XK_JDRQ": "2019-09-01",
    "XK_YXQZ": "2019-09-05",
    "XK_YXQZI": "2020-09-22",
    "XK_XKJG": "双鸭山市交通运输局",
    "XK_XKJGDM": AUTHORITY,
    "XK_ZT": "1",
    "XK_LYDW": "双鸭山市交通运输局",
    "XK_LYDWDM": AUTHORITY,
}

PENALTY: Mapping[str, str | None] = {
    "CF_XDR_MC": "双鸭山智慧城市运营有限公司",
    "CF_XDR_LB": "法人及非法人组织",
    "CF_XDR_SHXYM": COMPANY,
    "CF_FRDB": "王某",
    "CF_WSH": "黑森交罚〔2023〕1号",
    "CF_WFXW": "未取得许可擅自从事道路货物运输",
    "CF_SY": "车辆在林区公路被查获",
    "CF_YJ": "《中华人民共和国道路运输条例》第六十三条",
    "CF_CFLB": "罚款",
    "CF_NR": "罚款2000元",
    "CF_NR_FK": "0.2",
    "CF_JDRQ": "2023-06-01",
    "CF_YXQ": "2026-06-01",
    "CF_GSJZQ": "2024-06-01",
    "CF_CFJG": "双鸭山市交通运输局",
    "CF_CFJGDM": AUTHORITY,
    "CF_SJLY": "双鸭山市交通运输局",
    "CF_SJLYDM": AUTHORITY,
}


@cache
def library() -> Library:
    return load_catalogs(MAPPINGS)


def catalog(name: str) -> Catalog:
    return library().catalogs[name]


@cache
def mappings() -> Mapping[str, SourceMapping]:
    return load_source_mappings(MAPPINGS, library())


@cache
def plan(mapping: str) -> RecordPlan:
    found = mappings()[mapping]
    return RecordPlan(found, catalog(found.catalog), library())


def local(mapping: str, *rows: Mapping[str, object]) -> pl.DataFrame:
    """Rows as a source would give them, all columns text, ``@row`` counted from 1."""
    columns = mappings()[mapping].headings or mappings()[mapping].columns()
    return pl.DataFrame(
        {
            "@row": [f"第 {number} 行" for number in range(1, len(rows) + 1)],
            **{column: pl.Series([row.get(column) for row in rows], dtype=pl.String) for column in columns},
        }
    )


def licenses(*changes: Mapping[str, object]) -> pl.DataFrame:
    """One good licence row for each of ``changes``, with its own number, changed."""
    rows = [{**LICENSE, "XK_WSH": f"黑森交许〔2019〕{n}号", **change} for n, change in enumerate(changes, start=1)]
    return local("credit-2018-permits", *rows)


def penalties(*changes: Mapping[str, object]) -> pl.DataFrame:
    """One good penalty row for each of ``changes``, with its own number, changed."""
    rows = [{**PENALTY, "CF_WSH": f"黑森交罚〔2023〕{n}号", **change} for n, change in enumerate(changes, start=1)]
    return local("credit-2018-penalties", *rows)


def told(problems: pl.DataFrame) -> list[tuple[str, str, str]]:
    """Problems as (row, field, code)."""
    return [(row["@row"], row["field"], row["code"]) for row in problems.to_dicts()]
