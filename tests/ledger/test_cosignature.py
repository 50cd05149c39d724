"""Cosignatures of witnesses: the bytes that the specification prescribes, and nothing else counts."""

from __future__ import annotations

from base64 import b64decode
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import LedgerError
from gateway.ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from gateway.ledger.cosignature import Cosigner, CosignerKey, find_cosignature
from gateway.ledger.encoding import to_base64
from gateway.ledger.keys import generate_key
from gateway.ledger.note import NoteSigner, VerifierKey, signature_line

ORIGIN = "example.com/behind-the-sofa"
SIGNER = NoteSigner(ORIGIN, generate_key(b"\x01" * 32))
NOTE = sign_checkpoint(Checkpoint(origin=ORIGIN, size=20852163, root=b"\x07" * 32), SIGNER)
TEXT = NOTE.decode().rpartition("\n\n")[0] + "\n"
W1 = Cosigner("witness.example.com/w1", generate_key(b"\x02" * 32))
W2 = Cosigner("witness.example.com/w2", generate_key(b"\x03" * 32))
AT = datetime(2023, 3, 20, 12, 25, 47, tzinfo=UTC)


def test_the_signed_bytes_are_those_of_the_specification() -> None:
    """Taken apart with nothing of ours: tlog-cosignature, sections Format and Ed25519 signed message."""
    prefix, name, encoded = W1.line(TEXT, AT).rstrip("\n").split(" ")
    raw = b64decode(encoded)
    public = W1.verifier.public
    assert (prefix, name) == ("\u2014", "witness.example.com/w1")
    assert raw[:4] == sha256(name.encode() + b"\n\x04" + public).digest()[:4]
    seconds = int.from_bytes(raw[4:12], "big")
    assert seconds == 1679315147 == int(AT.timestamp())
    message = f"cosignature/v1\ntime 1679315147\n{TEXT}".encode()
    Ed25519PublicKey.from_public_bytes(public).verify(raw[12:], message)
    assert len(raw) == 4 + 8 + 64


def test_a_cosignature_is_found_among_others() -> None:
    other = SIGNER.line(TEXT.encode())
    lines = W2.line(TEXT, AT) + other + W1.line(TEXT, AT)
    found = find_cosignature(TEXT, lines, W1.verifier)
    assert (found.line, found.at) == (W1.line(TEXT, AT), AT)


def test_a_note_with_cosignatures_is_still_the_same_checkpoint() -> None:
    cosigned = NOTE + W1.line(TEXT, AT).encode() + W2.line(TEXT, AT).encode()
    assert open_checkpoint(cosigned, [SIGNER.verifier], ORIGIN) == open_checkpoint(NOTE, [SIGNER.verifier], ORIGIN)


def test_keys_have_one_written_form_of_their_own_type() -> None:
    text = str(W1.verifier)
    assert CosignerKey.parse(text) == W1.verifier
    with pytest.raises(LedgerError, match="verifier-key-invalid"):
        VerifierKey.parse(text)
    for wrong in ("", "a+b", text[:-1], text.replace("w1", "w2"), str(SIGNER.verifier), f" {text}"):
        with pytest.raises(LedgerError, match="verifier-key-invalid"):
            CosignerKey.parse(wrong)


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("", "note-malformed"),
        ("rubbish\n", "note-malformed"),
        (W1.line(TEXT, AT).rstrip("\n"), "note-malformed"),
        (W2.line(TEXT, AT), "cosignature-missing"),
        (W1.line(TEXT.replace("20852163", "20852164"), AT), "note-signature-invalid"),
        (Cosigner(W1.verifier.name, generate_key(b"\x09" * 32)).line(TEXT, AT), "cosignature-missing"),
    ],
)
def test_what_is_no_cosignature_of_this_key_is_none(lines: str, code: str) -> None:
    with pytest.raises(LedgerError) as caught:
        find_cosignature(TEXT, lines, W1.verifier)
    assert caught.value.code == code


@given(st.integers(0, 4 + 8 + 64 - 1), st.integers(0, 7))
def test_no_bit_of_a_cosignature_can_be_changed(byte: int, bit: int) -> None:
    """Its time among them."""
    prefix, name, encoded = W1.line(TEXT, AT).rstrip("\n").split(" ")
    raw = bytearray(b64decode(encoded))
    raw[byte] ^= 1 << bit
    with pytest.raises(LedgerError) as caught:
        find_cosignature(TEXT, f"{prefix} {name} {to_base64(bytes(raw))}\n", W1.verifier)
    assert caught.value.code in {"note-signature-invalid", "cosignature-missing", "note-malformed"}


def test_the_log_s_own_signature_is_no_cosignature() -> None:
    """The same key material under the other type has another id: neither can stand for the other."""
    key = generate_key(b"\x02" * 32)
    note_signer, cosigner = NoteSigner("w", key), Cosigner("w", key)
    assert note_signer.verifier.key_id != cosigner.verifier.key_id
    with pytest.raises(LedgerError, match="cosignature-missing"):
        find_cosignature(TEXT, note_signer.line(TEXT.encode()), cosigner.verifier)


@pytest.mark.parametrize(("seconds", "code"), [(2**63, "note-malformed"), (10**15, "note-signature-invalid")])
def test_a_time_beyond_all_calendars_is_refused(seconds: int, code: str) -> None:
    """However well it is signed."""
    key = generate_key(b"\x02" * 32)
    signature = key.sign(f"cosignature/v1\ntime {seconds}\n{TEXT}".encode())
    line = signature_line(W1.verifier.name, W1.verifier.key_id + seconds.to_bytes(8, "big") + signature)
    with pytest.raises(LedgerError) as caught:
        find_cosignature(TEXT, line, W1.verifier)
    assert caught.value.code == code
