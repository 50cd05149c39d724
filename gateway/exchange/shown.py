"""What a node shows of its own ledger beside a package or a receipt, in HTTP headers that are all optional.

The package or receipt carries the checkpoint itself, signed. Beside it may stand: the key that signs the checkpoints
(``Credit-Ledger-Key``), how far the other side's ledger is known (``Credit-Ledger-Held``), and a proof that the checkpoint and an earlier or
later one of the same ledger lie on one history (``Credit-Consistency: SIZE HASH,HASH…``, RFC 6962 §2.1.2, base64).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.errors import ExchangeError
from gateway.ledger.encoding import from_base64, to_base64
from gateway.ledger.tree import HASH_BYTES

__all__ = ["NOTHING", "Shown", "read_shown"]

_KEY: Final = "Credit-Ledger-Key"
_HELD: Final = "Credit-Ledger-Held"
_CONSISTENCY: Final = "Credit-Consistency"
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,15}")
_MAX_HASHES: Final = 63
_MAX_KEY: Final = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What came, or goes, beside a document. ``since`` is the size that ``proof`` leads to or from; 0 needs none. None and "" are unsaid."""

    key: str = ""
    since: int | None = None
    proof: tuple[bytes, ...] = ()
    held: int | None = None

    def headers(self) -> dict[str, str]:
        """The headers, none for what is unsaid."""
        found: dict[str, str] = {}
        if self.key:
            # A key's name may hold any letter, a header may not.
            found |= {_KEY: self.key} if self.key.isascii() else {}
        if self.since is not None:
            found[_CONSISTENCY] = f"{self.since} {','.join(map(to_base64, self.proof))}".rstrip()
        if self.held is not None:
            found[_HELD] = str(self.held)
        return found


NOTHING: Final = Shown()


def read_shown(headers: Mapping[str, str]) -> Shown:
    """What the headers say; their names are found in lower case. Raises ExchangeError ``shown-malformed`` naming the header at fault."""
    key, held = headers.get(_KEY.lower(), ""), headers.get(_HELD.lower())
    if len(key) > _MAX_KEY:
        raise ExchangeError("shown-malformed", header=_KEY)
    if held is not None and not _SIZE.fullmatch(held):
        raise ExchangeError("shown-malformed", header=_HELD)
    since, proof = _consistency(headers.get(_CONSISTENCY.lower()))
    return Shown(key=key, since=since, proof=proof, held=None if held is None else int(held))


def _consistency(text: str | None) -> tuple[int | None, tuple[bytes, ...]]:
    if text is None:
        return None, ()
    size, _, listed = text.partition(" ")
    hashes = [from_base64(one) for one in listed.split(",")] if listed else []
    proof = tuple(one for one in hashes if one is not None and len(one) == HASH_BYTES)
    if not _SIZE.fullmatch(size) or len(proof) != len(hashes) or len(hashes) > _MAX_HASHES:
        raise ExchangeError("shown-malformed", header=_CONSISTENCY)
    return int(size), proof
