"""Authenticity: who signed the checkpoints, packages and receipts, and whether that key was to be believed at that size of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from gateway.errors import LedgerError, PackageError
from gateway.evidence.bundle import KEYS, Bundle, certificate_path
from gateway.evidence.notes import Claimed
from gateway.evidence.trust import Trust, certificate_in, keys_json
from gateway.ledger.note import VerifierKey, open_note
from gateway.ledger.report import Discrepancies
from gateway.package.certificates import pem_of
from gateway.package.cms import verify
from gateway.package.container import Opened
from gateway.package.manifest import check_manifest

__all__ = ["Authenticity"]

_UNKNOWN: Final = frozenset({"signer-unknown", "signature-key", "signature-algorithm", "signature-digest-algorithm"})
"""What may be sound, but by nothing that is known here."""


class Authenticity:
    """Judges signatures against ``trust``; what is wrong goes to ``found``."""

    def __init__(self, trust: Trust, found: Discrepancies) -> None:
        self._trust = trust
        self._found = found
        self._believed: set[VerifierKey] = set()

    def judge_checkpoints(self, checkpoints: Sequence[Claimed], sound: Callable[[Claimed], bool]) -> None:
        """Every checkpoint is signed by a key that was to be believed at its size.

        A key is believed that the auditor gave, or that is entered in a tree whose root a believed key signed: so each key vouches for its
        successor. ``sound`` tells whether a checkpoint lies on the history of the bundle's entries; one that does not vouches for nothing.
        """
        signed = [(claimed, self._signers(claimed, self._found)) for claimed in checkpoints]
        self._believe([pair for pair in signed if sound(pair[0])])
        for claimed, keys in signed:
            if keys and self._believed.isdisjoint(keys):
                names = ", ".join(_short(key) for key in keys)
                self._found.add(
                    "evidence-checkpoint-unbelieved", expected=claimed.place, found=names, contradicts=False
                )

    def believes(self, held: Claimed) -> bool:
        """Whether a checkpoint that somebody else kept is signed by a key that was to be believed at its size; after the bundle's own."""
        return not self._believed.isdisjoint(self._signers(held, Discrepancies()))

    def _signers(self, claimed: Claimed, found: Discrepancies) -> list[VerifierKey]:
        """The known keys that signed, and were there to sign at that size."""
        known = self._trust.ledger_keys()
        try:
            _, keys = open_note(claimed.note, [key for key, _ in known])
        except LedgerError as error:
            unsigned = error.code == "note-unsigned"  # by nobody we know: that may be a key which is missing here
            found.add(
                "evidence-checkpoint-signature", expected=claimed.place, found=error.code, contradicts=not unsigned
            )
            return []
        fit = []
        for key, logged in known:
            if key not in keys:
                continue
            if logged is None or logged.signs(claimed.checkpoint.size):
                fit.append(key)
            else:
                found.add("evidence-checkpoint-key", index=logged.index, expected=claimed.place, found=_short(key))
        return fit

    def _believe(self, signed: Sequence[tuple[Claimed, Sequence[VerifierKey]]]) -> None:
        self._believed = self._trust.roots()
        while True:
            sizes = [claimed.checkpoint.size for claimed, keys in signed if not self._believed.isdisjoint(keys)]
            covered = max(sizes, default=0)
            logged_keys = self._trust.ledger_keys()
            entered = {key for key, logged in logged_keys if logged is not None and logged.index < covered}
            if entered <= self._believed:
                return
            self._believed |= entered

    def judge_sealed(self, index: int, owner: str, sealed: Opened, signer: str) -> None:
        """What was sealed by the entry ``index``: by ``owner``, with the certificate ``signer`` (its key id, "" where unsaid)."""
        try:
            check_manifest(sealed.manifest, sealed.name, sealed.document)
        except PackageError as error:
            self._found.add("evidence-signature-wrong", index=index, expected=sealed.name, found=error.code)
        self.judge_signature(index, owner, sealed.name, sealed.manifest, sealed.signature, signer)

    def judge_signature(
        self, index: int, owner: str, name: str, manifest: bytes, signature: bytes, signer: str
    ) -> None:
        """The signature over a manifest."""
        try:
            key_id = verify(signature, manifest, self._trust.signers(owner, index)).key_id
        except PackageError as error:
            key_id = str(error.facts.get("key_id", ""))
            if error.code not in _UNKNOWN:
                self._found.add("evidence-signature-wrong", index=index, expected=name, found=error.code)
                return
            if not self._trust.revoked(key_id, index):
                expected = f"{name} {owner}"
                self._found.add(
                    "evidence-signer-unknown", index=index, expected=expected, found=key_id, contradicts=False
                )
        if self._trust.revoked(key_id, index):
            self._found.add("evidence-signer-revoked", index=index, expected=name, found=key_id)
        if signer and key_id and key_id != signer:
            self._found.add("evidence-signer-other", index=index, expected=f"{name} {signer}", found=key_id)

    def note_taken_down(self, index: int, receiver: str, feedback_sha256: str) -> None:
        """The receipt was written by the sender from feedback that the receiver did not sign: whose word it is cannot be proved."""
        self._found.add(
            "evidence-receipt-taken-down", index=index, expected=receiver, found=feedback_sha256, contradicts=False
        )

    def judge_manifest_digest(self, index: int, manifest: bytes, expected: str) -> None:
        """The manifest is the one whose digest was entered."""
        digest = sha256(manifest).hexdigest()
        if digest != expected:
            self._found.add("evidence-manifest-digest", index=index, expected=expected, found=digest)

    def judge_copies(self, bundle: Bundle, *, whole: bool) -> None:
        """What stands beside the entries for people to read says what the entries say, all of which are there when it is ``whole``."""
        copies = {KEYS: keys_json(self._trust.entries)}
        for key in self._trust.keys:
            certificate = certificate_in(key)
            if certificate is not None:
                copies[certificate_path(key.key_id)] = pem_of(certificate).encode("ascii")
        for path, expected in copies.items():
            data = bundle.read(path)
            if data is None:
                self._found.add("evidence-file-absent", expected=path, contradicts=False)
            elif data != expected:
                digest = sha256(data).hexdigest()
                self._found.add("evidence-copy-wrong", expected=path, found=digest, contradicts=whole)


def _short(key: VerifierKey) -> str:
    return f"{key.name}+{key.key_id.hex()}"
