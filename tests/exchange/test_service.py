"""The sender against a peer that misbehaves: every outcome, and what it cost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import structlog

from gateway.errors import ExchangeError
from gateway.exchange.outcome import Acknowledged, Later, Refused, Taken, Unknown
from gateway.exchange.port import Outgoing
from gateway.exchange.secret import Secret
from gateway.exchange.service import ServiceLimits, ServiceTransport

from .peer import (
    Line,
    Peer,
    Script,
    answer,
    answers,
    answers_at_once,
    answers_late,
    closed_port,
    cuts_answer,
    cuts_upload,
    drips,
    endless,
    hangs_up,
    hangs_up_at_once,
    ignores_everything,
    ignores_expectation,
    never_answers,
    problem,
)
from .still import StillClock, StillIds, until

BATCH = "0193a5b0-1111-7222-8333-444455556666"
SMALL = Outgoing(batch_id=BATCH, package=b"PK sealed")
LARGE = Outgoing(batch_id=BATCH, package=b"0123456789abcdef" * 512 * 1024)  # 8 MiB: more than any socket buffer takes
RECEIPT = b"PK a sealed receipt"
SHORT = ServiceLimits(connect=2.0, total=0.8, continue_wait=0.1)
PATIENT = ServiceLimits(connect=5.0, total=20.0, continue_wait=5.0)


def transport(
    url: str, *, limits: ServiceLimits = PATIENT, clock: StillClock | None = None, token: str | None = None
) -> ServiceTransport:
    return ServiceTransport(
        url,
        peer="province",
        clock=clock or StillClock(),
        ids=StillIds(),
        token=None if token is None else Secret(token),
        limits=limits,
    )


async def sent(peer: Peer, outgoing: Outgoing = SMALL, *, limits: ServiceLimits = PATIENT) -> object:
    way = transport(peer.url, limits=limits)
    try:
        return await way.send(outgoing)
    finally:
        await way.close()


# What the peer says when it keeps to the protocol


@pytest.mark.parametrize(("status", "stored"), [(201, False), (200, True)])
async def test_receipt_is_acknowledged(status: int, stored: bool) -> None:
    async with Peer(answers(answer(status, RECEIPT))) as peer:
        assert await sent(peer) == Acknowledged(receipt=RECEIPT, status=status, stored=stored)
    (request,) = peer.requests
    assert (request.method, request.target, request.body) == ("PUT", f"/exchange/v1/batches/{BATCH}", SMALL.package)
    assert request.headers["content-type"] == "application/vnd.etsi.asic-e+zip"
    assert request.headers["content-length"] == str(len(SMALL.package))


async def test_large_package_arrives_byte_for_byte() -> None:
    async with Peer(answers(answer(201, RECEIPT))) as peer:
        assert isinstance(await sent(peer, LARGE), Acknowledged)
    assert peer.requests[0].body == LARGE.package


async def test_chunked_receipt_is_whole() -> None:
    raw = b"HTTP/1.1 201 Created\r\nContent-Type: application/vnd.etsi.asic-e+zip\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with Peer(answers(raw + b"13\r\n" + RECEIPT + b"\r\n0\r\n\r\n")) as peer:
        assert await sent(peer) == Acknowledged(receipt=RECEIPT, status=201, stored=False)


async def test_taken_without_receipt() -> None:
    async with Peer(answers(answer(202, headers={"Retry-After": "30"}))) as peer:
        assert await sent(peer) == Taken(retry_after=30.0)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "package-malformed"),
        (401, "caller-unknown"),
        (403, "route-forbidden"),
        (409, "batch-id-conflict"),
        (413, "package-too-large"),
        (415, "media-type-unsupported"),
        (422, "signature-invalid"),
        (422, "a-code-of-their-own"),
    ],
)
async def test_client_errors_are_refusals(status: int, code: str) -> None:
    async with Peer(answers(problem(status, code, detail="see page 7\r\nforged line"))) as peer:
        outcome = await sent(peer)
    assert outcome == Refused(status=status, code=code, detail="see page 7  forged line")
    assert len(peer.requests) == 1


async def test_refusal_without_problem_has_its_status_as_code() -> None:
    async with Peer(answers(answer(403, b"<html>blocked</html>", media_type="text/html"))) as peer:
        assert await sent(peer) == Refused(status=403, code="http-403")


async def test_sequence_gap_is_later() -> None:
    async with Peer(answers(problem(409, "sequence-gap", expected=17))) as peer:
        outcome = await sent(peer)
    assert outcome == Later(why="peer-expects-another", status=409, code="sequence-gap", expected=17)


async def test_conflict_cut_in_its_body_is_not_yet_a_refusal() -> None:
    async with Peer(answers(problem(409, "batch-id-conflict")[:-5])) as peer:
        assert await sent(peer) == Later(why="answer-cut", status=409)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
async def test_busy_and_failing_peers_are_later(status: int) -> None:
    async with Peer(answers(answer(status))) as peer:
        outcome = await sent(peer)
    assert isinstance(outcome, Later)
    assert outcome.status == status
    assert peer.connections == 1, "an answer is never repeated within the call"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("Sun, 22 Nov 2026 06:03:37 GMT", 60.0),
        ("Sun, 22 Nov 2026 06:00:00 GMT", 0.0),
        ("864000", 3600.0),
        ("9" * 5000, 3600.0),
        ("soon", None),
        ("-5", None),
    ],
)
async def test_retry_after_is_respected_and_capped(text: str, seconds: float | None) -> None:
    async with Peer(answers(problem(503, "unavailable", headers={"Retry-After": text}))) as peer:
        assert await sent(peer) == Later(why="peer-busy", status=503, retry_after=seconds, code="unavailable")


# The line before a body byte left: later, and repeated within the call


async def test_connection_refused() -> None:
    clock = StillClock()
    way = transport(f"http://127.0.0.1:{closed_port()}", clock=clock)
    assert await way.send(SMALL) == Later(why="peer-unreachable")
    await way.close()
    assert len(clock.slept) == 2, "three tries"
    assert clock.slept == pytest.approx([0.5, 1.0], rel=0.01)


@pytest.mark.parametrize("byte", [0x00, 0xFF])
async def test_pauses_are_jittered_within_bounds(byte: int) -> None:
    clock = StillClock()
    way = ServiceTransport(
        f"http://127.0.0.1:{closed_port()}", peer="p", clock=clock, ids=StillIds(byte), limits=PATIENT
    )
    await way.send(SMALL)
    await way.close()
    spread = 0.5 if byte == 0 else 1.5
    assert clock.slept == pytest.approx([0.5 * spread, 1.0 * spread], rel=0.01)


@pytest.mark.parametrize("script", [hangs_up, hangs_up_at_once])
async def test_line_cut_before_the_body(script: Script) -> None:
    async with Peer(script) as peer:
        outcome = await sent(peer, LARGE)
    assert outcome == Later(why="peer-cut")
    assert peer.connections == 3


async def test_a_short_disturbance_is_bridged() -> None:
    async with Peer(hangs_up, hangs_up_at_once, answers(answer(201, RECEIPT))) as peer:
        assert isinstance(await sent(peer), Acknowledged)
    assert len(peer.requests) == 1


async def test_refused_before_the_go_ahead_costs_no_upload() -> None:
    async with Peer(answers_at_once(problem(401, "caller-unknown"))) as peer:
        assert await sent(peer, LARGE) == Refused(status=401, code="caller-unknown")
    assert peer.requests == []


async def test_garbage_before_the_body_is_later() -> None:
    async with Peer(answers_at_once(b"220 smtp.example ready\r\n")) as peer:
        assert await sent(peer) == Later(why="answer-malformed")


# The line after a body byte left: unknown, and never repeated


@pytest.mark.parametrize("after", [1, 1024, 1024 * 1024])
async def test_upload_cut(after: int) -> None:
    async with Peer(cuts_upload(after)) as peer:
        assert await sent(peer, LARGE) == Unknown(why="peer-cut")
    assert peer.connections == 1


async def test_silent_peer() -> None:
    async with Peer(never_answers) as peer:
        assert await sent(peer, limits=SHORT) == Unknown(why="peer-timeout")
    assert (peer.connections, len(peer.requests)) == (1, 1)


async def test_peer_that_stops_reading() -> None:
    async def stalls(line: Line) -> None:
        await line.head()
        await line.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        await asyncio.Event().wait()

    async with Peer(stalls) as peer:
        assert await sent(peer, LARGE, limits=SHORT) == Unknown(why="peer-timeout")


async def test_late_answer_is_found_by_asking() -> None:
    when = asyncio.Event()
    async with Peer(answers_late(answer(201, RECEIPT), when), answers(answer(200, RECEIPT))) as peer:
        assert await sent(peer, limits=SHORT) == Unknown(why="peer-timeout")
        when.set()
        way = transport(peer.url)
        assert await way.receipt(BATCH) == Acknowledged(receipt=RECEIPT, status=200, stored=True)
        await way.close()


async def test_answer_cut_at_any_byte() -> None:
    whole = answer(201, RECEIPT)
    for at in range(len(whole)):
        async with Peer(cuts_answer(whole[:at])) as peer:
            outcome = await sent(peer)
        assert isinstance(outcome, Unknown), (at, outcome)
        assert peer.connections == 1, at
    async with Peer(cuts_answer(whole)) as peer:
        assert isinstance(await sent(peer), Acknowledged)


@pytest.mark.parametrize("at", [0, 5, 60, -1])
async def test_answer_cut_by_reset(at: int) -> None:
    async with Peer(cuts_answer(answer(201, RECEIPT)[:at], reset=True)) as peer:
        assert isinstance(await sent(peer), Unknown)
    assert peer.connections == 1


async def test_refusal_and_failure_stand_although_their_body_is_cut() -> None:
    async with Peer(cuts_answer(problem(422, "schema-invalid")[:-3])) as peer:
        assert await sent(peer) == Refused(status=422, code="http-422")
    async with Peer(cuts_answer(problem(503, "unavailable", headers={"Retry-After": "7"})[:-3])) as peer:
        assert await sent(peer) == Later(why="peer-busy", status=503, retry_after=7.0)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (answer(201, RECEIPT, media_type="text/html"), "answer-not-a-receipt"),
        (answer(201, b""), "answer-not-a-receipt"),
        (answer(201, RECEIPT, headers={"Content-Encoding": "gzip"}), "answer-not-a-receipt"),
        (answer(204, b""), "answer-not-a-receipt"),
        (answer(207, RECEIPT), "answer-not-a-receipt"),
        (b"HTTP/1.1 201 Created\r\nContent-Type: application/vnd.etsi.asic-e+zip\r\n\r\n" + RECEIPT, "answer-cut"),
        (b"\x16\x03\x01\x00\xa5 not http at all\r\n\r\n", "answer-malformed"),
        (b"HTTP/1.1 201 Created\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabc", "answer-malformed"),
        (b"HTTP/1.1 201 Created\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", "answer-malformed"),
    ],
)
async def test_success_without_a_plausible_receipt_is_unknown(raw: bytes, why: str) -> None:
    async with Peer(answers(raw)) as peer:
        outcome = await sent(peer)
    assert isinstance(outcome, Unknown)
    assert outcome.why == why
    assert peer.connections == 1


async def test_receipt_over_budget() -> None:
    small = ServiceLimits(answer_bytes=10)
    async with Peer(answers(answer(201, RECEIPT))) as peer:
        assert await sent(peer, limits=small) == Unknown(why="answer-too-large", status=201)


async def test_endless_answers_are_left() -> None:
    head = b"Content-Type: application/vnd.etsi.asic-e+zip\r\nContent-Length: 99999999999\r\n\r\n"
    limits = ServiceLimits(answer_bytes=1024 * 1024)
    async with Peer(endless(b"HTTP/1.1 201 Created\r\n" + head)) as peer:
        assert await sent(peer, limits=limits) == Unknown(why="answer-too-large", status=201)
    async with Peer(endless(b"HTTP/1.1 422 No\r\n" + head)) as peer:
        assert await sent(peer, limits=limits) == Refused(status=422, code="http-422")
    async with Peer(endless(b"HTTP/1.1 503 No\r\n" + head)) as peer:
        assert await sent(peer, limits=limits) == Later(why="peer-busy", status=503)


async def test_dripping_answers_end_at_the_deadline() -> None:
    async with Peer(drips(answer(201, RECEIPT * 100))) as peer:
        assert isinstance(await sent(peer, limits=SHORT), Unknown)
    slow = answer(503, b"x" * 1000)
    async with Peer(drips(slow, after=len(slow) - 1000)) as peer:
        outcome = await sent(peer, limits=SHORT)
    assert outcome == Later(why="peer-busy", status=503), "the status had come before the deadline"


async def test_redirects_are_not_followed() -> None:
    async with Peer(answers(answer(201, RECEIPT))) as elsewhere:
        for status in (301, 302, 303, 307, 308):
            async with Peer(answers(answer(status, headers={"Location": elsewhere.url}))) as peer:
                assert await sent(peer) == Later(why="peer-redirects", status=status)
    assert elsewhere.connections == 0


async def test_cancelling_is_not_an_outcome() -> None:
    async with Peer(never_answers) as peer:
        way = transport(peer.url)
        task = asyncio.create_task(way.send(SMALL))
        await until(lambda: len(peer.requests) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await way.close()


# The go-ahead


async def test_peer_that_ignores_the_expectation_gets_the_body_and_is_remembered() -> None:
    async with Peer(ignores_expectation(answer(201, RECEIPT))) as peer:
        way = transport(peer.url, limits=ServiceLimits(continue_wait=0.05))
        assert isinstance(await way.send(SMALL), Acknowledged)
        assert (peer.connections, len(peer.requests)) == (2, 1)
        assert isinstance(await way.send(SMALL), Acknowledged)
        assert peer.connections == 3, "the second time it is not asked"
        await way.close()
    assert all("expect" not in request.headers for request in peer.requests)


async def test_peer_that_ignores_everything_is_unknown_once_the_body_left() -> None:
    async with Peer(ignores_everything) as peer:
        assert await sent(peer, limits=SHORT) == Unknown(why="peer-timeout")
    assert (peer.connections, len(peer.requests)) == (2, 1)


async def test_deadline_before_the_go_ahead_is_later() -> None:
    async with Peer(ignores_everything) as peer:
        assert await sent(peer, limits=ServiceLimits(total=0.2, continue_wait=5.0)) == Later(why="peer-timeout")
    assert peer.requests == []


async def test_without_expectation_the_body_goes_at_once() -> None:
    async with Peer(answers(answer(201, RECEIPT))) as peer:
        assert isinstance(await sent(peer, limits=ServiceLimits(continue_wait=None)), Acknowledged)
    assert "expect" not in peer.requests[0].headers


# Addresses, secrets, surroundings


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://example.org", "peer-address-not-https"),
        ("http://127.1", "peer-address-not-https"),
        ("http://[::ffff:10.0.0.1]", "peer-address-not-https"),
        ("https://example.org", "peer-tls-missing"),
        ("https://user:pass@example.org", "peer-address-malformed"),
        ("https://example.org?x=1", "peer-address-malformed"),
        ("ftp://127.0.0.1", "peer-address-malformed"),
        ("http://127.0.0.1:99999", "peer-address-malformed"),
        ("http://127.0.0.1:0", "peer-address-malformed"),
        ("http://127.0.0.1\\@example.org", "peer-address-malformed"),
        ("http://127.0.0.1#@example.org", "peer-address-malformed"),
        ("", "peer-address-malformed"),
    ],
)
def test_addresses_that_are_refused(url: str, code: str) -> None:
    with pytest.raises(ExchangeError) as caught:
        transport(url)
    assert caught.value.code == code


async def test_an_address_may_have_a_path() -> None:
    async with Peer(answers(answer(201, RECEIPT))) as peer:
        way = transport(f"{peer.url}/gateway/")
        await way.send(SMALL)
        await way.close()
    assert peer.requests[0].target == f"/gateway/exchange/v1/batches/{BATCH}"


async def test_the_token_goes_to_the_peer_and_nowhere_else() -> None:
    canary = "canary-5f3a"
    with structlog.testing.capture_logs() as lines:
        async with Peer(answers(answer(503))) as peer:
            way = transport(peer.url, token=canary)
            outcome = await way.send(SMALL)
            await way.close()
    assert peer.requests[0].headers["authorization"] == f"Bearer {canary}"
    assert canary not in f"{lines} {outcome!r} {Secret(canary)!r} {Secret(canary)} {SMALL!r} {vars(way)!r}"


async def test_cookies_are_not_kept() -> None:
    async with Peer(answers(answer(503, headers={"Set-Cookie": "session=1; Path=/"}))) as peer:
        way = transport(peer.url.replace("127.0.0.1", "localhost"))
        await way.send(SMALL)
        await way.send(SMALL)
        await way.close()
    assert ["cookie" in request.headers for request in peer.requests] == [False, False]


def test_a_token_with_a_line_break_is_refused() -> None:
    with pytest.raises(ExchangeError) as caught:
        transport("http://127.0.0.1:1", token="abc\r\nX-Evil: 1")
    assert caught.value.code == "peer-token-malformed"
    assert "Evil" not in str(caught.value)


async def test_no_proxy_and_no_netrc_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login trap password trap\n")
    netrc.chmod(0o600)
    async with Peer(answers(answer(201, RECEIPT))) as trap, Peer(answers(answer(201, RECEIPT))) as peer:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, trap.url)
        monkeypatch.setenv("NETRC", str(netrc))
        await sent(peer)
    assert (trap.connections, len(peer.requests)) == (0, 1)
    assert "authorization" not in peer.requests[0].headers


async def test_one_line_is_logged_for_a_question_and_it_holds_no_payload() -> None:
    with structlog.testing.capture_logs() as lines:
        async with Peer(answers(problem(422, "schema-invalid", detail="王小明"))) as peer:
            await sent(peer)
    (line,) = [line for line in lines if line["event"].startswith("exchange.")]
    assert line["event"] == "exchange.sent"
    assert line["outcome"] == "Refused"
    assert (line["peer"], line["batch_id"], line["status"], line["code"]) == ("province", BATCH, 422, "schema-invalid")
    assert "王小明" not in str(line)
    assert "sealed" not in str(line)
