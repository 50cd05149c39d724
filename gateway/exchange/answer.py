"""What a sender makes of an answer: the last rule of the exchange protocol (README), as pure functions over what one request left behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from gateway.errors import ExchangeError
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
from gateway.exchange.port import PACKAGE_TYPE
from gateway.exchange.problem import ReportedProblem, read_problem
from gateway.exchange.shown import NOTHING, Shown, read_shown

__all__ = ["Trial", "http_date", "judge_receipt", "judge_sent", "retry_after"]

_BUSY: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    }
)

_EXPECTING: Final = MappingProxyType({"sequence-gap": "peer-expects-another", "log-proof-wanted": "peer-wants-proof"})


@dataclass(slots=True, kw_only=True)
class Trial:
    """What one request left behind. It is filled in while the request runs, so that a deadline loses nothing already known.

    ``flaw`` is the code of what went wrong on the line or with the answer, None when the answer came whole. ``headers`` have
    lower-case names. ``body_left`` says that a byte of the request's body was handed to the connection.
    """

    body_left: bool = False
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    body: bytes = b""
    flaw: str | None = None

    @property
    def media_type(self) -> str:
        """The answer's media type without parameters, lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def problem(self) -> ReportedProblem | None:
        """The problem document of the answer, if it is one and came whole."""
        return None if self.flaw else read_problem(self.media_type, self.body)


def judge_sent(trial: Trial, *, now: datetime, longest_wait: float) -> Outcome:
    """The outcome of a PUT. ``now`` and ``longest_wait`` (seconds) serve ``Retry-After``.

    Two answers that the protocol does not name: a redirect and any status outside 2xx, 4xx and 5xx claim nothing about the package,
    so they are *later* (bounded by the journal's attempts, then a person sees them), not *refused*. A 409 whose body was cut could
    be ``sequence-gap`` as well as ``batch-id-conflict``: *later*, the next answer says which.
    """
    if trial.status is None:
        why = trial.flaw or "peer-cut"
        return Unknown(why=why) if trial.body_left else Later(why=why)
    wait = retry_after(trial.headers.get("retry-after"), now=now, longest=longest_wait)
    problem = trial.problem
    match trial.status:
        case HTTPStatus.OK | HTTPStatus.CREATED as status:
            return _acknowledged(trial, status)
        case HTTPStatus.ACCEPTED:
            return Taken(retry_after=wait)
        case HTTPStatus.CONFLICT if problem is None and trial.flaw is not None:
            return Later(why=trial.flaw, status=trial.status, retry_after=wait)
        case HTTPStatus.CONFLICT if problem is not None and problem.code in _EXPECTING:
            return Later(
                why=_EXPECTING[problem.code],
                status=trial.status,
                retry_after=wait,
                code=problem.code,
                expected=problem.expected,
            )
        case status if status // 100 == 2:
            return Unknown(why="answer-not-a-receipt", status=status)
        case status if status // 100 == 4 and status not in _BUSY:
            if problem is None:
                return Refused(status=status, code=f"http-{status}")
            return Refused(status=status, code=problem.code, detail=problem.detail)
        case status:
            return _later(status, wait, problem)


def judge_receipt(trial: Trial, *, now: datetime, longest_wait: float) -> ReceiptAnswer:
    """The answer to the question for a receipt. A question changes nothing, so whatever fails on the way is *later*; a receipt that
    came damaged is *unknown*. Only a 404 that says ``unknown-batch`` means that the batch was never received: any other 404 comes
    from a proxy or a wrong address.
    """
    if trial.status is None:
        return Later(why=trial.flaw or "peer-cut")
    wait = retry_after(trial.headers.get("retry-after"), now=now, longest=longest_wait)
    problem = trial.problem
    match trial.status:
        case HTTPStatus.OK as status:
            return _acknowledged(trial, status)
        case HTTPStatus.ACCEPTED:
            return NotReady(retry_after=wait)
        case HTTPStatus.NOT_FOUND if problem is not None and problem.code == "unknown-batch":
            return NeverReceived()
        case status if status // 100 == 2:
            return Unknown(why="answer-not-a-receipt", status=status)
        case status:
            return _later(status, wait, problem)


def retry_after(text: str | None, *, now: datetime, longest: float) -> float | None:
    """``Retry-After`` (RFC 9110 §10.2.3) in seconds from ``now``, between 0 and ``longest``; None when absent or unreadable."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), longest)  # thousands of digits are infinity here, where int() would raise
    moment = http_date(text)
    return None if moment is None else min(max((moment - now).total_seconds(), 0.0), longest)


def http_date(text: str | None) -> datetime | None:
    """An HTTP date (RFC 9110 §5.6.7) as an instant; None when absent or unreadable."""
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _acknowledged(trial: Trial, status: int) -> Acknowledged | Unknown:
    """A plausible receipt, or the reason why it is none. Whether it is true is for ``package`` to say."""
    if trial.flaw is not None:
        return Unknown(why=trial.flaw, status=status)
    encoded = trial.headers.get("content-encoding", "identity").strip().lower() != "identity"
    if trial.media_type != PACKAGE_TYPE or encoded or not trial.body:
        return Unknown(why="answer-not-a-receipt", status=status)
    return Acknowledged(receipt=trial.body, status=status, stored=status == HTTPStatus.OK, shown=_shown(trial.headers))


def _shown(headers: Mapping[str, str]) -> Shown:
    """What came beside a receipt; headers that cannot be read say nothing, the receipt counts."""
    try:
        return read_shown(headers)
    except ExchangeError:
        return NOTHING


def _later(status: int, wait: float | None, problem: ReportedProblem | None) -> Later:
    if status in _BUSY:
        why = "peer-busy"
    elif status // 100 == 5:
        why = "peer-failing"
    elif status // 100 == 3:
        why = "peer-redirects"
    elif status // 100 == 4:
        why = "peer-refuses-question"
    else:
        why = "answer-unexpected"
    return Later(why=why, status=status, retry_after=wait, code=None if problem is None else problem.code)
