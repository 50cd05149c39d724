"""Two nodes at work and a line between them, to be disturbed; and what has to be true when the disturbance is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.faults.books import at_rest, audit
from tests.faults.children import LONGEST, Child, Fate, Program, Running, ready, stop
from tests.faults.line import Line
from tests.faults.tally import Tally
from tests.nodes import PROVINCE, Nodes, lay_nodes, permit

__all__ = ["Scene", "scene"]

BUREAU = """
[peers.province]
code = "{province}"
name = "示例省交通运输厅"
url = "{url}"
certificates = ["certs/province-signing.crt"]
tls_certificates = ["certs/province-tls.crt"]
timeout = "{timeout}"
drain_rate = 6000
retry = {{ attempts = 1000, first = "1s", factor = 1, max = "1s", give_up_after = "1000d" }}

[sources.permits]
kind = "sql"
mapping = "credit-2018-permits"
url = "sqlite:///{source}"
query = "SELECT * FROM permits"

[exchanges.permits-to-province]
catalog = "administrative-license"
source = "permits"
format = "credit-2018"
peer = "province"
batch_size = {batch_size}
schedule = "* * * * * *"
"""


@dataclass(slots=True)
class Scene:
    """A bureau that reads its source every second and sends to a province over a line. Both are children of this process while they run."""

    nodes: Nodes
    line: Line
    tally: Tally
    rows: dict[int, str] = field(default_factory=dict)
    running: dict[Path, Running] = field(default_factory=dict)

    def configure(self, *, timeout: str = "3s", batch_size: int = 4, more: str = "") -> None:
        """Write the bureau's configuration from its peers on; ``more`` comes at the end."""
        text = BUREAU.format(
            province=PROVINCE,
            url=self.line.url,
            timeout=timeout,
            source=self.nodes.business.file,
            batch_size=batch_size,
        )
        self.nodes.bureau.configure(text + more)

    def set_rows(self, rows: Mapping[int, str]) -> None:
        """What the source holds: content by number."""
        self.rows = dict(rows)
        self.nodes.business.write([permit(number, XK_NR=content) for number, content in self.rows.items()])

    def change(self, chance: Random) -> None:
        """Some rows more, some changed, some gone; far below what the guard would hold."""
        rows = dict(self.rows)
        for number in chance.sample(sorted(rows), k=min(len(rows), chance.randint(0, 2))):
            rows[number] = f"许可内容第{chance.randrange(10**6)}次变更"
        for number in chance.sample(sorted(rows), k=min(len(rows), chance.randint(0, 1))):
            del rows[number]
        for _ in range(chance.randint(1, 6)):
            rows[chance.randrange(1, 10**6)] = "许可从事县内道路旅客运输"
        self.set_rows(rows)

    def province(self, *, fate: Fate | None = None, build: str | None = None) -> Child:
        """The province at work; the line leads to it. With a fate it may be gone before it is ready. One that is sound goes on."""
        child, new = self._at_work(self.nodes.province.path, fate, build)
        while new and (said := child.log.next()) is not None:
            if said["event"] == "exchange.listening":
                self.line.lead_to(f"https://127.0.0.1:{said['port']}")
            if said["event"] == "daemon.ready":
                break
        assert not new or fate is not None or said is not None, child.log.seen[-3:]
        return child

    def bureau(self, *, fate: Fate | None = None, build: str | None = None) -> Child:
        """The bureau at work, or about to be. One that is sound goes on."""
        return self._at_work(self.nodes.bureau.path, fate, build)[0]

    def program(self, folder: Path, environment: Mapping[str, str], *, wait: bool = True) -> Program:
        """The node in ``folder`` at work, as its users start it, under this environment; or about to be, if nobody waits for it."""
        self._gone(folder)
        started = self.running[folder] = Program(folder, environment)
        if wait:
            ready(started)
        return started

    def _gone(self, folder: Path) -> None:
        here = self.running.pop(folder, None)
        if here is not None:
            here.kill()

    def _at_work(self, folder: Path, fate: Fate | None, build: str | None) -> tuple[Child, bool]:
        sound = fate is None and build is None
        here = self.running.get(folder)
        if isinstance(here, Child) and here.sound and sound and here.ended(0) is None:
            return here, False
        self._gone(folder)
        child = self.running[folder] = Child(folder, fate=fate, build=build)
        return child, True

    def clear(self) -> None:
        """Whoever still runs is killed."""
        while self.running:
            self.running.popitem()[1].kill()

    def stop(self) -> None:
        """Both are told to stop, and do."""
        for folder in (self.nodes.bureau.path, self.nodes.province.path):
            node = self.running.pop(folder)
            assert stop(node) == 0, node.log.seen[-5:]

    def settle(self) -> Child:
        """Faults stop: both nodes run, sound, and the line is whole, until everything is at rest. Returns the bureau."""
        self.line.mend()
        self.province()
        bureau = self.bureau()
        self.until_at_rest(bureau)
        return bureau

    def until_at_rest(self, bureau: Running) -> None:
        """Wait until the source's rows are at the province and nothing is under way. Looks again whenever the bureau says something."""
        deadline = time.monotonic() + LONGEST
        if not bureau.log.events("daemon.ready"):
            ready(bureau)
        while not at_rest(self.nodes):
            assert time.monotonic() < deadline, f"it does not come to rest: {bureau.log.seen[-8:]}"
            assert bureau.log.next(1.0) is not None or bureau.ended(0) is None, bureau.log.seen[-5:]

    def wait_until(self, done: Callable[[], bool]) -> None:
        """Wait for something that no log tells of."""
        deadline = time.monotonic() + LONGEST
        pause = threading.Event()
        while not done():
            assert time.monotonic() < deadline, "it does not happen"
            pause.wait(0.05)

    def check(self, faults: int = 1) -> Child:
        """Settle, and hold everything against the promise; ``faults`` is how many were tried since the last time. Returns the bureau."""
        bureau = self.settle()
        self.tally.note(audit(self.nodes), faults)
        return bureau


@contextmanager
def scene(folder: Path, tally: Tally) -> Iterator[Scene]:
    """A scene in ``folder``: laid out, configured, its source filled with seven rows; nobody runs yet."""
    with Line() as line:
        laid = Scene(nodes=lay_nodes(folder), line=line, tally=tally)
        laid.configure()
        laid.set_rows(dict.fromkeys(range(1, 8), "许可从事县内道路旅客运输"))
        try:
            yield laid
        finally:
            laid.clear()
