"""How much one caller may have in flight, so that one flooding peer costs the others nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["Admission", "Ticket", "TooBusy"]


class TooBusy(Exception):  # noqa: N818 -- no fault of anybody: it becomes 429 with Retry-After
    """The caller has too much in flight already."""


@dataclass(slots=True)
class _Load:
    requests: int = 0
    bytes: int = 0


class Ticket:
    """One admitted request; :meth:`add` books bytes on it before they are read or kept."""

    __slots__ = ("_load", "_most", "booked")

    def __init__(self, load: _Load, most: int) -> None:
        self._load = load
        self._most = most
        self.booked = 0

    def add(self, count: int) -> None:
        """Book ``count`` more bytes. Raises TooBusy when the caller's share is used up."""
        if self._load.bytes + count > self._most:
            raise TooBusy
        self._load.bytes += count
        self.booked += count


class Admission:
    """Per-caller counters of one event loop: at most ``requests`` at a time, holding at most ``bytes`` together."""

    def __init__(self, *, requests: int, bytes: int) -> None:  # noqa: A002 -- reads as what it counts
        self._requests = requests
        self._bytes = bytes
        self._loads: dict[str, _Load] = {}

    @contextmanager
    def enter(self, caller: str) -> Iterator[Ticket]:
        """A place for one request of ``caller``, given back with all its bytes at the end. Raises TooBusy."""
        load = self._loads.setdefault(caller, _Load())
        if load.requests >= self._requests:
            raise TooBusy
        load.requests += 1
        ticket = Ticket(load, self._bytes)
        try:
            yield ticket
        finally:
            load.requests -= 1
            load.bytes -= ticket.booked
            if not load.requests:
                del self._loads[caller]
