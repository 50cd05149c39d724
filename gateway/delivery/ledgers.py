"""What peers show of their ledgers, held against what they showed before; and what we show them of ours.

A peer's package key vouches for the document that carries its checkpoint; its ledger key, where we know it, for the checkpoint. Two roots
of one size, a ledger that got shorter while the peer's own time went on, a proof that does not hold: each is a contradiction, and a
person has to look. A peer that has once proved that its ledger only grew must go on proving it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from gateway import __version__
from gateway.clock import instant
from gateway.errors import LedgerError
from gateway.exchange.shown import NOTHING, Shown
from gateway.ledger.append import append
from gateway.ledger.checkpoint import Checkpoint, parse_checkpoint
from gateway.ledger.history import KEY_KINDS, NO_END, KeyHistory, key_id_of
from gateway.ledger.note import VerifierKey, open_note
from gateway.ledger.port import Log
from gateway.ledger.proof import LogNodes, check_consistency, consistency_proof
from gateway.package.forms import Node
from gateway.store import alarms, outside, peer_heads
from gateway.store.alarms import AlarmCode
from gateway.store.database import Connection
from gateway.store.entries import TransactionLog
from gateway.store.outside import OutsideKind
from gateway.store.peer_heads import PeerHead

__all__ = ["Consistent", "Contradiction", "PeerLedgers", "ProofWanted", "Showing", "checkpoint_in", "show"]

_STEP: Final = timedelta(
    minutes=5
)  # a document is dated before its checkpoint is read: so much disorder is no contradiction
_MAX_OFFERS: Final = 256
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """A checkpoint as a peer's document carries it: ``note`` is its text, ``claimed_at`` the document's own time, ``beside`` what came
    with it in headers.
    """

    peer: str
    batch_id: str
    note: str
    claimed_at: datetime
    beside: Shown = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Consistent:
    """Nothing contradicts. ``head`` is to be kept, None when nothing new was shown; ``key`` is trusted from now on."""

    head: PeerHead | None = None
    key: VerifierKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofWanted:
    """A proof is wanted, from ``size``: none was shown, or one from another size."""

    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """The peer's ledger is not what it was. ``why``: root, shrunk, proof or log; ``held`` and ``shown`` are the two checkpoints."""

    why: str
    held: PeerHead
    shown: Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerLedgers:
    """The peers' ledgers as this node knows them. ``keys`` are those of the configuration, by the peer's code."""

    node: Node
    keys: Mapping[str, Sequence[VerifierKey]]
    _offers: dict[tuple[str, str], Shown] = field(default_factory=dict)

    def offer(self, peer: str, batch_id: str, shown: Shown) -> None:
        """Remember what came beside the receipt for a batch until the receipt is judged. Lost in a crash: then nothing was shown."""
        if len(self._offers) > _MAX_OFFERS:  # receipts that did not hold and were never judged
            self._offers.clear()
        self._offers[peer, batch_id] = shown

    def receipt(self, conn: Connection, showing: Showing, echo_size: int, *, now: datetime) -> None:
        """Judge and keep what a receipt shows of the receiver's ledger, and that the receiver holds ours up to ``echo_size``.

        In the transaction that enters the receipt. What contradicts raises an alarm; the receipt counts all the same.
        """
        peer = showing.peer
        known = outside.find(conn, OutsideKind.PEER, peer)
        if echo_size > known.size:
            outside.store(conn, replace(known, size=echo_size, at=instant(now)))
        showing = replace(showing, beside=self._offers.pop((peer, showing.batch_id), NOTHING))
        try:
            found = self.judge(conn, showing, now=now, must_prove=False)
        except LedgerError as error:
            facts = {
                "why": error.code,
                "held": "-",
                "shown": "-",
                "batch": showing.batch_id,
                "shown_note": showing.note,
            }
            alarms.raise_alarm(conn, AlarmCode.PEER_LOG_INCONSISTENT, peer, facts, instant(now))
            _log.error("peer.ledger-inconsistent", peer=peer, why=error.code, batch=showing.batch_id)
            return
        if isinstance(found, Contradiction):
            self.alarm(conn, peer, showing.batch_id, found, now=now)
        elif isinstance(found, Consistent):
            self.keep(conn, peer, found, now=now)

    def judge(
        self, conn: Connection, showing: Showing, *, now: datetime, must_prove: bool = True
    ) -> Consistent | ProofWanted | Contradiction:
        """Hold what is shown against everything that this peer showed before. Changes nothing.

        A receipt cannot be sent back for want of a proof (a crash lost it, or it came from a file): then ``must_prove`` is False.

        Raises LedgerError when the note is none, or none that a key known to be the peer's signed.
        """
        # 1. a note by the peer's own ledger key, as far as we know it
        if not showing.note:
            return Consistent()
        checkpoint, key = self._opened(conn, showing)
        peer, beside = showing.peer, showing.beside
        # 2. of this size the peer showed the same
        same = peer_heads.head_at(conn, peer, checkpoint.size)
        if same is not None and same.root != checkpoint.root:
            return Contradiction(why="root", held=same, shown=checkpoint)
        # 3. it is the same log, and did not get shorter while time went on
        largest = peer_heads.largest_head(conn, peer)
        if largest is not None and checkpoint_in(largest.note.decode()).origin != checkpoint.origin:
            return Contradiction(why="log", held=largest, shown=checkpoint)
        earlier = peer_heads.largest_before(conn, peer, instant(showing.claimed_at - _STEP))
        if earlier is not None and earlier.size > checkpoint.size:
            return Contradiction(why="shrunk", held=earlier, shown=checkpoint)
        if same is not None:
            return Consistent(key=key)
        # 4. it lies on one history with what is held: with the largest, or there is a gap that nobody looked into
        base = None if beside.since is None else peer_heads.head_at(conn, peer, beside.since)
        if base is not None and not _on_one_history(base, checkpoint, beside.proof):
            return Contradiction(why="proof", held=base, shown=checkpoint)
        proved = beside.since is not None and (largest is None or beside.since == largest.size)
        plays = beside.since is not None or peer_heads.proves(conn, peer)
        if must_prove and largest is not None and plays and not proved:
            return ProofWanted(size=largest.size)
        head = PeerHead(
            peer=peer,
            size=checkpoint.size,
            root=checkpoint.root,
            claimed_at=instant(showing.claimed_at),
            seen_at=instant(now),
            batch_id=showing.batch_id,
            proved=proved,
            note=showing.note.encode(),
        )
        return Consistent(head=head, key=key)

    def keep(self, conn: Connection, peer: str, found: Consistent, *, now: datetime) -> None:
        """Keep what was judged, in the transaction of the document that showed it; a key that is trusted on first use is entered."""
        if found.head is not None:
            peer_heads.add_head(conn, found.head)
        if found.key is not None:
            fields = {
                "node": self.node.code,
                "software": __version__,
                "purpose": "ledger",
                "owner": peer,
                "key_id": key_id_of(found.key),
                "key": str(found.key),
                "valid_from": instant(now),
                "valid_to": NO_END,
                "person": "",
            }
            append(TransactionLog(conn), "key.added", fields, at=now)
            _log.info("peer.ledger-key-trusted", peer=peer, key_id=fields["key_id"])

    @staticmethod
    def alarm(conn: Connection, peer: str, batch_id: str, found: Contradiction, *, now: datetime) -> None:
        """Raise the alarm over a contradiction; both notes are kept with it."""
        facts = {
            "why": found.why,
            "held": found.held.size,
            "shown": found.shown.size,
            "batch": batch_id,
            "held_note": found.held.note.decode(),
            "shown_text": found.shown.text(),
        }
        alarms.raise_alarm(conn, AlarmCode.PEER_LOG_INCONSISTENT, peer, facts, instant(now))
        _log.error(
            "peer.ledger-inconsistent",
            peer=peer,
            why=found.why,
            held=found.held.size,
            shown=found.shown.size,
            batch=batch_id,
        )

    def known_keys(self, conn: Connection, peer: str) -> list[VerifierKey]:
        """The keys that sign the peer's checkpoints: those of the configuration, or those trusted on first use."""
        configured = self.keys.get(peer)
        if configured:
            return list(configured)
        history = KeyHistory.of(TransactionLog(conn).of_kinds(KEY_KINDS))
        return [VerifierKey.parse(key.key) for key in history.current("ledger", peer)]

    def _opened(self, conn: Connection, showing: Showing) -> tuple[Checkpoint, VerifierKey | None]:
        """The checkpoint, and the key beside it if it is the first of this peer and holds."""
        note = showing.note.encode()
        known = self.known_keys(conn, showing.peer)
        if known:
            return parse_checkpoint(open_note(note, known)[0]), None
        if showing.beside.key:
            offered = VerifierKey.parse(showing.beside.key)
            return parse_checkpoint(open_note(note, [offered])[0]), offered
        # Nobody told us the key: the signature over the document that carries the note is all there is.
        return checkpoint_in(showing.note), None


def checkpoint_in(note: str) -> Checkpoint:
    """The checkpoint that a note's text is, whoever signed it. Raises LedgerError ``checkpoint-malformed``."""
    return parse_checkpoint(note.split("\n\n", 1)[0] + "\n")


def show(log: Log, size: int, since: int) -> tuple[bytes, ...]:
    """A proof that our checkpoints over ``size`` and ``since`` entries lie on one history, whichever is the larger.

    Raises LedgerError ``proof-out-of-range`` when the ledger is shorter than one of them.
    """
    old, new = sorted((size, since))
    if old in {0, new}:
        return ()
    if new > log.head().size:
        raise LedgerError("proof-out-of-range", first=old, second=new)
    return consistency_proof(LogNodes(log), old, new)


def _on_one_history(held: PeerHead, shown: Checkpoint, proof: Sequence[bytes]) -> bool:
    old, new = sorted(((held.size, held.root), (shown.size, shown.root)))
    try:
        check_consistency(*old, *new, proof)
    except LedgerError:
        return False
    return True
