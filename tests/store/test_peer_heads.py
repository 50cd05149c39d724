"""What peers have shown of their ledgers is kept, all of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.errors import StoreError
from gateway.store import peer_heads
from gateway.store.database import Database
from gateway.store.peer_heads import PeerHead
from tests.store.samples import AT, digest, later

FIRST = PeerHead(
    peer="peer", size=10, root=digest("ten"), claimed_at=AT, seen_at=later(9), batch_id="b", proved=False, note=b"ten"
)
LARGER = replace(FIRST, size=20, root=digest("twenty"), claimed_at=later(60), note=b"twenty")


def test_every_head_that_a_peer_showed_is_found(database: Database) -> None:
    with database.begin() as conn:
        assert peer_heads.largest_head(conn, "peer") is None
        for head in (LARGER, FIRST, replace(FIRST, peer="other", size=99)):
            peer_heads.add_head(conn, head)
        assert peer_heads.largest_head(conn, "peer") == LARGER
        assert peer_heads.head_at(conn, "peer", 10) == FIRST
        assert peer_heads.head_at(conn, "peer", 11) is None
        assert peer_heads.largest_before(conn, "peer", later(60)) == FIRST
        assert peer_heads.largest_before(conn, "peer", AT) is None


def test_no_head_is_written_over(database: Database) -> None:
    with database.begin() as conn:
        peer_heads.add_head(conn, FIRST)
    with pytest.raises(StoreError, match="store-constraint"), database.begin() as conn:
        peer_heads.add_head(conn, replace(FIRST, root=digest("other")))


def test_a_peer_that_once_proved_growth_is_known_for_it(database: Database) -> None:
    with database.begin() as conn:
        peer_heads.add_head(conn, FIRST)
        assert not peer_heads.proves(conn, "peer")
        peer_heads.add_head(conn, replace(LARGER, proved=True))
        assert peer_heads.proves(conn, "peer")
        assert not peer_heads.proves(conn, "other")
