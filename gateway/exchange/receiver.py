"""Service mode, the receiving side: the HTTP interface of the exchange protocol (README) as an aiohttp application.

A request is checked in this order, each step before anything dearer: caller, address, the caller's share, media type, declared size,
then the go-ahead (``100 Continue``), then the body within its budget and time, then the work. A body that is cut leaves nothing: the
work sees whole packages only. Once it has begun, the work goes on when the caller hangs up; the receipt can be asked for.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final, assert_never

import structlog
from aiohttp import HttpVersion11, web

from gateway.clock import Clock
from gateway.errors import ExchangeError, GatewayError
from gateway.exchange.admission import Admission, Ticket, TooBusy
from gateway.exchange.callers import CallerDirectory
from gateway.exchange.intake import Facts, Intake, Pending, ProblemAnswer, ReceiptTaken
from gateway.exchange.port import PACKAGE_TYPE
from gateway.exchange.problem import PROBLEM_TYPE, Problem
from gateway.exchange.sharing import Given, NothingNew, Sharing
from gateway.exchange.shown import Shown, read_shown

__all__ = ["ReceiverLimits", "build_receiver"]

_log = structlog.get_logger()

_BATCH_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")  # RFC 9562 §5.7
_NAME: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")  # a node's code, a catalog's id
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,15}")
_PREFIX: Final = re.compile(r"[0-9a-f]{0,64}")
_BATCH: Final = "/exchange/v1/batches/{batch_id}"
_DIGEST: Final = "/exchange/v1/routes/{sender}/{catalog}/{receiver}/digest"
_FEEDBACK: Final = "/exchange/v1/routes/{sender}/{catalog}/{receiver}/feedback"
_MOST_LISTED: Final = 100

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverLimits:
    """What callers may cost us. ``package_bytes`` bounds one package; a caller has at most ``requests_per_caller`` requests at a time,
    holding ``bytes_per_caller`` together; a package must be up within ``upload_seconds``; a caller turned away comes back after
    ``busy_retry_after`` seconds.
    """

    package_bytes: int = 64 * 1024 * 1024
    requests_per_caller: int = 8
    bytes_per_caller: int = 256 * 1024 * 1024
    upload_seconds: float = 120.0
    busy_retry_after: float = 5.0


@dataclass(slots=True)
class _Line:
    """What the request's log line will say beside method, status and seconds."""

    caller: str | None = None
    batch_id: str | None = None
    size: int | None = None
    code: str | None = None


_LINE: Final = web.RequestKey("line", _Line)


class _No(Exception):  # noqa: N818 -- an answer on its way out, not a fault
    """The request ends here with a problem."""

    def __init__(self, code: str, detail: str = "", retry_after: float | None = None) -> None:
        super().__init__(code)
        self.answer = ProblemAnswer(problem=Problem(code=code, detail=detail), retry_after=retry_after)


def build_receiver(
    intake: Intake,
    *,
    callers: CallerDirectory,
    clock: Clock,
    limits: ReceiverLimits | None = None,
    ready: Callable[[], Awaitable[bool]] | None = None,
    sharing: Sharing | None = None,
) -> web.Application:
    """The application, to be served by :class:`gateway.exchange.listener.Listener`. ``ready`` answers ``/readyz``.

    Without ``sharing`` the resources of feedback and of shared batches are not there.
    """
    receiver = _Receiver(intake, callers, clock, limits or ReceiverLimits(), ready)
    application = web.Application(middlewares=[receiver.guard])
    application.on_response_prepare.append(_finish)
    router = application.router
    router.add_put(_BATCH, receiver.put_batch, expect_handler=_not_yet)
    router.add_get(f"{_BATCH}/receipt", receiver.get_receipt, allow_head=False)
    router.add_get("/exchange/v1/node", receiver.get_node, allow_head=False)
    router.add_get(_DIGEST, receiver.get_digest, allow_head=False)
    if sharing is not None:
        asked = _Asked(receiver, sharing)
        router.add_get(_FEEDBACK, asked.get_feedback, allow_head=False)
        router.add_get("/exchange/v1/batches", asked.get_batches, allow_head=False)
        router.add_get(_BATCH, asked.get_batch, allow_head=False)
        router.add_put(f"{_BATCH}/receipt", asked.put_receipt, expect_handler=_not_yet)
    router.add_get("/healthz", receiver.get_health)
    router.add_get("/readyz", receiver.get_readiness)
    return application


class _Receiver:
    """The handlers and what they share."""

    def __init__(
        self,
        intake: Intake,
        callers: CallerDirectory,
        clock: Clock,
        limits: ReceiverLimits,
        ready: Callable[[], Awaitable[bool]] | None,
    ) -> None:
        self._intake = intake
        self._callers = callers
        self._clock = clock
        self._limits = limits
        self._ready = ready
        self.admission = Admission(requests=limits.requests_per_caller, bytes=limits.bytes_per_caller)

    async def put_batch(self, request: web.Request) -> web.StreamResponse:
        """``PUT …/batches/{batch_id}``: take a package."""
        caller = self.caller(request)
        batch_id = _batch_id(request, "batch-id-malformed")
        shown = _shown(request)
        with self.admission.enter(caller) as ticket:
            package = await self.body(request, ticket)
            return _respond(await self._intake.take(caller, batch_id, package, shown))

    async def get_receipt(self, request: web.Request) -> web.StreamResponse:
        """``GET …/batches/{batch_id}/receipt``: the stored receipt."""
        caller = self.caller(request)
        batch_id = _batch_id(request, "unknown-batch")
        with self.admission.enter(caller):
            answer = await self._intake.receipt(caller, batch_id)
            if isinstance(answer, ReceiptTaken):
                answer = replace(answer, new=False)
            return _respond(answer)

    async def get_node(self, request: web.Request) -> web.StreamResponse:
        """``GET …/node``: who we are and what we take."""
        caller = self.caller(request)
        with self.admission.enter(caller):
            return _respond(Facts(body=await self._intake.node(caller)))

    async def get_digest(self, request: web.Request) -> web.StreamResponse:
        """``GET …/routes/{sender}/{catalog}/{receiver}/digest``: what we hold, for comparison."""
        caller = self.caller(request)
        sender, catalog, receiver = (request.match_info[name] for name in ("sender", "catalog", "receiver"))
        if not all(_NAME.fullmatch(part) for part in (sender, catalog, receiver)):
            raise _No("unknown-route")
        prefix = request.query.get("prefix", "")
        if not _PREFIX.fullmatch(prefix):
            raise _No("prefix-malformed")
        with self.admission.enter(caller):
            return _respond(await self._intake.digests(caller, sender, catalog, receiver, prefix))

    async def get_health(self, request: web.Request) -> web.StreamResponse:
        """``GET /healthz``: the process answers. Needs no caller."""
        return web.json_response({"status": "ok"})

    async def get_readiness(self, request: web.Request) -> web.StreamResponse:
        """``GET /readyz``: packages can be taken. Needs no caller."""
        if self._ready is not None and not await self._ready():
            raise _No("unavailable", retry_after=self._limits.busy_retry_after)
        return web.json_response({"status": "ready"})

    @web.middleware
    async def guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Around every request: problems become answers, faults become a bare 500, one log line is written."""
        line = request[_LINE] = _Line()
        started = self._clock.monotonic()
        response = await self._answer(request, handler, line)
        resource = request.match_info.route.resource
        quiet = resource is not None and resource.canonical in {"/healthz", "/readyz"}
        (_log.debug if quiet else _log.info)(
            "exchange.request",
            method=request.method,
            path=resource.canonical if resource is not None else None,
            status=response.status,
            caller=line.caller,
            batch_id=line.batch_id,
            size=line.size,
            code=line.code,
            seconds=round(self._clock.monotonic() - started, 3),
        )
        return response

    async def _answer(self, request: web.Request, handler: _Handler, line: _Line) -> web.StreamResponse:
        try:
            return await handler(request)
        except _No as no:
            answer = no.answer
        except TooBusy:
            answer = _No("too-many-requests", retry_after=self._limits.busy_retry_after).answer
        except web.HTTPException as error:
            code = "method-not-allowed" if error.status == HTTPStatus.METHOD_NOT_ALLOWED else "not-found"
            answer = _No(code).answer
        except Exception as error:
            # The message of a foreign exception may hold a value of a record: the log gets its class and place, the caller nothing.
            _log.error(
                "exchange.request-failed",
                error=type(error).__name__,
                code=error.code if isinstance(error, GatewayError) else None,
                place=_place(error),
                batch_id=line.batch_id,
            )
            answer = _No("internal-error").answer
        line.code = answer.problem.code
        return _respond(answer)

    def caller(self, request: web.Request) -> str:
        """The calling node's code, from the TLS connection itself or its token."""
        tls = None if request.transport is None else request.transport.get_extra_info("ssl_object")
        certificate = None if tls is None else tls.getpeercert(binary_form=True)
        caller = self._callers.identify(certificate, request.headers.get("Authorization"))
        if caller is None:
            raise _No("caller-unknown")
        request[_LINE].caller = caller
        return caller

    async def body(self, request: web.Request, ticket: Ticket) -> bytes:
        """The body, whole and within every budget; the go-ahead is given when nothing else stands against it."""
        if request.content_type != PACKAGE_TYPE or request.headers.get("Content-Encoding", "identity") != "identity":
            raise _No("media-type-unsupported")
        declared = request.content_length
        if declared is not None:
            self._within(declared)
            ticket.add(declared)
        await _go_ahead(request)
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.upload_seconds):
                async for piece in request.content.iter_any():
                    self._within(len(body) + len(piece))
                    if declared is None:
                        ticket.add(len(piece))
                    body += piece
        except TimeoutError as error:
            raise _No("upload-too-slow") from error
        except (OSError, web.RequestPayloadError) as error:
            raise _No("package-malformed", "the upload was cut") from error
        if not body:
            raise _No("package-malformed", "the body is empty")
        request[_LINE].size = len(body)
        return bytes(body)

    def _within(self, count: int) -> None:
        if count > self._limits.package_bytes:
            raise _No("package-too-large", f"at most {self._limits.package_bytes} bytes")


class _Asked:
    """The handlers of what a peer asks for beside sending, behind the same checks."""

    def __init__(self, receiver: _Receiver, sharing: Sharing) -> None:
        self._receiver = receiver
        self._sharing = sharing

    async def get_feedback(self, request: web.Request) -> web.StreamResponse:
        """``GET …/routes/{sender}/{catalog}/{receiver}/feedback?after=``: what became of records further up."""
        caller = self._receiver.caller(request)
        sender, catalog, receiver = (request.match_info[name] for name in ("sender", "catalog", "receiver"))
        after = _number(request, "after", 0)
        with self._receiver.admission.enter(caller):
            return _respond(await self._sharing.feedback(caller, sender, catalog, receiver, after))

    async def get_batches(self, request: web.Request) -> web.StreamResponse:
        """``GET …/batches?catalog=&after=&limit=``: what is shared with the caller."""
        caller = self._receiver.caller(request)
        catalog = request.query.get("catalog", "")
        if not _NAME.fullmatch(catalog):
            raise _No("question-malformed", "catalog")
        after, limit = _number(request, "after", 0), _number(request, "limit", _MOST_LISTED)
        with self._receiver.admission.enter(caller):
            return _respond(await self._sharing.listed(caller, catalog, after, min(limit, _MOST_LISTED)))

    async def get_batch(self, request: web.Request) -> web.StreamResponse:
        """``GET …/batches/{batch_id}``: one package that is shared with the caller."""
        caller = self._receiver.caller(request)
        batch_id = _batch_id(request, "unknown-batch")
        held = _number(request, "held", -1)
        with self._receiver.admission.enter(caller):
            return _respond(await self._sharing.package(caller, batch_id, None if held < 0 else held))

    async def put_receipt(self, request: web.Request) -> web.StreamResponse:
        """``PUT …/batches/{batch_id}/receipt``: the caller's receipt for a package that it fetched."""
        caller = self._receiver.caller(request)
        batch_id = _batch_id(request, "unknown-batch")
        shown = _shown(request)
        with self._receiver.admission.enter(caller) as ticket:
            receipt = await self._receiver.body(request, ticket)
            return _respond(await self._sharing.take_receipt(caller, batch_id, receipt, shown))


def _number(request: web.Request, name: str, otherwise: int) -> int:
    value = request.query.get(name)
    if value is None:
        return otherwise
    if not _NUMBER.fullmatch(value):
        raise _No("question-malformed", name)
    return int(value)


def _batch_id(request: web.Request, otherwise: str) -> str:
    """The id in the path; one of another shape is the problem ``otherwise``."""
    batch_id = request.match_info["batch_id"]
    if not _BATCH_ID.fullmatch(batch_id):
        raise _No(otherwise)
    request[_LINE].batch_id = batch_id
    return batch_id


def _shown(request: web.Request) -> Shown:
    try:
        return read_shown(request.headers)
    except ExchangeError as error:
        raise _No("shown-malformed", str(error.facts["header"])) from error


async def _not_yet(request: web.Request) -> None:
    """In place of aiohttp's handler, which says ``100 Continue`` before anybody asked who is calling."""


async def _go_ahead(request: web.Request) -> None:
    """``100 Continue`` (RFC 9110 §10.1.1) for a caller that waits for it."""
    if request.version >= HttpVersion11 and request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the final answer has not begun; aiohttp's own handler resets it too


async def _finish(request: web.Request, response: web.StreamResponse) -> None:
    """Nothing is cached on the way, and nobody needs to know what we are built with."""
    response.headers["Cache-Control"] = "no-store"
    response.headers.pop("Server", None)


def _respond(answer: ReceiptTaken | Pending | ProblemAnswer | Facts | Given | NothingNew) -> web.Response:
    match answer:
        case Given(data=data, shown=shown):
            return web.Response(body=data, content_type=PACKAGE_TYPE, headers=shown.headers())
        case NothingNew():
            return web.Response(status=HTTPStatus.NO_CONTENT)
        case ReceiptTaken(receipt=receipt, new=new, shown=shown):
            status = HTTPStatus.CREATED if new else HTTPStatus.OK
            return web.Response(status=status, body=receipt, content_type=PACKAGE_TYPE, headers=shown.headers())
        case Pending(retry_after=seconds):
            return web.Response(status=HTTPStatus.ACCEPTED, headers=_wait(seconds))
        case ProblemAnswer(problem=problem, retry_after=seconds):
            headers = _wait(seconds)
            if problem.status == HTTPStatus.UNAUTHORIZED:
                headers["WWW-Authenticate"] = "Bearer"  # RFC 9110 §15.5.2: a 401 names a scheme
            return web.Response(
                status=problem.status, body=problem.to_json(), content_type=PROBLEM_TYPE, headers=headers
            )
        case Facts(body=body):
            return web.json_response(body, dumps=_dump)
        case _:
            assert_never(answer)


def _wait(seconds: float | None) -> dict[str, str]:
    return {} if seconds is None else {"Retry-After": str(math.ceil(seconds))}


def _dump(body: Mapping[str, object]) -> str:
    return json.dumps(body, ensure_ascii=False)


def _place(error: BaseException) -> str:
    """File and line of the innermost frame: enough to find the fault, nothing of its data."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
