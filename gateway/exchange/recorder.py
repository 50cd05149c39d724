"""A receiver that answers by unsigned feedback (a file, a table) has it taken down: as a receipt of ours that says so.

The receipt names the receiver, carries the digest of the feedback as it was read, and is sealed with our own key. It closes the batch like
any other; that the receiver said it cannot be proved by it, and neither the ledger nor the verifier claims so.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.clock import Clock
from gateway.errors import ExchangeError
from gateway.package.batch import parse_batch
from gateway.package.characters import CANNOT_CARRY
from gateway.package.cms import Signer
from gateway.package.container import RECEIPT, open_package
from gateway.package.forms import CODE, Node
from gateway.package.receipt import Figures, Outcome, Receipt, Result, build_receipt, verdict_of
from gateway.package.record import BatchRecord, Operation
from gateway.package.sealing import seal

__all__ = ["REJECTED", "Recorder", "Told"]

REJECTED: Final = "receiver-rejected"
"""The code of a rejection whose own code is none of our form; that one then stands in the message."""

_NO_TEXT: Final = re.compile(f"[{CANNOT_CARRY}]")
_LONGEST: Final = 2_000
_LONGEST_FIELD: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the feedback says of one record of the batch: whether it was taken, and if not, why, in the receiver's own words."""

    key: str
    accepted: bool
    code: str = ""
    field: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """Takes down what ``receiver`` tells, sealed by ``signer``: ours."""

    receiver: Node
    signer: Signer
    clock: Clock

    def take_down(self, package: bytes, told: Iterable[Told], feedback: bytes) -> bytes:
        """The sealed receipt for our sealed ``package``. ``told`` speaks of every record once; ``feedback`` are the bytes it was read from.

        A receiver that only says that a record was taken does not tell new ones from changed ones: a first version counts as created, a
        later one as updated. Raises ExchangeError ``feedback-record-unknown``, ``feedback-record-repeated``, ``feedback-incomplete``,
        PackageError.
        """
        batch = parse_batch(open_package(package).document)
        header = batch.header
        word = _by_key(told, {record.key for record in batch.records})
        missing = sum(1 for record in batch.records if record.key not in word)
        if missing:
            raise ExchangeError("feedback-incomplete", batch=header.batch_id, total=len(batch.records), missing=missing)
        results = {record.key: _result(record, word[record.key]) for record in batch.records}
        counted = Counter(results.values())
        figures = Figures(total=len(results), **{result.value: counted[result] for result in Result})
        now = self.clock.now()
        document = build_receipt(
            Receipt(
                batch_id=header.batch_id,
                route=header.route,
                sequence=header.sequence,
                package_sha256=hashlib.sha256(package).hexdigest(),
                receiver=self.receiver,
                received_at=now,
                verdict=verdict_of(figures),
                figures=figures,
                outcomes=[
                    _outcome(record, word[record.key])
                    for record in batch.records
                    if results[record.key] is Result.REJECTED
                ],
                feedback_sha256=hashlib.sha256(feedback).hexdigest(),
            )
        )
        return seal(RECEIPT, document, self.signer, now)


def _by_key(told: Iterable[Told], known: set[str]) -> dict[str, Told]:
    found: dict[str, Told] = {}
    for number, one in enumerate(told, start=1):
        if one.key not in known:
            raise ExchangeError("feedback-record-unknown", number=number)
        if one.key in found:
            raise ExchangeError("feedback-record-repeated", number=number)
        found[one.key] = one
    return found


def _result(record: BatchRecord, told: Told) -> Result:
    if not told.accepted:
        return Result.REJECTED
    if record.op is not Operation.UPSERT:
        return Result.WITHDRAWN
    return Result.CREATED if record.version == 1 else Result.UPDATED


def _outcome(record: BatchRecord, told: Told) -> Outcome:
    """The receiver's words as an outcome; what cannot stand in a receipt is replaced or cut, never a reason to lose the rest."""
    ours = CODE.pattern.fullmatch(told.code) is not None
    message = told.message if ours else " ".join(part for part in (told.code, told.message) if part)
    return Outcome(
        key=record.key,
        version=record.version,
        result=Result.REJECTED,
        code=told.code if ours else REJECTED,
        field=_carried(told.field, _LONGEST_FIELD),
        message=_carried(message, _LONGEST),
    )


def _carried(text: str, longest: int) -> str:
    return _NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", text)[:longest]
