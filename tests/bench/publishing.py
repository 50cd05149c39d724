"""The publication site: so many decisions from nothing, beside a loop that writes the same bytes into the same number of files."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Final

from gateway.catalog.loader import Library
from gateway.package.batch import build_batch, parse_batch
from gateway.package.header import BatchDraft
from gateway.package.record import Operation, record_line
from gateway.site.folder import SiteFolder
from gateway.site.publisher import NAMESPACE, Publisher
from gateway.site.rendering import Pages
from gateway.site.shelf import Shelf
from tests.bench.figures import Deadline, Figure, Meter
from tests.package.samples import draft

__all__ = ["measure_site"]

_CATALOG: Final = "administrative-penalty"
_AT_ONCE: Final = 5_000
_DAYS: Final = 1_000  # three years of decisions are in their period at the most


def measure_site(folder: Path, library: Library, count: int, *, deadline: Deadline) -> Figure:
    """Publish ``count`` decisions in batches of 5,000, newest month last, as a bureau's first run would."""
    meter = Meter("publish on the site, every page", peer="write the same files, as many", unit="decisions")
    pages = Pages(title="双公示", owner="示例", catalogs=library.catalogs, shown=(_CATALOG,))
    publisher = Publisher(shelf=Shelf(folder / "site.db"), folder=SiteFolder(folder / "public"), pages=pages)
    plain = folder / "plain"
    for start in range(0, count, _AT_ONCE):
        lines = [_line(number, count) for number in range(start, min(start + _AT_ONCE, count))]
        batch = parse_batch(build_batch(_draft(start // _AT_ONCE + 1), lines).xml)
        with meter.own(len(lines)), publisher.shelf.open() as conn:
            done = publisher.publish(conn, batch, "2026-11-22")
        bytes_of = {path: (folder / "public" / path).read_bytes() for path, _, _ in done.written}
        with meter.other(len(lines)):
            beside = SiteFolder(plain)
            for path, data in bytes_of.items():
                target = plain / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
            beside.settle()
        deadline.left()
    return meter.figure()


def _draft(sequence: int) -> BatchDraft:
    ids = {number: f"0193{number:04x}-0000-7abc-8def-0123456789ab" for number in (sequence - 1, sequence)}
    previous = ids[sequence - 1] if sequence > 1 else None
    return draft(batch_id=ids[sequence], sequence=sequence, previous_batch_id=previous, catalog=_CATALOG)


def _line(number: int, count: int) -> bytes:
    day = date(2026, 11, 20) - timedelta(days=_DAYS - number * _DAYS // count)
    fields = {
        "subject_name": f"山河屯第{number}货运有限公司",
        "subject_kind": "法人及非法人组织",
        "subject_code": "91230500MA1B3N1N2M",
        "document_number": f"黑森交罚〔{day.year}〕{number}号",
        "violation_kind": "未取得道路运输经营许可擅自从事道路货物运输",
        "violation_facts": "执法人员在林区公路检查时查获，当事人承认上述事实，有现场笔录、询问笔录和照片为证。",
        "legal_basis": "《中华人民共和国道路运输条例》第六十三条",
        "penalty_kinds": "罚款",
        "content": "责令停止经营，罚款20000元",
        "fine_amount": "2",
        "decided_on": day.isoformat(),
        "valid_to": "2029-11-20",
        "publicity_until": "2029-11-20",
        "authority_name": "示例林业局交通运输局",
        "authority_code": "11230500001755309F",
        "source_unit_name": "示例林业局交通运输局",
        "source_unit_code": "11230500001755309F",
    }
    inner = "".join(f"<{name}>{text}</{name}>" for name, text in fields.items())
    return record_line(
        fields["document_number"], 1, Operation.UPSERT, f'<Penalty xmlns="{NAMESPACE}">{inner}</Penalty>'
    )
