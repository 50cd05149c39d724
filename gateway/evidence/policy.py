"""Whom a verification believes: verifier keys of the ledger, certificates of those who seal, authorities for time, witnesses.

A bundle brings the exporter's own list along (``policy.toml``). It is a list to be compared with what an auditor got by other ways; given
back with ``--policy`` it is the auditor's own word.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, TypeVar

from gateway.errors import EvidenceError, LedgerError, PackageError
from gateway.ledger.cosignature import CosignerKey
from gateway.ledger.note import VerifierKey
from gateway.package.certificates import Certificate, fingerprint, parse_certificates, pem_of

__all__ = ["MAX_POLICY_BYTES", "Policy", "parse_policy", "policy_text"]

MAX_POLICY_BYTES: Final = 4 * 1024 * 1024
_SKEW: Final = timedelta(minutes=5)
_LONGEST_SKEW: Final = 86_400
_Key = TypeVar("_Key", VerifierKey, CosignerKey)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """``signers`` are certificates by the code of the node that they speak for; ``skew`` is how far two honest clocks may differ.

    ``whole``: what is not listed is not believed. Otherwise the evidence's own list fills the gaps, and proves nothing thereby.
    """

    origin: str | None = None
    ledger_keys: tuple[VerifierKey, ...] = ()
    signers: Mapping[str, tuple[Certificate, ...]] = field(default_factory=dict)
    authorities: tuple[Certificate, ...] = ()
    witnesses: tuple[CosignerKey, ...] = ()
    skew: timedelta = _SKEW
    whole: bool = True


def parse_policy(data: bytes) -> Policy:
    """The policy in a TOML file. An unknown key is an error. Raises EvidenceError ``policy-malformed``."""
    if len(data) > MAX_POLICY_BYTES:
        raise EvidenceError("policy-malformed", place="", reason="size")
    try:
        told = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise EvidenceError("policy-malformed", place="", reason="TOML") from error
    _only(told, {"origin", "ledger_keys", "witnesses", "clock_skew", "signers", "authorities"}, "")
    signers: dict[str, tuple[Certificate, ...]] = {}
    for at, one in enumerate(_list(told, "signers")):
        place = f"signers[{at}]"
        _only(one, {"code", "name", "certificates"}, place)
        code = _text(one, "code", place)
        signers[code] = signers.get(code, ()) + _certificates(one, place)
    authorities: list[Certificate] = []
    for at, one in enumerate(_list(told, "authorities")):
        _only(one, {"name", "certificates"}, f"authorities[{at}]")
        authorities += _certificates(one, f"authorities[{at}]")
    skew = told.get("clock_skew", int(_SKEW.total_seconds()))
    if type(skew) is not int or not 0 <= skew <= _LONGEST_SKEW:
        raise EvidenceError("policy-malformed", place="clock_skew", reason=f"0 … {_LONGEST_SKEW}")
    return Policy(
        origin=_text(told, "origin", "") if "origin" in told else None,
        ledger_keys=_keys(told, "ledger_keys", VerifierKey.parse),
        signers=signers,
        authorities=tuple(authorities),
        witnesses=_keys(told, "witnesses", CosignerKey.parse),
        skew=timedelta(seconds=skew),
    )


def _keys(told: Mapping[str, Any], name: str, parse: Callable[[str], _Key]) -> tuple[_Key, ...]:
    keys = []
    for at, text in enumerate(_list(told, name)):
        try:
            keys.append(parse(text if isinstance(text, str) else ""))
        except LedgerError as error:
            raise EvidenceError("policy-malformed", place=f"{name}[{at}]", reason=error.code) from error
    return tuple(keys)


def _only(told: Any, known: set[str], place: str) -> None:
    if not isinstance(told, dict):
        raise EvidenceError("policy-malformed", place=place, reason="a table")
    for name in told:
        if name not in known:
            raise EvidenceError("policy-malformed", place=f"{place}.{name}".lstrip("."), reason="unknown key")


def _list(told: Mapping[str, Any], name: str) -> list[Any]:
    value = told.get(name, [])
    if not isinstance(value, list):
        raise EvidenceError("policy-malformed", place=name, reason="a list")
    return value


def _text(told: Mapping[str, Any], name: str, place: str) -> str:
    value = told.get(name)
    if not isinstance(value, str) or not value:
        raise EvidenceError("policy-malformed", place=f"{place}.{name}".lstrip("."), reason="a text")
    return value


def _certificates(told: Mapping[str, Any], place: str) -> tuple[Certificate, ...]:
    try:
        return parse_certificates(_text(told, "certificates", place).encode("utf-8"), place)
    except PackageError as error:
        raise EvidenceError("policy-malformed", place=f"{place}.certificates", reason="PEM") from error


def policy_text(
    *,
    origin: str,
    ledger_keys: Sequence[VerifierKey],
    signers: Mapping[str, Sequence[Certificate]],
    authorities: Sequence[Certificate],
    witnesses: Sequence[CosignerKey] = (),
) -> str:
    """A policy file, with fingerprints beside the certificates for whoever compares them by telephone."""
    lines = [
        "# 核验方信任的公钥和证书：由导出单位列出，应与从其他途径取得的逐一核对，核对无误后用 --policy 交给 gateway-verify。",
        "# Whom the verification believes, as the exporting node lists it: compare each with what you got by another way, then give this",
        "# file to gateway-verify with --policy.",
        f"origin = {_quoted(origin)}",
        f"ledger_keys = [{', '.join(_quoted(str(key)) for key in ledger_keys)}]",
        f"witnesses = [{', '.join(_quoted(str(key)) for key in witnesses)}]",
        f"clock_skew = {int(_SKEW.total_seconds())}",
    ]
    for code, certificates in sorted(signers.items()):
        lines += ["", "[[signers]]", f"code = {_quoted(code)}", *_pem_lines(certificates)]
    for authority in authorities:
        lines += ["", "[[authorities]]", f"name = {_quoted(authority.subject.rfc4514_string())}"]
        lines += _pem_lines([authority])
    return "\n".join(lines) + "\n"


def _pem_lines(certificates: Sequence[Certificate]) -> list[str]:
    marks = [f"# SHA-256 {fingerprint(each)}" for each in certificates]
    return [*marks, 'certificates = """', *("".join(pem_of(each) for each in certificates).rstrip().split("\n")), '"""']


def _quoted(text: str) -> str:
    """A TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in escaped) + '"'
