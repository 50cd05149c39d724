"""Judging answers is total: whatever a peer writes, an outcome comes out, and never a better one than is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.exchange.answer import Trial, judge_receipt, judge_sent, retry_after
from gateway.exchange.outcome import Acknowledged, Later, NeverReceived, Outcome, Refused, Taken, Unknown
from gateway.exchange.port import PACKAGE_TYPE

from .still import NOW

trials = st.builds(
    Trial,
    body_left=st.booleans(),
    status=st.none() | st.integers(100, 999),
    headers=st.fixed_dictionaries(
        {},
        optional={
            "content-type": st.sampled_from([PACKAGE_TYPE, "application/problem+json", "text/html", ""]) | st.text(),
            "retry-after": st.text() | st.integers().map(str),
            "content-encoding": st.sampled_from(["gzip", "identity"]),
        },
    ),
    body=st.binary(max_size=50)
    | st.sampled_from([b'{"code":"sequence-gap","expected":-1}', b'{"code":"unknown-batch"}']),
    flaw=st.none() | st.sampled_from(["peer-cut", "peer-timeout", "answer-cut", "answer-too-large"]),
)


def judged(trial: Trial) -> Outcome:
    return judge_sent(trial, now=NOW, longest_wait=3600.0)


@settings(max_examples=200)
@given(trials)
def test_an_outcome_claims_no_more_than_is_known(trial: Trial) -> None:
    match judged(trial):
        case Acknowledged() as outcome:
            assert trial.status in {200, 201}
            assert trial.flaw is None
            assert outcome.receipt == trial.body != b""
            assert trial.headers["content-type"].startswith(PACKAGE_TYPE)
        case Taken():
            assert trial.status == 202
        case Refused():
            assert trial.status is not None
            assert 400 <= trial.status < 500
            assert trial.status not in {408, 425, 429}
        case Later() as outcome:
            assert not (trial.status is None and trial.body_left), "later although a byte left and no answer came"
            assert trial.status is None or trial.status // 100 != 2
            assert outcome.retry_after is None or 0 <= outcome.retry_after <= 3600
        case Unknown():
            assert trial.status is not None or trial.body_left


@settings(max_examples=200)
@given(trials)
def test_a_batch_is_never_received_only_when_the_peer_says_so(trial: Trial) -> None:
    answer = judge_receipt(trial, now=NOW, longest_wait=3600.0)
    if isinstance(answer, NeverReceived):
        assert (trial.status, trial.flaw, trial.body) == (404, None, b'{"code":"unknown-batch"}')
    if isinstance(answer, Acknowledged):
        assert trial.status == 200


@settings(max_examples=200)
@given(st.text())
def test_any_retry_after_is_bounded(text: str) -> None:
    seconds = retry_after(text, now=NOW, longest=60.0)
    assert seconds is None or 0 <= seconds <= 60


@given(st.integers(-100, 10_000))
def test_a_date_is_a_distance(seconds: int) -> None:
    moment = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after(moment, now=NOW, longest=3600.0) == min(max(seconds, 0), 3600)


@pytest.mark.parametrize("text", ["Sun, 22 Nov 2026 06:03:37 -0000", "Sun, 22 Nov 2026 14:03:37 +0800"])
def test_zones_of_dates(text: str) -> None:
    assert retry_after(text, now=datetime(2026, 11, 22, 6, 2, 37, tzinfo=UTC), longest=3600.0) == 60.0
