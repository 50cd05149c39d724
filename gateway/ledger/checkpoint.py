"""C2SP tlog-checkpoint: origin, tree size and root hash as the text of a signed note."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.errors import LedgerError
from gateway.ledger.encoding import from_base64, to_base64
from gateway.ledger.note import NoteSigner, VerifierKey, open_note, sign_note
from gateway.ledger.tree import EMPTY_ROOT, HASH_BYTES

__all__ = ["Checkpoint", "open_checkpoint", "parse_checkpoint", "sign_checkpoint"]

_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,15}")
_MAX_SIZE: Final = 2**53 - 1  # what an entry can tell of a peer's checkpoint; no log is as large


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a log says of itself: at ``size`` entries its root is ``root`` (32 bytes). ``extensions`` are opaque further lines."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        lines = (self.origin, *self.extensions)
        if any(not line or "\n" in line for line in lines):
            raise LedgerError("checkpoint-malformed", reason="line")
        if not 0 <= self.size <= _MAX_SIZE:
            raise LedgerError("checkpoint-malformed", reason="size")
        if len(self.root) != HASH_BYTES or (self.size == 0 and self.root != EMPTY_ROOT):
            raise LedgerError("checkpoint-malformed", reason="root")

    def text(self) -> str:
        """The note text: one line each, every line ended."""
        lines = (self.origin, str(self.size), to_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint that ``text`` is. Raises LedgerError ``checkpoint-malformed`` on any other form.

    A text is believed only after its note was opened: callers outside this module want :func:`open_checkpoint`.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] != "":
        raise LedgerError("checkpoint-malformed", reason="line")
    if not _SIZE.fullmatch(lines[1]):
        raise LedgerError("checkpoint-malformed", reason="size")
    root = from_base64(lines[2])
    if root is None:
        raise LedgerError("checkpoint-malformed", reason="root")
    return Checkpoint(origin=lines[0], size=int(lines[1]), root=root, extensions=tuple(lines[3:-1]))


def sign_checkpoint(checkpoint: Checkpoint, signer: NoteSigner) -> bytes:
    """The signed note. Deterministic: signing the same checkpoint again gives the same bytes."""
    return sign_note(checkpoint.text(), [signer])


def open_checkpoint(note: bytes, known: Sequence[VerifierKey], origin: str) -> Checkpoint:
    """The checkpoint in ``note``, signed by a known key and made by the log ``origin``.

    Raises LedgerError: the codes of :func:`gateway.ledger.note.open_note`, ``checkpoint-malformed``, ``checkpoint-of-other-log``.
    """
    text, _ = open_note(note, known)
    checkpoint = parse_checkpoint(text)
    if checkpoint.origin != origin:
        raise LedgerError("checkpoint-of-other-log", expected=origin, found=checkpoint.origin)
    return checkpoint
