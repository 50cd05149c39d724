"""What an ``anchor`` entry proves: the token in it, read and verified, against the checkpoint that it stamps."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from gateway.clock import instant, parse_instant
from gateway.errors import PackageError
from gateway.evidence.notes import Claimed
from gateway.ledger.entry import Entry
from gateway.ledger.report import Discrepancies
from gateway.package.certificates import Certificate
from gateway.package.stamp import Stamp, verify_stamp

__all__ = ["Anchor", "read_anchor"]

# What may be sound though nobody here can tell; anything else about a token is a contradiction.
_UNPROVED: Final = frozenset({"token-malformed", "token-unsupported", "token-signer", "token-authority-unknown"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A token that holds: everything before entry ``size`` was there at ``at``, nothing from entry ``index`` on was."""

    index: int
    size: int
    at: datetime


def read_anchor(
    index: int, entry: Entry, checkpoint: Claimed | None, authorities: Sequence[Certificate], found: Discrepancies
) -> Anchor | None:
    """The anchor entry ``entry``, verified: its token stamps ``checkpoint``, which is the one that the entry names.

    None where that is wrong or cannot be proved, which is told to ``found``.
    """
    token = base64.b64decode(entry.text("token"))
    size = entry.number("checkpoint_size")

    def tell(code: str, expected: object, said: object, *, contradicts: bool = True) -> None:
        found.add(code, index=index, expected=expected, found=said, contradicts=contradicts)

    # 1. the token is the one whose digest was entered
    digest = sha256(token).hexdigest()
    if digest != entry.text("token_sha256"):
        tell("evidence-token-digest", entry.text("token_sha256"), digest)
        return None
    # 2. it is an authority's word, and one that is trusted
    try:
        stamp = verify_stamp(token, authorities)
    except PackageError as error:
        tell("evidence-token-wrong", entry.text("authority"), error.code, contradicts=error.code not in _UNPROVED)
        return None
    # 3. about the checkpoint that the entry names, which existed before the entry
    if checkpoint is None:
        tell("evidence-stamped-absent", size, "-", contradicts=False)
        return None
    named = f"{size} {entry.text('checkpoint_root')}"
    if (size, entry.text("checkpoint_root")) != (checkpoint.checkpoint.size, checkpoint.checkpoint.root.hex()):
        tell("evidence-token-other", named, f"{checkpoint.checkpoint.size} {checkpoint.checkpoint.root.hex()}")
        return None
    stamped = sha256(checkpoint.stamped)
    if stamp.imprint != stamped.digest():
        tell("evidence-token-other", f"{checkpoint.place} {stamped.hexdigest()}", stamp.imprint.hex())
        return None
    if size > index:
        tell("evidence-token-early", f"≤ {index}", size)
        return None
    # 4. at the time that the entry says
    if not _same_time(stamp, entry):
        tell("evidence-token-time", instant(stamp.at), entry.text("stamped_at"))
        return None
    return Anchor(index=index, size=size, at=stamp.at)


def _same_time(stamp: Stamp, entry: Entry) -> bool:
    return abs(stamp.at - parse_instant(entry.text("stamped_at"))) < timedelta(seconds=1)
