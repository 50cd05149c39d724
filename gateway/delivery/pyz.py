"""``gateway-verify.pyz``: the offline verifier as one file that Python runs, made of the rooms that need Python and cryptography alone.

The same sources give the same bytes, on any machine and at any time, so that its digest can be published and compared.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

__all__ = ["ROOMS", "verifier_pyz"]

ROOMS: Final = ("texts", "ledger", "package", "evidence", "__init__.py", "clock.py", "errors.py", "verifier.py")
"""Exactly what the offline verifier is."""

_KINDS: Final = (".py", ".toml")
_SHEBANG: Final = b"#!/usr/bin/env python3\n"
_WHEN: Final = (1980, 1, 1, 0, 0, 0)
_MAIN: Final = """\
import sys

if sys.version_info < (3, 11):
    sys.exit("gateway-verify: 需要 Python 3.11 或更新版本 · Python 3.11 or later is needed")
try:
    import cryptography
except ImportError:
    sys.exit("gateway-verify: 缺少 Python 程序库 cryptography · the Python package cryptography is missing")

from gateway.verifier import main

main()
"""


def verifier_pyz() -> bytes:
    """The file's bytes, out of the sources of this very installation."""
    whole = io.BytesIO(_SHEBANG)
    whole.seek(0, io.SEEK_END)
    with zipfile.ZipFile(whole, "a", zipfile.ZIP_STORED) as archive:
        members = {"__main__.py": _MAIN.encode("utf-8"), **dict(_sources())}
        for name, content in sorted(members.items()):
            member = zipfile.ZipInfo(name, _WHEN)
            member.create_system = 3
            member.external_attr = 0o644 << 16
            archive.writestr(member, content)
    return whole.getvalue()


def _sources() -> Iterator[tuple[str, bytes]]:
    package = resources.files("gateway")
    for room in ROOMS:
        yield from _below(package / room, f"gateway/{room}")


def _below(place: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    if place.is_file():
        if path.endswith(_KINDS):
            yield path, place.read_bytes()
        return
    for entry in place.iterdir():
        yield from _below(entry, f"{path}/{entry.name}")
