"""Checkpoints: the example of the specification, and everything that is not quite one."""

from __future__ import annotations

import base64

import pytest

from gateway.errors import LedgerError
from gateway.ledger.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint, sign_checkpoint
from gateway.ledger.keys import generate_key
from gateway.ledger.note import NoteSigner, sign_note
from gateway.ledger.tree import EMPTY_ROOT

# The text of the example of C2SP tlog-checkpoint.
SPEC_TEXT = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
ROOT = base64.b64decode("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=")
SIGNER = NoteSigner("example.com/behind-the-sofa", generate_key(b"\x01" * 32))


def test_the_example_of_the_specification() -> None:
    checkpoint = Checkpoint(origin="example.com/behind-the-sofa", size=20_852_163, root=ROOT)
    assert parse_checkpoint(SPEC_TEXT) == checkpoint
    assert checkpoint.text() == SPEC_TEXT


def test_signing_is_deterministic_and_opens() -> None:
    checkpoint = parse_checkpoint(SPEC_TEXT)
    note = sign_checkpoint(checkpoint, SIGNER)
    assert note == sign_checkpoint(checkpoint, SIGNER)
    assert open_checkpoint(note, [SIGNER.verifier], checkpoint.origin) == checkpoint


def test_another_logs_checkpoint_is_refused_though_we_signed_it() -> None:
    note = sign_checkpoint(Checkpoint(origin="example.com/other", size=1, root=ROOT), SIGNER)
    with pytest.raises(LedgerError, match="checkpoint-of-other-log"):
        open_checkpoint(note, [SIGNER.verifier], "example.com/behind-the-sofa")


def test_a_signed_text_that_is_no_checkpoint_is_refused() -> None:
    with pytest.raises(LedgerError, match="checkpoint-malformed"):
        open_checkpoint(sign_note("origin\n1\n", [SIGNER]), [SIGNER.verifier], "origin")


def test_extension_lines_are_kept() -> None:
    checkpoint = parse_checkpoint(SPEC_TEXT + "one\ntwo\n")
    assert checkpoint.extensions == ("one", "two")
    assert checkpoint.text() == SPEC_TEXT + "one\ntwo\n"


def test_the_empty_log() -> None:
    assert parse_checkpoint(Checkpoint(origin="o", size=0, root=EMPTY_ROOT).text()).size == 0


LINES = SPEC_TEXT.split("\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n\n",
        SPEC_TEXT.rstrip("\n"),
        SPEC_TEXT + "\n",
        "\n".join(["", *LINES[1:]]),
        *(
            "\n".join([LINES[0], size, *LINES[2:]])
            for size in (
                "",
                "-1",
                "+1",
                "01",
                "00",
                "1 ",
                " 1",
                "1.0",
                "1e3",
                "0x1",
                "1_0",
                "١",
                "９",
                str(2**53),
                "9" * 16,
                "9" * 5000,
            )
        ),
        *(
            "\n".join([*LINES[:2], root, *LINES[3:]])
            for root in (
                "",
                "AAAA",
                LINES[2].rstrip("="),
                LINES[2].replace("2I=", "2J="),
                LINES[2] + " ",
                LINES[2].replace("/", "_"),
                ROOT.hex(),
                base64.b64encode(ROOT + b"\x00").decode(),
                base64.b64encode(ROOT[:-1]).decode(),
            )
        ),
        SPEC_TEXT.replace("20852163", "0"),  # a root over nothing that is not the empty root
    ],
)
def test_what_is_not_a_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(LedgerError, match="checkpoint-malformed"):
        parse_checkpoint(text)


def test_a_checkpoint_that_no_text_can_carry_is_refused() -> None:
    for origin, size, root, extensions in [
        ("", 1, ROOT, ()),
        ("two\nlines", 1, ROOT, ()),
        ("o", -1, ROOT, ()),
        ("o", 1, ROOT[1:], ()),
        ("o", 1, ROOT, ("",)),
    ]:
        with pytest.raises(LedgerError, match="checkpoint-malformed"):
            Checkpoint(origin=origin, size=size, root=root, extensions=extensions)
