"""Months of bad luck in milliseconds: one sender, two receivers, and everything that can go wrong between them, from one seed.

The core, the breaker and the table of states are the real ones; the journal, the ledgers, the receivers and the network are models
(:mod:`tests.faults.journal`, :mod:`tests.faults.receiver`, :mod:`tests.faults.daemon`). Nothing depends on real time or on the order of
a dictionary: the same seed is the same story. For a while faults happen; then they stop, and everything must come to rest.

``python -m tests.faults.simulator --seed N [--mutant NAME]`` tells the story of a seed; with ``--count M`` it plays so many seeds from
there on and tells the first that ends badly.
"""

from __future__ import annotations

import argparse
import heapq
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from random import Random
from typing import Any

from gateway.store.states import TRANSITIONS, State
from tests.faults.checker import Broken, Checkpoint, Sent, World, check, find
from tests.faults.daemon import Cancelled, Commit, Daemon, Sleep, Task
from tests.faults.journal import FenceLost, Journal
from tests.faults.mutants import Mutant
from tests.faults.network import Network
from tests.faults.receiver import Receiver

__all__ = ["Simulator", "simulate"]

BASE = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
REST = 6 * 3600.0  # by then everything is at rest, or something is stuck
ROUTES = ("S/permits/P", "S/penalties/P", "S/permits/Q")
JUMPS = (-400 * 86_400.0, -18_000.0, -900.0, -40.0, 3.0, 40.0, 900.0, 18_000.0, 400 * 86_400.0)


@dataclass(slots=True, eq=False)
class Running:
    """A task of a daemon, and what it waits for: an answer counts only while ``turn`` is still what it was."""

    task: Task
    daemon: Daemon
    turn: int = 0
    calling: bool = False


@dataclass(slots=True)
class Process:
    """A daemon's outside: whether it lives, and until when it is stopped in its tracks."""

    daemon: Daemon
    alive: bool = False
    frozen: float = 0.0
    tasks: list[Running] = field(default_factory=list)


class Simulator:
    """One story. :meth:`play` it, then look at :meth:`seen`."""

    def __init__(self, seed: int, mutant: Mutant | None = None, tell: Callable[[str], None] | None = None) -> None:
        self.random = Random(seed)  # noqa: S311 — the same seed is to be the same story
        self.mutant = mutant
        self.tell = tell
        self.now = 0.0
        self.offset = 0.0
        self.calm = False
        self.over = False
        self.paused: set[str] = set()
        self._queue: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = count()
        self.routes = ROUTES[: self.random.choice((1, 2, 2, 3))]
        self.source: dict[str, dict[str, int]] = {route.split("/")[1]: {} for route in self.routes}
        self.journal = Journal(mutant)
        codes = sorted({route[-1] for route in self.routes})
        self.receivers = {code: Receiver(code, self.random, mutant) for code in codes}
        self.network = Network(self, self.receivers, mutant)
        # Alone on its state a daemon knows that all leases are dead when it starts; two have to wait for each other's.
        names = ("one",) if self.random.random() < 0.5 else ("one", "two")
        self.processes = [Process(Daemon(name, self, self.journal, mutant)) for name in names]
        self.trouble = self.random.uniform(60, 300)

    # Time.

    def wall(self) -> datetime:
        """What the clock on the wall says."""
        return BASE + timedelta(seconds=self.now + self.offset)

    def say(self, *words: object) -> None:
        """A line of the trace."""
        if self.tell is not None:
            self.tell(f"{self.now:10.3f}  " + " ".join(str(word) for word in words))

    def later(self, seconds: float, act: Callable[..., None], *arguments: Any) -> None:
        """Do this in so many seconds."""
        heapq.heappush(self._queue, (self.now + seconds, next(self._number), act, arguments))

    def play(self) -> None:
        """From the first row to the rest at the end."""
        for catalog in self.source:
            self._edit(catalog)
        for process in self.processes:
            self._start(process)
        self._plan()
        self.later(self.trouble, self._calm_down)
        while not self.over:
            self.now, _, act, arguments = heapq.heappop(self._queue)
            act(*arguments)

    def _plan(self) -> None:
        """What goes wrong, and when."""
        chance = self.random
        for _ in range(chance.randrange(2, 10)):
            self._at_some_time(self._edit, chance.choice(sorted(self.source)))
        for _ in range(chance.randrange(4)):
            self._at_some_time(self._jump, chance.choice(JUMPS))
        for _ in range(chance.randrange(3)):
            self._at_some_time(self.network.go_down, chance.choice(sorted(self.receivers)))
        for _ in range(chance.randrange(3)):
            self._at_some_time(chance.choice((self._stop, self._crash)), chance.choice(self.processes))
        if len(self.processes) > 1:
            for _ in range(chance.randrange(1, 4)):
                self._at_some_time(self._freeze, chance.choice(self.processes))
        for act in 2 * (self._refuse, self._pause, self._abandon, self._abandon, self._retry, self._bring, self._bring):
            if chance.random() < 0.4:
                self._at_some_time(act, chance.choice(self.routes))
        for receiver in self.receivers.values():
            receiver.slow = chance.choice((0.0, 0.0, 3.0, 60.0))

    def _at_some_time(self, act: Callable[[Any], None], what: object) -> None:
        self.later(self.random.uniform(1, self.trouble), act, what)

    # Processes.

    def _start(self, process: Process) -> None:
        if process.alive:
            return
        process.alive, process.frozen = True, 0.0
        process.daemon.drains.clear()
        if len(self.processes) == 1:
            self.journal.end_leases(self.wall())
        self.say(process.daemon.name, "starts")
        for route in self.routes:
            self._launch(process, process.daemon.run(route))
            self._launch(process, process.daemon.work(route))

    def _launch(self, process: Process, task: Task) -> None:
        running = Running(task, process.daemon)
        process.tasks.append(running)
        self._go_on(process, running, None)

    def _order(self, make: Callable[[Daemon], Task]) -> None:
        """A person's order, given to whichever daemon lives."""
        process = next((one for one in self.processes if one.alive and one.frozen <= self.now), None)
        if process is not None:
            self._launch(process, make(process.daemon))

    def _die(self, process: Process) -> None:
        self.say(process.daemon.name, "is dead")
        process.alive = False
        for running in process.tasks:
            running.turn += 1
        process.tasks.clear()
        self.later(self.random.uniform(1, 20), self._start, process)

    def _crash(self, process: Process) -> None:
        if process.alive and not self.calm:
            self._die(process)

    def _stop(self, process: Process) -> None:
        """The drain's limit strikes: what is under way is cancelled, and writes that down."""
        if not process.alive or process.frozen > self.now or self.calm:
            return
        self.say(process.daemon.name, "is told to stop")
        for running in list(process.tasks):
            if running.calling and process.alive:
                self._go_on(process, running, None, Cancelled())
        if process.alive:
            self._die(process)

    def _freeze(self, process: Process) -> None:
        """SIGSTOP, long enough for its leases to end."""
        process.frozen = self.now + self.random.uniform(20, 120)
        self.say(process.daemon.name, "is frozen")

    def _resume(self, process: Process, running: Running, turn: int, value: object) -> None:
        if running.turn != turn:
            return
        if process.frozen > self.now:
            self.later(process.frozen - self.now, self._resume, process, running, turn, value)
            return
        self._go_on(process, running, value)

    def _go_on(self, process: Process, running: Running, value: Any, error: Exception | None = None) -> None:
        """Let a task do what it does until it has to wait; at every transaction the whole process may die, before it or after."""
        running.turn += 1
        running.calling = False
        task = running.task
        while True:
            try:
                wish = task.send(value) if error is None else task.throw(error)
            except (StopIteration, Cancelled):
                process.tasks.remove(running)
                return
            error = None
            if isinstance(wish, Commit):
                if not self.calm and self.random.random() < 0.008:
                    self._die(process)
                    return
                try:
                    value = wish.act()
                except FenceLost as lost:
                    error = lost
                if not self.calm and self.random.random() < 0.008:
                    self._die(process)
                    return
            elif isinstance(wish, Sleep):
                self.later(wish.seconds, self._resume, process, running, running.turn, None)
                return
            else:
                running.calling = True
                self.network.call(wish, partial(self._resume, process, running, running.turn))
                return

    # The world around.

    def _edit(self, catalog: str) -> None:
        """The business goes on: rows come, change and go."""
        rows, chance = self.source[catalog], self.random
        for _ in range(chance.randrange(1, 5)):
            known = sorted(rows)
            if not known or chance.random() < 0.5:
                rows[f"{catalog[:2]}{chance.randrange(12)}"] = chance.randrange(1000)
            elif chance.random() < 0.6:
                rows[chance.choice(known)] = chance.randrange(1000)
            else:
                del rows[chance.choice(known)]

    def _jump(self, seconds: float) -> None:
        self.offset += seconds
        self.say("the clock jumps by", seconds)

    def _refuse(self, route: str) -> None:
        """The receiver's operators take our permission away, and give it back."""
        receiver = self.receivers[route[-1]]
        receiver.allowing = False
        self.later(self.random.uniform(10, 60), setattr, receiver, "allowing", True)

    def _pause(self, route: str) -> None:
        self.paused.add(route)
        self.later(self.random.uniform(10, 60), self.paused.discard, route)

    def _abandon(self, route: str) -> None:
        self._order(lambda daemon: daemon.abandon(route))

    def _retry(self, route: str) -> None:
        for row in self.journal.of_route(route):
            if row.state in {State.REFUSED, State.WAITING, State.UNKNOWN}:
                self._order(lambda daemon, row=row: daemon.retry(row))  # type: ignore[misc]

    def _bring(self, route: str) -> None:
        """A person brings a receipt: the stored one, or one that the receiver signed once more."""
        receiver = self.receivers[route[-1]]
        known = [row for row in self.journal.of_route(route) if row.id in receiver.taken]
        if known:
            # Mostly for what is not over: that is what people look for.
            row = self.random.choice([row for row in known if TRANSITIONS[row.state]] or known)
            again = self.random.random() < 0.5
            receipt = receiver.sign_again(row.id) if again else receiver.taken[row.id].receipts[0]
            self._order(lambda daemon: daemon.take_receipt(row, receipt, receiver.code))

    def _calm_down(self) -> None:
        """From here on nothing goes wrong any more; the clocks stay as wrong as they are."""
        self.say("faults stop")
        self.calm = True
        self.network.down.clear()
        self.paused.clear()
        for receiver in self.receivers.values():
            receiver.allowing = True
        for process in self.processes:
            process.frozen = 0.0
        self._watch()

    def _watch(self) -> None:
        """Is it at rest? If not, a person takes up again what waits for a person."""
        if self._at_rest() or self.now > self.trouble + REST:
            self.over = True
            return
        for row in list(self.journal.open_rows()):
            if row.state is State.REFUSED:
                self._order(lambda daemon, row=row: daemon.retry(row))  # type: ignore[misc]
        self.later(30.0, self._watch)

    def _at_rest(self) -> bool:
        return (
            not any(True for _ in self.journal.open_rows())
            and all(self.wanted(route)[1] for route in self.routes)
            and not any(self.journal.due(route) or self.journal.hole(route) for route in self.routes)
        )

    def wanted(self, route: str) -> tuple[dict[str, tuple[int, str]], bool]:
        """What the receiver should hold by the source itself, and whether the journal knows all of that."""
        catalog = route.split("/")[1]
        rows, records = self.source[catalog], self.journal.records.get(catalog, {})
        wanted, known = {}, True
        for key in rows.keys() | records.keys():
            version, op, content = records.get(key, (0, "", 0))
            there = (op, content) == ("upsert", rows[key]) if key in rows else op == "withdraw"
            known = known and there
            wanted[key] = (version if there else version + 1, "upsert" if key in rows else "withdraw")
        return wanted, known

    def seen(self) -> World:
        """Everything that there is, as plain data."""
        ledger = self.journal.log.kept
        shown: list[Checkpoint] = [
            taken.package.checkpoint for one in self.receivers.values() for taken in one.taken.values()
        ]
        return World(
            wanted={route: self.wanted(route)[0] for route in self.routes},
            held={route: held for one in self.receivers.values() for route, held in one.held.items()},
            sent=[
                Sent(
                    row.id,
                    row.package.route,
                    row.package.sequence,
                    row.state.value,
                    row.package.digest,
                    row.void_of,
                    row.receipt.digest if row.receipt else "",
                )
                for row in self.journal.rows.values()
            ],
            received=[batch for one in self.receivers.values() for batch in one.received()],
            ledger=type(ledger)(ledger.entries, ledger.checkpoints + shown),
            ledgers={code: one.log.kept for code, one in self.receivers.items()},
        )


def simulate(seed: int, mutant: Mutant | None = None, tell: Callable[[str], None] | None = None) -> World:
    """What there is at the end of the story of ``seed``."""
    story = Simulator(seed, mutant, tell)
    story.play()
    return story.seen()


def main(arguments: list[str]) -> int:
    """Tell the story of a seed."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.simulator", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--mutant", type=Mutant, choices=list(Mutant), default=None)
    parser.add_argument("--count", type=int, default=1)
    chosen = parser.parse_args(arguments)
    seeds = range(chosen.seed, chosen.seed + chosen.count)
    bad = next((seed for seed in seeds if find(simulate(seed, chosen.mutant))[0]), None)
    world = simulate(
        chosen.seed if bad is None else bad, chosen.mutant, print if chosen.count == 1 or bad is not None else None
    )
    try:
        check(world)
    except Broken as broken:
        print(f"seed {bad}: {broken}")
        return 1
    print("nothing lost, nothing doubled")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
