"""Every stage of a record's way by itself, in one process, over the same rows; peers take their turn between the helpings."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Final

from gateway.app import Gateway
from gateway.clock import RandomIds, SystemClock
from gateway.logs import configure
from gateway.opening import open_gateway
from tests.bench.figures import Deadline, Figure, Progress
from tests.bench.keeping import measure_ledger
from tests.bench.plain import PlainSchema
from tests.bench.publishing import measure_site
from tests.bench.receiving import Receiving
from tests.bench.scene import EXCHANGE, Scene
from tests.bench.sending import Sending

__all__ = ["measure_stages"]

_NOWHERE: Final = "https://127.0.0.1:1"  # nothing is sent here


@dataclass(frozen=True, slots=True, kw_only=True)
class _Nodes:
    """Both nodes of the scene, opened in this process."""

    bureau: Gateway
    province: Gateway


def measure_stages(scene: Scene, *, progress: Progress, deadline: Deadline) -> list[Figure]:
    """The figures of all stages, in the order of a record's way. Raises OutOfTimeError."""
    configure(level="error")
    scene.point_at(_NOWHERE)
    with _opened(scene) as nodes:
        return asyncio.run(_measure(scene, nodes, progress, deadline))


@contextmanager
def _opened(scene: Scene) -> Iterator[_Nodes]:
    with (
        open_gateway(scene.settings("bureau"), what="bench", clock=SystemClock(), ids=RandomIds()) as bureau,
        open_gateway(scene.settings("province"), what="bench", clock=SystemClock(), ids=RandomIds()) as province,
    ):
        yield _Nodes(bureau=bureau, province=province)


async def _measure(scene: Scene, nodes: _Nodes, progress: Progress, deadline: Deadline) -> list[Figure]:
    async with nodes.bureau.exchange(EXCHANGE) as exchange:
        schema = PlainSchema(scene.folder / "xsd", nodes.bureau.mappings.format(exchange.format_id))
        with (
            closing(Sending(scene, nodes.bureau, exchange, schema)) as sending,
            closing(Receiving(scene, nodes.province, exchange, schema)) as receiving,
        ):
            done = 0
            for stored in sending.chunks():
                for batch in sending.batches(stored):
                    receiving.take(batch)
                    deadline.left()
                done += len(stored)
                progress.tell(f"stages: {done:,} of {scene.count:,}")
            figures = [
                *sending.figures(),
                *receiving.figures(),
                measure_ledger(scene, nodes.bureau, deadline=deadline),
                measure_site(scene.folder, nodes.bureau.mappings.library, scene.count, deadline=deadline),
            ]
    progress.done()
    return figures
