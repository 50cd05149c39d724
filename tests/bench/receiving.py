"""The receiver's stages: from the bytes of a package to the records in its store."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import asdict

from gateway.app import Gateway
from gateway.clock import instant
from gateway.delivery.exchange import Exchange
from gateway.delivery.judge import Judge
from gateway.package.batch import parse_batch
from gateway.package.container import BATCH, RECEIPT
from gateway.package.receipt import Receipt, build_receipt, verdict_of
from gateway.package.sealing import seal, unseal
from gateway.store import inbox
from tests.bench.figures import Figure, Meter, in_a_row
from tests.bench.plain import PlainSchema, PlainTable, parse_with_expat
from tests.bench.scene import Scene
from tests.bench.sending import Sealed

__all__ = ["Receiving"]


class Receiving:
    """Runs packages through the receiver's stages one after another."""

    def __init__(self, scene: Scene, gateway: Gateway, exchange: Exchange, schema: PlainSchema) -> None:
        self._gateway, self._exchange, self._schema = gateway, exchange, schema
        mappings = gateway.mappings
        catalog, fmt = mappings.catalog(exchange.catalog.id), mappings.format(exchange.format_id)
        self._judge = Judge(
            catalog=catalog,
            document=mappings.document_plan(fmt.id, catalog),
            plan=mappings.checking_plan(catalog.id),
            format_id=fmt.id,
            format_version=fmt.version,
            language=gateway.settings.node.language,
        )
        self._trusted = gateway.certificates(gateway.settings.peers["bureau"].certificates)
        self._bare = PlainTable(scene.folder / "bare-inbox.db", ("key", "digest", "body", "content"))
        self.unsealed = Meter("open and verify the package", peer="inflate")
        self.parsed = Meter("parse the batch, check its root", peer="expat over the document")
        self.held = Meter("look up what is held")
        self.judged = Meter("judge every record", peer="libxml2 parse and validate")
        self.answered = Meter("build and seal the receipt")
        self.kept = Meter("store package, records, receipt", peer="sqlite3 executemany")

    def close(self) -> None:
        """Close what the peers keep open."""
        self._bare.close()

    def take(self, batch: Sealed) -> None:
        """One package through all stages."""
        gateway, count = self._gateway, batch.built.header.count.total
        now = gateway.clock.now()
        with self.unsealed.own(count):
            opened = unseal(batch.package, BATCH, self._trusted, now=now)
        squeezed = zlib.compress(opened.document, 6)
        with self.unsealed.other(count):
            zlib.decompress(squeezed)
        with self.parsed.own(count):
            parsed = parse_batch(opened.document)
        with self.parsed.other(count):
            parse_with_expat(opened.document)
        header = parsed.header
        with self.held.own(count), gateway.database.read() as conn:
            held = inbox.held_versions(conn, header.route, [record.key for record in parsed.records])
        with self.judged.own(count):
            judged = self._judge.judge(parsed.records, held)
        assert judged.figures.created == count, "the records are meant to be new and good"
        with self.judged.other(count):
            self._schema.libxml2(opened.document)
        with self.answered.own(count):
            receipt = seal(
                RECEIPT,
                build_receipt(
                    Receipt(
                        batch_id=header.batch_id,
                        route=header.route,
                        sequence=header.sequence,
                        package_sha256=opened.package_sha256,
                        receiver=gateway.node,
                        received_at=now,
                        verdict=verdict_of(judged.figures),
                        figures=judged.figures,
                        sender_checkpoint="",
                        receiver_checkpoint="",
                        outcomes=judged.outcomes,
                    )
                ),
                gateway.signer,
                now,
            )
        at = instant(now)
        new = inbox.InboxBatch(
            id=header.batch_id,
            route=header.route,
            sender=header.sender.code,
            catalog=header.catalog,
            sequence=header.sequence,
            package_sha256=opened.package_sha256,
            receipt_sha256=hashlib.sha256(receipt).hexdigest(),
            verdict=verdict_of(judged.figures).value,
            counts=asdict(judged.figures),
            checkpoint="",
            received_at=at,
        )
        with self.kept.own(count), gateway.database.begin() as conn:
            inbox.add_batch(conn, new, package=batch.package, receipt=receipt)
            inbox.apply(conn, header.route, judged.rows, batch_id=header.batch_id, at=at)
        plain = [(row.key, row.digest, row.body, row.content) for row in judged.rows]
        with self.kept.other(count):
            self._bare.keep(plain)

    def figures(self) -> list[Figure]:
        """All stages in their order, then all of them in a row."""
        row = [self.unsealed, self.parsed, self.held, self.judged, self.answered, self.kept]
        figures = [meter.figure() for meter in row]
        return [*figures, in_a_row("the receiver's stages one after another", figures)]
