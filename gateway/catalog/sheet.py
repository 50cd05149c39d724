"""Catalogs as the customary sheets of a 信用信息目录: one list of catalogs, one list of their items, one of what we ask of others.

Rows of texts; who writes them into a workbook is somebody else. The columns follow the catalog screens of platforms in use (目录名称、目录
编码、征集周期、数据类别、所属部门; 指标名称、编码、类型、长度、必填、分组、批注).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.catalog.codelists import CodeList
from gateway.catalog.demands import Demand
from gateway.catalog.model import Catalog, Disclosure, Field, FieldType

__all__ = ["Sheet", "catalog_sheets"]

_TYPES = {
    FieldType.TEXT: "字符型",
    FieldType.DATE: "日期型",
    FieldType.DECIMAL: "数值型",
    FieldType.INTEGER: "整数型",
}
DISCLOSURES = {
    Disclosure.PUBLIC: "公开",
    Disclosure.AUTHORISED: "授权查询",
    Disclosure.GOVERNMENT: "政务共享",
    Disclosure.NEVER: "不共享",
}
_EVERY = {"day": "每日", "week": "每周", "month": "每月", "year": "每年", "change": "有变化时"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One sheet: its name, its headings, its rows, every cell a text."""

    name: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def catalog_sheets(
    catalogs: Sequence[Catalog], codelists: Mapping[str, CodeList], demands: Iterable[Demand]
) -> tuple[Sheet, ...]:
    """The sheets of ``catalogs``, of the code lists that their items use, and of ``demands``. The sheets are in Chinese, as they are used."""
    used = dict.fromkeys(field.codelist for catalog in catalogs for field in catalog.fields if field.codelist)
    return (
        Sheet(
            name="目录",
            headings=(
                "序号",
                "目录名称",
                "目录编码",
                "版本",
                "数据类别",
                "信用主体",
                "归集时限",
                "主键",
                "信息项数",
                "依据",
                "备注",
            ),
            rows=tuple(_catalog_row(number, catalog) for number, catalog in enumerate(catalogs, start=1)),
        ),
        Sheet(
            name="信息项",
            headings=(
                "序号",
                "目录名称",
                "信息项名称",
                "信息项编码",
                "分组",
                "类型",
                "长度",
                "必填",
                "代码表",
                "公开属性",
                "个人信息",
                "批注",
            ),
            rows=tuple(
                _field_row(number, catalog, field)
                for catalog in catalogs
                for number, field in enumerate(catalog.fields, start=1)
            ),
        ),
        Sheet(
            name="代码表",
            headings=("代码表", "代码", "含义", "启用日期", "停用日期", "备注"),
            rows=tuple(
                (name, code.code, code.zh, str(code.valid_from or ""), str(code.valid_to or ""), code.note)
                for name in used
                for code in codelists[name].entries
            ),
        ),
        Sheet(
            name="共享需求",
            headings=("序号", "提供方", "提供方代码", "目录编码", "信息项", "用途", "更新周期", "备注"),
            rows=tuple(
                (
                    str(number),
                    demand.zh,
                    want.provider or "",
                    want.catalog,
                    "、".join(want.fields),
                    want.purpose,
                    _EVERY[want.every],
                    "项目约定" if want.profile else "",
                )
                for demand in demands
                for number, want in enumerate(demand.wants, start=1)
            ),
        ),
    )


def _catalog_row(number: int, catalog: Catalog) -> tuple[str, ...]:
    deadline = f"{catalog.field(catalog.deadline.field).zh}后{catalog.deadline.working_days}个工作日内"
    return (
        str(number),
        catalog.zh,
        catalog.id,
        catalog.version,
        catalog.category,
        "、".join(catalog.subject_kinds),
        deadline,
        "、".join(catalog.field(name).zh for name in catalog.key),
        str(len(catalog.fields)),
        catalog.standard,
        "归集时限为项目约定" if catalog.deadline.profile else "",
    )


def _field_row(number: int, catalog: Catalog, field: Field) -> tuple[str, ...]:
    note = [*(["项目约定"] if field.profile else []), *([field.note] if field.note else [])]
    return (
        str(number),
        catalog.zh,
        field.zh,
        field.name,
        catalog.part(field.part).zh if field.part else "",
        _TYPES[field.type],
        _length(field),
        "是" if field.required else "条件必填" if field.required_when else "",
        field.codelist or "",
        DISCLOSURES[field.disclosure],
        "是" if field.personal else "",
        "；".join(note),
    )


def _length(field: Field) -> str:
    if field.type is FieldType.DECIMAL:
        return f"{field.precision},{field.scale}"
    return str(field.max_length) if field.max_length is not None else ""
