"""Clock, ids, logs, memory: what everything stands on."""

from __future__ import annotations

import gc
import io
import json
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
import structlog

from gateway.clock import RandomIds, SystemClock, instant, parse_instant, uuid7
from gateway.logs import configure, dropped_lines
from gateway.memory import importing


def test_uuid7_is_what_the_rfc_says() -> None:
    """RFC 9562, appendix A.6."""
    moment = datetime.fromtimestamp(1645557742, UTC)
    made = uuid7(moment, bytes.fromhex("0cc318c4dc0c0c07398f"))
    assert made.startswith("017f22e2-79b0-7cc3-98c4-")
    parsed = uuid.UUID(made)
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)


def test_ids_are_ordered_by_time_and_differ() -> None:
    ids, clock = RandomIds(), SystemClock()
    now = clock.now()
    first, second = ids.uuid(now), ids.uuid(now)
    assert first != second
    assert first < ids.uuid(now + timedelta(milliseconds=2))
    assert len(ids.bytes(32)) == 32


def test_an_instant_has_one_written_form() -> None:
    moment = datetime(2026, 11, 22, 14, 2, 37, 5, timezone(timedelta(hours=8)))
    assert instant(moment) == "2026-11-22T06:02:37.000005Z"
    assert parse_instant(instant(moment)) == moment
    with pytest.raises(ValueError, match="does not match"):
        parse_instant("2026-11-22 06:02:37")


@pytest.fixture
def lines() -> io.StringIO:
    stream = io.StringIO()
    configure(level="debug", style="json", stream=stream)
    return stream


def test_a_peer_cannot_forge_a_line(lines: io.StringIO) -> None:
    structlog.get_logger().info("batch.refused", detail='x\r\n{"level":"error"}\x1b[2J\u202e')
    text = lines.getvalue()
    assert text.count("\n") == 1
    assert json.loads(text)["event"] == "batch.refused"
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    stream = io.StringIO()
    configure(level="info", style="json", stream=stream)
    stream.close()
    before = dropped_lines()
    structlog.get_logger().info("batch.received", batch="x")
    assert dropped_lines() == before + 1


def test_secrets_and_persons_never_reach_a_line(lines: io.StringIO) -> None:
    structlog.get_logger().info("peer.called", token="canary", note="证件 11010519491231002X 有误", long="x" * 10_000)
    text = lines.getvalue()
    assert "canary" not in text
    assert "19491231" not in text
    assert len(text) < 2000


def test_the_collector_rests_while_the_program_is_imported() -> None:
    with importing():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    gc.unfreeze()
    with pytest.raises(ImportError), importing():
        raise ImportError
    assert gc.isenabled()
    gc.unfreeze()
