"""HTTP by the suite that every transport passes; the other organisation is a server on loopback that answers as it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence

import pytest

from gateway.exchange.service import ServiceLimits, ServiceTransport
from gateway.package.certificates import Certificate
from gateway.package.container import RECEIPT
from gateway.package.forms import Node
from gateway.package.header import FormatReference
from gateway.package.receipt import Figures, Outcome, Result, Verdict
from gateway.package.sealing import seal
from tests.exchange.conformance import KEYS, Bench, Conformance, Manner, receipt_of
from tests.exchange.peer import Line, Peer, Request, answer, problem
from tests.exchange.still import StillClock, StillIds
from tests.package.samples import NOW, body, ecdsa, stranger

WRONGS: dict[str, dict[str, object]] = {
    "another batch": {"batch_id": "0193ffff-0000-7abc-8def-0123456789ab"},
    "another package": {"package_sha256": "0" * 64},
    "another receiver": {"receiver": Node(code="OTHER", name="别的")},
    "figures of another batch": {"figures": Figures(total=3, created=3), "verdict": Verdict.ACCEPTED},
    "unknown record": {
        "figures": Figures(total=4, created=3, rejected=1),
        "verdict": Verdict.PARTLY_ACCEPTED,
        "outcomes": [Outcome(key="not ours", version=1, result=Result.REJECTED, code="code-unknown")],
    },
    "another signer": {},
    "rubbish": {},
}


class ServiceBench:
    """The other organisation keeps packages by batch id."""

    taken_down = False
    format = FormatReference(id="credit-2018", version="1")
    trusted: Sequence[Certificate] = (stranger().certificate,)
    wrongs = tuple(WRONGS)

    def __init__(self) -> None:
        self.packages: dict[str, bytes] = {}
        self.kept: dict[str, bytes] = {}
        self.taken: list[str] = []
        self.manner = Manner.ACCEPT
        self.rejected: Collection[str] = ()
        self.wrong = ""
        self.peer = Peer(self.script)
        self.transport: ServiceTransport

    def body(self, number: int) -> str:
        return body(str(number))

    async def behave(self, manner: Manner, *, rejected: Collection[str] = ()) -> None:
        self.manner, self.rejected, self.wrong = manner, rejected, ""

    async def answer_wrongly(self, how: str) -> None:
        self.wrong = how

    async def work(self) -> None:
        """It answers at once."""

    async def copies(self, batch_id: str) -> int:
        return self.taken.count(batch_id)

    async def script(self, line: Line) -> None:
        if self.manner is Manner.VANISH:
            line.reset()
            return
        request = await line.request()
        raw = self.answered(request)
        if self.manner is Manner.LOSE:
            line.reset()
            return
        await line.say(raw)

    def answered(self, request: Request) -> bytes:
        batch_id = request.target.split("/")[4]
        status = 200
        if request.method == "PUT":
            if self.manner is Manner.REFUSE:
                return problem(403, "route-forbidden", detail="not yours to send")
            if batch_id not in self.kept:
                self.taken.append(batch_id)
                self.kept[batch_id] = request.body
                status = 201
        elif batch_id not in self.kept:
            return problem(404, "unknown-batch")
        if self.manner is Manner.LATE:
            return answer(202, headers={"Retry-After": "1"})
        return answer(status, self.receipt(self.kept[batch_id]))

    def receipt(self, package: bytes) -> bytes:
        if self.wrong == "rubbish":
            return b"PK nothing"
        document = receipt_of(package, self.rejected, **WRONGS.get(self.wrong, {}))
        signer = ecdsa() if self.wrong == "another signer" else stranger()
        return seal(RECEIPT, document, signer.signer, NOW)


class TestService(Conformance):
    """The service mode."""

    @pytest.fixture
    async def bench(self) -> AsyncIterator[Bench]:
        bench = ServiceBench()
        async with bench.peer as peer:
            limits = ServiceLimits(connect=2.0, total=10.0, continue_wait=2.0)
            bench.transport = ServiceTransport(
                peer.url, peer="province", clock=StillClock(), ids=StillIds(), limits=limits
            )
            yield bench
            await bench.transport.close()


def test_the_keys_are_what_they_are_said_to_be() -> None:
    assert KEYS[1] != KEYS[2]
    assert KEYS[1].lower() == KEYS[2].lower()
