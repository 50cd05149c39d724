"""The progress of long work, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from gateway.cli.screen import say, screen

__all__ = ["Bars", "progress"]


class Bars:
    """Turns what a run tells into three bars."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._name = name
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, stage: str, count: int) -> None:
        """``count`` more are through ``stage``; its bar appears with the first."""
        if stage not in self._tasks:
            label = f"{self._name}  {say(f'stage-{stage}')}"
            self._tasks[stage] = self._progress.add_task(label, total=None)
        self._progress.advance(self._tasks[stage], count)


@contextmanager
def progress(name: str) -> Iterator[Bars]:
    """Bars on a terminal, on standard error; silence elsewhere."""
    out = screen(error=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f}"), TimeElapsedColumn())
    with Progress(*columns, console=out, disable=not out.is_terminal, transient=True) as shown:
        yield Bars(shown, name)
