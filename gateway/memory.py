"""Keep the process small: memory that was used for one chunk goes back before the next.

A run handles rows in chunks of bounded size, but allocators like to keep what they once had: glibc an arena for every thread, polars'
jemalloc its dirty pages for ten seconds. On a small machine beside other services that doubles what the gateway needs.
"""

from __future__ import annotations

import ctypes
import gc
import os
from asyncio import AbstractEventLoop
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

__all__ = ["be_frugal", "few_threads", "give_back", "importing"]

_M_ARENA_MAX = -8  # mallopt(3)
_ARENAS = 1
_JEMALLOC = "narenas:2,dirty_decay_ms:0,muzzy_decay_ms:0,background_thread:false"


def be_frugal() -> None:
    """Set the allocators. To be called before polars is imported (its allocator reads the environment once) and before threads start."""
    # Set, not offered: polars writes its own defaults there, and a child process inherits them.
    os.environ["_RJEM_MALLOC_CONF"] = _JEMALLOC
    with suppress(OSError, AttributeError):  # another C library: it has its own ways
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


@contextmanager
def importing() -> Iterator[None]:
    """Import the program without the garbage collector, which finds nothing and takes a sixth of the start for it.

    What is there afterwards stays as long as the process: the collector need not look at it again.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def few_threads(loop: AbstractEventLoop) -> None:
    """Two threads for the loop's blocking work instead of one for every core and four more: each keeps compiled schemas of its own."""
    loop.set_default_executor(ThreadPoolExecutor(max_workers=2, thread_name_prefix="work"))


def give_back() -> None:
    """Return to the system what glibc keeps of freed memory; some milliseconds. Does nothing elsewhere."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
