"""The configuration and the mappings as a digest for every key and file: what is compared from one start to the next.

Values are normalised first, so that a comment, the order of keys or another way of writing the same number changes nothing. Secrets are not
in it: the configuration holds references to them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.config import Settings
from gateway.errors import ConfigError

__all__ = ["configured_values"]


def configured_values(settings: Settings) -> dict[str, bytes]:
    """SHA-256 by dotted key of the configuration, and by ``mappings/…`` of the files there. Raises ConfigError ``config-unreadable``."""
    found = {key: hashlib.sha256(text.encode()).digest() for key, text in _flat("", settings.document.model_dump())}
    folder = settings.mappings_dir
    for file in sorted(folder.rglob("*")):
        if file.suffix == ".md" or any(part.startswith(".") for part in file.relative_to(folder).parts):
            continue
        try:
            if file.is_file():
                found[f"mappings/{file.relative_to(folder).as_posix()}"] = hashlib.sha256(file.read_bytes()).digest()
        except OSError as error:
            raise ConfigError("config-unreadable", file=str(file)) from error
    return found


def _flat(prefix: str, value: object) -> Iterator[tuple[str, str]]:
    """Every leaf with its dotted key."""
    match value:
        case Mapping():
            for key, inner in value.items():
                yield from _flat(f"{prefix}.{key}" if prefix else str(key), inner)
        case list() | tuple():
            for number, inner in enumerate(value):
                yield from _flat(f"{prefix}.{number}", inner)
        case timedelta():
            yield prefix, f"{value.total_seconds():.6f}"
        case ZoneInfo():
            yield prefix, value.key
        case Path():
            yield prefix, value.as_posix()
        case _:
            yield prefix, str(value)
