"""Service mode, the sender's side: one peer's HTTP interface (exchange protocol, README) as a :class:`~gateway.exchange.port.Transport`.

Three decisions carry the promise *at least once on the wire*:

- **The body waits for the peer's go-ahead** (``Expect: 100-continue``, RFC 9110 §10.1.1). Under TLS 1.3 a client learns that its
  certificate was refused only from an alert that follows its own first bytes; with the expectation those bytes are the headers
  alone, so a refused certificate, caller or size is known before anything left. A peer that ignores the expectation gets the body
  after ``continue_wait``; there the alert can arrive after the body and the outcome is *unknown*, by the rule.
- **Nothing is sent twice here once a body byte left.** aiohttp repeats a PUT by itself when a connection breaks: :class:`Upload`
  forbids it, and every request has a fresh connection, so a stale one never looks like a failure of the peer.
- **One deadline covers everything**: connecting, sending, reading, the short repeats in between. What was known when it struck
  (a status, a byte that left) still counts.

No redirect is followed, no proxy or netrc is taken from the environment, no cookie is kept, no answer is decompressed.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from dataclasses import dataclass, replace
from http import HTTPStatus
from types import SimpleNamespace
from typing import Final

import aiohttp
import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_attempt

from gateway import __version__
from gateway.clock import Clock, Ids
from gateway.errors import ExchangeError, PeerUnavailableError
from gateway.exchange.answer import Trial, http_date, judge_receipt, judge_sent
from gateway.exchange.digests import RouteDigests
from gateway.exchange.outcome import Later, Outcome, ReceiptAnswer
from gateway.exchange.port import PACKAGE_TYPE, NodeInfo, Outgoing
from gateway.exchange.problem import PROBLEM_TYPE
from gateway.exchange.secret import Secret
from gateway.exchange.tls import is_loopback
from gateway.exchange.upload import Upload

__all__ = ["ServiceLimits", "ServiceTransport"]

_log = structlog.get_logger()

_ADDRESS = re.compile(r"(https?)://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?((?:/[A-Za-z0-9._~-]+)*)/?")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 §2.1
_GOODBYE: Final = 0.25  # seconds
_SMALL_ANSWER: Final = 64 * 1024  # bytes; enough for any problem document
_IGNORES: Final = "peer-ignores-expectation"
_PASSING: Final = frozenset({"peer-unreachable", "peer-name-unknown", "peer-cut", "peer-tls-cut", _IGNORES})
"""Flaws that a moment later may be gone. A certificate that does not fit and a silent peer stay so: they wait for the journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLimits:
    """What one exchange with a peer may cost. Seconds and bytes.

    ``connect`` covers name, TCP and TLS; ``total`` everything including repeats. ``continue_wait`` is how long the body waits for the
    peer's go-ahead, None sends it at once. ``digest_bytes`` bounds one answer about what the peer holds. ``tries`` counts requests while no
    body byte left, ``pause`` is the mean before the second and doubles. ``longest_wait`` caps the peer's ``Retry-After``.
    """

    connect: float = 10.0
    total: float = 120.0
    continue_wait: float | None = 5.0
    answer_bytes: int = 32 * 1024 * 1024
    digest_bytes: int = 8 * 1024 * 1024
    tries: int = 3
    pause: float = 0.5
    longest_wait: float = 3600.0


class ServiceTransport:
    """One peer's node over HTTP. Safe for concurrent use within one event loop; :meth:`close` when done.

    ``peer`` names it in logs. ``tls`` comes from :func:`gateway.exchange.tls.client_context` and is required for https. ``token`` is
    sent as a bearer token where the peer does not know us by certificate. Raises ExchangeError for an address that must not be used:
    plain http is for this machine's loopback alone.
    """

    def __init__(
        self,
        base_url: str,
        *,
        peer: str,
        clock: Clock,
        ids: Ids,
        tls: ssl.SSLContext | None = None,
        token: Secret | None = None,
        limits: ServiceLimits | None = None,
    ) -> None:
        self._base = _address(base_url, tls)
        self._peer = peer
        self._clock = clock
        self._ids = ids
        self._tls = tls
        self._token = token
        if token is not None and not _TOKEN.fullmatch(token.reveal()):
            raise ExchangeError("peer-token-malformed", peer=peer)
        self._limits = limits or ServiceLimits()
        self._expects = self._limits.continue_wait is not None
        self._session: aiohttp.ClientSession | None = None

    async def send(self, outgoing: Outgoing) -> Outcome:
        """PUT the package, once as far as the peer can tell."""
        started = self._clock.monotonic()
        trials = await self._ask("PUT", self._batch(outgoing.batch_id), outgoing)
        outcome = judge_sent(trials[-1], now=self._clock.now(), longest_wait=self._limits.longest_wait)
        self._report("exchange.sent", outcome, trials, started, batch_id=outgoing.batch_id, size=len(outgoing.package))
        return outcome

    async def receipt(self, batch_id: str) -> ReceiptAnswer:
        """GET the receipt of a batch."""
        started = self._clock.monotonic()
        trials = await self._ask("GET", f"{self._batch(batch_id)}/receipt")
        answer = judge_receipt(trials[-1], now=self._clock.now(), longest_wait=self._limits.longest_wait)
        self._report("exchange.receipt-asked", answer, trials, started, batch_id=batch_id)
        return answer

    async def node(self) -> NodeInfo:
        """GET what the peer says of itself. Raises ExchangeError ``node-question-failed`` or ``node-answer-malformed``."""
        trial = (await self._ask("GET", f"{self._base}/node"))[-1]
        if trial.status != HTTPStatus.OK or trial.flaw is not None or trial.media_type != "application/json":
            why = trial.flaw or ("answer-unexpected" if trial.problem is None else trial.problem.code)
            raise ExchangeError("node-question-failed", peer=self._peer, why=why, status=trial.status or "-")
        try:
            document = json.loads(trial.body)
        except (ValueError, RecursionError) as error:
            raise ExchangeError("node-answer-malformed") from error
        return replace(NodeInfo.from_json(document), time=http_date(trial.headers.get("date")))

    async def digests(self, route: str, prefix: str) -> RouteDigests:
        """GET what the peer holds of a route. Raises ExchangeError ``digests-question-failed`` (the peer says no) or ``digests-malformed``,
        PeerUnavailableError ``digests-later``.
        """
        started = self._clock.monotonic()
        url = f"{self._base}/routes/{route}/digest?prefix={prefix}"
        trial = (await self._ask("GET", url, budget=self._limits.digest_bytes))[-1]
        _log.debug(
            "exchange.digests-asked",
            peer=self._peer,
            prefix=prefix,
            status=trial.status,
            why=trial.flaw,
            size=len(trial.body),
            seconds=round(self._clock.monotonic() - started, 3),
        )
        if trial.status != HTTPStatus.OK or trial.flaw is not None:
            asked = judge_receipt(trial, now=self._clock.now(), longest_wait=self._limits.longest_wait)
            passing = isinstance(asked, Later) and asked.why != "peer-refuses-question"
            why = trial.flaw or ("answer-unexpected" if trial.problem is None else trial.problem.code)
            facts = {"peer": self._peer, "why": why, "status": trial.status or "-"}
            if passing or trial.flaw == "answer-cut":
                raise PeerUnavailableError("digests-later", **facts)
            raise ExchangeError("digests-question-failed", **facts)
        try:
            document = json.loads(trial.body)
        except (ValueError, RecursionError) as error:
            raise ExchangeError("digests-malformed", what="JSON") from error
        return RouteDigests.from_json(document, route=route, prefix=prefix)

    async def question(
        self, method: str, path: str, outgoing: Outgoing | None = None, *, budget: int | None = None
    ) -> Trial:
        """What came of any other question below the protocol's address: the last trial. ``budget`` is for the answer's bytes."""
        return (await self._ask(method, f"{self._base}{path}", outgoing, budget))[-1]

    async def close(self) -> None:
        """Let go of connections."""
        if self._session is not None:
            await self._session.close()
            if self._tls is not None:
                # The peer's answer to our end of TLS comes after close() returns (aiohttp, "Graceful Shutdown"); a loop that ends
                # before it leaves sockets behind.
                await asyncio.sleep(_GOODBYE)

    def _batch(self, batch_id: str) -> str:
        return f"{self._base}/batches/{batch_id}"

    async def _ask(
        self, method: str, url: str, outgoing: Outgoing | None = None, budget: int | None = None
    ) -> list[Trial]:
        """Every trial of one question, the last one decides; there is always one. ``budget`` is for the answer's bytes."""
        trials: list[Trial] = []
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._limits.tries),
            wait=self._pause,
            sleep=self._clock.sleep,
            retry=retry_if_result(_worth_another),
            retry_error_callback=lambda state: None,
        )
        try:
            async with asyncio.timeout(self._limits.total):
                await retrying(self._try, method, url, outgoing, trials, budget or self._limits.answer_bytes)
        except TimeoutError:
            trials[-1].flaw = trials[-1].flaw or "peer-timeout"
        return trials

    async def _try(self, method: str, url: str, outgoing: Outgoing | None, trials: list[Trial], budget: int) -> Trial:
        """One request on a connection of its own, recorded in a new trial at the end of ``trials``."""
        ignored = any(earlier.flaw == _IGNORES for earlier in trials)
        expects = outgoing is not None and self._expects and not ignored
        trial = Trial()
        trials.append(trial)
        try:
            async with (
                asyncio.timeout(None) as patience,
                self._open().request(
                    method,
                    url,
                    data=None
                    if outgoing is None
                    else Upload(outgoing.package, on_leaving=lambda: _leaving(trial, patience)),
                    headers=self._headers() | ({} if outgoing is None else outgoing.shown.headers()),
                    expect100=expects,
                    allow_redirects=False,
                    trace_request_ctx=patience if expects else None,
                ) as response,
            ):
                patience.reschedule(None)
                trial.status = response.status
                trial.headers = {name.lower(): value for name, value in response.headers.items()}
                self._expects = self._expects and not ignored  # it answers once the expectation is gone: remember
                await self._read(response, trial, budget)
        except TimeoutError:
            trial.flaw = _IGNORES if patience.expired() else "peer-timeout"
        except (aiohttp.ClientError, OSError) as error:
            trial.flaw = "answer-cut"
            if trial.status is None:
                trial.flaw = _flaw(error, handshake=url.startswith("https:") and not trial.body_left)
        return trial

    @staticmethod
    async def _read(response: aiohttp.ClientResponse, trial: Trial, budget: int) -> None:
        """The answer's body into ``trial``, within ``budget`` bytes, or within those of a problem document."""
        if response.status // 100 != 2:
            budget = _SMALL_ANSWER
        body = bytearray()
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > budget:
                trial.flaw = "answer-too-large"
                response.close()
                return
        if (
            "content-length" not in trial.headers
            and "chunked" not in trial.headers.get("transfer-encoding", "").lower()
        ):
            trial.flaw = "answer-cut"  # ends where the connection ended: whole and cut look the same
            return
        trial.body = bytes(body)

    def _open(self) -> aiohttp.ClientSession:
        """The session, made at first use because it belongs to the running loop."""
        if self._session is None:
            tracing = aiohttp.TraceConfig()
            tracing.on_request_headers_sent.append(self._headers_sent)
            self._session = aiohttp.ClientSession(
                # A connection per request: batches are minutes apart, and a kept connection that the peer has dropped meanwhile
                # would look like a line cut in the middle of the body.
                connector=aiohttp.TCPConnector(ssl=self._tls or True, force_close=True),
                timeout=aiohttp.ClientTimeout(total=None, connect=self._limits.connect),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                trace_configs=[tracing],
            )
        return self._session

    async def _headers_sent(
        self, session: aiohttp.ClientSession, context: SimpleNamespace, sent: aiohttp.TraceRequestHeadersSentParams
    ) -> None:
        """The wait for the go-ahead begins when the headers leave, not while connecting."""
        patience, wait = context.trace_request_ctx, self._limits.continue_wait
        if isinstance(patience, asyncio.Timeout) and wait is not None:
            patience.reschedule(asyncio.get_running_loop().time() + wait)

    def _headers(self) -> dict[str, str]:
        headers = {
            "Accept": f"{PACKAGE_TYPE}, {PROBLEM_TYPE}, application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"credit-gateway/{__version__}",
        }
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.reveal()}"
        return headers

    def _pause(self, state: RetryCallState) -> float:
        """Seconds before the next trial: doubling, half to one and a half times, so that many senders spread out."""
        if state.outcome is not None and state.outcome.result().flaw == _IGNORES:
            return 0.0
        chance = int.from_bytes(self._ids.bytes(2), "big") / 65536
        return float(self._limits.pause * 2 ** (state.attempt_number - 1) * (0.5 + chance))

    def _report(
        self, event: str, outcome: Outcome | ReceiptAnswer, trials: list[Trial], started: float, **facts: object
    ) -> None:
        """One line per question."""
        _log.info(
            event,
            peer=self._peer,
            outcome=type(outcome).__name__,
            status=trials[-1].status,
            why=getattr(outcome, "why", None),
            code=getattr(outcome, "code", None),
            tries=len(trials),
            body_left=trials[-1].body_left,
            seconds=round(self._clock.monotonic() - started, 3),
            **facts,
        )


def _leaving(trial: Trial, patience: asyncio.Timeout) -> None:
    """The first byte of the body is about to leave. Raises RuntimeError when the wait has just run out: then none leaves."""
    patience.reschedule(None)
    trial.body_left = True


def _worth_another(trial: Trial) -> bool:
    """Whether a moment later the same question may fare better, with no risk that the peer sees it twice."""
    return not trial.body_left and trial.status is None and trial.flaw in _PASSING


def _flaw(error: BaseException, *, handshake: bool) -> str:
    """The code for a request that got no answer. ``handshake``: over TLS, and nothing but handshake and headers had passed."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "peer-name-unknown"
        case aiohttp.ClientSSLError():
            return "peer-tls-failed"
        case aiohttp.ClientConnectorError(os_error=os_error) if not isinstance(os_error, ConnectionResetError):
            return "peer-unreachable"
        case aiohttp.ClientResponseError():
            return "answer-malformed"
    # A TLS 1.3 server refuses a client certificate after the handshake; aiohttp wraps the alert in a plain connection error.
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return "peer-tls-failed"
        cause = cause.__cause__
    # Servers on asyncio send no alert at all (CPython drops it with the connection): this is what their refusal looks like.
    return "peer-tls-cut" if handshake else "peer-cut"


def _address(text: str, tls: ssl.SSLContext | None) -> str:
    """The address below which the protocol's paths stand. Raises ExchangeError for one that must not be used.

    One pattern instead of a parser: what a second parser might read differently (users, backslashes, queries) is not in it.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or not 0 < int(found[3] or 443) < 65536:
        raise ExchangeError("peer-address-malformed")
    scheme, host = found[1], found[2].strip("[]")
    if scheme == "http" and not is_loopback(host):
        raise ExchangeError("peer-address-not-https", host=host)
    if scheme == "https" and tls is None:
        raise ExchangeError("peer-tls-missing", host=host)
    return f"{text.rstrip('/')}/exchange/v1"
