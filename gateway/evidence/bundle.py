"""A bundle of evidence: one ZIP file, and where everything stands in it.

======================================  ==========================================================================================
``README.txt``                          how to check by hand, in Chinese and English
``selection.json``                      what is in the bundle, by whose order (:mod:`gateway.evidence.manifest`)
``policy.toml``                         whom the exporting node believes (:mod:`gateway.evidence.policy`)
``gateway-verify.pyz``                  the offline verifier
``keys.json``                           the ledger's entries about keys, readable
``checkpoint``, ``tile/…``              the whole ledger as C2SP tlog-tiles publishes it, entry bundles included
``checkpoints/SIZE``                    earlier checkpoints: time-stamped, cosigned last by a witness, around a change of keys
``anchors/INDEX.token``                 the RFC 3161 token of the ``anchor`` entry INDEX, DER
``certificates/KEY-ID.pem``             the certificates of the key history
``proofs/INDEX.json``                   the proof of one selected batch's entry (:mod:`gateway.evidence.proof`); few selected batches only
``sent/BATCH-ID/package.asice``         a selected batch as sealed, and ``receipt-INDEX.asice``, the receipt of the entry INDEX
``received/BATCH-ID/package.asice``     a selected batch as a peer sent it, and ``receipt-INDEX.asice``, our answer
======================================  ==========================================================================================

Batches outside the selection stay as digests in their entries.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, Final

from gateway.errors import EvidenceError
from gateway.evidence.archive import Archive, ArchiveLimits
from gateway.evidence.manifest import Manifest, parse_manifest
from gateway.evidence.policy import MAX_POLICY_BYTES
from gateway.ledger.entry import Entry
from gateway.ledger.folder import MAX_FILE_BYTES
from gateway.ledger.note import MAX_NOTE_BYTES
from gateway.ledger.report import Discrepancies
from gateway.ledger.tiles import CHECKPOINT_PATH
from gateway.package.limits import Limits

__all__ = [
    "KEYS",
    "POLICY",
    "README",
    "SELECTION",
    "VERIFIER",
    "Bundle",
    "anchor_path",
    "certificate_path",
    "checkpoint_path",
    "in_layout",
    "package_path",
    "proof_path",
    "receipt_path",
]

README: Final = "README.txt"
SELECTION: Final = "selection.json"
POLICY: Final = "policy.toml"
VERIFIER: Final = "gateway-verify.pyz"
KEYS: Final = "keys.json"

_EARLIER: Final = "checkpoints/"
_KIB: Final = 1024
_BUDGETS: Final = (
    # What a member may be called, and how many bytes it may have.
    (re.compile(r"README\.txt"), 256 * _KIB),
    (re.compile(r"selection\.json"), 1024 * _KIB),
    (re.compile(r"policy\.toml"), MAX_POLICY_BYTES),
    (re.compile(r"gateway-verify\.pyz"), 16 * 1024 * _KIB),
    (re.compile(r"keys\.json"), 64 * 1024 * _KIB),
    (re.compile(r"checkpoint|checkpoints/(?:0|[1-9][0-9]{0,15})"), MAX_NOTE_BYTES),
    (re.compile(r"anchors/(?:0|[1-9][0-9]{0,15})\.token"), 64 * _KIB),
    (re.compile(r"certificates/[0-9a-f]{64}\.pem"), 64 * _KIB),
    (re.compile(r"proofs/(?:0|[1-9][0-9]{0,15})\.json"), 4 * 1024 * _KIB),
    (re.compile(r"tile/[0-9]{1,2}/(?:x[0-9]{3}/)*[0-9]{3}(?:\.p/[0-9]{1,3})?"), 8 * _KIB),
    (re.compile(r"tile/entries/(?:x[0-9]{3}/)*[0-9]{3}(?:\.p/[0-9]{1,3})?"), MAX_FILE_BYTES),
    (
        re.compile(r"(?:sent|received)/[0-9A-Za-z-]{1,64}/(?:package|receipt-(?:0|[1-9][0-9]{0,15}))\.asice"),
        Limits().package_bytes,
    ),
)


def checkpoint_path(size: int) -> str:
    """Where the checkpoint of that size stands."""
    return f"checkpoints/{size}"


def anchor_path(index: int) -> str:
    """Where the token of the anchor entry ``index`` stands."""
    return f"anchors/{index}.token"


def certificate_path(key_id: str) -> str:
    """Where the certificate with this fingerprint stands."""
    return f"certificates/{key_id}.pem"


def proof_path(index: int) -> str:
    """Where the proof of the entry ``index`` stands."""
    return f"proofs/{index}.json"


def package_path(entry: Entry) -> str:
    """Where the package of the batch that ``entry`` tells of stands."""
    return f"{_side(entry)}/{entry.text('batch_id')}/package.asice"


def receipt_path(index: int, entry: Entry) -> str:
    """Where the receipt that the entry ``index`` tells of stands: another entry of the same batch may tell of another."""
    return f"{_side(entry)}/{entry.text('batch_id')}/receipt-{index}.asice"


def _side(entry: Entry) -> str:
    return "received" if entry.kind == "batch.received" else "sent"


def in_layout(path: str) -> bool:
    """Whether a member may be called so."""
    return any(pattern.fullmatch(path) for pattern, _ in _BUDGETS)


class Bundle:
    """The bundle in ``file``. A member that is damaged is told to ``found`` and then as good as absent.

    Raises EvidenceError ``archive-refused``, ``bundle-member-unknown`` or ``bundle-manifest`` for what is no bundle.
    """

    def __init__(self, file: BinaryIO, found: Discrepancies, limits: ArchiveLimits | None = None) -> None:
        self._archive = Archive(file, limits)
        self._found = found
        for name in self._archive:
            _budget(name)
        manifest = self.read(SELECTION)
        if manifest is None:
            raise EvidenceError("bundle-manifest")
        self.manifest: Manifest = parse_manifest(manifest)

    def __len__(self) -> int:
        """How many members there are."""
        return len(self._archive)

    def read(self, path: str) -> bytes | None:
        """A member's bytes; None when there is no such member, or when it is damaged, which is told.

        Raises EvidenceError ``archive-refused`` where directory and member contradict each other.
        """
        if path not in self._archive:
            return None
        try:
            return self._archive.read(path, _budget(path))
        except EvidenceError as error:
            if error.code == "archive-refused":
                raise
            self._found.add("bundle-member-damaged", expected=path, found=error.code, contradicts=False)
            return None

    def checkpoints(self) -> Iterator[tuple[str, bytes]]:
        """Path and bytes of every checkpoint, the newest first."""
        earlier = sorted(
            (int(name.removeprefix(_EARLIER)) for name in self._archive if name.startswith(_EARLIER)), reverse=True
        )
        for path in (CHECKPOINT_PATH, *(checkpoint_path(size) for size in earlier)):
            note = self.read(path)
            if note is not None:
                yield path, note

    def unread(self) -> Iterator[str]:
        """The paths of members that nothing has asked for."""
        return self._archive.unread()


def _budget(path: str) -> int:
    for pattern, budget in _BUDGETS:
        if pattern.fullmatch(path):
            return budget
    raise EvidenceError("bundle-member-unknown", member=path)
