"""Witnesses: what others signed under the checkpoints of the evidence, held against the keys that are known for them (C2SP tlog-cosignature).

A cosignature says that its witness saw every checkpoint of this log that it ever signed lie on one history. It says nothing of the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.errors import LedgerError
from gateway.evidence.notes import Claimed
from gateway.evidence.trust import Trust
from gateway.ledger.cosignature import CosignerKey, find_cosignature
from gateway.ledger.note import parse_line
from gateway.ledger.report import Discrepancies

__all__ = ["Seen", "judge_cosignatures"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The largest checkpoint that a witness cosigned: its size, and the witness's own time."""

    witness: str
    size: int
    at: datetime


def judge_cosignatures(
    checkpoints: Sequence[Claimed],
    trust: Trust,
    sound: Callable[[Claimed], bool],
    found: Discrepancies,
    *,
    each_asked: bool = True,
) -> list[Seen]:
    """Judge every line under ``checkpoints`` that is not the log's own; returns how far each witness went, by name.

    A line of a known witness that does not hold contradicts; one of nobody known proves nothing. ``each_asked``: every witness of the
    auditor's policy must have cosigned something. ``sound`` tells whether a checkpoint lies on the history of the entries.
    """
    newest: dict[CosignerKey, Seen] = {}
    for claimed in checkpoints:
        known = {(key.name, key.key_id): key for key in trust.witnesses(claimed.checkpoint.size)}
        for line, signer in _lines(claimed):
            if signer[0] == claimed.checkpoint.origin:
                continue  # the log's own, judged as such
            key = known.get(signer)
            if key is None:
                name = f"{signer[0]}+{signer[1].hex()}"
                found.add("evidence-cosignature-unknown", expected=claimed.place, found=name, contradicts=False)
                continue
            try:
                at = find_cosignature(claimed.text, line, key).at
            except LedgerError:
                found.add("evidence-cosignature-wrong", expected=claimed.place, found=key.name)
                continue
            size = claimed.checkpoint.size
            if sound(claimed) and (key not in newest or newest[key].size < size):
                newest[key] = Seen(witness=key.name, size=size, at=at)
    for key in trust.asked_witnesses if each_asked else ():
        if key not in newest:
            found.add("evidence-cosignature-absent", expected=str(key), contradicts=False)
    return sorted(newest.values(), key=lambda one: one.witness)


def _lines(claimed: Claimed) -> Iterator[tuple[str, tuple[str, bytes]]]:
    """Each signature line with its newline, and whose it says it is; a note that is malformed is told where its signature is judged."""
    for line in claimed.signatures:
        try:
            name, key_id, _ = parse_line(line)
        except LedgerError:
            return
        yield f"{line}\n", (name, key_id)
