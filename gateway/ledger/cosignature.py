"""C2SP tlog-cosignature, ``cosignature/v1``: a witness's statement that a checkpoint continues every one of that log that it saw before.

A line of a signed note like any other, by a key of type 0x04 over the note's text with a header and the witness's time before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.errors import LedgerError
from gateway.ledger.note import NoteKey, parse_line, signature_line

__all__ = ["Cosignature", "Cosigner", "CosignerKey", "find_cosignature"]

_TYPE: Final = b"\x04"
_TIME_BYTES: Final = 8
_SIGNATURE_BYTES: Final = 64
_LATEST: Final = 2**63 - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class CosignerKey(NoteKey):
    """A witness's key (type 0x04)."""

    kind = _TYPE


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosignature:
    """A cosignature that holds: the line as it stands in the note, with its newline, and the witness's own time."""

    line: str
    at: datetime


class Cosigner:
    """A witness's private key."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.verifier = CosignerKey(name=name, public=key.public_key().public_bytes_raw())

    def line(self, text: str, at: datetime) -> str:
        """The cosignature line over a checkpoint's text at ``at``, cut to the second."""
        seconds = (at - _EPOCH) // timedelta(seconds=1)
        signature = self._key.sign(_message(seconds, text))
        return signature_line(
            self.verifier.name, self.verifier.key_id + seconds.to_bytes(_TIME_BYTES, "big") + signature
        )


def find_cosignature(text: str, lines: str, key: CosignerKey) -> Cosignature:
    """The cosignature of ``key`` over the checkpoint ``text`` among signature ``lines``; those of other keys are passed over.

    Raises LedgerError: ``note-malformed`` when a line is none, ``note-signature-invalid`` when this key's does not hold,
    ``cosignature-missing`` when there is none.
    """
    if not lines.endswith("\n"):
        raise LedgerError("note-malformed", reason="no signature block")
    for line in lines[:-1].split("\n"):
        name, key_id, signature = parse_line(line)
        if (name, key_id) != (key.name, key.key_id):
            continue
        seconds = int.from_bytes(signature[:_TIME_BYTES], "big")
        if len(signature) != _TIME_BYTES + _SIGNATURE_BYTES or seconds > _LATEST:
            raise LedgerError("note-malformed", reason="cosignature")
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(signature[_TIME_BYTES:], _message(seconds, text))
            at = _EPOCH + timedelta(seconds=seconds)
        except (InvalidSignature, ValueError, OverflowError) as error:
            raise LedgerError("note-signature-invalid", key=f"{key.name}+{key.key_id.hex()}") from error
        return Cosignature(line=f"{line}\n", at=at)
    raise LedgerError("cosignature-missing", key=f"{key.name}+{key.key_id.hex()}")


def _message(seconds: int, text: str) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()
