"""Database mode (前置库): batches as rows of a table that the receiver reads, outcomes as what it writes back.

A batch is one transaction, and unique on batch and key: however often it is written, one copy is there. The receiver signs nothing; when
it has decided on every row, what it says is taken down as a receipt (:mod:`gateway.exchange.recorder`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

import sqlalchemy as sa
import structlog

from gateway.clock import Clock
from gateway.errors import ExchangeError, GatewayError
from gateway.exchange.digests import RouteDigests
from gateway.exchange.front_engine import passing, state_of
from gateway.exchange.front_layout import Layout, Live, look_up
from gateway.exchange.front_rows import Read, Said, feedback_bytes, judge_rows, told_of, written_rows
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
from gateway.exchange.port import FormatOffer, NodeInfo, Outgoing
from gateway.exchange.recorder import Recorder
from gateway.package.batch import ParsedBatch, parse_batch
from gateway.package.container import open_package

__all__ = ["DatabaseTransport", "FrontLimits"]

_UNPROCESSABLE: Final = 422
_OK: Final = 200
_LONGEST: Final = {"key": 1_025, "version": 32, "status": 32, "code": 256, "message": 2_000}
"""So many characters of a value are read back; the database cuts, so that no row can fill our memory."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontLimits:
    """``poll`` is how many seconds pass before outcomes are looked for again."""

    poll: float = 30.0


class _UnreachableError(Exception):
    """The database could not be reached, or went away before anything was committed."""


class _CommitLostError(Exception):
    """The connection broke while the commit was under way."""


class DatabaseTransport:
    """A way to the node of ``recorder.receiver`` through ``engine``. ``layouts`` are the tables of every exchange with it.

    ``package_of`` gives the sealed bytes of a batch sent earlier; ``zone`` is where times are written. The engine connects anew for every
    piece of work (a pool would hold the receiver's connections for hours), and is let go of by :meth:`close`.
    """

    def __init__(
        self,
        engine: sa.Engine,
        *,
        peer: str,
        layouts: Sequence[Layout],
        recorder: Recorder,
        package_of: Callable[[str], bytes | None],
        clock: Clock,
        zone: tzinfo,
        limits: FrontLimits | None = None,
    ) -> None:
        self._engine = engine
        self._peer = peer
        self._layouts = {(layout.format_id, layout.catalog): layout for layout in layouts}
        self._recorder = recorder
        self._package_of = package_of
        self._clock = clock
        self._zone = zone
        self._limits = limits or FrontLimits()

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Write the batch's rows, all of them or none."""
        outcome = await asyncio.to_thread(self._send, outgoing)
        self._note("front.sent", outgoing.batch_id, outcome)
        return outcome

    async def receipt(self, batch_id: str) -> ReceiptAnswer:
        """Look what the receiver says of the batch's rows."""
        answer = await asyncio.to_thread(self._receipt, batch_id)
        self._note("front.asked", batch_id, answer)
        return answer

    async def node(self) -> NodeInfo:
        """Hold every table against the live catalogue. Raises ExchangeError with the first thing that is wrong."""
        for problem in await self.problems():
            raise problem
        receiver = self._recorder.receiver
        offers = {(one.format_id, one.format_version) for one in self._layouts.values()}
        return NodeInfo(
            code=receiver.code,
            name=receiver.name,
            versions=(1,),
            catalogs=tuple(dict.fromkeys(one.catalog for one in self._layouts.values())),
            formats=tuple(FormatOffer(id=name, version=version) for name, version in sorted(offers)),
        )

    async def problems(self) -> list[ExchangeError]:
        """Everything that is wrong with the tables, or that the database cannot be reached."""
        return await asyncio.to_thread(self._problems)

    async def digests(self, route: str, prefix: str) -> RouteDigests:
        """Tables do not tell what the receiver holds. Raises ExchangeError ``front-without-digests``."""
        raise ExchangeError("front-without-digests", peer=self._peer)

    async def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def _send(self, outgoing: Outgoing) -> Outcome:
        try:
            batch = parse_batch(open_package(outgoing.package).document)
            layout = self._layout(batch)
            with self._connected() as conn:
                live = look_up(sa.inspect(conn), layout)
                self._write(conn, live, batch, layout)
                answer = self._answer(conn, live, batch, outgoing.package)
        except _CommitLostError:
            return Unknown(why="front-commit-lost")
        except _UnreachableError:
            return Later(why="front-unreachable")
        except GatewayError as error:
            return Refused(status=_UNPROCESSABLE, code=error.code, detail=error.say("zh-CN"))
        except sa.exc.DBAPIError as error:
            return Refused(status=_UNPROCESSABLE, code="front-refused", detail=state_of(error))
        match answer:
            case NotReady(retry_after=after):
                return Taken(retry_after=after)
            case NeverReceived():
                return Unknown(why="front-rows-missing")
            case _:
                return answer

    def _receipt(self, batch_id: str) -> ReceiptAnswer:
        package = self._package_of(batch_id)
        if package is None:  # erased: what its rows would have to say is not known any more
            return Unknown(why="front-package-gone")
        batch = parse_batch(open_package(package).document)
        try:
            with self._connected() as conn:
                live = look_up(sa.inspect(conn), self._layout(batch))
                return self._answer(conn, live, batch, package)
        except _UnreachableError:
            return Later(why="front-unreachable")
        except GatewayError as error:
            return Unknown(why=error.code)
        except sa.exc.DBAPIError as error:
            _log.warning("front.refused", peer=self._peer, batch=batch_id, state=state_of(error))
            return Unknown(why="front-refused")

    def _problems(self) -> list[ExchangeError]:
        found: list[ExchangeError] = []
        try:
            with self._connected() as conn:
                inspector = sa.inspect(conn)
                for layout in self._layouts.values():
                    try:
                        look_up(inspector, layout)
                    except ExchangeError as error:
                        found.append(error)
        except _UnreachableError:
            return [ExchangeError("front-unreachable", peer=self._peer)]
        except sa.exc.DBAPIError as error:
            return [ExchangeError("front-refused", peer=self._peer, detail=state_of(error))]
        return found

    def _layout(self, batch: ParsedBatch) -> Layout:
        header = batch.header
        layout = self._layouts.get((header.format.id, header.catalog))
        if layout is None:
            raise ExchangeError("front-format-unknown", format=header.format.id, catalog=header.catalog)
        return layout

    def _connected(self) -> _Connected:
        return _Connected(self._engine)

    def _write(self, conn: sa.Connection, live: Live, batch: ParsedBatch, layout: Layout) -> None:
        """One transaction, unless the rows are there already."""
        if not batch.records or self._count(conn, live, batch) > 0:
            conn.rollback()
            return
        conn.rollback()
        at = self._clock.now().astimezone(self._zone).strftime("%Y-%m-%d %H:%M:%S")
        rows = written_rows(batch, layout.columns, layout.catalog, at)
        columns = dict(live.data) | {f"@{what}": column for what, column in live.named.items()}
        bound = [{str(columns[name].name): value for name, value in row.items()} for row in rows]
        try:
            conn.execute(sa.insert(live.rows), bound)
        except sa.exc.IntegrityError:
            # Another process of ours wrote the same batch between our look and our writing; or two keys are one to this database.
            conn.rollback()
            if self._count(conn, live, batch) == 0:
                raise
            conn.rollback()
            return
        # The commit: before it nothing is there, after it everything. When the line breaks in it nobody knows.
        try:
            conn.commit()
        except sa.exc.DBAPIError as error:
            if passing(error):
                raise _CommitLostError from error
            raise

    @staticmethod
    def _count(conn: sa.Connection, live: Live, batch: ParsedBatch) -> int:
        """How many rows of the batch are there, or have been: a receiver may take its rows away once it has told of them."""
        count = 0
        for table, named in ((live.rows, live.named), (live.feedback, live.feedback_named)):
            if table is not None:
                of_batch = named["batch"] == batch.header.batch_id
                count += conn.execute(sa.select(sa.func.count()).select_from(table).where(of_batch)).scalar_one()
        return count

    def _answer(self, conn: sa.Connection, live: Live, batch: ParsedBatch, package: bytes) -> ReceiptAnswer:
        """What the rows say. Wrong feedback is as good as none, and its code says what is wrong with it."""
        if not batch.records:  # a void batch has no rows: nothing is there to be decided
            return self._acknowledged(package, [], b"")
        try:
            rows = self._read(conn, live.rows, live.named, batch)
            feedback = None
            if live.feedback is not None:
                feedback = self._read(conn, live.feedback, live.feedback_named, batch)
            said = judge_rows(batch, rows, feedback)
            if said is None:
                return NeverReceived()
            if any(one.final is None for one in said):
                return NotReady(retry_after=self._limits.poll)
            return self._acknowledged(package, said, feedback_bytes(batch.header.batch_id, said))
        except ExchangeError as error:
            _log.warning("front.feedback-wrong", peer=self._peer, batch=batch.header.batch_id, code=error.code)
            return Unknown(why=error.code)

    def _acknowledged(self, package: bytes, said: Sequence[Said], feedback: bytes) -> Acknowledged:
        receipt = self._recorder.take_down(package, told_of(said), feedback)
        return Acknowledged(receipt=receipt, status=_OK, stored=True)

    @staticmethod
    def _read(
        conn: sa.Connection, table: sa.Table, named: Mapping[str, sa.Column[object]], batch: ParsedBatch
    ) -> list[Read]:
        """The batch's rows, at most one more than it has records: more are wrong however many there are."""
        names = [what for what in ("key", "version", "status", "code", "message") if what in named]
        picked = [
            sa.func.substr(sa.cast(named[what], sa.String(4_000)), 1, _LONGEST[what]).label(what) for what in names
        ]
        statement = (
            sa.select(*picked)
            .select_from(table)
            .where(named["batch"] == batch.header.batch_id)
            .limit(len(batch.records) + 1)
        )
        return [
            Read(
                key=str(row.get("key") or ""),
                version=None if "version" not in row else str(row["version"]),
                status=row["status"],
                code=str(row.get("code") or ""),
                message=str(row.get("message") or ""),
            )
            for row in conn.execute(statement).mappings()
        ]

    def _note(self, event: str, batch_id: str, outcome: Outcome | ReceiptAnswer) -> None:
        why = getattr(outcome, "why", None) or getattr(outcome, "code", None)
        _log.info(event, peer=self._peer, batch_id=batch_id, outcome=type(outcome).__name__, why=why)


class _Connected:
    """A connection for one piece of work. What breaks while nothing is committed is :class:`_UnreachableError`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._conn: sa.Connection | None = None

    def __enter__(self) -> sa.Connection:
        try:
            self._conn = self._engine.connect()
        except (sa.exc.DBAPIError, OSError) as error:
            raise _UnreachableError from error
        return self._conn

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if self._conn is not None:
                self._conn.close()
        except sa.exc.DBAPIError:
            _log.debug("front.close-failed")
        if isinstance(error, sa.exc.DBAPIError) and passing(error):
            raise _UnreachableError from error
