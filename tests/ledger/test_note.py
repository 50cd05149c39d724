"""Signed notes: the examples of the specification, and everything that is not quite a note."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import LedgerError
from gateway.ledger.keys import generate_key
from gateway.ledger.note import MAX_NOTE_BYTES, NoteSigner, VerifierKey, open_note, sign_note

# The example of C2SP signed-note.
SPEC_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_TEXT = "This is an example message.\n"
SPEC_LINE = (
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
SPEC_NOTE = f"{SPEC_TEXT}\n{SPEC_LINE}".encode()

# A key whose private half is public: the one that Go's golang.org/x/mod/sumdb/note documents.
PUBLIC_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
PUBLIC_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PUBLIC_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PUBLIC_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)

OURS = NoteSigner("我们/台账", generate_key(b"\x01" * 32))
THEIRS = NoteSigner("witness.example/w", generate_key(b"\x02" * 32))


def refusal(note: bytes, known: list[VerifierKey]) -> str:
    with pytest.raises(LedgerError) as caught:
        open_note(note, known)
    return caught.value.code


def test_the_example_of_the_specification() -> None:
    key = VerifierKey.parse(SPEC_KEY)
    assert str(key) == SPEC_KEY
    assert open_note(SPEC_NOTE, [key]) == (SPEC_TEXT, (key,))


def test_signing_gives_the_bytes_that_go_gives() -> None:
    signer = NoteSigner("PeterNeumann", generate_key(PUBLIC_SEED))
    assert str(signer.verifier) == PUBLIC_KEY
    assert sign_note(PUBLIC_TEXT, [signer]).decode() == f"{PUBLIC_TEXT}\n{PUBLIC_LINE}"


def test_empty_lines_belong_to_the_text() -> None:
    text = "\nfirst\n\n\nlast\n"
    assert open_note(sign_note(text, [OURS]), [OURS.verifier])[0] == text


def test_unknown_signatures_are_passed_over() -> None:
    note = sign_note("text\n", [THEIRS, OURS])
    assert open_note(note, [OURS.verifier]) == ("text\n", (OURS.verifier,))
    assert open_note(note, [OURS.verifier, THEIRS.verifier])[1] == (THEIRS.verifier, OURS.verifier)
    assert refusal(note, []) == "note-unsigned"
    same_name = NoteSigner(OURS.verifier.name, generate_key(b"\x03" * 32))
    assert refusal(note, [same_name.verifier]) == "note-unsigned"


def test_a_repeated_signature_counts_once() -> None:
    note = sign_note("text\n", [OURS])
    line = note.split(b"\n\n")[1]
    assert open_note(note + line * 3, [OURS.verifier])[1] == (OURS.verifier,)


def test_one_bad_signature_of_a_known_key_refuses_the_note() -> None:
    forged = sign_note("other\n", [OURS]).split(b"\n\n")[1]
    note = sign_note("text\n", [THEIRS])
    assert refusal(note + forged, [OURS.verifier, THEIRS.verifier]) == "note-signature-invalid"
    assert open_note(note + forged, [THEIRS.verifier])[0] == "text\n"


def test_a_key_bound_to_ed25519_takes_no_other_length() -> None:
    head = base64.b64encode(OURS.verifier.key_id + b"\x00" * 63).decode()
    assert refusal(f"text\n\n— {OURS.verifier.name} {head}\n".encode(), [OURS.verifier]) == "note-signature-invalid"


@given(st.data())
@settings(max_examples=200)
def test_any_flipped_bit_is_refused(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(SPEC_NOTE) * 8 - 1))
    broken = bytearray(SPEC_NOTE)
    broken[at // 8] ^= 1 << at % 8
    assert refusal(bytes(broken), [VerifierKey.parse(SPEC_KEY)]).startswith("note-")


@pytest.mark.parametrize("end", range(len(SPEC_NOTE)))
def test_a_cut_note_is_refused(end: int) -> None:
    assert refusal(SPEC_NOTE[:end], [VerifierKey.parse(SPEC_KEY)]) == "note-malformed"


SIGNATURE = SPEC_LINE.split(" ")[2].strip()


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\n\n",
        SPEC_TEXT.encode(),
        SPEC_TEXT.encode() + b"\n",
        SPEC_LINE.encode(),
        SPEC_NOTE + b"\n",
        SPEC_NOTE + b"trailing\n",
        SPEC_NOTE.replace(b"\n", b"\r\n"),
        SPEC_NOTE.replace(b"message", b"mess\x00ge"),
        SPEC_NOTE.replace(b"message", b"mess\xffge"),
        SPEC_NOTE.replace("—".encode(), b"-"),
        SPEC_NOTE.replace("— ".encode(), "—".encode()),
        SPEC_NOTE.replace(b"com/foo ", b"com/foo  "),
        SPEC_NOTE.replace(b"com/foo ", "com/foo\u00a0".encode()),
        SPEC_NOTE.replace(b"example.com/foo ", b" "),
        SPEC_NOTE.replace(b"com/foo", b"com+foo"),
        SPEC_NOTE.replace(SIGNATURE.encode(), b""),
        SPEC_NOTE.replace(SIGNATURE.encode(), b"AAAA"),
        SPEC_NOTE.replace(SIGNATURE.encode(), b"AAAAAA=="),
        SPEC_NOTE.replace(SIGNATURE.encode(), SIGNATURE.encode().rstrip(b"=")),
        SPEC_NOTE.replace(b"aQM=", b"aQN="),  # stray bits in the last digit
        SPEC_NOTE.replace(SIGNATURE.encode(), SIGNATURE.replace("/", "_").encode() + b" "),
        SPEC_NOTE + SPEC_LINE.encode() * 100,
        b"x" * MAX_NOTE_BYTES + SPEC_NOTE,
    ],
)
def test_what_is_not_a_note_is_refused(note: bytes) -> None:
    assert refusal(note, [VerifierKey.parse(SPEC_KEY)]) == "note-malformed"


def test_sixteen_large_signatures_are_taken() -> None:
    large = base64.b64encode(b"\x00" * 5_000).decode()
    lines = "".join(f"— witness.example/{number} {large}\n" for number in range(16))
    assert open_note(SPEC_NOTE + lines.encode(), [VerifierKey.parse(SPEC_KEY)])[0] == SPEC_TEXT


@pytest.mark.parametrize("text", ["", "no newline", "tab\tinside\n", "surrogate \ud800\n"])
def test_a_text_that_no_note_can_carry_is_not_signed(text: str) -> None:
    with pytest.raises(LedgerError, match="note-malformed"):
        sign_note(text, [OURS])
    with pytest.raises(LedgerError, match="note-malformed"):
        sign_note("text\n", [])


def test_mangled_verifier_keys_are_refused() -> None:
    for start in range(len(PUBLIC_KEY)):
        for end in range(start + 1, len(PUBLIC_KEY) + 1):
            if (start, end) != (0, len(PUBLIC_KEY)):
                with pytest.raises(LedgerError, match="verifier-key-invalid"):
                    VerifierKey.parse(PUBLIC_KEY[start:end])
    for at in range(len(PUBLIC_KEY)):
        with pytest.raises(LedgerError, match="verifier-key-invalid"):
            VerifierKey.parse(PUBLIC_KEY[:at] + chr(ord(PUBLIC_KEY[at]) + 1) + PUBLIC_KEY[at + 1 :])


@pytest.mark.parametrize(
    "text",
    [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",  # a key too long, with its own hash
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",  # unknown algorithm, with its own hash
        PUBLIC_KEY.replace("c74f20a3", "C74F20A3"),
        PUBLIC_KEY + "\n",
        " " + PUBLIC_KEY,
    ],
)
def test_other_forms_of_a_verifier_key_are_refused(text: str) -> None:
    with pytest.raises(LedgerError, match="verifier-key-invalid"):
        VerifierKey.parse(text)


def test_ambiguous_keys_are_told() -> None:
    class Colliding(VerifierKey):
        """Another public key under the same name and id, as somebody could search for."""

        @property
        def key_id(self) -> bytes:
            return OURS.verifier.key_id

    other = Colliding(name=OURS.verifier.name, public=THEIRS.verifier.public)
    assert refusal(sign_note("text\n", [OURS]), [OURS.verifier, other]) == "verifier-key-ambiguous"
    assert open_note(sign_note("text\n", [OURS]), [OURS.verifier, OURS.verifier])[1] == (OURS.verifier,)
