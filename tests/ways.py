"""Which catalogs a format takes and by which modes it can go: read from the text of ``mappings/formats``, not by the gateway's own reader."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["FORMATS", "bindings_of", "catalogs_of", "head_of", "modes_of"]

FORMATS = Path(__file__).parent.parent / "mappings" / "formats"

_MODES: Mapping[str, tuple[str, ...]] = {
    "record": ("service", "file", "sftp", "pull"),
    "sheet": ("file", "sftp"),
    "json": ("file", "sftp"),
    "table": ("database",),
    "whole": ("file", "sftp"),
}
"""The modes of a kind of document. A batch of records is sealed and speaks for itself; the others leave in the receiver's own shape."""

_SITES = ("publication",)
"""Formats that the publication site takes, and nobody else."""


@cache
def head_of(name: str) -> Mapping[str, Any]:
    """``format.toml``."""
    return tomllib.loads((FORMATS / name / "format.toml").read_text("utf-8"))


@cache
def bindings_of(name: str) -> Mapping[str, Mapping[str, Any]]:
    """The texts of ``bindings/`` by the names of their files."""
    files = sorted((FORMATS / name / "bindings").glob("*.toml"))
    return {file.stem: tomllib.loads(file.read_text("utf-8")) for file in files}


def catalogs_of(name: str) -> tuple[str, ...]:
    """The catalogs that a format binds."""
    return tuple(dict.fromkeys(str(one["catalog"]) for one in bindings_of(name).values()))


def modes_of(name: str) -> tuple[str, ...]:
    """The modes by which a format can go."""
    return ("site",) if name in _SITES else _MODES[head_of(name).get("document", "record")]
