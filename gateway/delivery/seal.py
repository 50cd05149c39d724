"""Records out of the store, into sealed batches: the second half of a run, up to commit B.

Due records are rendered, checked against the format, pass libxml2's gate as a whole document and are sealed once. What fails goes into
quarantine and stays due: it is tried again by every run, and goes out when the record, the mapping or the format was mended.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from gateway.clock import Clock, Ids, instant
from gateway.delivery.cases import cases_of, first_reasons
from gateway.delivery.exchange import Exchange
from gateway.delivery.further import Said, first_words, pass_down
from gateway.delivery.resend import as_sent
from gateway.errors import MappingError
from gateway.mapping.batch_facts import BatchFacts
from gateway.mapping.canonical import decode
from gateway.mapping.gate import refusal
from gateway.mapping.problems import PROBLEMS, no_problems
from gateway.memory import give_back
from gateway.package.batch import BuiltBatch, build_batch
from gateway.package.cms import Signer
from gateway.package.container import BATCH
from gateway.package.feedback import REJECTED
from gateway.package.forms import Node
from gateway.package.header import BatchDraft, FormatReference
from gateway.package.manifest import build_manifest
from gateway.package.record import Operation, Reason, record_line
from gateway.package.sealing import seal
from gateway.store import batches, publicity, quarantine, record_orders, records, shares
from gateway.store.database import Connection, Database
from gateway.store.entries import DurableLog
from gateway.store.origins import any_origin, owners_words
from gateway.store.quarantine import Stage

__all__ = ["Sealed", "Sealer"]

_SALT_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What became of one helping of due records. ``batch_id`` is None when none of them could be sealed; of several batches, as records sent
    again as they were may need, it is the last."""

    batch_id: str | None
    upsert: int = 0
    withdraw: int = 0
    quarantined_by: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """How many records were sealed."""
        return self.upsert + self.withdraw


class Sealer:
    """Seals batches of ``node`` with ``signer``."""

    def __init__(self, *, database: Database, node: Node, signer: Signer, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._node = node
        self._signer = signer
        self._clock = clock
        self._ids = ids

    def seal(self, exchange: Exchange, run_id: str, numbers: Sequence[int]) -> Sealed:
        """Seal the records with these ids, in this order, as the next batch of the exchange's route.

        Raises MappingError ``gate-refused`` when the document as a whole fails libxml2's gate, StoreError, PackageError.
        """
        with self._database.read() as conn:
            stored = records.fetch(conn, numbers)
            back = [record.id for record in stored if record.op != Operation.UPSERT]
            said = dict(owners_words(conn, back))
            said |= {number: order.basis for number, order in record_orders.ordered(conn, back).items()}
        basis = {number: exchange.sight.words(words) for number, words in said.items()}
        bodies, problems = self._render(exchange, stored)
        lines = [(record, line) for record in stored if (line := _line(record, bodies, basis)) is not None]
        return self._seal(exchange, run_id, stored, lines, problems)

    def seal_as_sent(self, exchange: Exchange, run_id: str, numbers: Sequence[int]) -> Sealed:
        """Seal the records with these ids once more as they stand in the batches that carried them last: the same lines, byte for byte, under
        the mapping digest and format of then, one batch for each of those. What is in a batch under way stays there.

        A line that cannot go out again (:data:`gateway.delivery.resync.REFUSED`, or today's gate refuses it) goes into quarantine under
        its reason. Raises as :meth:`seal`, and StoreError ``package-differs``.
        """
        found = as_sent(self._database, exchange, numbers)
        done = [
            self._seal(
                group.exchange,
                run_id,
                [record for record, _ in group.lines],
                group.lines,
                no_problems(),
                outdated=group.outdated,
            )
            for group in found.groups
        ]
        if found.refused:
            done.append(self._seal(exchange, run_id, found.refused, [], found.problems))
        return Sealed(
            batch_id=next((one.batch_id for one in reversed(done) if one.batch_id), None),
            upsert=sum(one.upsert for one in done),
            withdraw=sum(one.withdraw for one in done),
            quarantined_by=sum((one.quarantined_by for one in done), Counter()),
        )

    def _seal(
        self,
        exchange: Exchange,
        run_id: str,
        stored: Sequence[records.StoredRecord],
        lines: Sequence[tuple[records.StoredRecord, bytes]],
        problems: pl.DataFrame,
        outdated: Collection[str] = (),
    ) -> Sealed:
        built, found = self._build(exchange, lines)
        if found is not None:
            problems = pl.concat([problems, found])
            refused = set(found["@key"])
            lines = [(record, line) for record, line in lines if record.key not in refused]
        self._commit(exchange, run_id, stored, lines, built, problems, outdated)
        give_back()
        upsert = sum(1 for record, _ in lines if record.op == Operation.UPSERT)
        return Sealed(
            batch_id=built.header.batch_id if lines else None,
            upsert=upsert,
            withdraw=len(lines) - upsert,
            quarantined_by=first_reasons(problems),
        )

    def _render(
        self, exchange: Exchange, stored: Sequence[records.StoredRecord]
    ) -> tuple[dict[str, str], pl.DataFrame]:
        """Body by key for every record that the format can carry and its receiver may see, and why the others cannot.

        Nothing that the receiver may not see gets beyond this place. Raises MappingError ``key-above-clearance``.
        """
        if exchange.sight.hidden_key():
            raise MappingError("key-above-clearance", catalog=exchange.catalog.id, clearance=exchange.sight.clearance)
        upserts = [record for record in stored if record.op == Operation.UPSERT]
        if not upserts:
            return {}, pl.DataFrame(schema=PROBLEMS)
        keys = pl.Series("@key", [record.key for record in upserts], dtype=pl.String)
        refused = exchange.sight.refused(keys)
        frame = decode([record.content for record in upserts], exchange.catalog).with_columns(keys, keys.alias("@row"))
        frame = frame.filter(~pl.col("@key").is_in(refused["@key"].implode()))
        frame = self._dated(exchange, frame, upserts)
        rendered = exchange.document.render(exchange.sight.apply(frame), self._facts(exchange))
        bodies = dict(rendered.frame.select("@key", "body").iter_rows())
        return bodies, pl.concat([refused, rendered.problems])

    def _dated(self, exchange: Exchange, frame: pl.DataFrame, upserts: Sequence[records.StoredRecord]) -> pl.DataFrame:
        """With the end of publication that was fixed for each record, whatever the record says by now."""
        rule = next((rule for rule in exchange.catalog.rules if rule.kind == "publicity"), None)
        if rule is None or not exchange.sight.public:
            return frame
        with self._database.read() as conn:
            fixed = publicity.of(conn, [record.id for record in upserts])
        until = {record.key: fixed[record.id].until for record in upserts if record.id in fixed}
        days = pl.Series([until.get(key) for key in frame["@key"]], dtype=pl.String).str.to_date("%Y-%m-%d")
        return frame.with_columns(days.alias(rule.fields[1]))

    def _facts(self, exchange: Exchange) -> BatchFacts:
        """What a record may tell of its batch. Its id and number are not among it: sent again as it was, it stands in another one."""
        return BatchFacts(
            id="",
            sequence=0,
            created_at=self._clock.now(),
            sender_code=self._node.code,
            sender_name=self._node.name,
            receiver_code=exchange.peer.node.code,
            receiver_name=exchange.peer.node.name,
            catalog=exchange.catalog.id,
        )

    def _build(
        self, exchange: Exchange, lines: Sequence[tuple[records.StoredRecord, bytes]]
    ) -> tuple[BuiltBatch, pl.DataFrame | None]:
        """The document that passed the gate, and the problems of the records that had to be left out for it."""
        built = self._draft(exchange, [line for _, line in lines])
        refused = exchange.gate.check(built.xml)
        if not refused:
            return built, None
        envelope = next((error for error in refused if error.record is None), None)
        if envelope is not None:
            raise refusal(exchange.format_id, envelope, line=envelope.line)
        bad = {error.record for error in refused}
        found = [
            (key, key, "", error.target, error.code, "reject", error.value_class, error.expected)
            for error in refused
            if error.record is not None and (key := lines[error.record][0].key)
        ]
        built = self._draft(exchange, [line for index, (_, line) in enumerate(lines) if index not in bad])
        again = exchange.gate.check(built.xml)
        if again:
            raise refusal(exchange.format_id, again[0], line=again[0].line)
        return built, pl.DataFrame(found, schema=PROBLEMS, orient="row")

    def _draft(self, exchange: Exchange, lines: Sequence[bytes]) -> BuiltBatch:
        now = self._clock.now()
        with self._database.read() as conn:
            sequence, previous = batches.next_in_route(conn, exchange.route)
        newest = DurableLog(self._database).newest_checkpoint()
        draft = BatchDraft(
            batch_id=self._ids.uuid(now),
            sequence=sequence,
            previous_batch_id=previous,
            sender=self._node,
            receiver=exchange.peer.node,
            catalog=exchange.catalog.id,
            format=FormatReference(id=exchange.format_id, version=exchange.format_version),
            mapping_digest=exchange.mapping_digest,
            created_at=now,
            salt=self._ids.bytes(_SALT_BYTES),
            checkpoint=newest.note.decode() if newest else "",
        )
        return build_batch(draft, lines)

    def _commit(
        self,
        exchange: Exchange,
        run_id: str,
        stored: Sequence[records.StoredRecord],
        lines: Sequence[tuple[records.StoredRecord, bytes]],
        built: BuiltBatch,
        problems: pl.DataFrame,
        outdated: Collection[str],
    ) -> None:
        header, now = built.header, self._clock.now()
        at = instant(now)
        units = {record.key: record.unit for record in stored}
        rows = pl.DataFrame({"@row": list(units), "content": [record.content for record in stored]})
        cases = cases_of(problems, rows, units)
        sealed = [record for record, _ in lines]
        source = exchange.source.name
        package = seal(BATCH, built.xml, self._signer, now) if lines else b""
        # Commit B: the batch with its number and its exact bytes, before any byte leaves. A crash before it: the records are still due,
        # and the number is still free. After it: every attempt, whenever it is made, sends these bytes.
        with self._database.begin() as conn:
            quarantine.note(
                conn, cases, exchange=exchange.name, source=source, stage=Stage.FORMAT, run_id=run_id, at=at
            )
            quarantine.close_keys(
                conn,
                [record.key for record in sealed if record.key not in outdated],
                exchange=exchange.name,
                source=source,
                stage=Stage.FORMAT,
                at=at,
            )
            self._tell_below(conn, exchange, stored, problems, at)
            if not lines:
                return
            batches.add_batch(
                conn,
                batches.NewBatch(
                    id=header.batch_id,
                    exchange=exchange.name,
                    route=exchange.route,
                    sequence=header.sequence,
                    previous_id=header.previous_batch_id,
                    run_id=run_id,
                    total=header.count.total,
                    upsert=header.count.upsert,
                    withdraw=header.count.withdraw,
                    stop_share=header.count.stop_share,
                    record_root=header.record_root.hex(),
                    mapping_digest=header.mapping_digest,
                    format=f"{exchange.format_id} {exchange.format_version}",
                    package_sha256=hashlib.sha256(package).hexdigest(),
                    manifest_sha256=hashlib.sha256(build_manifest(BATCH, built.xml)).hexdigest(),
                    signer_key_id=self._signer.key_id,
                    checkpoint=header.checkpoint,
                    created_at=at,
                    next_attempt_at=at,
                    give_up_at=instant(now + exchange.peer.retry.give_up_after),
                    deadline=min((record.deadline for record in sealed if record.deadline), default=None),
                ),
                package,
            )
            shares.seal(conn, exchange.name, header.batch_id, [(record.id, record.version) for record in sealed])

    def _tell_below(
        self,
        conn: Connection,
        exchange: Exchange,
        stored: Sequence[records.StoredRecord],
        problems: pl.DataFrame,
        at: str,
    ) -> None:
        """What this format cannot carry of other nodes' records, they are told."""
        if problems.is_empty() or not any_origin(conn):
            return
        by_key = {record.key: record for record in stored}
        said = [
            Said(
                record_id=by_key[key].id,
                version=by_key[key].version,
                result=REJECTED,
                code=problem["code"],
                field=problem["source"] or "",
                message=text,
                level=self._node,
            )
            for key, problem, text in first_words(problems, exchange.catalog, by="@key")
            if key in by_key
        ]
        pass_down(conn, said, at=at)


def _line(record: records.StoredRecord, bodies: Mapping[str, str], basis: Mapping[int, str]) -> bytes | None:
    """The record's line in a batch; None when the format cannot carry it, or the receiver may not see its key. ``basis`` says by record id
    what taking it back rests on."""
    op = Operation(record.op)
    if op is not Operation.UPSERT:
        reason = Reason(code=record.reason or op.value, text=basis.get(record.id, ""))
        return record_line(record.key, record.version, op, reason=reason)
    body = bodies.get(record.key)
    return None if body is None else record_line(record.key, record.version, op, body)
