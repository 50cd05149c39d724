"""How far the peers' ledgers are, as they have shown us: every checkpoint that came with a batch or a receipt, never overwritten.

Two roots of one size, or a ledger that got shorter while time went on, are a contradiction. Which it is decides ``delivery``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, insert, select

from gateway.store.tables import peer_head

__all__ = ["PeerHead", "add_head", "forget", "head_at", "largest_before", "largest_head", "proves"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerHead:
    """One checkpoint that a peer has shown. ``claimed_at`` is the peer's own time of the document that carried it, in ``batch_id``;
    ``proved`` that it was shown to lie on one history with the largest one held before.
    """

    peer: str
    size: int
    root: bytes
    claimed_at: str
    seen_at: str
    batch_id: str
    proved: bool
    note: bytes = field(repr=False)


def add_head(conn: Connection, head: PeerHead) -> None:
    """Keep a checkpoint of a size that this peer has not shown yet."""
    conn.execute(insert(peer_head).values(**{item.name: getattr(head, item.name) for item in fields(head)}))


def head_at(conn: Connection, peer: str, size: int) -> PeerHead | None:
    """What the peer has shown at this size."""
    query = select(peer_head).where(peer_head.c.peer == peer, peer_head.c.size == size)
    return _head(conn.execute(query).one_or_none())


def largest_head(conn: Connection, peer: str) -> PeerHead | None:
    """The largest checkpoint that the peer has shown."""
    query = select(peer_head).where(peer_head.c.peer == peer).order_by(peer_head.c.size.desc()).limit(1)
    return _head(conn.execute(query).one_or_none())


def largest_before(conn: Connection, peer: str, claimed_at: str) -> PeerHead | None:
    """The largest one that the peer showed in documents of before ``claimed_at``, by the peer's own time."""
    query = select(peer_head).where(peer_head.c.peer == peer, peer_head.c.claimed_at < claimed_at)
    return _head(conn.execute(query.order_by(peer_head.c.size.desc()).limit(1)).one_or_none())


def proves(conn: Connection, peer: str) -> bool:
    """Whether the peer has ever proved that its ledger only grew."""
    return bool(conn.scalar(select(exists().where(peer_head.c.peer == peer, peer_head.c.proved))))


def forget(conn: Connection, peer: str) -> int:
    """Forget what the peer has shown: it begins anew, with another ledger. How many checkpoints that were; the packages keep them."""
    return conn.execute(delete(peer_head).where(peer_head.c.peer == peer)).rowcount


def _head(row: Row[Any] | None) -> PeerHead | None:
    return (
        None if row is None else PeerHead(**(dict(row._mapping) | {"root": bytes(row.root), "note": bytes(row.note)}))
    )
