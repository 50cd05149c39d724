"""The sender's stages: from a row in the business database to a sealed batch in the journal."""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import polars as pl

from gateway.app import Gateway
from gateway.clock import instant
from gateway.delivery.exchange import Exchange
from gateway.mapping.batch_facts import SOME_BATCH
from gateway.mapping.canonical import decode, encode
from gateway.package.batch import BuiltBatch, build_batch
from gateway.package.container import BATCH
from gateway.package.header import BatchDraft, FormatReference
from gateway.package.manifest import build_manifest
from gateway.package.record import Operation, record_line
from gateway.package.sealing import seal
from gateway.sources.port import ROWS_PER_CHUNK, Chunk
from gateway.store import batches, quarantine, records, runs, shares
from gateway.store.quarantine import Stage
from gateway.store.records import NewRecord
from tests.bench.figures import Figure, Meter, in_a_row
from tests.bench.plain import PlainSchema, PlainTable
from tests.bench.scene import BATCH_SIZE, SOURCE, Scene

__all__ = ["Sealed", "Sending"]

_DAY = "2026-10-13"
_SAMPLE, _SAMPLED = 500, 8  # records of so many batches that xmlschema is given: it would take minutes over all


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A batch ready to go: its document and its package."""

    built: BuiltBatch
    package: bytes
    sequence: int


class Sending:
    """Runs rows through the sender's stages one after another."""

    def __init__(self, scene: Scene, gateway: Gateway, exchange: Exchange, schema: PlainSchema) -> None:
        self._scene, self._gateway, self._exchange, self._schema = scene, gateway, exchange, schema
        self._run = gateway.ids.uuid(gateway.clock.now())
        self._at = instant(gateway.clock.now())
        self._previous: str | None = None
        self._sequence = 0
        self._bare = PlainTable(scene.folder / "bare-records.db", ("key", "digest", "content"))
        self.read = Meter("read rows", peer="sqlite3 cursor, fetchmany")
        self.mapped = Meter("map and check")
        self.encoded = Meter("canonical text and digest")
        self.compared = Meter("compare with what is held")
        self.stored = Meter("store (commit A)", peer="sqlite3 executemany")
        self.fetched = Meter("fetch from the store")
        self.decoded = Meter("canonical text to frame")
        self.rendered = Meter("render")
        self.built = Meter("record lines, batch, root", peer="SHA-256 of the lines")
        self.gated = Meter("gate", peer="libxml2 parse and validate")
        self.sampled = Meter(f"gate, {_SAMPLE} records a batch", peer="xmlschema")
        self.sealed = Meter("seal", peer="deflate level 6")
        self.journaled = Meter("journal the batch (commit B)")
        self.packed = self.plain = 0
        with gateway.database.begin() as conn:
            runs.open_run(
                conn,
                run_id=self._run,
                exchange=exchange.name,
                kind=runs.Kind.MANUAL,
                at=self._at,
                mapping_digest=exchange.mapping_digest,
            )

    def close(self) -> None:
        """Close what the peers keep open."""
        self._bare.close()

    def chunks(self) -> Iterator[list[int]]:
        """Read and store the rows; yields the ids of each chunk's records."""
        with (
            closing(self._exchange.source.read(None, size=ROWS_PER_CHUNK).chunks) as chunks,
            closing(sqlite3.connect(f"{self._scene.business.resolve().as_uri()}?mode=ro", uri=True)) as bare,
        ):
            cursor = bare.execute(self._scene.query)
            left = self._scene.count
            while left > 0:
                with self.read.own(min(left, ROWS_PER_CHUNK)):
                    chunk = next(chunks)
                left -= chunk.frame.height
                with self.read.other(chunk.frame.height):
                    cursor.fetchmany(ROWS_PER_CHUNK)
                yield self._store(chunk)

    def _store(self, chunk: Chunk) -> list[int]:
        exchange, count = self._exchange, chunk.frame.height
        with self.mapped.own(count):
            found = exchange.plan.map(chunk.frame)
        assert found.bad.is_empty(), "the rows are meant to be good"
        with self.encoded.own(count):
            contents, digests = encode(found.records, exchange.catalog)
        keys = found.records["@key"].to_list()
        with self.compared.own(count), self._gateway.database.read() as conn:
            records.held(conn, exchange.catalog.id, SOURCE, keys)
        rows = [
            NewRecord(key, digest, content, unit, _DAY)
            for key, digest, content, unit in zip(keys, digests, contents, found.records["@unit"], strict=True)
        ]
        with self.stored.own(count), self._gateway.database.begin() as conn:
            ids = records.add(conn, rows, catalog=exchange.catalog.id, source=SOURCE, run_id=self._run, at=self._at)
            quarantine.close_keys(conn, keys, exchange=exchange.name, source=SOURCE, stage=Stage.SOURCE, at=self._at)
        plain = [(key, digest, content) for key, digest, content, *_ in rows]
        with self.stored.other(count):
            self._bare.keep(plain)
        return ids

    def batches(self, ids: Sequence[int]) -> Iterator[Sealed]:
        """Seal records in batches."""
        for start in range(0, len(ids), BATCH_SIZE):
            yield self._seal(ids[start : start + BATCH_SIZE])

    def _seal(self, ids: Sequence[int]) -> Sealed:
        exchange, count = self._exchange, len(ids)
        with self.fetched.own(count), self._gateway.database.read() as conn:
            stored = records.fetch(conn, ids)
        with self.decoded.own(count):
            frame = decode([record.content for record in stored], exchange.catalog)
        keys = pl.Series("@key", [record.key for record in stored], dtype=pl.String)
        frame = frame.with_columns(keys, keys.alias("@row"))
        with self.rendered.own(count):
            rendered = exchange.document.render(frame, SOME_BATCH).frame
        assert rendered.height == count, "the records are meant to be good"
        draft = self._draft()
        with self.built.own(count):
            lines = [record_line(key, 1, Operation.UPSERT, body) for key, body in rendered.iter_rows()]
            built = build_batch(draft, lines)
        with self.built.other(count):
            for line in lines:
                hashlib.sha256(line).digest()
        with self.gated.own(count):
            refused = exchange.gate.check(built.xml)
        assert not refused, "the records are meant to be good"
        with self.gated.other(count):
            self._schema.libxml2(built.xml)
        if self._sequence <= _SAMPLED:
            sample = build_batch(draft, lines[:_SAMPLE]).xml
            with self.sampled.own(min(count, _SAMPLE)):
                exchange.gate.check(sample)
            with self.sampled.other(min(count, _SAMPLE)):
                self._schema.xmlschema(sample)
        with self.sealed.own(count):
            package = seal(BATCH, built.xml, self._gateway.signer, self._gateway.clock.now())
        with self.sealed.other(count):
            zlib.compress(built.xml, 6)
        self.packed, self.plain = self.packed + len(package), self.plain + len(built.xml)
        self._journal(built, package, ids)
        return Sealed(built=built, package=package, sequence=self._sequence)

    def _draft(self) -> BatchDraft:
        exchange, gateway = self._exchange, self._gateway
        now = gateway.clock.now()
        self._sequence += 1
        return BatchDraft(
            batch_id=gateway.ids.uuid(now),
            sequence=self._sequence,
            previous_batch_id=self._previous,
            sender=gateway.node,
            receiver=exchange.peer.node,
            catalog=exchange.catalog.id,
            format=FormatReference(id=exchange.format_id, version=exchange.format_version),
            mapping_digest=exchange.mapping_digest,
            created_at=now,
            salt=gateway.ids.bytes(32),
        )

    def _journal(self, built: BuiltBatch, package: bytes, ids: Sequence[int]) -> None:
        exchange, header = self._exchange, built.header
        new = batches.NewBatch(
            id=header.batch_id,
            exchange=exchange.name,
            route=exchange.route,
            sequence=header.sequence,
            previous_id=header.previous_batch_id,
            run_id=self._run,
            total=header.count.total,
            upsert=header.count.upsert,
            withdraw=0,
            stop_share=0,
            record_root=header.record_root.hex(),
            mapping_digest=header.mapping_digest,
            format=f"{exchange.format_id} {exchange.format_version}",
            package_sha256=hashlib.sha256(package).hexdigest(),
            manifest_sha256=hashlib.sha256(build_manifest(BATCH, built.xml)).hexdigest(),
            signer_key_id=self._gateway.signer.key_id,
            checkpoint="",
            created_at=self._at,
            next_attempt_at=self._at,
        )
        with self.journaled.own(len(ids)), self._gateway.database.begin() as conn:
            batches.add_batch(conn, new, package)
            shares.seal(conn, exchange.name, header.batch_id, [(number, 1) for number in ids])
        self._previous = header.batch_id

    def figures(self) -> list[Figure]:
        """All stages in their order, then all of them in a row."""
        row = [
            self.read,
            self.mapped,
            self.encoded,
            self.compared,
            self.stored,
            self.fetched,
            self.decoded,
            self.rendered,
            self.built,
            self.gated,
            self.sealed,
            self.journaled,
        ]
        figures = [meter.figure() for meter in row]
        place = row.index(self.gated) + 1
        return [
            *figures[:place],
            self.sampled.figure(),
            *figures[place:],
            in_a_row("the sender's stages one after another", figures),
        ]
