"""Errors on the wire: ``application/problem+json`` (RFC 9457) with a stable ``code``. The one table of codes
of the exchange protocol (README)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gateway.texts import DEFAULT_LANGUAGE, say_text

__all__ = ["PROBLEM_TYPE", "STATUSES", "Problem", "ReportedProblem", "read_problem", "say_problem"]

PROBLEM_TYPE = "application/problem+json"

STATUSES: Mapping[str, int] = MappingProxyType(
    {
        "package-malformed": 400,
        "batch-id-malformed": 400,
        "prefix-malformed": 400,
        "question-malformed": 400,
        "receipt-invalid": 422,
        "shown-malformed": 400,
        "caller-unknown": 401,
        "route-forbidden": 403,
        "not-found": 404,
        "unknown-batch": 404,
        "unknown-route": 404,
        "method-not-allowed": 405,
        "upload-too-slow": 408,
        "batch-id-conflict": 409,
        "sequence-gap": 409,
        "log-inconsistent": 409,
        "log-proof-wanted": 409,
        "package-too-large": 413,
        "media-type-unsupported": 415,
        "signature-invalid": 422,
        "schema-invalid": 422,
        "wrong-receiver": 422,
        "figures-wrong": 422,
        "too-many-requests": 429,
        "internal-error": 500,
        "unavailable": 503,
    }
)
"""Problem code → HTTP status. A code never changes its meaning; peers act on it."""

_CODE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_LONGEST_CODE = 64
_LONGEST_DETAIL = 500
_LARGEST_DOCUMENT = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One refusal of ours. ``detail`` tells the peer's operator more and never holds a record's value; ``expected`` goes with
    ``sequence-gap`` and ``log-proof-wanted``. Raises ValueError for a code outside :data:`STATUSES`.
    """

    code: str
    detail: str = ""
    expected: int | None = None

    def __post_init__(self) -> None:
        if self.code not in STATUSES:
            raise ValueError(f"no problem is called {self.code}")

    @property
    def status(self) -> int:
        """The HTTP status that belongs to the code."""
        return STATUSES[self.code]

    def to_json(self) -> bytes:
        """The document of RFC 9457 §3: ``title`` is the same for every occurrence of a code, ``detail`` is this one's."""
        document: dict[str, object] = {
            "type": f"urn:credit-exchange:problem:{self.code}",
            "title": say_problem(self.code, "en"),
            "status": self.status,
            "code": self.code,
            "detail": self.detail or say_problem(self.code, "en"),
        }
        if self.expected is not None:
            document["expected"] = self.expected
        return json.dumps(document, ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedProblem:
    """A refusal as a peer wrote it, made safe to keep and show: its code may be one that we do not know."""

    code: str
    detail: str = ""
    expected: int | None = None


def read_problem(media_type: str, body: bytes) -> ReportedProblem | None:
    """The problem in an answer's body, or None when there is none that can be read. Never raises: the peer wrote these bytes."""
    if media_type != PROBLEM_TYPE or len(body) > _LARGEST_DOCUMENT:
        return None
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):  # RecursionError: [[[[… is valid JSON of any depth
        return None
    match document:
        case {"code": str(code), **rest} if len(code) <= _LONGEST_CODE and _CODE.fullmatch(code):
            detail, expected = rest.get("detail"), rest.get("expected")
            return ReportedProblem(
                code=code,
                detail=_one_line(detail) if isinstance(detail, str) else "",
                expected=expected if type(expected) is int and expected > 0 else None,
            )
        case _:
            return None


def say_problem(code: str, language: str = DEFAULT_LANGUAGE) -> str:
    """What a problem code means, for a person; the code itself when it is a peer's own.

    The sentences have a prefix of their own: the same codes are also raised inside ``package``, with other facts.
    """
    return say_text(f"problem-{code}", language, {}).removeprefix("problem-")


def _one_line(text: str) -> str:
    """Printable, one line, bounded: the peer's words end up in our logs and on an operator's screen."""
    return "".join(character if character.isprintable() else " " for character in text[:_LONGEST_DETAIL]).strip()
