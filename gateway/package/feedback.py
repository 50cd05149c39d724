"""Later feedback: what became, further up, of records that a receiver had taken and passed on. Sealed by the receiver, asked for by the sender.

Its outcomes are numbered 1, 2, 3 … for a route without a gap, so that a sender asks for what comes after the last one that it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.errors import PackageError
from gateway.package.certificates import Certificate
from gateway.package.cms import SignedBy
from gateway.package.container import FEEDBACK
from gateway.package.elements import DECLARATION, Element, read_elements, require_utf8
from gateway.package.forms import (
    CODE,
    EXPLANATION,
    FIELD,
    FIGURE,
    KEY,
    LABEL,
    NAME,
    ORDINAL,
    ROUTE,
    Form,
    Node,
    read_instant,
    write_instant,
)
from gateway.package.limits import Limits
from gateway.package.sealing import unseal

__all__ = [
    "ACCEPTED",
    "MOST_OUTCOMES",
    "REJECTED",
    "CheckedFeedback",
    "Feedback",
    "LaterOutcome",
    "build_feedback",
    "check_feedback",
]

REJECTED, ACCEPTED = "rejected", "accepted"
MOST_OUTCOMES = 1_000
"""No document has more; what is left comes with the next one."""

_NAMESPACE = "urn:credit-exchange:feedback:1"
_PARTS = ("Route", "Receiver", "MadeAt", "After", "Outcomes")
_OUTCOME = ("number", "key", "version", "result", "code", "field", "level", "levelName")


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterOutcome:
    """What the node ``level`` said of a record: ``rejected`` with its own code and message, or ``accepted`` after it had been rejected.

    ``key`` and ``version`` are those that the record has on the route.
    """

    number: int
    key: str
    version: int
    result: str
    code: str
    field: str
    message: str
    level: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """The outcomes of ``route`` behind number ``after``, in order, as ``receiver`` knows them at ``made_at``."""

    route: str
    receiver: Node
    made_at: datetime
    after: int
    outcomes: Sequence[LaterOutcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedFeedback:
    """Feedback that holds, and who sealed it."""

    feedback: Feedback
    signed_by: SignedBy
    sha256: str


def build_feedback(feedback: Feedback) -> bytes:
    """The document. Raises PackageError ``document-value``, ``character-not-xml``."""
    code = _write(NAME, feedback.receiver.code, "Receiver/@code")
    name = _write(LABEL, feedback.receiver.name, "Receiver/@name")
    lines = [
        f'<Feedback xmlns="{_NAMESPACE}">',
        f"<Route>{_write(ROUTE, feedback.route, 'Route')}</Route>",
        f'<Receiver code="{code}" name="{name}"/>',
        f"<MadeAt>{write_instant(feedback.made_at)}</MadeAt>",
        f"<After>{_write(FIGURE, str(feedback.after), 'After')}</After>",
        "<Outcomes>",
        *(_write_outcome(one) for one in feedback.outcomes),
        "</Outcomes>",
        "</Feedback>",
        "",
    ]
    return DECLARATION + "\n".join(lines).encode("utf-8")


def check_feedback(
    data: bytes,
    trusted: Sequence[Certificate],
    *,
    route: str,
    receiver: str,
    after: int,
    now: datetime | None = None,
    limits: Limits | None = None,
) -> CheckedFeedback:
    """Feedback held against the question: sealed by the peer, for this route, by this receiver (code), numbered on from ``after``.

    Raises PackageError: as :func:`gateway.package.sealing.unseal`, ``document-…``, ``feedback-other-route``, ``feedback-gap``.
    """
    unsealed = unseal(data, FEEDBACK, trusted, limits=limits, now=now)
    found = _parse(unsealed.document)
    if (found.route, found.receiver.code) != (route, receiver):
        raise PackageError(
            "feedback-other-route", expected=f"{route} {receiver}", found=f"{found.route} {found.receiver.code}"
        )
    numbers = [one.number for one in found.outcomes]
    if found.after != after or not numbers or numbers != list(range(after + 1, after + len(numbers) + 1)):
        raise PackageError("feedback-gap", expected=after + 1, found=numbers[0] if numbers else "-")
    return CheckedFeedback(feedback=found, signed_by=unsealed.signed_by, sha256=unsealed.package_sha256)


def _parse(xml: bytes) -> Feedback:
    require_utf8(xml, FEEDBACK)
    root = read_elements(xml, document=FEEDBACK, namespace=_NAMESPACE, elements=MOST_OUTCOMES + len(_PARTS) + 1)
    root.called("Feedback")
    parts = root.only(_PARTS)
    receiver = parts["Receiver"].facts("code", "name")
    return Feedback(
        route=_read(ROUTE, parts["Route"].value(), "Route"),
        receiver=Node(
            code=_read(NAME, receiver["code"], "Receiver/@code"), name=_read(LABEL, receiver["name"], "Receiver/@name")
        ),
        made_at=read_instant(parts["MadeAt"].value(), document=FEEDBACK, place="MadeAt"),
        after=int(_read(FIGURE, parts["After"].value(), "After")),
        outcomes=tuple(_read_outcome(each) for each in parts["Outcomes"].each("Outcome")),
    )


def _write_outcome(one: LaterOutcome) -> str:
    attributes = {
        "number": _write(ORDINAL, str(one.number), "Outcome/@number"),
        "key": _write(KEY, one.key, "Outcome/@key"),
        "version": _write(ORDINAL, str(one.version), "Outcome/@version"),
        "result": one.result,
        "code": _write(CODE, one.code, "Outcome/@code"),
        "field": _write(FIELD, one.field, "Outcome/@field"),
        "level": _write(NAME, one.level.code, "Outcome/@level"),
        "levelName": _write(LABEL, one.level.name, "Outcome/@levelName"),
    }
    facts = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    return f"<Outcome {facts}>{_write(EXPLANATION, one.message, 'Outcome')}</Outcome>"


def _read_outcome(element: Element) -> LaterOutcome:
    facts = element.leaf(*_OUTCOME)
    if facts["result"] not in (REJECTED, ACCEPTED):
        raise PackageError(
            "document-value", document=FEEDBACK, place="Outcome/@result", expected=f"{REJECTED} | {ACCEPTED}"
        )
    return LaterOutcome(
        number=int(_read(ORDINAL, facts["number"], "Outcome/@number")),
        key=_read(KEY, facts["key"], "Outcome/@key"),
        version=int(_read(ORDINAL, facts["version"], "Outcome/@version")),
        result=facts["result"],
        code=_read(CODE, facts["code"], "Outcome/@code"),
        field=_read(FIELD, facts["field"], "Outcome/@field"),
        message=_read(EXPLANATION, element.text, "Outcome"),
        level=Node(
            code=_read(NAME, facts["level"], "Outcome/@level"),
            name=_read(LABEL, facts["levelName"], "Outcome/@levelName"),
        ),
    )


def _read(form: Form, value: str, place: str) -> str:
    return form.read(value, document=FEEDBACK, place=place)


def _write(form: Form, value: str, place: str) -> str:
    return form.write(value, document=FEEDBACK, place=place)
