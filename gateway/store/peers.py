"""How the peers that we send to were last reached: one row each, so that an outage is known over a restart too."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, insert, select

from gateway.store.tables import peer

__all__ = ["PeerRow", "all_peers", "find_peer", "save_peer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRow:
    """A peer by its code. ``failures`` are in a row; the next three are None while the peer is reached. ``drains``: it was out of reach, and
    what waited meanwhile is not gone yet."""

    code: str
    failures: int = 0
    opened_at: str | None = None
    probe_at: str | None = None
    why: str | None = None
    drains: bool = False


def find_peer(conn: Connection, code: str) -> PeerRow:
    """The peer's row; of a peer that never failed, the row of one that is reached."""
    row = conn.execute(select(peer).where(peer.c.code == code)).one_or_none()
    return PeerRow(code=code) if row is None else PeerRow(**row._mapping)


def all_peers(conn: Connection) -> list[PeerRow]:
    """Every peer that has a row, by code."""
    return [PeerRow(**row._mapping) for row in conn.execute(select(peer).order_by(peer.c.code))]


def save_peer(conn: Connection, row: PeerRow) -> None:
    """Put ``row`` in place of what was known of the peer."""
    conn.execute(delete(peer).where(peer.c.code == row.code))
    conn.execute(insert(peer).values(**asdict(row)))
