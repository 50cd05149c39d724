"""Whose word counts, and where it is known from: the auditor's own policy, then the ledger's key history, then the bundle's own list."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

from gateway.clock import instant
from gateway.errors import LedgerError, PackageError
from gateway.evidence.policy import Policy
from gateway.ledger.cosignature import CosignerKey
from gateway.ledger.entry import Entry
from gateway.ledger.history import KEY_KINDS, KeyHistory, LoggedKey
from gateway.ledger.note import VerifierKey
from gateway.ledger.report import Discrepancies
from gateway.package.certificates import Certificate, certificate_of, fingerprint

__all__ = ["Trust", "certificate_in", "keys_json"]

_MOST_KEYS: Final = 2_000


def keys_json(entries: Sequence[tuple[int, Entry]]) -> bytes:
    """``keys.json``: the entries about keys with their indices, for a person to read."""
    told = [{"index": index, "kind": one.kind, "at": instant(one.at), **one.fields} for index, one in entries]
    return (json.dumps(told, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode("utf-8")


def certificate_in(key: LoggedKey) -> Certificate | None:
    """The certificate of a logged key; None where the key is no certificate, or not the one that its key id names."""
    try:
        found = certificate_of(base64.b64decode(key.key, validate=True), key.key_id)
    except (ValueError, PackageError):
        return None
    return found if fingerprint(found) == key.key_id else None


class Trust:
    """``own`` is the auditor's policy, None when there is none; ``listed`` is what the bundle lists.

    What was believed on the bundle's word alone is told to ``found``, once each: it makes nothing false, but it proves nothing.
    """

    def __init__(self, own: Policy | None, listed: Policy, found: Discrepancies) -> None:
        self._own = own or Policy(whole=False)
        self._listed = listed
        self._found = found
        self._history = KeyHistory()
        self._node = ""
        self._told: set[str] = set()
        self._ledger_keys: list[tuple[VerifierKey, LoggedKey | None]] | None = None
        self.entries: list[tuple[int, Entry]] = []
        """The entries about keys, as far as a budget allows."""

    @property
    def skew(self) -> timedelta:
        """How far two honest clocks may differ: the auditor's word, whatever the bundle lists."""
        return self._own.skew

    def take(self, index: int, entry: Entry, *, whole: bool = True) -> None:
        """One entry of the ledger; those about keys make the history. ``whole``: none before it was missing."""
        if entry.kind not in KEY_KINDS:
            return
        self._ledger_keys = None
        if entry.kind == "genesis":
            self._node = entry.text("node")
        if len(self.entries) >= _MOST_KEYS:
            self._found.add("evidence-keys-too-many", index=index, expected=_MOST_KEYS, contradicts=False)
            return
        self.entries.append((index, entry))
        try:
            self._history.take(index, entry)
        except LedgerError as error:
            self._found.add(
                "evidence-key-history-wrong", index=index, expected=entry.kind, found=error.code, contradicts=whole
            )

    @property
    def keys(self) -> tuple[LoggedKey, ...]:
        """Every key that was ever entered."""
        return self._history.keys

    def ledger_keys(self) -> list[tuple[VerifierKey, LoggedKey | None]]:
        """Every key that may sign checkpoints: as the history has it, then those of the policy that it does not have."""
        if self._ledger_keys is None:
            logged = [(VerifierKey.parse(key.key), key) for key in self._history.ledger_keys() if _parses(key)]
            known = {key for key, _ in logged}
            others = [key for key in (*self._own.ledger_keys, *self._fill().ledger_keys) if key not in known]
            self._ledger_keys = [*logged, *((key, None) for key in others)]
        return self._ledger_keys

    def roots(self) -> set[VerifierKey]:
        """The keys to begin with: the auditor's, else that of the genesis entry, on the bundle's word."""
        if self._own.whole or self._own.ledger_keys:
            return set(self._own.ledger_keys)
        first = [key for key, logged in self.ledger_keys() if logged is not None and logged.index == 0]
        self._on_its_word("ledger", ", ".join(str(key) for key in first))
        return {*first, *self._listed.ledger_keys}

    def signers(self, owner: str, index: int) -> tuple[Certificate, ...]:
        """The certificates that may speak for the node ``owner`` in what was entered under ``index``.

        A replaced certificate still speaks for what it sealed; whether it was valid then is its own business.
        """
        given = self._own.signers.get(owner, ())
        if given and owner != self._node:
            return given  # what a ledger says of another node's keys yields to what the auditor knows of them
        logged = [
            certificate
            for key in self._history.keys
            if (key.purpose, key.owner) == ("package", owner) and key.index < index and not key.revoked(index)
            if (certificate := certificate_in(key)) is not None
        ]
        if given or logged:
            return (*given, *logged)
        listed = self._fill().signers.get(owner, ())
        if listed:
            self._on_its_word(f"package {owner}", ", ".join(fingerprint(each) for each in listed))
        return listed

    def revoked(self, key_id: str, index: int) -> bool:
        """Whether a certificate was revoked, and not entered again, before what was entered under ``index``."""
        entered = [key for key in self._history.keys if key.key_id == key_id and key.index < index]
        return bool(entered) and entered[-1].revoked(index)

    def witnesses(self, size: int) -> tuple[CosignerKey, ...]:
        """Who may cosign a checkpoint over ``size`` entries: the auditor's witnesses, and those that the ledger itself names."""
        logged = []
        for key in self._history.keys:
            if key.purpose == "witness" and not key.revoked(size):
                with suppress(LedgerError):
                    logged.append(CosignerKey.parse(key.key))
        return (*self._own.witnesses, *logged)

    @property
    def asked_witnesses(self) -> tuple[CosignerKey, ...]:
        """The witnesses that the auditor relies on."""
        return self._own.witnesses

    def authorities(self) -> tuple[Certificate, ...]:
        """The authorities for time."""
        return self._own.authorities or self._fill().authorities

    @property
    def authorities_on_its_word(self) -> bool:
        """Whether the authorities are known from the bundle alone."""
        return not self._own.authorities and bool(self._fill().authorities)

    def _fill(self) -> Policy:
        """What fills the gaps of the auditor's policy."""
        return Policy() if self._own.whole else self._listed

    def _on_its_word(self, what: str, found: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self._found.add("evidence-trust-of-bundle", expected=what, found=found, contradicts=False)


def _parses(key: LoggedKey) -> bool:
    try:
        VerifierKey.parse(key.key)
    except LedgerError:
        return False
    return True
