"""The demonstration, told step by step: a bureau's database, two nodes as processes of their own, three runs, and the account of it all.

It uses the commands that operators use, on loopback alone, and leaves its folder for inspection.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.clock import RandomIds, SystemClock
from gateway.demo import changes, database
from gateway.demo.bureau import BUREAU
from gateway.demo.business import TABLES
from gateway.demo.nodes import PROVINCE, lay_out_nodes
from gateway.errors import ConfigError
from gateway.texts import DEFAULT_LANGUAGE, LANGUAGES, say_text, template

__all__ = ["play"]

_READY_SECONDS: Final = 30.0
_WORST: Final = 3
_FIGURES: Final = ("rows", "vanished", "carried", "unchanged", "quarantined", "sealed", "batches")
_ANSWERS: Final = ("created", "updated", "withdrawn", "rejected")


def play(folder: Path, *, permits: int, penalties: int, seed: int) -> int:
    """Play the demonstration in ``folder``; returns the exit code: 0 when every figure is what it has to be.

    Raises ConfigError ``workfolder-not-empty`` when there is something in the folder already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError("workfolder-not-empty", folder=str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    return _Story(folder, seed).play(permits, penalties)


class _Story:
    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._seed = seed
        self._business = folder / "business.db"
        self._out = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
        wanted = os.environ.get("GATEWAY_LANG", DEFAULT_LANGUAGE)
        self._language = wanted if wanted in LANGUAGES else DEFAULT_LANGUAGE
        self._started = time.monotonic()
        self._right = True

    def play(self, permits: int, penalties: int) -> int:
        today = SystemClock().now().date()
        self._step("build")
        held = database.build(self._business, self._seed, today, permits=permits, penalties=penalties)
        for name, tally in held.items():
            self._say("built", table=name, rows=tally.rows, bad=sum(tally.rejected.values()))
        self._step("nodes")
        lay_out_nodes(self._folder, self._business, clock=SystemClock(), ids=RandomIds())
        self._say("laid-out", bureau=BUREAU.name, province=PROVINCE.name, folder=self._folder)
        with self._province():
            self._step("first-run")
            first = self._run()
            self._reasons(first)
            self._expect(first, rejected={name: sum(tally.rejected.values()) for name, tally in held.items()})
            self._step("changes")
            changed = changes.change(self._business, self._seed, today)
            self._tell_changes(changed)
            self._step("second-run")
            second = self._run()
            self._expect_changes(second, changed)
            self._step("third-run")
            third = self._run()
            self._check(all(one["sealed"] == 0 for one in third))
            self._say("nothing-twice" if self._right else "wrong")
        self._step("quarantine")
        self._quarantine()
        self._step("ledger")
        self._ledger()
        self._next()
        return 0 if self._right else 1

    def _tell_changes(self, changed: Mapping[str, changes.Changes]) -> None:
        for name, one in changed.items():
            self._say(
                "changed",
                table=name,
                altered=len(one.altered),
                deleted=len(one.deleted),
                added=len(one.added),
                corrected=len(one.corrected),
            )

    @contextmanager
    def _province(self) -> Iterator[None]:
        """The receiving node as a process of its own, from ready to told to stop."""
        log = self._folder / "province" / "serve.log"
        with log.open("wb") as written:
            process = subprocess.Popen(_command(self._config("province"), "serve"), stderr=written)  # noqa: S603 — our own program
        try:
            url = self._ready(process, log)
            config = self._config("bureau")
            config.write_text(config.read_text("utf-8").replace("https://127.0.0.1:0", url), "utf-8")
            self._say("listening", name=PROVINCE.name, url=url, pid=process.pid)
            yield
        finally:
            process.terminate()
            process.wait(timeout=_READY_SECONDS)

    def _ready(self, process: subprocess.Popen[bytes], log: Path) -> str:
        until = time.monotonic() + _READY_SECONDS
        while time.monotonic() < until and process.poll() is None:
            for line in log.read_text("utf-8").splitlines():
                event = json.loads(line) if line.startswith("{") else {}
                if event.get("event") == "daemon.ready":
                    return str(event["url"])
            time.sleep(0.05)
        raise ConfigError("demo-node-silent", log=str(log))

    def _run(self) -> list[dict[str, Any]]:
        """The bureau's exchanges, run by the bureau's own process; its progress shows on the terminal."""
        done = subprocess.run(  # noqa: S603 — our own program
            _command(self._config("bureau"), "run", "--all", "--json", "--person", "demo"),
            stdout=subprocess.PIPE,
            check=False,
        )
        if done.returncode:
            raise ConfigError("demo-run-failed", code=done.returncode, folder=str(self._folder))
        statements: list[dict[str, Any]] = json.loads(done.stdout)
        self._statements(statements)
        return statements

    def _statements(self, statements: Sequence[Mapping[str, Any]]) -> None:
        """The statements side by side, a figure a line."""
        shown = Table(box=None, pad_edge=False, padding=(0, 2), show_header=True, header_style="bold")
        shown.add_column(f"  {self._text('exchange')}")
        for one in statements:
            shown.add_column(one["exchange"], justify="right")
        for name in _FIGURES:
            shown.add_row(f"  {self._text(f'figure-{name}')}", *(f"{one[name]:,}" for one in statements))
        for name in _ANSWERS:
            shown.add_row(f"  {self._text(f'figure-{name}')}", *(f"{one['answered'][name]:,}" for one in statements))
        balanced = [self._balanced(one) for one in statements]
        self._check(all(balanced))
        marks = (self._text("balanced" if each else "unbalanced") for each in balanced)
        shown.add_row(f"  {self._text('figure-balance')}", *marks)
        self._out.print(shown)

    @staticmethod
    def _balanced(one: Mapping[str, Any]) -> bool:
        """Both identities, worked out again from the figures as printed."""
        read = one["rows"] + one["vanished"] + one["carried"]
        split = one["unchanged"] + one["quarantined"] + one["sealed"]
        return bool(read == split and one["sealed"] == sum(one["answered"].values()) and one["open"] == 0)

    def _reasons(self, statements: Sequence[Mapping[str, Any]]) -> None:
        for one in statements:
            for said, counted in (("quarantined-by", one["quarantined_by"]), ("noticed-by", one["noticed_by"])):
                if counted:
                    reasons = "、".join(f"{self._reason(code)} {count}" for code, count in _most(counted))
                    self._say(said, exchange=one["exchange"], reasons=reasons)

    def _expect(self, statements: Sequence[Mapping[str, Any]], rejected: Mapping[str, int]) -> None:
        """What the database is known to hold is what the statements must say."""
        for one, (name, count) in zip(statements, rejected.items(), strict=True):
            self._check(one["quarantined"] == count)
            said = "as-known" if one["quarantined"] == count else "not-as-known"
            self._say(said, table=name, count=count, found=one["quarantined"])

    def _expect_changes(self, statements: Sequence[Mapping[str, Any]], changed: Mapping[str, changes.Changes]) -> None:
        for one, table in zip(statements, TABLES, strict=True):
            known = changed[table]
            right = one["vanished"] == len(known.deleted) and one["sealed"] == known.new + len(known.altered) + len(
                known.deleted
            )
            self._check(right)
            self._say("as-changed" if right else "wrong", table=table, sealed=one["sealed"], withdrawn=one["withdrawn"])

    def _quarantine(self) -> None:
        """The reasons met most, each with an example; what is wrong is described, a value is never shown."""
        listed = self._json("quarantine", "--limit", "10000")
        counted: Counter[str] = Counter()
        for one in listed["by_reason"]:
            counted[one["code"]] += one["cases"]
        for code, count in _most(counted)[:_WORST]:
            self._say("worst", reason=self._reason(code), code=code, count=count)
            example = next(case for case in listed["cases"] if code in case["codes"])
            self._say("example", where=example["where"], what=example["reasons"][example["codes"].index(code)])

    def _ledger(self) -> None:
        for node in ("bureau", "province"):
            report = self._json("audit", "verify", node=node)
            self._check(report["verdict"] == "proved")
            name = BUREAU.name if node == "bureau" else PROVINCE.name
            self._say(f"ledger-{report['verdict']}", name=name, entries=report["entries"], root=report["root"])

    def _json(self, *words: str, node: str = "bureau") -> Any:
        done = subprocess.run(_command(self._config(node), *words, "--json"), stdout=subprocess.PIPE, check=False)  # noqa: S603 — our own program
        return json.loads(done.stdout)

    def _next(self) -> None:
        self._out.print()
        seconds = time.monotonic() - self._started
        self._say("done" if self._right else "done-wrong", seconds=f"{seconds:.0f}")
        for line in self._text("next", folder=self._folder).split("\n"):
            self._out.print(f"  {escape(line)}")

    def _check(self, right: bool) -> None:
        self._right = self._right and right

    def _config(self, node: str) -> Path:
        return self._folder / node / "config.toml"

    def _step(self, name: str) -> None:
        self._out.print()
        self._out.print(f"[bold]{escape(self._text(f'step-{name}'))}[/]")

    def _say(self, code: str, /, **facts: object) -> None:
        self._out.print(f"  {escape(self._text(code, **facts))}")

    def _text(self, code: str, /, **facts: object) -> str:
        return say_text(f"demo-{code}", self._language, facts)

    def _reason(self, code: str) -> str:
        return template(f"name-{code}", self._language, "say") or code


def _command(config: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "gateway", *words, "--config", str(config)]


def _most(counted: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counted.items(), key=lambda item: (-item[1], item[0]))
