"""A proof: that one entry, or one record of its batch, is in a ledger, and nothing about anything else. One small JSON file.

It holds the entry with its way to a signed checkpoint, the ledger's entries about keys and the time-stamps around it with theirs, and
the signed manifest of the batch's package. A record comes with its blind, ``HMAC-SHA-256(Salt, index as 8 bytes big-endian)``, and its way
to the record root that the entry names: without the salt nobody can find out another record by guessing.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, Final

from gateway.errors import EvidenceError
from gateway.ledger.encoding import from_base64

__all__ = ["FORMAT", "MAX_PROOF_BYTES", "Earlier", "Proof", "ProvedEntry", "ProvedRecord", "parse_proof", "proof_bytes"]

FORMAT: Final = "credit-gateway/proof/1"
MAX_PROOF_BYTES: Final = 16 * 1024 * 1024
_MOST: Final = 4_000  # of entries and checkpoints
_LONGEST_PATH: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvedEntry:
    """An entry and its inclusion path (RFC 6962 §2.1.1) to the checkpoint's root."""

    index: int
    leaf: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """An earlier checkpoint and its consistency path (RFC 6962 §2.1.2) to the proof's own."""

    note: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvedRecord:
    """One record's line, its number in the batch from 0, of how many, its blind, and its path to the record root."""

    line: bytes
    number: int
    count: int
    blind: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The whole file. ``around`` are the entries about keys and time-stamps that the proof leans on.

    ``manifest`` and ``signature`` are the package's, empty where the package is gone.
    """

    origin: str
    note: bytes
    entry: ProvedEntry
    around: tuple[ProvedEntry, ...]
    earlier: tuple[Earlier, ...]
    manifest: bytes
    signature: bytes
    record: ProvedRecord | None = None


def proof_bytes(proof: Proof) -> bytes:
    """The file."""
    record = proof.record
    told: dict[str, Any] = {
        "format": FORMAT,
        "origin": proof.origin,
        "checkpoint": proof.note.decode("utf-8"),
        "entry": _tell_entry(proof.entry),
        "around": [_tell_entry(one) for one in proof.around],
        "earlier": [{"checkpoint": one.note.decode("utf-8"), "path": _hex(one.path)} for one in proof.earlier],
        "manifest": proof.manifest.decode("utf-8"),
        "signature": base64.b64encode(proof.signature).decode("ascii"),
        "record": None
        if record is None
        else {
            "line": record.line.decode("utf-8"),
            "number": record.number,
            "count": record.count,
            "blind": record.blind.hex(),
            "path": _hex(record.path),
        },
    }
    return (json.dumps(told, ensure_ascii=False, indent=1) + "\n").encode("utf-8")


def _tell_entry(one: ProvedEntry) -> dict[str, Any]:
    return {"index": one.index, "leaf": one.leaf.decode("utf-8"), "path": _hex(one.path)}


def _hex(path: tuple[bytes, ...]) -> list[str]:
    return [one.hex() for one in path]


def parse_proof(data: bytes) -> Proof:
    """What :func:`proof_bytes` wrote; anything else is refused. Raises EvidenceError ``proof-malformed``."""
    if len(data) > MAX_PROOF_BYTES:
        raise EvidenceError("proof-malformed")
    try:
        told = json.loads(data.decode("utf-8"))
        record = told["record"]
        found = Proof(
            origin=_text(told["origin"]),
            note=_bytes(told["checkpoint"]),
            entry=_entry(told["entry"]),
            around=tuple(_entry(one) for one in told["around"][:_MOST]),
            earlier=tuple(
                Earlier(note=_bytes(one["checkpoint"]), path=_path(one["path"])) for one in told["earlier"][:_MOST]
            ),
            manifest=_bytes(told["manifest"]),
            signature=_base64(told["signature"]),
            record=None
            if record is None
            else ProvedRecord(
                line=_bytes(record["line"]),
                number=_count(record["number"]),
                count=_count(record["count"]),
                blind=_digest(record["blind"]),
                path=_path(record["path"]),
            ),
        )
        same = told["format"] == FORMAT and proof_bytes(found) == data
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise EvidenceError("proof-malformed") from error
    if not same:
        raise EvidenceError("proof-malformed")
    return found


def _entry(told: Any) -> ProvedEntry:
    return ProvedEntry(index=_count(told["index"]), leaf=_bytes(told["leaf"]), path=_path(told["path"]))


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("text")
    return value


def _bytes(value: Any) -> bytes:
    return _text(value).encode("utf-8")


def _base64(value: Any) -> bytes:
    data = from_base64(_text(value))
    if data is None:
        raise ValueError("base64")
    return data


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**53:
        raise ValueError("count")
    return value


def _digest(value: Any) -> bytes:
    found = bytes.fromhex(_text(value))
    if len(found) != 32:
        raise ValueError("digest")
    return found


def _path(value: Any) -> tuple[bytes, ...]:
    if type(value) is not list or len(value) > _LONGEST_PATH:
        raise ValueError("path")
    return tuple(_digest(one) for one in value)
