"""Our own format and records for it, as the tests of the document side share them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path

import polars as pl

from gateway.catalog.loader import Library, load_catalogs
from gateway.mapping.canonical import canonical_schema
from gateway.mapping.document import DocumentPlan
from gateway.mapping.format_loader import load_format
from gateway.mapping.format_model import Format
from gateway.package.batch import build_batch
from gateway.package.forms import Node
from gateway.package.header import BatchDraft, FormatReference
from gateway.package.record import Operation, record_line

MAPPINGS = Path(__file__).parent.parent.parent / "mappings"
CREDIT = MAPPINGS / "formats" / "credit-2018"
LICENSE = "administrative-license"
PENALTY = "administrative-penalty"
NAMESPACE = "urn:credit-exchange:credit-2018"

# Both after rows that a platform in Heilongjiang published, the person's name made up.
SAMPLES: Mapping[str, Mapping[str, object]] = {
    LICENSE: {
        "subject_name": "双鸭山智慧城市运营有限公司",
        "subject_kind": "法人及非法人组织",
        "subject_code": "91230500MA1B3N1N2M",
        "legal_representative": "测试甲",
        "document_name": "双环许可证书2019",
        "document_number": "双环许可2019",
        "license_kind": "普通",
        "content": "许可开展智慧城市建设",
        "decided_on": date(2019, 9, 1),
        "valid_from": date(2019, 9, 5),
        "valid_to": date(2099, 12, 31),
        "authority_name": "双鸭山市交通运输局",
        "authority_code": "11230500001755309F",
        "status": "1",
        "source_unit_name": "双鸭山市交通运输局",
        "source_unit_code": "11230500001755309F",
    },
    PENALTY: {
        "subject_name": "双鸭山智慧城市运营有限公司",
        "subject_kind": "法人及非法人组织",
        "subject_code": "91230500MA1B3N1N2M",
        "legal_representative": "测试甲",
        "document_number": "市场【2019】1号",
        "violation_kind": "违反相关产品准入市场规定",
        "violation_facts": "违反相关产品准入市场规定",
        "legal_basis": "依据《行业准入规定》",
        "penalty_kinds": "罚款",
        "content": "罚款2000元",
        "fine_amount": Decimal("0.2"),
        "decided_on": date(2019, 10, 10),
        "valid_to": date(2020, 10, 17),
        "publicity_until": date(2020, 10, 10),
        "authority_name": "双鸭山市公安局",
        "authority_code": "11230500001755309F",
        "source_unit_name": "双鸭山市公安局",
        "source_unit_code": "11230500001755309F",
    },
}


@cache
def library() -> Library:
    return load_catalogs(MAPPINGS)


@cache
def credit_format() -> Format:
    return load_format(CREDIT, library())


@cache
def credit_plan(catalog: str = LICENSE) -> DocumentPlan:
    return DocumentPlan(credit_format(), library().catalogs[catalog], library())


def records(catalog: str, *changes: Mapping[str, object]) -> pl.DataFrame:
    """A good record for each of ``changes``, changed; ``@row`` and ``@key`` are its position."""
    schema = canonical_schema(library().catalogs[catalog])
    rows = [
        {**dict.fromkeys(schema), **SAMPLES[catalog], **change, "@row": str(index), "@key": str(index)}
        for index, change in enumerate(changes)
    ]
    return pl.DataFrame(rows, schema={**schema, "@row": pl.String(), "@key": pl.String()})


def bodies(catalog: str, *changes: Mapping[str, object]) -> list[str]:
    """The rendered records, all of which must be good."""
    rendered = credit_plan(catalog).render(records(catalog, *changes))
    assert rendered.problems.is_empty(), rendered.problems
    return rendered.frame["body"].to_list()


def batch(records: Sequence[str | bytes]) -> bytes:
    """A whole batch document around bodies."""
    lines = [record_line(f"k{index}", 1, Operation.UPSERT, body) for index, body in enumerate(records)]
    draft = BatchDraft(
        batch_id="01900000-0000-7000-8000-000000000001",
        sequence=1,
        previous_batch_id=None,
        sender=Node(code="11230000000000019J", name="甲局"),
        receiver=Node(code="11230700001001013H", name="乙局"),
        catalog=LICENSE,
        format=FormatReference(id="credit-2018", version="1"),
        mapping_digest="0" * 64,
        created_at=datetime(2026, 11, 22, tzinfo=UTC),
        salt=bytes(32),
    )
    return build_batch(draft, lines).xml
