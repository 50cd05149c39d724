"""A bundle with a batch in dispute: a void batch found its number taken by the batch that had been given up. Such a bundle is never proved
complete, so of the set only those tamperings are asked of it that must be contradicted.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.receiving import open_receiver
from gateway.store import batches
from gateway.store.states import State
from tests.evidence.world import PERSON, REASON, World, order, stamp
from tests.nodes import BUREAU, lay_nodes, permit, run_once
from tests.package.stamping import Authority

__all__ = ["dispute"]


def dispute(folder: Path) -> World:
    """Two nodes; the bureau's ledger tells of the dispute."""
    return asyncio.run(_dispute(folder))


async def _dispute(folder: Path) -> World:
    nodes, authority = lay_nodes(folder), Authority()
    nodes.business.write([permit(number) for number in range(1, 4)])
    with nodes.bureau.open() as bureau:
        stamp(bureau, authority)
        await run_once(bureau)  # nobody listens
        with bureau.database.read() as conn:
            (waiting,) = batches.open_batches(conn)
            package = batches.package_bytes(conn, waiting.id)
    async with nodes.province_listening() as province:
        with nodes.bureau.open() as bureau:
            async with bureau.peer_of(waiting.route) as peer:
                void = await bureau.decisions.abandon(waiting.id, peer, person=PERSON, reason=REASON)
            # It arrives after all, by another way, between the receiver's word that it never had it and the void batch.
            await open_receiver(province).take(BUREAU, waiting.id, package)
            await order(bureau, "retry", batch=void)
            with bureau.database.read() as conn:
                ended = batches.find_batch(conn, void or "")
            assert ended is not None
            assert ended.state is State.DISPUTED
            stamp(bureau, authority)
    return World(nodes=nodes, ministry=nodes.province, authority=authority)
