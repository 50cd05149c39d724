"""A receipt: the receiver's answer to one batch, with its figures and every record that did not simply go through.

The receiver builds and seals it; the sender checks that it is the peer's sealed answer to exactly what was sent. Where a receiver gives
feedback without signing it, the sender takes it down in a receipt that says so, and seals that itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hmac import compare_digest

from gateway.errors import PackageError
from gateway.package.certificates import Certificate
from gateway.package.cms import SignedBy
from gateway.package.container import RECEIPT
from gateway.package.elements import DECLARATION, Element, read_elements, require_utf8
from gateway.package.forms import (
    BATCH_ID,
    CHECKPOINT,
    CODE,
    EXPLANATION,
    FIELD,
    FIGURE,
    KEY,
    LABEL,
    NAME,
    ORDINAL,
    ROUTE,
    SHA256,
    Form,
    Node,
    read_instant,
    write_instant,
)
from gateway.package.limits import Limits
from gateway.package.sealing import unseal

__all__ = [
    "CheckedReceipt",
    "Figures",
    "Outcome",
    "Receipt",
    "Result",
    "SentBatch",
    "Verdict",
    "balance",
    "build_receipt",
    "check_receipt",
    "parse_receipt",
    "verdict_of",
]

_NAMESPACE = "urn:credit-exchange:receipt:1"
_PARTS = (
    "BatchId",
    "Route",
    "Sequence",
    "PackageSha256",
    "Receiver",
    "ReceivedAt",
    "Verdict",
    "Count",
    "SenderCheckpoint",
    "ReceiverCheckpoint",
    "Outcomes",
)
_TAKEN_DOWN = "TakenDown"
_FEEDBACK = "feedbackSha256"
_FIGURES = ("total", "created", "updated", "unchanged", "withdrawn", "rejected")
_OUTCOME = ("key", "version", "result", "code", "field")


class Verdict(StrEnum):
    """What became of the batch as a whole; it follows from the figures."""

    ACCEPTED = "accepted"
    PARTLY_ACCEPTED = "partly-accepted"
    REFUSED = "refused"


class Result(StrEnum):
    """What became of one record."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    WITHDRAWN = "withdrawn"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How many records came, and what became of them. ``total`` is what the receiver counted, not the sum of the rest."""

    total: int
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    withdrawn: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One record that did not simply go through. ``field`` is the format's name for the field at fault, or empty."""

    key: str
    version: int
    result: Result
    code: str
    field: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The whole receipt. ``package_sha256`` is that of the package's bytes as they arrived; times are written to the second.

    ``feedback_sha256`` is "" in what a receiver says itself; in what the sender took down it is the digest (hex) of the feedback as read.
    """

    batch_id: str
    route: str
    sequence: int
    package_sha256: str
    receiver: Node
    received_at: datetime
    verdict: Verdict
    figures: Figures
    sender_checkpoint: str = ""
    receiver_checkpoint: str = ""
    outcomes: Sequence[Outcome] = ()
    feedback_sha256: str = ""


def verdict_of(figures: Figures) -> Verdict:
    """Refused when every record (of at least one) was rejected, partly accepted when some were, accepted when none was."""
    if not figures.rejected:
        return Verdict.ACCEPTED
    return Verdict.REFUSED if figures.rejected == figures.total else Verdict.PARTLY_ACCEPTED


def balance(receipt: Receipt) -> None:
    """Whether the receipt agrees with itself.

    Raises PackageError ``receipt-figures`` when the results do not add up to the total, ``receipt-verdict`` when the verdict does not
    follow from them, ``receipt-outcomes`` when the outcomes cannot be those of the figures, ``receipt-outcome-repeated``.
    """
    figures = receipt.figures
    added = figures.created + figures.updated + figures.unchanged + figures.withdrawn + figures.rejected
    if figures.total != added:
        raise PackageError("receipt-figures", total=figures.total, added=added)
    if receipt.verdict is not verdict_of(figures):
        raise PackageError("receipt-verdict", expected=verdict_of(figures).value, found=receipt.verdict.value)
    if len({outcome.key for outcome in receipt.outcomes}) != len(receipt.outcomes):
        raise PackageError("receipt-outcome-repeated")
    listed = Counter(outcome.result.value for outcome in receipt.outcomes)
    for result in Result:
        figure: int = getattr(figures, result.value)
        # Every rejected record is listed; of the others only those that need a word (superseded, not held).
        if listed[result.value] > figure or (result is Result.REJECTED and listed[result.value] != figure):
            raise PackageError("receipt-outcomes", result=result.value, figure=figure, listed=listed[result.value])


def build_receipt(receipt: Receipt) -> bytes:
    """The document.

    Raises PackageError ``document-value``, ``character-not-xml``, or what :func:`balance` raises: no receipt goes out that its
    reader would have to call void.
    """
    balance(receipt)
    figures = " ".join(
        f'{name}="{_write(FIGURE, str(getattr(receipt.figures, name)), f"Count/@{name}")}"' for name in _FIGURES
    )
    code = _write(NAME, receipt.receiver.code, "Receiver/@code")
    name = _write(LABEL, receipt.receiver.name, "Receiver/@name")
    lines = [
        f'<Receipt xmlns="{_NAMESPACE}">',
        f"<BatchId>{_write(BATCH_ID, receipt.batch_id, 'BatchId')}</BatchId>",
        f"<Route>{_write(ROUTE, receipt.route, 'Route')}</Route>",
        f"<Sequence>{_write(ORDINAL, str(receipt.sequence), 'Sequence')}</Sequence>",
        f"<PackageSha256>{_write(SHA256, receipt.package_sha256, 'PackageSha256')}</PackageSha256>",
        f'<Receiver code="{code}" name="{name}"/>',
        f"<ReceivedAt>{write_instant(receipt.received_at)}</ReceivedAt>",
        f"<Verdict>{receipt.verdict.value}</Verdict>",
        f"<Count {figures}/>",
        f"<SenderCheckpoint>{_write(CHECKPOINT, receipt.sender_checkpoint, 'SenderCheckpoint')}</SenderCheckpoint>",
        f"<ReceiverCheckpoint>{_write(CHECKPOINT, receipt.receiver_checkpoint, 'ReceiverCheckpoint')}</ReceiverCheckpoint>",
        "<Outcomes>",
        *(_write_outcome(outcome) for outcome in receipt.outcomes),
        "</Outcomes>",
        *_write_taken_down(receipt),
        "</Receipt>",
        "",
    ]
    return DECLARATION + "\n".join(lines).encode("utf-8")


def parse_receipt(xml: bytes, *, limits: Limits | None = None) -> Receipt:
    """What the receipt says. Whether that agrees with itself and with what was sent is for :func:`check_receipt`.

    Raises PackageError with a ``document-…`` code.
    """
    limits = limits or Limits()
    if len(xml) > limits.receipt_bytes:
        raise PackageError("document-too-large", document=RECEIPT, limit=limits.receipt_bytes)
    require_utf8(xml, RECEIPT)
    elements = limits.records + len(_PARTS) + 2
    root = read_elements(xml, document=RECEIPT, namespace=_NAMESPACE, elements=elements)
    root.called("Receipt")
    parts = root.only(_PARTS, optional=[_TAKEN_DOWN])
    outcomes = parts["Outcomes"].each("Outcome")
    if len(outcomes) > limits.records:
        raise PackageError("document-too-complex", document=RECEIPT)
    figures = parts["Count"].facts(*_FIGURES)
    receiver = parts["Receiver"].facts("code", "name")
    taken_down = parts.get(_TAKEN_DOWN)
    feedback = "" if taken_down is None else taken_down.facts(_FEEDBACK)[_FEEDBACK]
    return Receipt(
        batch_id=_read(BATCH_ID, parts["BatchId"].value(), "BatchId"),
        route=_read(ROUTE, parts["Route"].value(), "Route"),
        sequence=int(_read(ORDINAL, parts["Sequence"].value(), "Sequence")),
        package_sha256=_read(SHA256, parts["PackageSha256"].value(), "PackageSha256"),
        receiver=Node(
            code=_read(NAME, receiver["code"], "Receiver/@code"), name=_read(LABEL, receiver["name"], "Receiver/@name")
        ),
        received_at=read_instant(parts["ReceivedAt"].value(), document=RECEIPT, place="ReceivedAt"),
        verdict=Verdict(_one_of(Verdict, parts["Verdict"].value(), "Verdict")),
        figures=Figures(**{name: int(_read(FIGURE, figures[name], f"Count/@{name}")) for name in _FIGURES}),
        sender_checkpoint=_read(CHECKPOINT, parts["SenderCheckpoint"].value(), "SenderCheckpoint"),
        receiver_checkpoint=_read(CHECKPOINT, parts["ReceiverCheckpoint"].value(), "ReceiverCheckpoint"),
        outcomes=tuple(map(_read_outcome, outcomes)),
        feedback_sha256=feedback and _read(SHA256, feedback, f"{_TAKEN_DOWN}/@{_FEEDBACK}"),
    )


def _write_taken_down(receipt: Receipt) -> list[str]:
    if not receipt.feedback_sha256:
        return []
    digest = _write(SHA256, receipt.feedback_sha256, f"{_TAKEN_DOWN}/@{_FEEDBACK}")
    return [f'<{_TAKEN_DOWN} {_FEEDBACK}="{digest}"/>']


def _write_outcome(outcome: Outcome) -> str:
    attributes = {
        "key": _write(KEY, outcome.key, "Outcome/@key"),
        "version": _write(ORDINAL, str(outcome.version), "Outcome/@version"),
        "result": outcome.result.value,
        "code": _write(CODE, outcome.code, "Outcome/@code"),
        "field": _write(FIELD, outcome.field, "Outcome/@field"),
    }
    facts = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    return f"<Outcome {facts}>{_write(EXPLANATION, outcome.message, 'Outcome')}</Outcome>"


def _read_outcome(element: Element) -> Outcome:
    facts = element.leaf(*_OUTCOME)
    return Outcome(
        key=_read(KEY, facts["key"], "Outcome/@key"),
        version=int(_read(ORDINAL, facts["version"], "Outcome/@version")),
        result=Result(_one_of(Result, facts["result"], "Outcome/@result")),
        code=_read(CODE, facts["code"], "Outcome/@code"),
        field=_read(FIELD, facts["field"], "Outcome/@field"),
        message=_read(EXPLANATION, element.text, "Outcome"),
    )


def _one_of(kind: type[Verdict | Result], value: str, place: str) -> str:
    allowed = [member.value for member in kind]
    if value not in allowed:
        raise PackageError("document-value", document=RECEIPT, place=place, expected=" | ".join(allowed))
    return value


def _read(form: Form, value: str, place: str) -> str:
    return form.read(value, document=RECEIPT, place=place)


def _write(form: Form, value: str, place: str) -> str:
    return form.write(value, document=RECEIPT, place=place)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentBatch:
    """What the sender knows of the batch that it sent.

    ``checkpoint`` is what the batch's header carried, ``receiver_code`` the peer's code. ``version_of`` tells the version of a
    key in the batch, None for a key that is not in it (``versions.get`` of a dictionary will do). ``taken_down`` says that this receiver's
    receipts are taken down by the sender; nobody but the receiver can echo a checkpoint, so these echo none.
    """

    batch_id: str
    route: str
    sequence: int
    package_sha256: str
    total: int
    checkpoint: str
    receiver_code: str
    version_of: Callable[[str], int | None]
    taken_down: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedReceipt:
    """A receipt that holds. ``receipt_sha256`` is that of the sealed receipt's bytes."""

    receipt: Receipt
    signed_by: SignedBy
    receipt_sha256: str
    manifest_sha256: str


def check_receipt(
    package: bytes,
    sent: SentBatch,
    trusted: Sequence[Certificate],
    *,
    limits: Limits | None = None,
    now: datetime | None = None,
) -> CheckedReceipt:
    """Verify the sealed receipt ``package`` for the batch ``sent``; ``trusted`` are the peer's pinned certificates.

    The first step that fails raises PackageError; absence fails. Steps 1 to 3 raise the codes of :func:`gateway.package.sealing.unseal`.
    """
    # 1. container  2. signature  3. the signer is the peer
    unsealed = unseal(package, RECEIPT, trusted, limits=limits, now=now)
    receipt = parse_receipt(unsealed.document, limits=limits)
    if receipt.receiver.code != sent.receiver_code:
        raise PackageError("receipt-receiver", expected=sent.receiver_code, found=receipt.receiver.code)
    if bool(receipt.feedback_sha256) != sent.taken_down:
        raise PackageError("receipt-taken-down" if receipt.feedback_sha256 else "receipt-not-taken-down")
    # 4. it answers this batch, in its place on its route
    if receipt.batch_id != sent.batch_id:
        raise PackageError("receipt-batch-id", expected=sent.batch_id, found=receipt.batch_id)
    if receipt.route != sent.route:
        raise PackageError("receipt-route", expected=sent.route, found=receipt.route)
    if receipt.sequence != sent.sequence:
        raise PackageError("receipt-sequence", expected=sent.sequence, found=receipt.sequence)
    # 5. the bytes that arrived are the bytes that were sent
    if not compare_digest(receipt.package_sha256, sent.package_sha256):
        raise PackageError("receipt-package-digest", expected=sent.package_sha256, found=receipt.package_sha256)
    # 6. the figures balance, among themselves and with the batch
    balance(receipt)
    if receipt.figures.total != sent.total:
        raise PackageError("receipt-total", expected=sent.total, found=receipt.figures.total)
    # 7. every outcome names a record of the batch
    for ordinal, outcome in enumerate(receipt.outcomes, start=1):
        if sent.version_of(outcome.key) != outcome.version:
            raise PackageError("receipt-outcome-unknown", outcome=ordinal)
    # 8. our checkpoint comes back as it went
    if receipt.sender_checkpoint != ("" if sent.taken_down else sent.checkpoint):
        raise PackageError("receipt-checkpoint")
    return CheckedReceipt(
        receipt=receipt,
        signed_by=unsealed.signed_by,
        receipt_sha256=unsealed.package_sha256,
        manifest_sha256=unsealed.manifest_sha256,
    )
