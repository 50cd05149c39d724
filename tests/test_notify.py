"""What the service manager is told, over a real socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.notify import notify


@contextmanager
def manager(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address)
        listening.settimeout(5)
        yield listening


def test_a_manager_at_a_path_hears_every_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with manager(str(tmp_path / "notify")) as listening:
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        for word in ("READY=1", "WATCHDOG=1", "STOPPING=1\nSTATUS=停止中"):
            notify(word)
            assert listening.recv(4096).decode() == word


def test_a_manager_at_an_abstract_address_hears_too(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"credit-gateway-test-{os.getpid()}"
    with manager(f"\0{name}") as listening:
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        notify("READY=1")
        assert listening.recv(4096) == b"READY=1"


@pytest.mark.parametrize("place", [None, "", "/nonexistent/notify", "@nobody-listens-here", "/" + "x" * 200])
def test_where_nobody_listens_nothing_happens(place: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if place is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", place)
    notify("READY=1")
