"""Our clock against a real node's, over TLS on loopback."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gateway.clock import SystemClock
from gateway.delivery.clock_check import ClockCheck
from gateway.delivery.holds import Holds, Work
from gateway.delivery.skew import ClockWatch
from gateway.errors import DeliveryError
from gateway.ledger.append import append
from gateway.store.entries import DurableLog, TransactionLog
from tests.nodes import PROVINCE, Nodes, lay_nodes

LIMIT = timedelta(minutes=5)


@dataclass
class SetClock(SystemClock):
    """A clock that somebody set ``by`` too far ahead."""

    by: timedelta

    def now(self) -> datetime:
        return super().now() + self.by


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    return lay_nodes(tmp_path)


async def test_runs_and_signatures_wait_until_the_clock_is_right_again(nodes: Nodes) -> None:
    clock = SetClock(
        timedelta(hours=-8)
    )  # local time in the clock of a machine that takes it for UTC, the other way round
    holds = Holds(clock)
    async with nodes.province_listening():
        with nodes.bureau.open() as gateway:
            async with gateway.peer("province") as peer:
                check = ClockCheck(peers={PROVINCE: peer}, watch=ClockWatch(LIMIT), holds=holds, clock=clock)
                await check.look()
                (hold,) = holds.all()
                assert hold.code == "clock-skew"
                assert abs(float(str(hold.facts["seconds"])) - 8 * 3600) < 5
                for work in (Work.RUN, Work.SIGNING):
                    with pytest.raises(DeliveryError, match="held-back"):
                        holds.check(work)
                holds.check(Work.SENDING)
                clock.by = timedelta()
                await check.look()
                assert holds.all() == ()


def test_nothing_is_signed_while_the_clock_is_in_doubt(nodes: Nodes) -> None:
    """What was committed meanwhile is covered by the first checkpoint after the hold."""
    with nodes.bureau.open() as gateway:
        log = DurableLog(gateway.database)
        signed = log.newest_checkpoint()
        assert signed is not None
        gateway.holds.begin("clock-skew", frozenset({Work.SIGNING}), seconds=7200, limit=300)
        fields = {
            "node": gateway.node.code,
            "software": "-",
            "person": "p",
            "action": "a",
            "subject": "s",
            "reason": "r",
        }
        with gateway.database.begin() as conn:
            append(TransactionLog(conn), "operator.action", fields, at=gateway.clock.now())
        gateway.notary.publish(final=True)
        assert log.newest_checkpoint() == signed
        gateway.holds.end("clock-skew")
        gateway.notary.publish(final=True)
        newest = log.newest_checkpoint()
        assert newest is not None
        assert newest.size == signed.size + 1


async def test_a_peer_that_does_not_answer_says_nothing(nodes: Nodes) -> None:
    clock = SetClock(timedelta(days=365))
    holds = Holds(clock)
    nodes.point_bureau_at("https://127.0.0.1:1")
    with nodes.bureau.open() as gateway:
        async with gateway.peer("province") as peer:
            await ClockCheck(peers={PROVINCE: peer}, watch=ClockWatch(LIMIT), holds=holds, clock=clock).look()
    assert holds.all() == ()
