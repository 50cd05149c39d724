"""Later feedback, both ways: what we have to say to who sent to us, and what those say to whom we sent.

Asked for by number, stored with what it changes in one transaction: asking again after a crash, at any point, gives the same end.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from gateway import __version__
from gateway.clock import Clock, instant
from gateway.delivery.exchange import Peer, route_of
from gateway.delivery.further import Said, pass_down
from gateway.ledger.append import append
from gateway.package.cms import Signer
from gateway.package.container import FEEDBACK
from gateway.package.feedback import (
    MOST_OUTCOMES,
    REJECTED,
    CheckedFeedback,
    Feedback,
    LaterOutcome,
    build_feedback,
    check_feedback,
)
from gateway.package.forms import Node
from gateway.package.sealing import seal
from gateway.store import feedback, quarantine, records
from gateway.store.database import Connection, Database
from gateway.store.entries import TransactionLog
from gateway.store.feedback import Sent, Told
from gateway.store.quarantine import Case, Reason, Stage

__all__ = ["FeedbackDesk", "FeedbackSource", "FeedbackTaker", "Found"]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackDesk:
    """Tells senders what became of their records further up. ``node`` and ``signer`` are ours."""

    database: Database
    node: Node
    signer: Signer
    clock: Clock

    async def feedback(self, sender: str, catalog: str, after: int) -> bytes | None:
        """What there is behind number ``after``, sealed; None when there is nothing."""
        return await asyncio.to_thread(self._feedback, route_of(sender, catalog, self.node.code), after)

    def _feedback(self, route: str, after: int) -> bytes | None:
        with self.database.read() as conn:
            found = feedback.after(conn, route, after, limit=MOST_OUTCOMES)
        if not found:
            return None
        now = self.clock.now()
        outcomes = [
            LaterOutcome(
                number=number,
                key=told.key,
                version=told.version,
                result=told.result,
                code=told.code,
                field=told.field,
                message=told.message,
                level=Node(code=told.level_code, name=told.level_name),
            )
            for number, told in found
        ]
        document = Feedback(route=route, receiver=self.node, made_at=now, after=after, outcomes=outcomes)
        return seal(FEEDBACK, build_feedback(document), self.signer, now)


class FeedbackSource(Protocol):
    """A peer that can be asked."""

    async def feedback(self, route: str, after: int) -> bytes | None:
        """Sealed feedback for ``route`` behind ``after``; None when there is nothing, or when the peer knows no such thing.

        Raises ExchangeError, PeerUnavailableError.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What asking brought, in outcomes. ``stale`` ones are about a version that is no longer the last one sent."""

    rejected: int = 0
    accepted: int = 0
    stale: int = 0

    def __add__(self, other: Found) -> Found:
        return Found(
            rejected=self.rejected + other.rejected,
            accepted=self.accepted + other.accepted,
            stale=self.stale + other.stale,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackTaker:
    """Asks the receivers of ``node``'s routes what became of records further up."""

    database: Database
    node: Node
    clock: Clock

    async def take(self, source: FeedbackSource, peer: Peer, catalog: str, exchanges: Mapping[str, str]) -> Found:
        """Ask until there is nothing new. ``exchanges`` are those that send ``catalog`` to the peer, each with its source's name.

        Raises as :class:`FeedbackSource`, PackageError when the answer does not hold: then nothing of it was taken.
        """
        route = route_of(self.node.code, catalog, peer.node.code)
        found = Found()
        while True:
            with self.database.read() as conn:
                after = feedback.last_taken(conn, route)
            data = await source.feedback(route, after)
            if data is None:
                return found
            found += await asyncio.to_thread(self._take, route, peer, data, after, exchanges)

    def _take(self, route: str, peer: Peer, data: bytes, after: int, exchanges: Mapping[str, str]) -> Found:
        now = self.clock.now()
        at = instant(now)
        checked = check_feedback(data, peer.trusted, route=route, receiver=peer.node.code, after=after, now=now)
        outcomes = checked.feedback.outcomes
        with self.database.begin() as conn:
            found = self._apply(conn, route, outcomes, exchanges, at)
            feedback.keep(conn, route, outcomes[-1].number, sha256=checked.sha256, data=data, at=at)
            append(TransactionLog(conn), "feedback.taken", self._facts(route, peer, checked, found), at=now)
        _log.info("feedback.taken", route=route, rejected=found.rejected, accepted=found.accepted, stale=found.stale)
        return found

    def _facts(self, route: str, peer: Peer, checked: CheckedFeedback, found: Found) -> dict[str, str | int]:
        outcomes = checked.feedback.outcomes
        return {
            "node": self.node.code,
            "software": __version__,
            "about": route,
            "peer": peer.node.code,
            "feedback_sha256": checked.sha256,
            "signer_key_id": checked.signed_by.key_id,
            "first": outcomes[0].number,
            "last": outcomes[-1].number,
            "rejected": found.rejected,
            "accepted": found.accepted,
            "stale": found.stale,
        }

    @staticmethod
    def _apply(
        conn: Connection, route: str, outcomes: Sequence[LaterOutcome], exchanges: Mapping[str, str], at: str
    ) -> Found:
        # Of several words about one record in one document the last one counts.
        newest = {one.key: one for one in outcomes}
        marked: list[tuple[Sent, LaterOutcome]] = []
        for exchange, source in exchanges.items():
            for one in feedback.sent(conn, route, exchange, source, list(newest)):
                if one.outcome is not None and one.version == newest[one.key].version:
                    marked.append((one, newest[one.key]))
        feedback.mark(conn, [(one, _told(outcome)) for one, outcome in marked])
        _quarantine(conn, marked, at)
        said = [
            Said(
                record_id=one.record_id,
                version=one.version,
                result=outcome.result,
                code=outcome.code,
                field=outcome.field,
                message=outcome.message,
                level=outcome.level,
            )
            for one, outcome in marked
        ]
        pass_down(conn, said, at=at)
        spoken = {outcome.number: outcome.result for _, outcome in marked}
        rejected = sum(1 for result in spoken.values() if result == REJECTED)
        return Found(rejected=rejected, accepted=len(spoken) - rejected, stale=len(outcomes) - len(spoken))


def _told(one: LaterOutcome) -> Told:
    return Told(one.key, one.version, one.result, one.code, one.field, one.message, one.level.code, one.level.name)


def _quarantine(conn: Connection, marked: Sequence[tuple[Sent, LaterOutcome]], at: str) -> None:
    """A rejection further up waits for the record's unit like one by the receiver; what was taken there after all is mended."""
    groups: defaultdict[tuple[str, str, str], list[tuple[Sent, LaterOutcome]]] = defaultdict(list)
    for one, outcome in marked:
        groups[one.exchange, one.source, one.run_id].append((one, outcome))
    for (exchange, source, run_id), pairs in groups.items():
        rejected = {one.record_id: outcome for one, outcome in pairs if outcome.result == REJECTED}
        cases = [_case(record, rejected[record.id]) for record in records.fetch(conn, list(rejected))]
        quarantine.note(conn, cases, exchange=exchange, source=source, stage=Stage.RECEIVER, run_id=run_id, at=at)
        taken = [one.key for one, outcome in pairs if outcome.result != REJECTED]
        quarantine.close_keys(conn, taken, exchange=exchange, source=source, stage=Stage.RECEIVER, at=at)


def _case(record: records.StoredRecord, outcome: LaterOutcome) -> Case:
    row = json.dumps({"version": record.version, "content": json.loads(record.content)}, ensure_ascii=False)
    reason = Reason(
        field="",
        source=outcome.field,
        code=outcome.code,
        weight="reject",
        value_class="",
        expected=outcome.message,
        level=f"{outcome.level.name} {outcome.level.code}".strip(),
    )
    return Case(
        key=record.key,
        locator=record.key,
        unit=record.unit,
        row=row,
        row_digest=hashlib.sha256(row.encode()).digest(),
        reasons=(reason,),
    )
