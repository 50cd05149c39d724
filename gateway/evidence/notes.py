"""Checkpoints as they stand in evidence: what they claim is read before anybody is believed, their signatures are judged apart."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.errors import LedgerError
from gateway.ledger.checkpoint import Checkpoint, parse_checkpoint
from gateway.ledger.note import MAX_NOTE_BYTES, MAX_SIGNATURES

__all__ = ["Claimed", "claimed", "claimed_in", "facts_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A checkpoint that nobody has vouched for yet. ``place`` says where it stands."""

    place: str
    note: bytes
    checkpoint: Checkpoint

    @property
    def text(self) -> str:
        """What was signed: everything before the blank line, its last newline included."""
        return self.note.decode("utf-8").rpartition("\n\n")[0] + "\n"

    @property
    def signatures(self) -> tuple[str, ...]:
        """The signature lines without their newlines, so many as a note may have."""
        return tuple(self.note.decode("utf-8").rpartition("\n\n")[2].split("\n", MAX_SIGNATURES)[:-1])

    @property
    def stamped(self) -> bytes:
        """The note as it was time-stamped: with the log's own signature, its first; witnesses sign later."""
        head, _, signatures = self.note.rpartition(b"\n\n")
        return head + b"\n\n" + signatures.partition(b"\n")[0] + b"\n"


def claimed(note: bytes, place: str) -> Claimed:
    """What ``note`` claims. Raises LedgerError ``note-malformed``, ``checkpoint-malformed``."""
    if len(note) > MAX_NOTE_BYTES:
        raise LedgerError("note-malformed", reason="size")
    try:
        whole = note.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LedgerError("note-malformed", reason="encoding") from error
    split = whole.rfind("\n\n")
    if split < 0:
        raise LedgerError("note-malformed", reason="no signature block")
    return Claimed(place=place, note=note, checkpoint=parse_checkpoint(whole[: split + 1]))


def claimed_in(text: str, place: str) -> Claimed | None:
    """The checkpoint that a sealed document carries as text; None where it carries none. Raises as :func:`claimed`."""
    return claimed(text.encode("utf-8"), place) if text else None


def facts_of(text: str) -> tuple[int, str]:
    """Size and root (hex) of a peer's checkpoint as an entry tells them; 0 and empty where there is none that can be read."""
    try:
        checkpoint = parse_checkpoint(text.split("\n\n", 1)[0] + "\n")
    except LedgerError:
        return 0, ""
    return checkpoint.size, checkpoint.root.hex()
