"""Processes whose clock is set: libfaketime preloaded. (Its command ``faketime`` forks, so that signals miss what it runs.)"""

from __future__ import annotations

from pathlib import Path

import pytest

__all__ = ["environment", "needs_faketime"]

_LIBRARY = next(map(str, Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)

needs_faketime = pytest.mark.skipif(_LIBRARY is None, reason="libfaketime is not installed")


def environment(offset: str | Path) -> dict[str, str]:
    """What a process is started with whose wall clock is off by ``offset`` (``+2h``), or by what a file says that may change meanwhile."""
    assert _LIBRARY is not None
    clock = {"FAKETIME": offset} if isinstance(offset, str) else {"FAKETIME_TIMESTAMP_FILE": str(offset)}
    return {"LD_PRELOAD": _LIBRARY, "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", **clock}
