"""One suite for every way to another node: what a sender may rely on, whatever carries the bytes.

A transport's own test file has a class that inherits :class:`Conformance` and a fixture ``bench`` that gives a :class:`Bench`: our transport,
and the other organisation at its far end, which does what a test wants of it. Where the other side works by itself later (a folder, a
table), :meth:`Bench.work` lets it work; where it answers at once it has nothing to do there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

import pytest

from gateway.errors import PackageError
from gateway.exchange.outcome import (
    Acknowledged,
    Later,
    NeverReceived,
    NotReady,
    Outcome,
    ReceiptAnswer,
    Refused,
    Taken,
    Unknown,
)
from gateway.exchange.port import Outgoing, Transport
from gateway.package.batch import build_batch, parse_batch
from gateway.package.certificates import Certificate
from gateway.package.container import BATCH, open_package
from gateway.package.header import FormatReference
from gateway.package.receipt import (
    CheckedReceipt,
    Figures,
    Receipt,
    Result,
    SentBatch,
    build_receipt,
    check_receipt,
    verdict_of,
)
from gateway.package.receipt import Outcome as RecordOutcome
from gateway.package.record import Operation, Reason, record_line
from gateway.package.sealing import seal
from gateway.texts import LANGUAGES, template
from tests.package.samples import FIRST, NOW, RECEIVER, draft, ecdsa

KEYS = ("黑交许可〔2026〕1号", 'a "quoted" <key> & more', 'A "quoted" <key> & more', "withdrawn|2")
"""Records of every batch: three new ones, two of which differ by a capital letter alone, and one that is withdrawn."""
VERSIONS = {KEYS[0]: 1, KEYS[1]: 1, KEYS[2]: 2, KEYS[3]: 4}


class Manner(Enum):
    """How the other organisation behaves from now on."""

    ACCEPT = auto()  # takes what comes, and answers as soon as it works
    REFUSE = auto()  # will not take the batch as a whole, however often it comes
    VANISH = auto()  # cannot be reached
    LOSE = auto()  # takes the batch, and the line breaks before we know
    LATE = auto()  # takes the batch and does not answer until it is told to accept again


class Bench(Protocol):
    """Our transport and the other organisation."""

    @property
    def transport(self) -> Transport:
        """Our way to it."""
        ...

    @property
    def packages(self) -> dict[str, bytes]:
        """What was sealed, by batch id: the suite fills it, a transport that needs its package again may read there."""
        ...

    @property
    def trusted(self) -> Sequence[Certificate]:
        """Whose receipts hold."""
        ...

    @property
    def taken_down(self) -> bool:
        """Whether its receipts are taken down from unsigned feedback."""
        ...

    @property
    def format(self) -> FormatReference:
        """The format that the bodies are in."""
        ...

    @property
    def wrongs(self) -> Sequence[str]:
        """The ways of answering wrongly that :meth:`answer_wrongly` knows."""
        ...

    def body(self, number: int) -> str:
        """The body of the record at that place of :data:`KEYS`."""
        ...

    async def behave(self, manner: Manner, *, rejected: Collection[str] = ()) -> None:
        """Behave like this from now on; records with the keys ``rejected`` are not taken, with the code ``identifier-invalid``."""
        ...

    async def answer_wrongly(self, how: str) -> None:
        """Take what comes and answer it in this wrong way, until told to behave."""
        ...

    async def work(self) -> None:
        """Do what lies there to be done."""
        ...

    async def copies(self, batch_id: str) -> int:
        """How often the batch lies with the other organisation."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A sealed batch on its way, and what its receipt is held against."""

    outgoing: Outgoing
    sent: SentBatch


def post(bench: Bench, sequence: int = 1) -> Posted:
    """The batch with this number."""
    batch_id = f"0193{sequence:04x}-0000-7abc-8def-0123456789ab"
    lines = [
        record_line(key, VERSIONS[key], Operation.UPSERT, bench.body(number)) for number, key in enumerate(KEYS[:3])
    ]
    lines.append(record_line(KEYS[3], VERSIONS[KEYS[3]], Operation.WITHDRAW, reason=Reason(code="revoked")))
    built = build_batch(
        draft(
            batch_id=batch_id,
            sequence=sequence,
            previous_batch_id=None if sequence == 1 else FIRST,
            format=bench.format,
            checkpoint="",
        ),
        lines,
    )
    package = seal(BATCH, built.xml, ecdsa().signer, NOW)
    bench.packages[batch_id] = package
    return Posted(
        outgoing=Outgoing(batch_id=batch_id, package=package),
        sent=SentBatch(
            batch_id=batch_id,
            route=built.header.route,
            sequence=sequence,
            package_sha256=hashlib.sha256(package).hexdigest(),
            total=4,
            checkpoint="",
            receiver_code=RECEIVER.code,
            version_of=VERSIONS.get,
            taken_down=bench.taken_down,
        ),
    )


def receipt_of(posted_package: bytes, rejected: Iterable[str] = (), **changes: object) -> bytes:
    """The document of a true receipt for a package of :func:`post`: for organisations that speak our protocol. ``changes`` make it untrue."""
    header = parse_batch(open_package(posted_package).document).header
    bad = [key for key in KEYS if key in set(rejected)]
    good = [key for key in KEYS if key not in bad]
    figures = Figures(
        total=4,
        created=sum(1 for key in good if key in KEYS[:2]),
        updated=int(KEYS[2] in good),
        withdrawn=int(KEYS[3] in good),
        rejected=len(bad),
    )
    facts: dict[str, object] = {
        "batch_id": header.batch_id,
        "route": header.route,
        "sequence": header.sequence,
        "package_sha256": hashlib.sha256(posted_package).hexdigest(),
        "receiver": RECEIVER,
        "received_at": NOW,
        "verdict": verdict_of(figures),
        "figures": figures,
        "outcomes": [
            RecordOutcome(key=key, version=VERSIONS[key], result=Result.REJECTED, code="identifier-invalid")
            for key in bad
        ],
    }
    return build_receipt(Receipt(**(facts | changes)))  # type: ignore[arg-type]  # a test names the fields that it bends


def held(bench: Bench, posted: Posted, receipt: bytes) -> CheckedReceipt:
    """The receipt, checked as a sender checks it. Raises PackageError."""
    return check_receipt(receipt, posted.sent, bench.trusted)


async def settled(bench: Bench, posted: Posted, answer: Outcome | ReceiptAnswer | None = None) -> CheckedReceipt:
    """Go on as a sender does until a receipt is there: never send while the other side may have the batch."""
    if answer is None:
        answer = await bench.transport.send(posted.outgoing)
    for _ in range(6):
        match answer:
            case Acknowledged(receipt=data):
                return held(bench, posted, data)
            case Taken() | NotReady() | Unknown():
                await bench.work()
                answer = await bench.transport.receipt(posted.outgoing.batch_id)
            case NeverReceived():
                answer = await bench.transport.send(posted.outgoing)
            case Later() | Refused():
                break
    raise AssertionError(f"no receipt: {answer}")


def told(code: str) -> bool:
    """Whether people can be told what the code means."""
    return all(template(code, language, "say") is not None for language in LANGUAGES)


class Conformance:
    """What every transport keeps to. A test file inherits it and gives the fixture ``bench``."""

    async def test_accepted(self, bench: Bench) -> None:
        posted = post(bench)
        figures = (await settled(bench, posted)).receipt.figures
        assert (figures.total, figures.rejected) == (4, 0)
        assert (figures.created + figures.updated + figures.unchanged, figures.withdrawn) == (3, 1)
        assert await bench.copies(posted.outgoing.batch_id) == 1

    async def test_partly_rejected(self, bench: Bench) -> None:
        await bench.behave(Manner.ACCEPT, rejected={KEYS[1], KEYS[3]})
        receipt = (await settled(bench, post(bench))).receipt
        assert (receipt.figures.total, receipt.figures.rejected) == (4, 2)
        assert [(one.key, one.version, one.result, one.code) for one in receipt.outcomes] == [
            (key, VERSIONS[key], Result.REJECTED, "identifier-invalid") for key in (KEYS[1], KEYS[3])
        ]

    async def test_refused(self, bench: Bench) -> None:
        """A refusal, at once or when asked for, is an outcome with a code that people are told, and nothing lies there."""
        await bench.behave(Manner.REFUSE)
        posted = post(bench)
        answer: Outcome | ReceiptAnswer = await bench.transport.send(posted.outgoing)
        if isinstance(answer, Taken):
            await bench.work()
            answer = await bench.transport.receipt(posted.outgoing.batch_id)
        assert isinstance(answer, Refused), answer
        assert answer.code
        assert answer.detail or told(answer.code)
        await bench.behave(Manner.ACCEPT)
        assert await bench.copies(posted.outgoing.batch_id) == 0
        # What was wrong is mended, and a person orders the same bytes out again.
        assert (await settled(bench, posted)).receipt.figures.total == 4
        assert await bench.copies(posted.outgoing.batch_id) == 1

    async def test_unreachable(self, bench: Bench) -> None:
        """Nobody there: the same bytes may go later, and nothing was lost or doubled."""
        posted = post(bench)
        await bench.behave(Manner.VANISH)
        for _ in range(2):
            answer = await bench.transport.send(posted.outgoing)
            assert isinstance(answer, Later), answer
            assert told(answer.why)
        asked = await bench.transport.receipt(posted.outgoing.batch_id)
        assert isinstance(asked, Later | Unknown), asked
        await bench.behave(Manner.ACCEPT)
        assert (await settled(bench, posted)).receipt.figures.total == 4
        assert await bench.copies(posted.outgoing.batch_id) == 1

    async def test_unknown_outcome(self, bench: Bench) -> None:
        """The bytes left and nobody knows whether they arrived: asking tells, and sending again, where it is needed, doubles nothing."""
        posted = post(bench)
        await bench.behave(Manner.LOSE)
        answer = await bench.transport.send(posted.outgoing)
        assert isinstance(answer, Unknown), answer
        assert told(answer.why)
        await bench.behave(Manner.ACCEPT)
        asked = await bench.transport.receipt(posted.outgoing.batch_id)
        assert not isinstance(asked, Later | Unknown), asked
        assert (await settled(bench, posted, asked)).receipt.figures.total == 4
        assert await bench.copies(posted.outgoing.batch_id) == 1

    async def test_duplicate(self, bench: Bench) -> None:
        """The same batch once more, before it was worked off and after: one copy, and what is said of it stays true."""
        posted = post(bench)
        first = await bench.transport.send(posted.outgoing)
        again = await bench.transport.send(posted.outgoing)
        assert type(again) is type(first)
        assert (await settled(bench, posted, again)).receipt.figures.total == 4
        after = await bench.transport.send(posted.outgoing)
        assert (await settled(bench, posted, after)).receipt.figures.total == 4
        assert await bench.copies(posted.outgoing.batch_id) == 1

    async def test_late_feedback(self, bench: Bench) -> None:
        """Taken, but not yet worked off: not an answer, not a failure, and never a reason to send again."""
        posted = post(bench)
        await bench.behave(Manner.LATE)
        answer = await bench.transport.send(posted.outgoing)
        assert isinstance(answer, Taken), answer
        for _ in range(2):
            await bench.work()
            assert isinstance(await bench.transport.receipt(posted.outgoing.batch_id), NotReady)
        await bench.behave(Manner.ACCEPT)
        await bench.work()
        asked = await bench.transport.receipt(posted.outgoing.batch_id)
        assert isinstance(asked, Acknowledged), asked
        assert held(bench, posted, asked.receipt).receipt.figures.total == 4

    async def test_never_received(self, bench: Bench) -> None:
        posted = post(bench)
        assert isinstance(await bench.transport.receipt(posted.outgoing.batch_id), NeverReceived)

    async def test_wrong_feedback(self, bench: Bench) -> None:
        """An answer that cannot be about this batch closes nothing: it has a code, and the true one counts when it comes."""
        assert bench.wrongs
        for sequence, how in enumerate(bench.wrongs, start=1):
            posted = post(bench, sequence)
            await bench.answer_wrongly(how)
            answer: Outcome | ReceiptAnswer = await bench.transport.send(posted.outgoing)
            if isinstance(answer, Taken):
                await bench.work()
                answer = await bench.transport.receipt(posted.outgoing.batch_id)
            match answer:
                case Acknowledged(receipt=data):
                    with pytest.raises(PackageError):
                        held(bench, posted, data)
                case Unknown(why=why):
                    assert told(why), f"{how}: {why}"
                case _:
                    pytest.fail(f"{how}: {answer}")
            await bench.behave(Manner.ACCEPT)
            await bench.work()
            asked = await bench.transport.receipt(posted.outgoing.batch_id)
            assert isinstance(asked, Acknowledged), f"{how}: {asked}"
            assert held(bench, posted, asked.receipt).receipt.figures.total == 4
            assert await bench.copies(posted.outgoing.batch_id) == 1
