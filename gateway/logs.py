"""Structured logs: one line per unit of work, a named event, no payload, no key, no person.

Lines go to standard error. Every text that arrives from outside is escaped before it is written (control characters, ANSI, bidirectional
overrides), so a peer cannot forge a line; long values are cut; values under a secret's name are replaced.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from select import PIPE_BUF, POLLOUT, poll
from threading import Lock
from typing import TextIO

import structlog

__all__ = ["configure", "dropped_lines"]

_LONGEST = 500
_ATOMIC = PIPE_BUF // 4  # characters; none takes more than four bytes
_PATIENCE = 500  # milliseconds
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_SECRET = re.compile(r"token|password|secret|private|authorization|cookie", re.IGNORECASE)
# 15 or 18 digit identity numbers have no business in a log line, whatever field they arrive in.
_PERSONAL = re.compile(r"(?<![0-9A-Za-z])(\d{6})\d{8}\d{2}(\d[0-9Xx])(?![0-9A-Za-z])")


def _clean(value: object) -> object:
    if not isinstance(value, str):
        return value
    escaped = _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", value)
    masked = _PERSONAL.sub(r"\1**********\2", escaped)
    return masked if len(masked) <= _LONGEST else masked[:_LONGEST] + "…"


def _redact(_logger: object, _name: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    for key, value in event.items():
        event[key] = "***" if _SECRET.search(key) else _clean(value)
    return event


class _Lines:
    """Writes lines to ``stream``, or to whatever standard error is at that moment.

    A line that cannot be written (disk full, stream closed, a pipe that nobody reads) is dropped and counted: what is only told must not
    stop what is done. A reader that is slow is waited for a little, one that was not there the last time is not.
    """

    dropped = 0
    _turn = Lock()
    _stuck = False
    _cut = False  # the last line that was begun was not finished

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def msg(self, message: str) -> None:
        with _Lines._turn:
            stream = self._stream or sys.stderr
            try:
                # A pipe that is ready takes this much without making anybody wait.
                for start in range(0, len(line := "\n" * _Lines._cut + message + "\n"), _ATOMIC):
                    _Lines._wait_for(stream)
                    stream.write(line[start : start + _ATOMIC])
                    stream.flush()
                    _Lines._cut = start + _ATOMIC < len(line)
            except (OSError, ValueError):
                _Lines.dropped += 1

    @staticmethod
    def _wait_for(stream: TextIO) -> None:
        """Until the stream takes bytes. Raises TimeoutError when it does not; nothing is asked of what is no file."""
        try:
            descriptor = stream.fileno()
        except (OSError, ValueError):
            return
        ready = poll()
        ready.register(descriptor, POLLOUT)
        _Lines._stuck = not ready.poll(0 if _Lines._stuck else _PATIENCE)
        if _Lines._stuck:
            raise TimeoutError

    log = debug = info = warn = warning = error = critical = fatal = failure = exception = msg


def dropped_lines() -> int:
    """How many lines could not be written since the process began."""
    return _Lines.dropped


def configure(*, level: str = "info", style: str = "json", stream: TextIO | None = None) -> None:
    """Set up logging for the process: ``style`` is ``json`` (for machines) or ``console`` (for a person at a terminal)."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=(stream or sys.stderr).isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            _redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_: _Lines(stream),
        cache_logger_on_first_use=False,
    )
