"""The figures on the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Figure
from tests.bench.transfer import MEMORY_BUDGET, Transfer

__all__ = ["show_figures", "show_transfer"]

_WIDTH: Final = 144


def _console() -> Console:
    # A pipe has no width of its own; the tables need more than the usual 80 columns.
    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)


def show_transfer(moved: Transfer) -> None:
    """The exchange between two nodes: speed, memory, sizes."""
    out = _console()
    cores = len(os.sched_getaffinity(0))
    out.print(f"\n[bold]{moved.rows:,} rows from a database to another node[/], both nodes on {cores} cores")
    shown = Table("", "seconds", "rows/s", box=None, pad_edge=False, header_style="bold")
    for column in shown.columns[1:]:
        column.justify = "right"
    for words, seconds in (
        ("read, map, check, store", moved.reading),
        ("render, gate, seal, send, receive, reconcile", moved.sending),
        ("the sender's process, from start to end", moved.process),
    ):
        shown.add_row(words, f"{seconds:,.1f}", f"{moved.rows / seconds:,.0f}")
    out.print(shown)
    memory = Table("", "CPU seconds", "memory before", "peak", "", box=None, pad_edge=False, header_style="bold")
    for column in memory.columns[1:4]:
        column.justify = "right"
    for name, cpu, before, peak in (
        ("sender (before: all read, nothing sealed)", moved.sender_cpu, moved.sender_reading, moved.sender_peak),
        ("receiver (before: ready, nothing received)", moved.receiver_cpu, moved.receiver_idle, moved.receiver_peak),
    ):
        memory.add_row(name, f"{cpu:,.1f}", _mb(before), _mb(peak), _verdict(peak))
    out.print(memory)
    journals = f"sender's journal {_mb(moved.sender_journal)}, receiver's {_mb(moved.receiver_journal)}"
    out.print(
        f"{moved.statement['batches']} packages {_mb(moved.packages)} ({moved.packages / moved.rows:,.0f} bytes a record), {journals}"
    )
    out.print(f"every row created at the receiver, none left open: {'yes' if moved.right else '[red]NO[/]'}")


def show_figures(figures: Sequence[Figure], rows: int) -> None:
    """The stages, each beside its peer."""
    out = _console()
    out.print(
        f"\n[bold]Stage by stage[/], {rows:,} of the same rows in one process; peers in turn with the stage, on the same bytes"
    )
    shown = Table(
        *("stage", "a second", "", "CPU µs each", "beside", "a second", "CPU µs each", "ratio"),
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    for place in (1, 3, 5, 6, 7):
        shown.columns[place].justify = "right"
    for one in figures:
        ratio, peers = one.ratio, one.peers
        shown.add_row(
            one.stage,
            f"{one.own.per_second:,.0f}",
            one.unit,
            f"{one.own.cpu_microseconds:,.1f}",
            one.peer,
            "" if peers is None else f"{peers.per_second:,.0f}",
            "" if peers is None else f"{peers.cpu_microseconds:,.1f}",
            "" if ratio is None else f"{ratio:.2f}",
        )
    out.print(shown)


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def _verdict(peak: int) -> str:
    budget = f"(budget {_mb(MEMORY_BUDGET)})"
    return f"[green]PASS[/] {budget}" if peak <= MEMORY_BUDGET else f"[red]FAIL[/] {budget}"
