"""Tools of the operating system that break things: strace (system calls), mount (disks), faketime (clocks).

Where one is missing or forbidden a test is skipped and says so; with ``CI=true`` it fails instead.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from tests.faults.children import LONGEST

__all__ = ["Strace", "faketime_library", "memory_limit", "need", "tmpfs"]


def need(missing: str | None, *, everywhere: bool = True) -> None:
    """Skip the test, loudly, when ``missing`` says what there is not; fail it in continuous integration if it is there ``everywhere``."""
    if missing is None:
        return
    if everywhere and os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


@cache
def _strace_missing() -> str | None:
    if shutil.which("strace") is None:
        return "strace is not installed: no system call was broken"
    tried = subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True, check=False)
    return None if tried.returncode == 0 else "strace cannot trace here: no system call was broken"


class Strace:
    """strace on the process ``pid``, with all its threads, from now on: system calls on files below ``folder`` are broken by ``inject``.

    ``inject`` are strace's own words, for example ``fdatasync:error=EIO:when=2``; counts are of each call in each thread. A context manager
    that lets go at the end; a process that was killed has let go by itself.
    """

    def __init__(self, pid: int, paths: Sequence[Path], *inject: str) -> None:
        need(_strace_missing())
        calls = ",".join(one.partition(":")[0] for one in inject)
        words = ["strace", "-f", "-p", str(pid), "-o", "/dev/null", "-e", f"trace={calls}"]
        words += [word for path in paths for word in ("-P", str(path))]
        words += [word for one in inject for word in ("-e", f"inject={one}")]
        self._process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)

    def __enter__(self) -> Strace:
        assert self._process.stderr is not None
        line = self._process.stderr.readline()
        while "attached" not in line:
            assert line, "strace did not attach"
            line = self._process.stderr.readline()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=LONGEST)


@contextmanager
def tmpfs(folder: Path, *, size: str, inodes: int = 0) -> Iterator[Path]:
    """A disk of its own at ``folder``, which has to exist: ``size`` as mount(8) says it, ``inodes`` files at most (0: as many as fit)."""
    options = f"size={size},mode=0700" + (f",nr_inodes={inodes}" if inodes else "")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True, check=False
    )
    need(None if made.returncode == 0 else f"nothing can be mounted here, no disk was filled: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        # Lazily: a process that is being killed may still hold a file for a moment.
        subprocess.run(["umount", "-l", folder], check=True)


@contextmanager
def memory_limit(pid: int, limit: int) -> Iterator[None]:
    """The process may use ``limit`` bytes; when it needs more the kernel kills it."""
    first = Path("/sys/fs/cgroup/memory")
    root, name = (first, "memory.limit_in_bytes") if first.is_dir() else (Path("/sys/fs/cgroup"), "memory.max")
    group = root / f"gateway-faults-{pid}"
    try:
        group.mkdir()
        (group / name).write_text(str(limit))
        if (group / "memory.swap.max").exists():
            (group / "memory.swap.max").write_text("0")
        (group / "cgroup.procs").write_text(str(pid))
    except OSError as error:
        need(f"no memory limit can be set here, nothing was killed for it: {error}", everywhere=False)
    try:
        yield
    finally:
        for other in (group / "cgroup.procs").read_text().split():
            (root / "cgroup.procs").write_text(other)
        group.rmdir()


@cache
def _faketime() -> Path | None:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    return found[0] if found else None


def faketime_library() -> Path:
    """libfaketime for threads."""
    library = _faketime()
    need(None if library else "libfaketime is not installed: no clock was set")
    assert library is not None
    return library
