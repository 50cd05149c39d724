"""The header of a batch: who sends what to whom, how much of it, and what binds it to its predecessor and to the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.errors import PackageError
from gateway.package.container import BATCH
from gateway.package.elements import Element
from gateway.package.forms import (
    BATCH_ID,
    CATALOG_ID,
    CHECKPOINT,
    FIGURE,
    LABEL,
    NAME,
    ORDINAL,
    ROUTE,
    SHA256,
    Form,
    Node,
    read_instant,
    write_instant,
)

__all__ = ["BatchDraft", "BatchHeader", "Count", "FormatReference", "Void", "read_header", "write_header"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatReference:
    """The format that the records are written in."""

    id: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Void:
    """This batch takes the place of the batch ``of``, which was given up, and holds nothing."""

    of: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many records, by operation."""

    upsert: int = 0
    withdraw: int = 0
    stop_share: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.upsert + self.withdraw + self.stop_share


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDraft:
    """What the sender knows before the records are counted and hashed.

    ``mapping_digest`` is 64 hexadecimal digits, ``salt`` 32 unguessable bytes, ``checkpoint`` the sender's newest signed note or
    empty. ``created_at`` is written to the second.
    """

    batch_id: str
    sequence: int
    previous_batch_id: str | None
    sender: Node
    receiver: Node
    catalog: str
    format: FormatReference
    mapping_digest: str
    created_at: datetime
    salt: bytes
    checkpoint: str = ""
    void: Void | None = None

    @property
    def route(self) -> str:
        """``SENDER/CATALOG/RECEIVER``."""
        return f"{self.sender.code}/{self.catalog}/{self.receiver.code}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchHeader(BatchDraft):
    """The whole header; ``record_root`` is the RFC 6962 root over the record leaves, 32 bytes."""

    count: Count
    record_root: bytes


def write_header(header: BatchHeader) -> bytes:
    """The ``Header`` element, one child a line.

    Raises PackageError ``document-value``, ``character-not-xml``, ``batch-previous`` or ``batch-void``: what the reader would refuse.
    """
    _consistent(header)
    count = header.count
    lines = [
        "<Header>",
        f"<BatchId>{_write(BATCH_ID, header.batch_id, 'BatchId')}</BatchId>",
        f"<Route>{_write(ROUTE, header.route, 'Route')}</Route>",
        f"<Sequence>{_write(ORDINAL, str(header.sequence), 'Sequence')}</Sequence>",
        f"<PreviousBatchId>{_previous(header.previous_batch_id or '')}</PreviousBatchId>",
        _write_node("Sender", header.sender),
        _write_node("Receiver", header.receiver),
        f"<Catalog>{_write(CATALOG_ID, header.catalog, 'Catalog')}</Catalog>",
        f'<Format id="{_write(NAME, header.format.id, "Format/@id")}"'
        f' version="{_write(NAME, header.format.version, "Format/@version")}"/>',
        f"<MappingDigest>{_write(SHA256, header.mapping_digest, 'MappingDigest')}</MappingDigest>",
        f"<CreatedAt>{write_instant(header.created_at)}</CreatedAt>",
        f'<Count total="{count.total}" upsert="{count.upsert}" withdraw="{count.withdraw}" stopShare="{count.stop_share}"/>',
        f"<Salt>{_write(SHA256, header.salt.hex(), 'Salt')}</Salt>",
        f"<RecordRoot>{_write(SHA256, header.record_root.hex(), 'RecordRoot')}</RecordRoot>",
        f"<Checkpoint>{_write(CHECKPOINT, header.checkpoint, 'Checkpoint')}</Checkpoint>",
    ]
    if header.void is not None:
        of, reason = _write(BATCH_ID, header.void.of, "Void/@of"), _write(LABEL, header.void.reason, "Void/@reason")
        lines.append(f'<Void of="{of}" reason="{reason}"/>')
    lines.append("</Header>\n")
    return "\n".join(lines).encode("utf-8")


def read_header(element: Element) -> BatchHeader:
    """What the ``Header`` element says, once it agrees with itself.

    Raises PackageError ``document-structure`` or ``document-value`` for its shape, then ``batch-route``, ``batch-count``,
    ``batch-previous`` or ``batch-void`` for a contradiction.
    """
    parts = element.only(
        (
            "BatchId",
            "Route",
            "Sequence",
            "PreviousBatchId",
            "Sender",
            "Receiver",
            "Catalog",
            "Format",
            "MappingDigest",
            "CreatedAt",
            "Count",
            "Salt",
            "RecordRoot",
            "Checkpoint",
        ),
        optional=("Void",),
    )
    format_facts = parts["Format"].facts("id", "version")
    figures = parts["Count"].facts("total", "upsert", "withdraw", "stopShare")
    total, upsert, withdraw, stop_share = (
        int(_read(FIGURE, figures[name], f"Count/@{name}")) for name in ("total", "upsert", "withdraw", "stopShare")
    )
    header = BatchHeader(
        batch_id=_read(BATCH_ID, parts["BatchId"].value(), "BatchId"),
        sequence=int(_read(ORDINAL, parts["Sequence"].value(), "Sequence")),
        previous_batch_id=_previous(parts["PreviousBatchId"].value()) or None,
        sender=_read_node(parts["Sender"]),
        receiver=_read_node(parts["Receiver"]),
        catalog=_read(CATALOG_ID, parts["Catalog"].value(), "Catalog"),
        format=FormatReference(
            id=_read(NAME, format_facts["id"], "Format/@id"),
            version=_read(NAME, format_facts["version"], "Format/@version"),
        ),
        mapping_digest=_read(SHA256, parts["MappingDigest"].value(), "MappingDigest"),
        created_at=read_instant(parts["CreatedAt"].value(), document=BATCH, place="CreatedAt"),
        salt=bytes.fromhex(_read(SHA256, parts["Salt"].value(), "Salt")),
        checkpoint=_read(CHECKPOINT, parts["Checkpoint"].value(), "Checkpoint"),
        void=_read_void(parts.get("Void")),
        count=Count(upsert=upsert, withdraw=withdraw, stop_share=stop_share),
        record_root=bytes.fromhex(_read(SHA256, parts["RecordRoot"].value(), "RecordRoot")),
    )
    if _read(ROUTE, parts["Route"].value(), "Route") != header.route:
        raise PackageError("batch-route", expected=header.route)
    if header.count.total != total:
        raise PackageError("batch-count", what="total", expected=header.count.total, found=total)
    _consistent(header)
    return header


def _consistent(header: BatchHeader) -> None:
    if (header.sequence == 1) != (header.previous_batch_id is None) or header.previous_batch_id == header.batch_id:
        raise PackageError("batch-previous", sequence=header.sequence)
    if header.void is not None and (header.count.total or header.void.of == header.batch_id):
        raise PackageError("batch-void", total=header.count.total)


def _read(form: Form, value: str, place: str) -> str:
    return form.read(value, document=BATCH, place=place)


def _write(form: Form, value: str, place: str) -> str:
    return form.write(value, document=BATCH, place=place)


def _previous(value: str) -> str:
    return _read(BATCH_ID, value, "PreviousBatchId") if value else value


def _write_node(name: str, node: Node) -> str:
    return f'<{name} code="{_write(NAME, node.code, f"{name}/@code")}" name="{_write(LABEL, node.name, f"{name}/@name")}"/>'


def _read_node(element: Element) -> Node:
    facts = element.facts("code", "name")
    return Node(
        code=_read(NAME, facts["code"], f"{element.name}/@code"),
        name=_read(LABEL, facts["name"], f"{element.name}/@name"),
    )


def _read_void(element: Element | None) -> Void | None:
    if element is None:
        return None
    facts = element.facts("of", "reason")
    return Void(of=_read(BATCH_ID, facts["of"], "Void/@of"), reason=_read(LABEL, facts["reason"], "Void/@reason"))
