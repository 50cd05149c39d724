"""Time-stamps: what an honest authority says is believed, what any other says is not, and `openssl ts` agrees."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.clock import SystemClock
from gateway.errors import ExchangeError
from gateway.exchange.fetch import FetchLimits
from gateway.exchange.listener import Listener
from gateway.exchange.timestamp import Authority
from gateway.texts import LANGUAGES, template
from tests.exchange.authority import OTHER_POLICY, POLICY, Certifier, LocalAuthority

NOTE = b"credit-gateway/11230700001001013H\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\xe2\x80\x94 a bc=\n"


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[LocalAuthority]:
    async with LocalAuthority(tmp_path / "authority").serving() as authority:
        yield authority


def asked(local: LocalAuthority, **changes: object) -> Authority:
    options: dict[str, object] = {"roots": [local.root.certificate], "clock": SystemClock(), "policy": POLICY}
    return Authority("national", local.url, **(options | changes))  # type: ignore[arg-type]  # a test bends what it names


async def refused(authority: Authority) -> ExchangeError:
    with pytest.raises(ExchangeError) as caught:
        await authority.stamp(NOTE)
    for language in LANGUAGES:
        assert template(caught.value.code, language, "say"), caught.value.code
        assert "{" not in caught.value.say(language)
    return caught.value


async def test_a_stamp_of_an_honest_authority_is_one_for_openssl_too(local: LocalAuthority, tmp_path: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    stamp = await asked(local).stamp(NOTE)
    assert before <= stamp.at <= datetime.now(UTC) + timedelta(seconds=1)
    (tmp_path / "note").write_bytes(NOTE)
    (tmp_path / "token").write_bytes(stamp.token)
    (tmp_path / "root").write_bytes(local.root.certificate.public_bytes(Encoding.PEM))
    verify = ["openssl", "ts", "-verify", "-data", "note", "-in", "token", "-token_in", "-CAfile", "root"]
    done = await asyncio.to_thread(subprocess.run, verify, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    (tmp_path / "note").write_bytes(NOTE + b" ")
    done = await asyncio.to_thread(subprocess.run, verify, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode != 0


async def test_every_question_is_a_new_one(local: LocalAuthority) -> None:
    authority = asked(local)
    first, second = await authority.stamp(NOTE), await authority.stamp(NOTE)
    assert first.token != second.token
    assert len(set(local.queries)) == 2


@pytest.mark.parametrize(
    ("defect", "code"),
    [
        ("other_nonce", "stamp-nonce"),
        ("other_document", "stamp-imprint"),
        ("rejected", "stamp-refused"),
    ],
)
async def test_an_answer_to_another_question_is_none(local: LocalAuthority, defect: str, code: str) -> None:
    local.reply = getattr(local, defect)
    assert (await refused(asked(local))).code == code


@pytest.mark.parametrize("who", ["stranger", "expired", "early"])
async def test_who_signs_must_be_vouched_for_at_the_time_in_the_stamp(local: LocalAuthority, who: str) -> None:
    local.reply = lambda query: local.signed_by(who, query)
    assert (await refused(asked(local))).code == "stamp-untrusted"


async def test_a_certificate_not_made_for_time_stamping_signs_none(local: LocalAuthority) -> None:
    local.reply = lambda query: local.forged("good", query)
    await asked(local).stamp(NOTE)  # the way it is made is sound
    local.reply = lambda query: local.forged("unfit", query)
    assert (await refused(asked(local))).code == "stamp-untrusted"


async def test_a_root_of_the_same_name_is_another_root(local: LocalAuthority) -> None:
    assert (await refused(asked(local, roots=[Certifier("root").certificate]))).code == "stamp-untrusted"


async def test_a_stamp_under_another_policy_is_none(local: LocalAuthority) -> None:
    error = await refused(asked(local, policy=OTHER_POLICY))
    assert (error.code, error.facts["found"]) == ("stamp-policy", POLICY)
    await asked(local, policy=None).stamp(NOTE)


async def test_a_time_that_cannot_be_is_not_taken(local: LocalAuthority) -> None:
    now = datetime.now(UTC)
    for off in (timedelta(minutes=-10), timedelta(minutes=10), timedelta(hours=-3)):
        local.reply = local.at(now + off)
        assert (await refused(asked(local))).code == "stamp-time"
    local.reply = local.at(now - timedelta(minutes=2))
    assert (await asked(local).stamp(NOTE)).at < now - timedelta(seconds=100)


@pytest.mark.parametrize("flip", [5, 100, -1, -70])
async def test_a_damaged_answer_is_refused(local: LocalAuthority, flip: int) -> None:
    def damaged(query: bytes) -> bytes:
        answer = bytearray(local.honest(query))
        answer[flip] ^= 0x40
        return bytes(answer)

    local.reply = damaged
    assert (await refused(asked(local))).code.startswith("stamp-")


@pytest.mark.parametrize(
    ("status", "kind", "body", "code"),
    [
        (200, "application/timestamp-reply", b"", "stamp-malformed"),
        (200, "application/timestamp-reply", b"rubbish " * 100, "stamp-malformed"),
        (200, "text/html", b"<html>", "stamp-malformed"),
        (302, "application/timestamp-reply", b"", "stamp-refused"),
        (503, "text/plain", b"later", "stamp-refused"),
        (200, "application/timestamp-reply", bytes(65 * 1024), "service-answer-too-large"),
    ],
)
async def test_rubbish_is_refused(local: LocalAuthority, status: int, kind: str, body: bytes, code: str) -> None:
    local.status, local.media_type, local.reply = status, kind, lambda _query: body
    assert (await refused(asked(local))).code == code


async def test_a_slow_authority_is_left_at_the_deadline(local: LocalAuthority) -> None:
    local.gate = asyncio.Event()
    error = await refused(asked(local, limits=FetchLimits(seconds=0.2)))
    assert (error.code, error.facts["why"]) == ("service-silent", "timeout")
    local.gate.set()


async def test_an_endless_answer_is_left_at_the_deadline() -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/timestamp-reply"})
        await response.prepare(request)
        await response.write(b"\x30")
        await gate.wait()
        return response

    gate = asyncio.Event()
    application = web.Application()
    application.router.add_post("/stamp", drip)
    listener = Listener(application, host="127.0.0.1", port=0)
    await listener.start()
    try:
        root = Certifier("root").certificate
        limits = FetchLimits(seconds=0.2)
        authority = Authority("slow", f"{listener.url}/stamp", roots=[root], clock=SystemClock(), limits=limits)
        assert (await refused(authority)).code == "service-silent"
    finally:
        gate.set()
        await listener.stop()


async def test_an_authority_that_is_down_is_said_to_be(local: LocalAuthority) -> None:
    local.url = "http://127.0.0.1:1/stamp"
    assert (await refused(asked(local))).code == "service-silent"


@pytest.mark.parametrize(
    "url", ["http://tsa.example/stamp", "https://tsa.example/stamp", "ftp://127.0.0.1/", "http://u:p@127.0.0.1/"]
)
async def test_only_guarded_addresses_are_asked(local: LocalAuthority, url: str) -> None:
    local.url = url
    with pytest.raises(ExchangeError, match="service-address"):
        asked(local)
