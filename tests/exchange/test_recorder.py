"""Unsigned feedback becomes a receipt that says whose word it is, and never more than was told."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest

from gateway.errors import ExchangeError, PackageError
from gateway.exchange.recorder import REJECTED, Recorder, Told
from gateway.package.batch import build_batch
from gateway.package.container import BATCH
from gateway.package.receipt import Outcome, Result, SentBatch, check_receipt
from gateway.package.sealing import seal
from tests.delivery.organisation import SetClock
from tests.package.samples import NOW, RECEIVER, draft, ecdsa, lines, stranger

PACKAGE = seal(BATCH, build_batch(draft(), lines()).xml, ecdsa().signer, NOW)
HEADER = build_batch(draft(), lines()).header
FIRST, SECOND, THIRD, FOURTH = (
    "黑交许可〔2026〕1号",
    'a "quoted" <key> & more\n',
    "黑交许可〔2026〕3号",
    "黑交许可〔2026〕4号",
)
VERSIONS = {FIRST: 3, SECOND: 1, THIRD: 4, FOURTH: 2}
ALL = [Told(key=key, accepted=True) for key in VERSIONS]
SENT = SentBatch(
    batch_id=HEADER.batch_id,
    route=HEADER.route,
    sequence=HEADER.sequence,
    package_sha256=sha256(PACKAGE).hexdigest(),
    total=4,
    checkpoint=HEADER.checkpoint,
    receiver_code=RECEIVER.code,
    version_of=VERSIONS.get,
    taken_down=True,
)


def recorder() -> Recorder:
    return Recorder(receiver=RECEIVER, signer=ecdsa().signer, clock=SetClock())


def test_what_was_taken_is_told_apart_by_what_it_is() -> None:
    checked = check_receipt(recorder().take_down(PACKAGE, ALL, b"raw"), SENT, [ecdsa().certificate])
    figures = checked.receipt.figures
    assert (figures.total, figures.created, figures.updated, figures.withdrawn, figures.rejected) == (4, 1, 1, 2, 0)
    assert checked.receipt.feedback_sha256 == sha256(b"raw").hexdigest()
    assert checked.receipt.sender_checkpoint == "", "nobody but the receiver can say that it holds our checkpoint"
    assert checked.receipt.receiver == RECEIVER


def test_a_rejection_keeps_the_receiver_s_words() -> None:
    told = [
        Told(key=FIRST, accepted=False, code="E-003", field="XK_WSH", message="文号\x00重复"),
        Told(key=SECOND, accepted=False, code="key-duplicate", message="x" * 3000),
        *ALL[2:],
    ]
    outcomes = check_receipt(recorder().take_down(PACKAGE, told, b""), SENT, [ecdsa().certificate]).receipt.outcomes
    assert outcomes == (
        Outcome(
            key=FIRST, version=3, result=Result.REJECTED, code=REJECTED, field="XK_WSH", message="E-003 文号\ufffd重复"
        ),
        Outcome(key=SECOND, version=1, result=Result.REJECTED, code="key-duplicate", message="x" * 2000),
    )


@pytest.mark.parametrize(
    ("told", "code"),
    [
        (ALL[:3], "feedback-incomplete"),
        ([*ALL, Told(key="not ours", accepted=True)], "feedback-record-unknown"),
        ([*ALL, ALL[0]], "feedback-record-repeated"),
    ],
)
def test_feedback_that_is_not_about_this_batch_makes_no_receipt(told: list[Told], code: str) -> None:
    with pytest.raises(ExchangeError) as refused:
        recorder().take_down(PACKAGE, told, b"")
    assert refused.value.code == code
    assert "not ours" not in str(refused.value)


def test_neither_kind_of_receipt_passes_for_the_other() -> None:
    """A peer that signs must sign; what we wrote ourselves never stands in for it."""
    taken_down = recorder().take_down(PACKAGE, ALL, b"raw")
    with pytest.raises(PackageError, match="receipt-taken-down"):
        check_receipt(taken_down, replace(SENT, taken_down=False), [ecdsa().certificate])
    with pytest.raises(PackageError, match="signer"):
        check_receipt(taken_down, replace(SENT, taken_down=False), [stranger().certificate])
    signed = recorder().take_down(PACKAGE, ALL, b"raw")
    with pytest.raises(PackageError, match="receipt-package-digest"):
        check_receipt(signed, replace(SENT, package_sha256="0" * 64), [ecdsa().certificate])
