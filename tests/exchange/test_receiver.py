"""The receiving side over real sockets: every answer of the protocol, and callers that misbehave."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
import structlog

from gateway.errors import ExchangeError, StoreError
from gateway.exchange.callers import CallerDirectory
from gateway.exchange.intake import Pending, ProblemAnswer, ReceiptTaken
from gateway.exchange.listener import Listener
from gateway.exchange.outcome import Acknowledged, NeverReceived, NotReady, Refused, Taken
from gateway.exchange.port import PACKAGE_TYPE, Outgoing
from gateway.exchange.problem import Problem
from gateway.exchange.receiver import ReceiverLimits, build_receiver
from gateway.exchange.secret import Secret
from gateway.exchange.service import ServiceLimits, ServiceTransport

from .peer import closed_port
from .shelf import Shelf, receipt_for
from .still import StillClock, StillIds, until

BATCH = "0193a5b0-1111-7222-8333-444455556666"
PATH = f"/exchange/v1/batches/{BATCH}"
PACKAGE = b"PK\x03\x04 sealed" * 100
ALPHA, BETA = "alpha-token", "beta-token"
TOKENS = {ALPHA: "node-alpha", BETA: "node-beta"}


@asynccontextmanager
async def served(
    shelf: Shelf, *, limits: ReceiverLimits | None = None, ready: bool | None = None
) -> AsyncIterator[Listener]:
    async def answer_ready() -> bool:
        return bool(ready)

    application = build_receiver(
        shelf,
        callers=CallerDirectory(
            tokens={hashlib.sha256(token.encode()).hexdigest(): node for token, node in TOKENS.items()}
        ),
        clock=StillClock(),
        limits=limits,
        ready=None if ready is None else answer_ready,
    )
    listener = Listener(application, host="127.0.0.1", port=0, drain=1.0)
    await listener.start()
    try:
        yield listener
    finally:
        await listener.stop()


def head(method: str, path: str, *, token: str | None = ALPHA, **headers: str) -> bytes:
    fields = {
        "Host": "127.0.0.1",
        "Content-Type": PACKAGE_TYPE,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    if token is not None:
        fields["Authorization"] = f"Bearer {token}"
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Raw:
    """A caller that writes its own bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, *parts: bytes) -> None:
        self.writer.write(b"".join(parts))
        await self.writer.drain()

    async def status(self) -> int:
        return int((await self.reader.readuntil(b"\r\n")).split(b" ")[1])

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        status = await self.status()
        raw = (await self.reader.readuntil(b"\r\n\r\n")) if status != 100 else await self.reader.readexactly(2)
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in raw.decode("latin-1").strip().splitlines())
        }
        return status, headers, await self.reader.readexactly(int(headers.get("content-length", "0")))

    async def code(self) -> tuple[int, str]:
        status, headers, body = await self.answer()
        assert headers["content-type"].startswith("application/problem+json")
        document = json.loads(body)
        assert document["status"] == status
        assert document["type"] == f"urn:credit-exchange:problem:{document['code']}"
        assert document["title"]
        assert document["detail"]
        return status, document["code"]


@asynccontextmanager
async def raw(listener: Listener) -> AsyncIterator[Raw]:
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


def transport(listener: Listener, token: str = ALPHA, *, limits: ServiceLimits | None = None) -> ServiceTransport:
    return ServiceTransport(
        listener.url, peer="p", clock=StillClock(), ids=StillIds(), token=Secret(token), limits=limits
    )


# Our own sender against our own receiver


async def test_first_and_second_delivery_give_the_same_receipt() -> None:
    shelf = Shelf()
    async with served(shelf) as listener:
        way = transport(listener)
        outgoing = Outgoing(batch_id=BATCH, package=PACKAGE)
        first, second = await way.send(outgoing), await way.send(outgoing)
        asked = await way.receipt(BATCH)
        await way.close()
    assert first == Acknowledged(receipt=receipt_for(PACKAGE), status=201, stored=False)
    assert second == asked == Acknowledged(receipt=receipt_for(PACKAGE), status=200, stored=True)
    assert shelf.calls == [("node-alpha", BATCH, PACKAGE)] * 2


async def test_other_bytes_under_the_same_id_are_refused() -> None:
    shelf = Shelf()
    async with served(shelf) as listener:
        way = transport(listener)
        await way.send(Outgoing(batch_id=BATCH, package=PACKAGE))
        outcome = await way.send(Outgoing(batch_id=BATCH, package=b"PK other"))
        await way.close()
    assert isinstance(outcome, Refused)
    assert (outcome.status, outcome.code) == (409, "batch-id-conflict")
    assert shelf.kept == {BATCH: PACKAGE}


async def test_fifty_duplicates_at_once_reach_the_work_exactly_as_sent() -> None:
    shelf = Shelf()
    package = bytes(range(256)) * 2048  # 512 KiB
    async with served(shelf, limits=ReceiverLimits(requests_per_caller=64)) as listener:
        way = transport(listener)
        outcomes = await asyncio.gather(*(way.send(Outgoing(batch_id=BATCH, package=package)) for _ in range(50)))
        await way.close()
    assert all(isinstance(outcome, Acknowledged) and outcome.receipt == receipt_for(package) for outcome in outcomes)
    assert sorted(outcome.status for outcome in outcomes if isinstance(outcome, Acknowledged)) == [200] * 49 + [201]
    assert shelf.calls == [("node-alpha", BATCH, package)] * 50


async def test_pending_never_received_and_node() -> None:
    shelf = Shelf()
    async with served(shelf) as listener:
        way = transport(listener)
        assert await way.receipt(BATCH) == NeverReceived()
        shelf.says = Pending(retry_after=2.5)
        assert await way.send(Outgoing(batch_id=BATCH, package=PACKAGE)) == Taken(retry_after=3.0)
        assert await way.receipt(BATCH) == NotReady(retry_after=3.0)
        assert (await way.node()).name == "省结点"
        await way.close()


async def test_problem_of_the_work_reaches_the_sender() -> None:
    shelf = Shelf()
    shelf.says = ProblemAnswer(problem=Problem(code="sequence-gap", expected=17))
    async with served(shelf) as listener, raw(listener) as caller:
        await caller.say(head("PUT", PATH, Content_Length="1"), b"x")
        status, _, body = await caller.answer()
    assert status == 409
    assert json.loads(body)["expected"] == 17


# Who is calling


@pytest.mark.parametrize("token", [None, "", "wrong", "alpha-token2"])
async def test_unknown_callers_get_no_further(token: str | None) -> None:
    shelf = Shelf()
    async with served(shelf) as listener:
        for method, path in (
            ("PUT", PATH),
            ("GET", f"{PATH}/receipt"),
            ("GET", "/exchange/v1/node"),
            ("PUT", "/exchange/v1/batches/zzz"),
        ):
            async with raw(listener) as caller:
                await caller.say(head(method, path, token=token))
                assert await caller.code() == (401, "caller-unknown")
    assert shelf.calls == []


async def test_headers_of_a_proxy_are_not_believed() -> None:
    async with served(Shelf()) as listener, raw(listener) as caller:
        await caller.say(
            head("GET", "/exchange/v1/node", token=None, X_Client_Cert="abc", X_SSL_Client_Verify="SUCCESS")
        )
        assert await caller.code() == (401, "caller-unknown")


async def test_refused_caller_is_not_told_to_go_ahead() -> None:
    shelf = Shelf()
    async with served(shelf) as listener:
        async with raw(listener) as caller:
            await caller.say(head("PUT", PATH, token="wrong", Content_Length="100", Expect="100-continue"))
            assert await caller.code() == (401, "caller-unknown")
        async with raw(listener) as caller:
            await caller.say(head("PUT", PATH, Content_Length="3", Expect="100-continue"))
            assert (await caller.answer())[0] == 100
            await caller.say(b"abc")
            assert (await caller.answer())[0] == 201


# What is sent


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        (PATH, {"Content_Type": "application/zip"}, (415, "media-type-unsupported")),
        (PATH, {"Content_Encoding": "gzip"}, (415, "media-type-unsupported")),
        (PATH, {"Content_Length": "1001"}, (413, "package-too-large")),
        (PATH, {"Content_Length": "0"}, (400, "package-malformed")),
        ("/exchange/v1/batches/17", {}, (400, "batch-id-malformed")),
        (PATH.upper().replace("/EXCHANGE/V1/BATCHES", "/exchange/v1/batches"), {}, (400, "batch-id-malformed")),
        (PATH.replace("7222", "4222"), {}, (400, "batch-id-malformed")),
        ("/exchange/v1/elsewhere", {}, (404, "not-found")),
        ("/exchange/v1/node", {}, (405, "method-not-allowed")),
    ],
)
async def test_puts_that_are_refused_at_the_head(path: str, headers: dict[str, str], expected: tuple[int, str]) -> None:
    shelf = Shelf()
    async with served(shelf, limits=ReceiverLimits(package_bytes=1000)) as listener, raw(listener) as caller:
        await caller.say(head("PUT", path, **headers))
        assert await caller.code() == expected
    assert shelf.calls == []


async def test_receipt_of_an_impossible_id_was_never_received() -> None:
    async with served(Shelf()) as listener, raw(listener) as caller:
        await caller.say(head("GET", "/exchange/v1/batches/17/receipt"))
        assert await caller.code() == (404, "unknown-batch")


async def test_chunked_package_is_taken_within_the_budget_and_refused_beyond() -> None:
    shelf = Shelf()
    async with served(shelf, limits=ReceiverLimits(package_bytes=1000)) as listener:
        async with raw(listener) as caller:
            await caller.say(head("PUT", PATH, Transfer_Encoding="chunked"))
            await caller.say(b"3e8\r\n", b"x" * 1000, b"\r\n0\r\n\r\n")
            assert (await caller.answer())[0] == 201
        async with raw(listener) as caller:
            await caller.say(head("PUT", PATH, Transfer_Encoding="chunked"))
            await caller.say(b"3e9\r\n", b"x" * 1001, b"\r\n")
            assert await caller.code() == (413, "package-too-large"), "answered although the body never ends"
    assert [len(package) for _, _, package in shelf.calls] == [1000]


@pytest.mark.parametrize("cut", [0, 1, 500, 999])
async def test_a_cut_upload_leaves_nothing(cut: int) -> None:
    shelf = Shelf()
    with structlog.testing.capture_logs() as lines:
        async with served(shelf) as listener:
            async with raw(listener) as caller:
                await caller.say(head("PUT", PATH, Content_Length="1000"), b"x" * cut)
            async with raw(listener) as caller:
                await caller.say(head("PUT", PATH, Transfer_Encoding="chunked"), b"3e8\r\n", b"x" * cut)
            await until(lambda: sum(line["event"] == "exchange.request" for line in lines) == 2)
            async with raw(listener) as caller:
                await caller.say(head("PUT", PATH, Content_Length="1000"), b"y" * 1000)
                assert (await caller.answer())[0] == 201
    assert shelf.calls == [("node-alpha", BATCH, b"y" * 1000)]
    assert {line["code"] for line in lines if line["event"] == "exchange.request"} == {"package-malformed", None}


async def test_broken_chunks_are_refused() -> None:
    shelf = Shelf()
    async with served(shelf) as listener, raw(listener) as caller:
        await caller.say(head("PUT", PATH, Transfer_Encoding="chunked"))
        await caller.say(b"3\r\nabc\r\nnot-a-size\r\n")
        assert (await caller.status()) == 400
    assert shelf.calls == []


async def test_an_upload_that_creeps_is_ended() -> None:
    shelf = Shelf()
    async with served(shelf, limits=ReceiverLimits(upload_seconds=0.1)) as listener, raw(listener) as caller:
        await caller.say(head("PUT", PATH, Content_Length="1000"), b"x")
        async with asyncio.timeout(5):
            assert await caller.code() == (408, "upload-too-slow")
    assert shelf.calls == []


# How much at once


async def test_a_flooding_caller_is_held_back_alone() -> None:
    shelf = Shelf()
    shelf.gate = asyncio.Event()
    async with served(shelf, limits=ReceiverLimits(requests_per_caller=2, busy_retry_after=7)) as listener:
        flood, other = transport(listener), transport(listener, BETA)
        waiting = [asyncio.create_task(flood.send(Outgoing(batch_id=BATCH, package=PACKAGE))) for _ in range(2)]
        await until(lambda: len(shelf.calls) == 2)
        async with raw(listener) as caller:
            await caller.say(head("GET", "/exchange/v1/node"))
            status, headers, _ = await caller.answer()
        assert (status, headers["retry-after"]) == (429, "7")
        assert (await other.node()).code
        shelf.gate.set()
        assert all(isinstance(outcome, Acknowledged) for outcome in await asyncio.gather(*waiting))
        assert (await flood.node()).code, "the places are given back"
        await flood.close()
        await other.close()


async def test_bytes_in_flight_are_bounded_per_caller() -> None:
    shelf = Shelf()
    shelf.gate = asyncio.Event()
    limits = ReceiverLimits(package_bytes=1000, bytes_per_caller=1500)
    async with served(shelf, limits=limits) as listener:
        way = transport(listener)
        first = asyncio.create_task(way.send(Outgoing(batch_id=BATCH, package=b"x" * 1000)))
        await shelf.entered.wait()
        async with raw(listener) as caller:
            await caller.say(head("PUT", PATH, Content_Length="501"))
            assert await caller.code() == (429, "too-many-requests")
        async with raw(listener) as caller:
            await caller.say(head("PUT", PATH, Transfer_Encoding="chunked"), b"1f5\r\n", b"x" * 501, b"\r\n")
            assert await caller.code() == (429, "too-many-requests")
        async with raw(listener) as caller:
            await caller.say(head("PUT", PATH, token=BETA, Content_Length="1000"), b"x" * 1000)
            shelf.gate.set()
            assert (await caller.answer())[0] in {200, 201}
        await first
        assert isinstance(await way.send(Outgoing(batch_id=BATCH, package=b"x" * 1000)), Acknowledged)
        await way.close()


# The work behind


async def test_a_fault_shows_nothing_of_its_inside() -> None:
    shelf = Shelf()
    shelf.fault = StoreError("no-such-code-canary", person="王小明")
    with structlog.testing.capture_logs() as lines:
        async with served(shelf) as listener, raw(listener) as caller:
            await caller.say(head("PUT", PATH, Content_Length="1"), b"x")
            status, headers, body = await caller.answer()
    assert status == 500
    assert json.loads(body)["code"] == "internal-error"
    assert b"canary" not in body
    assert "server" not in headers
    assert "王小明" not in str(lines)
    (fault,) = [line for line in lines if line["event"] == "exchange.request-failed"]
    assert (fault["error"], fault["code"]) == ("StoreError", "no-such-code-canary")
    assert "shelf.py:" in fault["place"]


async def test_the_work_goes_on_when_the_caller_hangs_up() -> None:
    shelf = Shelf()
    shelf.gate = asyncio.Event()
    async with served(shelf) as listener:
        async with raw(listener) as caller:
            await caller.say(head("PUT", PATH, Content_Length="1"), b"x")
            await shelf.entered.wait()
        shelf.gate.set()
        way = transport(listener)
        await until(lambda: BATCH in shelf.kept)
        assert isinstance(await way.receipt(BATCH), Acknowledged)
        await way.close()


async def test_stopping_lets_work_finish() -> None:
    shelf = Shelf()
    shelf.gate = asyncio.Event()
    async with served(shelf) as listener:
        way = transport(listener)
        sending = asyncio.create_task(way.send(Outgoing(batch_id=BATCH, package=PACKAGE)))
        await shelf.entered.wait()
        stopping = asyncio.create_task(listener.stop())
        await asyncio.sleep(0)
        shelf.gate.set()
        assert isinstance(await sending, Acknowledged)
        await stopping
        await way.close()


async def test_digests_of_a_route() -> None:
    shelf = Shelf()
    async with served(shelf) as listener:
        for path, expected in (
            ("/exchange/v1/routes/A1/administrative-license/B2/digest", 200),
            ("/exchange/v1/routes/A1/administrative-license/B2/digest?prefix=0f", 200),
            ("/exchange/v1/routes/A1/administrative-license/B2/digest?prefix=0G", 400),
            ("/exchange/v1/routes/A1/..%2F..%2Fetc/B2/digest", 404),
        ):
            async with raw(listener) as caller:
                await caller.say(head("GET", path))
                assert (await caller.answer())[0] == expected
    assert shelf.asked == [
        ("node-alpha", "A1", "administrative-license", "B2", ""),
        ("node-alpha", "A1", "administrative-license", "B2", "0f"),
    ]


# The house itself


@pytest.mark.parametrize(("ready", "status"), [(None, 200), (True, 200), (False, 503)])
async def test_health_and_readiness_need_no_caller(ready: bool | None, status: int) -> None:
    async with served(Shelf(), ready=ready) as listener, aiohttp.ClientSession() as session:
        async with session.get(f"{listener.url}/healthz") as answer:
            assert (answer.status, await answer.json()) == (200, {"status": "ok"})
        async with session.get(f"{listener.url}/readyz") as answer:
            assert answer.status == status


async def test_what_is_no_request_is_noted_without_its_bytes() -> None:
    with structlog.testing.capture_logs() as lines:
        async with served(Shelf()) as listener, raw(listener) as caller:
            await caller.say(b"GET / HTTP/1.1\r\ncanary without a colon\r\n\r\n")
            assert await caller.status() == 400
    assert "canary" not in str(lines)
    assert [line["event"] for line in lines if "unreadable" in line["event"]] == ["exchange.request-unreadable"]


async def test_one_line_a_request() -> None:
    with structlog.testing.capture_logs() as lines:
        async with served(Shelf()) as listener, raw(listener) as caller:
            await caller.say(head("PUT", PATH, Content_Length="9"), b"canary-ab")
            await caller.answer()
    (line,) = [line for line in lines if line["event"] == "exchange.request"]
    assert (line["caller"], line["batch_id"], line["status"], line["size"]) == ("node-alpha", BATCH, 201, 9)
    assert line["path"] == "/exchange/v1/batches/{batch_id}"
    assert "canary" not in str(line)
    assert ALPHA not in str(line)


def test_listening_beyond_loopback_needs_tls() -> None:
    application = build_receiver(Shelf(), callers=CallerDirectory(), clock=StillClock())
    with pytest.raises(ExchangeError) as caught:
        Listener(application, host="0.0.0.0", port=closed_port())  # noqa: S104 -- refused, not bound
    assert caught.value.code == "listener-needs-tls"


async def test_a_taken_port_is_reported() -> None:
    async with served(Shelf()) as listener:
        application = build_receiver(Shelf(), callers=CallerDirectory(), clock=StillClock())
        second = Listener(application, host="127.0.0.1", port=listener.port)
        with pytest.raises(ExchangeError) as caught:
            await second.start()
        await second.stop()
    assert caught.value.code == "listener-address-unusable"


def test_the_receipt_stays_out_of_representations() -> None:
    assert "secret" not in repr(ReceiptTaken(receipt=b"secret", new=True))
    assert "secret" not in repr(Acknowledged(receipt=b"secret", status=200, stored=True))
