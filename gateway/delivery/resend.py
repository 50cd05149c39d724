"""Records as they were sent: their lines, byte for byte, out of the stored packages of the batches that carried them last."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from gateway.delivery.exchange import Exchange
from gateway.delivery.resync import REFUSED, Fate, MappingOf, fate
from gateway.errors import StoreError
from gateway.mapping.problems import PROBLEMS
from gateway.package.batch import parse_batch
from gateway.package.container import open_package
from gateway.package.record import BatchRecord, Operation
from gateway.store import batches, records
from gateway.store.database import Connection, Database
from gateway.store.standing import carriers, standing

__all__ = ["AsSent", "SentGroup", "as_sent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SentGroup:
    """Lines that may stand in one batch. ``exchange`` has the mapping digest and format that they were sent under; a record has the version
    and operation of its line. ``outdated`` are the keys of those that have changed since: what is wrong with them now is not mended."""

    exchange: Exchange
    lines: Sequence[tuple[records.StoredRecord, bytes]]
    outdated: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AsSent:
    """One helping: what can go out again, and what cannot, with the reasons (schema :data:`gateway.mapping.problems.PROBLEMS`)."""

    groups: Sequence[SentGroup] = ()
    refused: Sequence[records.StoredRecord] = ()
    problems: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=PROBLEMS))


def as_sent(database: Database, exchange: Exchange, numbers: Sequence[int]) -> AsSent:
    """The lines of these records in this order, group after group; a record that is in a batch under way is left there.

    Raises StoreError ``package-differs`` when a stored package is not what was sealed, PackageError when it cannot be read.
    """
    with database.read() as conn:
        carrying = carriers(conn, exchange.name)
        stood = {one.id: one for one in standing(conn, exchange.name, numbers)}
        fates = {number: fate(one, carrying, exchange, MappingOf.AS_SENT, 0) for number, one in stood.items()}
        going = [number for number in numbers if fates[number] is not Fate.UNDER_WAY]
        stored = {record.id: record for record in records.fetch(conn, going)}
        packed = _lines(
            conn,
            {number: stood[number].batch_id for number in going if fates[number] not in REFUSED},
            {number: record.key for number, record in stored.items()},
        )
    refused: dict[int, Fate] = {}
    groups: dict[tuple[str, str], list[tuple[records.StoredRecord, bytes]]] = {}
    for number in going:
        record, sent, carrier = stored[number], packed.get(number), carrying.get(stood[number].batch_id or "")
        if sent is None or carrier is None:
            refused[number] = fates[number] if fates[number] in REFUSED else Fate.NEVER_SENT
        elif record.op != Operation.UPSERT and sent.op is Operation.UPSERT:
            refused[number] = Fate.TAKEN_BACK
        else:
            written = record._replace(version=sent.version, op=sent.op.value)
            groups.setdefault((carrier.mapping_digest, carrier.format), []).append((written, sent.line))
    problems = [(stored[n].key, stored[n].key, "", "", why.value, "reject", "", "") for n, why in refused.items()]
    return AsSent(
        groups=[
            SentGroup(
                exchange=_under(exchange, *under),
                lines=lines,
                outdated=frozenset(sent.key for sent, _ in lines if sent.version != stored[sent.id].version),
            )
            for under, lines in groups.items()
        ],
        refused=[stored[number] for number in refused],
        problems=pl.DataFrame(problems, schema=PROBLEMS, orient="row"),
    )


def _under(exchange: Exchange, mapping_digest: str, written_format: str) -> Exchange:
    format_id, _, version = written_format.partition(" ")
    return replace(exchange, mapping_digest=mapping_digest, format_id=format_id, format_version=version)


def _lines(conn: Connection, batch_of: Mapping[int, str | None], key_of: Mapping[int, str]) -> dict[int, BatchRecord]:
    """The record of each id as it stands in its batch's package; each package is opened once."""
    wanted: dict[str, dict[str, int]] = {}
    for number, batch_id in batch_of.items():
        if batch_id is not None:
            wanted.setdefault(batch_id, {})[key_of[number]] = number
    found: dict[int, BatchRecord] = {}
    for batch_id, keys in wanted.items():
        for record in _packed(conn, batch_id):
            if record.key in keys:
                found[keys[record.key]] = record
    return found


def _packed(conn: Connection, batch_id: str) -> Sequence[BatchRecord]:
    batch, package = batches.find_batch(conn, batch_id), batches.package_bytes(conn, batch_id)
    digest = hashlib.sha256(package).hexdigest()
    if batch is None or digest != batch.package_sha256:
        raise StoreError("package-differs", batch=batch_id, expected=batch and batch.package_sha256, found=digest)
    # Reading it recomputes the root over its records: not a byte of what is sealed again can have changed since.
    return parse_batch(open_package(package).document).records
