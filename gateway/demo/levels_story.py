"""Four levels, told step by step: records go up in three modes, a rejection at the top comes down, a withdrawal goes all the way.

One process plays all four nodes, each with its own journal, keys and ledger, on loopback alone; and the platform's job on its own table.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape

from gateway.app import Gateway
from gateway.clock import RandomIds, SystemClock
from gateway.config import load_settings
from gateway.delivery.exchange import route_of
from gateway.delivery.handback import reason_text
from gateway.delivery.run import Order
from gateway.demo.business import PERMITS
from gateway.demo.levels import LEVELS, LISTENING, Levels
from gateway.demo.nodes import PROVINCE
from gateway.demo.platform import PLATFORM_NAME, REFUSAL, Row
from gateway.errors import ConfigError
from gateway.fetching import ask_feedback, pull_once
from gateway.ledger.report import Verdict
from gateway.ledger.verify import verify_log
from gateway.memory import few_threads
from gateway.opening import open_gateway
from gateway.orders import ORDERS
from gateway.receiving import open_listener
from gateway.store import batches, inbox, quarantine
from gateway.store.entries import DurableLog
from gateway.store.quarantine import Stage, StoredCase
from gateway.store.states import State
from gateway.texts import DEFAULT_LANGUAGE, LANGUAGES, say_text

__all__ = ["play_levels"]

_ROWS: Final = 12
_PATIENCE: Final = 30.0
"""Seconds in which the province has to find what the platform said."""
_TOLD: Final = ("total", "created", "updated", "withdrawn", "rejected")


def play_levels(folder: Path, *, seed: int) -> int:
    """Play it in ``folder``; returns the exit code: 0 when every figure is what it has to be.

    Raises ConfigError ``workfolder-not-empty`` when there is something in the folder already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError("workfolder-not-empty", folder=str(folder))
    folder.mkdir(parents=True, exist_ok=True)

    async def play() -> int:
        few_threads(asyncio.get_running_loop())
        return await _Story(Levels(folder=folder), seed).play()

    return asyncio.run(play())


class _Story:
    def __init__(self, levels: Levels, seed: int) -> None:
        self._levels = levels
        self._seed = seed
        self._out = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
        wanted = os.environ.get("GATEWAY_LANG", DEFAULT_LANGUAGE)
        self._language = wanted if wanted in LANGUAGES else DEFAULT_LANGUAGE
        self._started = time.monotonic()
        self._right = True
        self._nodes: Mapping[str, Gateway] = {}

    async def play(self) -> int:
        clock = SystemClock()
        self._step("nodes")
        self._levels.business.build(_ROWS, self._seed, clock.now().date())
        self._levels.lay_out(clock=clock, ids=RandomIds())
        async with self._open() as nodes:
            self._nodes = nodes
            for (lower, upper), way in zip(pairwise(LEVELS), ("service", "pull", "files"), strict=True):
                self._say("way", lower=lower.words, upper=upper.words, way=self._text(f"way-{way}"))
            self._say("way", lower=PROVINCE.name, upper=PLATFORM_NAME, way=self._text("way-database"))
            self._step("up")
            await self._up(sent=_ROWS, rejected=1)
            self._step("down")
            await self._down()
            self._step("mend")
            self._levels.business.mend()
            await self._up(sent=1, rejected=0)
            await self._taken_after_all()
            self._step("withdraw")
            self._levels.business.delete()
            await self._up(sent=1, rejected=0)
            self._withdrawn()
            self._step("ledgers")
            self._ledgers()
        seconds = f"{time.monotonic() - self._started:.0f}"
        self._out.print()
        self._say("done" if self._right else "done-wrong", seconds=seconds)
        return 0 if self._right else 1

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Mapping[str, Gateway]]:
        """Every node, the two in the middle listening: each needs to know where the other one is before either is there."""
        ports = _free_ports(LISTENING)
        async with AsyncExitStack() as stack:
            found: dict[str, Gateway] = {}
            for level in LEVELS:
                self._levels.configure(level.name, ports)
                settings = load_settings(self._levels.config(level.name))
                found[level.name] = gateway = stack.enter_context(
                    open_gateway(settings, what="demo", clock=SystemClock(), ids=RandomIds())
                )
                if level.name in LISTENING:
                    listener = open_listener(gateway)
                    await listener.start()
                    stack.push_async_callback(listener.stop)
            yield found

    async def _up(self, *, sent: int, rejected: int) -> None:
        """Everything that is due, one level after the other, as each node's own timetable would have it."""
        await self._run("bureau")
        await self._run("head")
        await pull_once(self._nodes["province"], "permits")
        # Before the ministry: of two rejections of a record the later one stands in the case of those below.
        decided, settled = await self._rows()
        await self._run("province")
        await self._collect("ministry")
        await self._collect("province")
        for lower, upper in pairwise(LEVELS):
            with self._nodes[lower.name].database.read() as conn:
                (last,) = batches.list_batches(conn, exchange="up", limit=1)
            figures = last.figures
            self._say("hop", lower=lower.words, upper=upper.words, **{name: figures[name] for name in _TOLD})
            top = upper.name == "ministry"
            self._check(last.total == sent and figures["rejected"] == (rejected if top else 0))
        self._tell_rows(decided, settled, sent=sent, rejected=rejected)

    async def _rows(self) -> tuple[Sequence[Row], batches.Batch]:
        """The same records into the platform's table; its job decides, and the province reads what it says."""
        await self._run("province", "rows")
        decided = self._levels.platform.work()
        return decided, await self._read_back()

    def _tell_rows(self, decided: Sequence[Row], settled: batches.Batch, *, sent: int, rejected: int) -> None:
        refused = [one for one in decided if one.code == REFUSAL]
        self._check(len(decided) == sent and len(refused) == rejected)
        self._say("rows-written", upper=PLATFORM_NAME, rows=len(decided), refused=len(refused))
        figures = settled.figures
        self._check(settled.state is State.RECONCILED and settled.total == sent and figures["rejected"] == rejected)
        self._say("hop", lower=PROVINCE.name, upper=PLATFORM_NAME, **{name: figures[name] for name in _TOLD})
        cases = self._cases("province", "rows")
        self._check([case.key for case in cases] == [one.key for one in refused])
        for case in cases:
            said = case.reasons[0].expected
            self._check(said.startswith(REFUSAL))
            self._say("rows-refused", key=case.key, said=said)

    async def _read_back(self) -> batches.Batch:
        """The platform's batch, once its rows were looked at again or patience is over."""
        until = time.monotonic() + _PATIENCE
        while True:
            with self._nodes["province"].database.read() as conn:
                (last,) = batches.list_batches(conn, exchange="rows", limit=1)
            if last.state is State.RECONCILED or time.monotonic() > until:
                return last
            order = {"batch": last.id, "person": "demo", "reason": "the platform's job is done"}
            await ORDERS["retry"](self._nodes["province"], order, lambda _stage, _count: None)
            await self._run("province", "rows")
            await asyncio.sleep(0.1)

    async def _down(self) -> None:
        for lower, upper in ((LEVELS[1], LEVELS[2]), (LEVELS[0], LEVELS[1])):
            found = await ask_feedback(self._nodes[lower.name], upper.name)
            self._check(found.rejected == 1)
            self._say("asked", lower=lower.words, upper=upper.words, rejected=found.rejected)
        (case,) = self._cases("bureau") or (None,)
        self._check(case is not None and case.unit == LEVELS[0].code)
        if case is not None:
            catalog = self._nodes["bureau"].mappings.catalog(PERMITS.catalog)
            words = reason_text(case.stage, case.reasons[0], catalog, self._language)
            self._say("case", unit=LEVELS[0].words, key=case.key, words=words)
            self._check(LEVELS[3].code in case.reasons[0].level)

    async def _taken_after_all(self) -> None:
        for lower, upper in ((LEVELS[1], LEVELS[2]), (LEVELS[0], LEVELS[1])):
            found = await ask_feedback(self._nodes[lower.name], upper.name)
            self._check(found.accepted == 1)
        left = sum(len(self._cases(level.name)) for level in LEVELS[:3])
        left += len(self._cases("province", "rows"))
        self._check(left == 0)
        self._say("mended", left=left)

    def _withdrawn(self) -> None:
        for lower, upper in pairwise(LEVELS):
            route = route_of(lower.code, PERMITS.catalog, upper.code)
            with self._nodes[upper.name].database.read() as conn:
                held = [
                    one
                    for bucket in inbox.bucket_digests(conn, route)
                    for one in inbox.bucket_records(conn, route, bucket.prefix)
                ]
            gone = [one for one in held if one.op == "withdraw"]
            self._check(len(gone) == 1 and len(held) == _ROWS)
            for one in gone:
                self._say("gone", level=upper.words, key=one.key, version=one.version)

        rows = self._levels.platform.withdrawn()
        self._check([(one.key, one.version) for one in rows] == [(one.key, one.version) for one in gone])
        for row in rows:
            self._say("rows-gone", level=PLATFORM_NAME, key=row.key, version=row.version)

    def _ledgers(self) -> None:
        for level in LEVELS:
            gateway = self._nodes[level.name]
            gateway.notary.publish(final=True)
            log = DurableLog(gateway.database)
            report = verify_log(log, [gateway.note_signer.verifier], origin=gateway.origin)
            proved = report.verdict is Verdict.PROVED
            self._check(proved)
            self._say("ledger" if proved else "ledger-wrong", level=level.words, entries=report.entries)

    async def _run(self, name: str, exchange_name: str = "up") -> None:
        gateway = self._nodes[name]
        async with gateway.exchange(exchange_name) as exchange:
            await gateway.runner.run(exchange, Order(person="demo"), lambda _stage, _count: None)

    async def _collect(self, name: str) -> None:
        await ORDERS["collect"](self._nodes[name], {"peers": []}, lambda _stage, _count: None)

    def _cases(self, name: str, exchange: str = "up") -> list[StoredCase]:
        with self._nodes[name].database.read() as conn:
            return list(quarantine.cases(conn, exchange=exchange, stage=Stage.RECEIVER))

    def _check(self, right: bool) -> None:
        self._right = self._right and right

    def _step(self, name: str) -> None:
        self._out.print()
        self._out.print(f"[bold]{escape(self._text(f'step-{name}'))}[/]")

    def _say(self, code: str, /, **facts: object) -> None:
        self._out.print(f"  {escape(self._text(code, **facts))}")

    def _text(self, code: str, /, **facts: object) -> str:
        return say_text(f"demo-levels-{code}", self._language, facts)


def _free_ports(names: Sequence[str]) -> Mapping[str, int]:
    """A port of loopback that nobody listens on, for each name. They are let go together, so that no two are the same."""
    with ExitStack() as stack:
        found: dict[str, int] = {}
        for name in names:
            bound = stack.enter_context(socket.socket())
            bound.bind(("127.0.0.1", 0))
            found[name] = bound.getsockname()[1]
        return found
