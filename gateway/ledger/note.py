"""C2SP signed-note v1: a text, a blank line, and signature lines; Ed25519 (signature type 0x01) is the one algorithm.

A text is to be ignored unless a known key signed it: :func:`open_note` gives the text out in no other case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar, Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.errors import LedgerError
from gateway.ledger.encoding import from_base64, to_base64

__all__ = [
    "MAX_NOTE_BYTES",
    "MAX_SIGNATURES",
    "NoteKey",
    "NoteSigner",
    "VerifierKey",
    "is_name",
    "open_note",
    "parse_line",
    "sign_note",
    "signature_line",
]

MAX_NOTE_BYTES: Final = 262_144
"""16 signatures have to be taken, and a post-quantum one is nearly 5 kB: 16 of them fit."""

MAX_SIGNATURES: Final = 100
"""Lines that a note may have; more make it malformed."""
_ED25519: Final = b"\x01"
_KEY_BYTES: Final = 32
_ID_BYTES: Final = 4
_PREFIX: Final = "\u2014 "
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_HEX_ID: Final = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteKey:
    """A key name and the 32 bytes of an Ed25519 public key; ``kind`` is the signature type that it is for."""

    kind: ClassVar[bytes]

    name: str
    public: bytes

    def __post_init__(self) -> None:
        if not is_name(self.name) or len(self.public) != _KEY_BYTES:
            raise LedgerError("verifier-key-invalid")

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``name+hash+base64``. Raises LedgerError ``verifier-key-invalid`` on any other form, type and on a wrong hash."""
        parts = text.split("+", 2)  # base64 may hold a plus, a name may not
        if len(parts) != 3 or not _HEX_ID.fullmatch(parts[1]):
            raise LedgerError("verifier-key-invalid")
        material = from_base64(parts[2])
        if material is None or material[:1] != cls.kind:
            raise LedgerError("verifier-key-invalid")
        key = cls(name=parts[0], public=material[1:])
        if key.key_id.hex() != parts[1]:
            raise LedgerError("verifier-key-invalid")
        return key

    @property
    def key_id(self) -> bytes:
        """The first four bytes of SHA-256(name ‖ 0x0A ‖ kind ‖ public key)."""
        return sha256(self.name.encode("utf-8") + b"\n" + self.kind + self.public).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        """The key as text, ``name+hash+base64``."""
        return f"{self.name}+{self.key_id.hex()}+{to_base64(self.kind + self.public)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey(NoteKey):
    """What verifies a note's own signatures (type 0x01)."""

    kind = _ED25519

    def check(self, text: bytes, signature: bytes) -> None:
        """Raises LedgerError ``note-signature-invalid`` unless this key signed exactly ``text``."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except (InvalidSignature, ValueError) as error:
            raise LedgerError("note-signature-invalid", key=f"{self.name}+{self.key_id.hex()}") from error


class NoteSigner:
    """A named Ed25519 private key. Its signatures are deterministic: the same text gives the same note."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.verifier = VerifierKey(name=name, public=key.public_key().public_bytes_raw())

    def line(self, text: bytes) -> str:
        """The signature line over ``text``, with its newline."""
        return signature_line(self.verifier.name, self.verifier.key_id + self._key.sign(text))


def sign_note(text: str, signers: Iterable[NoteSigner]) -> bytes:
    """The signed note over ``text``, which ends in a newline. Raises LedgerError ``note-malformed`` on a text that no note can carry."""
    if not text.endswith("\n") or _CONTROL.search(text):
        raise LedgerError("note-malformed", reason="text")
    try:
        body = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise LedgerError("note-malformed", reason="text") from error
    lines = [signer.line(body) for signer in signers]
    if not lines:
        raise LedgerError("note-malformed", reason="no signature")
    return body + b"\n" + "".join(lines).encode("utf-8")


def open_note(note: bytes, known: Sequence[VerifierKey]) -> tuple[str, tuple[VerifierKey, ...]]:
    """The text of ``note`` and the known keys that signed it, at least one.

    Signatures of unknown keys are passed over, and a repeated one of the same key; a bad signature of a known key refuses the whole note.
    Raises LedgerError: ``note-malformed``, ``note-signature-invalid``, ``note-unsigned``.
    """
    # 1. within limits, UTF-8, no control character
    if len(note) > MAX_NOTE_BYTES:
        raise LedgerError("note-malformed", reason="size")
    try:
        whole = note.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LedgerError("note-malformed", reason="encoding") from error
    if _CONTROL.search(whole):
        raise LedgerError("note-malformed", reason="control character")
    # 2. the last blank line parts text from signatures
    split = whole.rfind("\n\n")
    if split < 0 or not whole.endswith("\n") or split + 2 == len(whole):
        raise LedgerError("note-malformed", reason="no signature block")
    text = whole[: split + 1]
    lines = whole[split + 2 : -1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise LedgerError("note-malformed", reason="too many signatures")
    # 3. every line is well formed, whoever signed
    signatures = [parse_line(line) for line in lines]
    # 4. every signature that claims a known key holds
    body = text.encode("utf-8")
    keys = {(key.name, key.key_id): key for key in known}
    if len(keys) != len(set(known)):
        raise LedgerError("verifier-key-ambiguous")
    signed: dict[tuple[str, bytes], VerifierKey] = {}
    for name, key_id, signature in signatures:
        key = keys.get((name, key_id))
        if key is not None and (name, key_id) not in signed:
            key.check(body, signature)
            signed[name, key_id] = key
    # 5. at least one known key signed
    if not signed:
        raise LedgerError("note-unsigned")
    return text, tuple(signed.values())


def signature_line(name: str, data: bytes) -> str:
    """The line that carries ``data`` (key id and signature) under ``name``, with its newline."""
    return f"{_PREFIX}{name} {to_base64(data)}\n"


def parse_line(line: str) -> tuple[str, bytes, bytes]:
    """Name, key id and signature of a signature line without its newline. Raises LedgerError ``note-malformed``."""
    name, _, encoded = line.removeprefix(_PREFIX).partition(" ")
    data = from_base64(encoded)
    if not line.startswith(_PREFIX) or not is_name(name) or data is None or len(data) <= _ID_BYTES:
        raise LedgerError("note-malformed", reason="signature line")
    return name, data[:_ID_BYTES], data[_ID_BYTES:]


def is_name(name: str) -> bool:
    """Whether a key may be called so."""
    return name != "" and "+" not in name and not any(char.isspace() for char in name) and not _CONTROL.search(name)
