"""A publication site in a folder, with made-up decisions on it; and a batch as it would arrive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from pathlib import Path
from xml.sax.saxutils import escape

from gateway.exchange.port import NodeInfo, Outgoing
from gateway.exchange.recorder import Recorder
from gateway.package.batch import build_batch
from gateway.package.container import BATCH
from gateway.package.record import Operation, Reason, record_line
from gateway.package.sealing import seal
from gateway.site.folder import SiteFolder
from gateway.site.publisher import NAMESPACE, Publisher
from gateway.site.rendering import Pages
from gateway.site.shelf import Shelf
from gateway.site.transport import SiteTransport
from tests.delivery.organisation import SetClock
from tests.mapping.record_samples import AUTHORITY, COMPANY, library
from tests.package.samples import NOW, RECEIVER, draft, ecdsa

CATALOGS = ("administrative-penalty", "administrative-license")
_NAMES = (
    "山河屯货运有限公司",
    "亚布力旅游客运有限公司",
    "绥棱物流有限公司",
    "带岭林区公路养护有限公司",
    "桦南汽车维修有限公司",
)
_MATTERS = ("未取得道路运输经营许可擅自从事道路货物运输", "超限运输车辆擅自行驶公路", "不按规定维护和检测运输车辆")


def penalty(number: int, **changes: str) -> dict[str, str]:
    """A penalty as the public sees it, by number: five a day from 2026-11-20 backwards."""
    day = date(2026, 11, 20) - timedelta(days=number // 5)
    return {
        "subject_name": f"{_NAMES[number % 5]}",
        "subject_kind": "法人及非法人组织",
        "subject_code": COMPANY,
        "document_number": f"黑森交罚〔{day.year}〕{number:05d}号",
        "violation_kind": _MATTERS[number % 3],
        "violation_facts": "执法人员在林区公路检查时查获，当事人承认上述事实，有现场笔录、询问笔录和照片为证。",
        "legal_basis": "《中华人民共和国道路运输条例》第六十三条",
        "penalty_kinds": "罚款",
        "content": "责令停止经营，罚款20000元",
        "fine_amount": "2",
        "decided_on": day.isoformat(),
        "valid_to": day.replace(year=day.year + 1, day=1).isoformat(),
        "publicity_until": day.replace(year=day.year + 1, day=1).isoformat(),
        "authority_name": "示例林业局交通运输局",
        "authority_code": AUTHORITY,
        "source_unit_name": "示例林业局交通运输局",
        "source_unit_code": AUTHORITY,
    } | changes


def shown(fields: Mapping[str, str], version: int = 1) -> bytes:
    """The line of a record that is published."""
    texts = {name: escape(text).replace("\n", "&#10;") for name, text in fields.items()}
    inner = "".join(f"<{name}>{text}</{name}>" for name, text in texts.items())
    body = f'<Penalty xmlns="{NAMESPACE}">{inner}</Penalty>'
    return record_line(fields["document_number"], version, Operation.UPSERT, body)


def gone(fields: Mapping[str, str], version: int = 2) -> bytes:
    """The line of a record that is taken back."""
    return record_line(fields["document_number"], version, Operation.WITHDRAW, reason=Reason(code="revoked"))


@dataclass(frozen=True, slots=True)
class Shop:
    """The site in ``folder``/public."""

    folder: Path
    clock: SetClock

    @property
    def root(self) -> Path:
        return self.folder / "public"

    def publisher(self) -> Publisher:
        pages = Pages(
            title="双公示",
            owner="示例林业局交通运输局",
            catalogs=library().catalogs,
            shown=CATALOGS,
            contact="0450-0000000",
        )
        return Publisher(shelf=Shelf(self.folder / "sites" / "site.db"), folder=SiteFolder(self.root), pages=pages)

    def transport(self) -> SiteTransport:
        node = NodeInfo(code=RECEIVER.code, name=RECEIVER.name, versions=(1,), catalogs=CATALOGS)
        recorder = Recorder(receiver=RECEIVER, signer=ecdsa().signer, clock=self.clock)
        return SiteTransport(
            self.publisher(),
            recorder=lambda: recorder,
            node=node,
            clock=self.clock,
            zone=UTC,
        )

    def outgoing(self, lines: Sequence[bytes], number: int = 1) -> Outgoing:
        batch_id = f"0193{number:04x}-0000-7abc-8def-0123456789ab"
        previous = f"0193{number - 1:04x}-0000-7abc-8def-0123456789ab" if number > 1 else None
        changes = {"batch_id": batch_id, "sequence": number, "previous_batch_id": previous}
        changes["catalog"] = "administrative-penalty"
        built = build_batch(draft(**changes), list(lines))
        return Outgoing(batch_id=batch_id, package=seal(BATCH, built.xml, ecdsa().signer, NOW))

    def files(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes() for path in self.root.rglob("*") if path.is_file()
        }
