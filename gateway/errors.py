"""Every error of the gateway: a stable code for the machine, a sentence for a person, and whether to try again.

The sentences stand in ``gateway/texts/<language>/<room>.toml`` under the code, once in Chinese and once in English, each with
what happened (``say``) and what to do next (``fix``). ``raise SourceError("source-unreachable", source="permits")`` is all that a
raise site writes; facts fill the sentence's placeholders. Facts never hold a personal value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from gateway.texts import DEFAULT_LANGUAGE, fix_text, say_text

__all__ = [
    "CatalogError",
    "ConfigError",
    "DeliveryError",
    "EvidenceError",
    "ExchangeError",
    "Finding",
    "Findings",
    "GatewayError",
    "LedgerError",
    "MappingError",
    "PackageError",
    "PeerUnavailableError",
    "Severity",
    "SourceError",
    "SourceUnavailableError",
    "StoreError",
    "error_from_json",
    "error_json",
]


class GatewayError(Exception):
    """The base. ``code`` is stable, ``facts`` fill the sentence, ``retryable`` tells the machine whether trying again can help."""

    retryable: ClassVar[bool] = False

    def __init__(self, code: str, /, **facts: object) -> None:
        self.code = code
        self.facts: Mapping[str, object] = facts
        super().__init__(code)

    def say(self, language: str = DEFAULT_LANGUAGE) -> str:
        """What happened, as a sentence in ``language`` (``zh-CN`` or ``en``)."""
        return say_text(self.code, language, self.facts)

    def fix(self, language: str = DEFAULT_LANGUAGE) -> str:
        """What to do next; empty when there is nothing a person can do."""
        return fix_text(self.code, language, self.facts)

    def __str__(self) -> str:
        return f"{self.code}: {self.say('en')}"


class ConfigError(GatewayError):
    """The configuration cannot be used; nothing starts."""


class CatalogError(GatewayError):
    """A catalog or code list cannot be used."""


class MappingError(GatewayError):
    """A mapping or format cannot be used, or a document fails its gate."""


class SourceError(GatewayError):
    """A source cannot be read as it stands (wrong template, unknown column)."""


class SourceUnavailableError(SourceError):
    """A source did not answer; the next run may succeed."""

    retryable = True


class PackageError(GatewayError):
    """A package, signature or receipt is refused."""


class LedgerError(GatewayError):
    """The ledger contradicts itself or its outside memory; nothing is signed over it."""


class EvidenceError(GatewayError):
    """A bundle cannot be read."""


class StoreError(GatewayError):
    """The journal refuses an operation (illegal transition, wrong schema, a second daemon)."""


class ExchangeError(GatewayError):
    """A transport is configured wrongly or a peer's request is refused."""


class PeerUnavailableError(ExchangeError):
    """A peer did not answer a question; asked again later it may."""

    retryable = True


class DeliveryError(GatewayError):
    """A run or a batch cannot go on without a person."""


class Severity(StrEnum):
    """How much a finding weighs: an error stops the start, a warning is shown."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing wrong in a text that people edit.

    ``file`` is the path as the person knows it, ``key`` the dotted place in it (``fields.decided_on.type``; for a CSV ``row 12``).
    """

    code: str
    file: str
    key: str = ""
    severity: Severity = Severity.ERROR
    facts: Mapping[str, object] = field(default_factory=dict)

    def say(self, language: str = DEFAULT_LANGUAGE) -> str:
        """What is wrong, as a sentence."""
        return say_text(self.code, language, {"file": self.file, "key": self.key, **self.facts})

    def fix(self, language: str = DEFAULT_LANGUAGE) -> str:
        """How to mend it."""
        return fix_text(self.code, language, {"file": self.file, "key": self.key, **self.facts})


class Findings(GatewayError):
    """Several findings at once: a person mends them in one go instead of one per attempt."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        errors = sum(1 for finding in self.findings if finding.severity is Severity.ERROR)
        super().__init__("findings", errors=errors, total=len(self.findings))

    def __str__(self) -> str:
        lines = (f"{f.file}: {f.key}: {f.code}: {f.say('en')}" for f in self.findings)
        return super().__str__() + "".join(f"\n  {line}" for line in lines)


def error_json(error: GatewayError) -> dict[str, Any]:
    """An error as JSON, to be raised again by another process: :func:`error_from_json`. Facts that JSON does not know become text."""
    findings = error.findings if isinstance(error, Findings) else ()
    return {
        "kind": type(error).__name__,
        "code": error.code,
        "facts": {name: _plain(value) for name, value in error.facts.items()},
        "findings": [
            {
                "code": finding.code,
                "file": finding.file,
                "key": finding.key,
                "severity": finding.severity.value,
                "facts": {name: _plain(value) for name, value in finding.facts.items()},
            }
            for finding in findings
        ],
    }


def error_from_json(document: Mapping[str, Any]) -> GatewayError:
    """The error that :func:`error_json` wrote."""
    if document["findings"]:
        return Findings(
            Finding(**(finding | {"severity": Severity(finding["severity"])})) for finding in document["findings"]
        )
    kinds = {kind.__name__: kind for kind in _kinds(GatewayError)}
    return kinds.get(document["kind"], GatewayError)(document["code"], **document["facts"])


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _kinds(kind: type[GatewayError]) -> Iterable[type[GatewayError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _kinds(each)
