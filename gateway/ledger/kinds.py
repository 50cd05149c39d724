"""The catalogue of ledger entries: every kind there is, its fields, and what a field may hold. The manual's table is made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

__all__ = ["KINDS", "NO_PREVIOUS", "FieldType", "Kind"]

NO_PREVIOUS: Final = -1
"""``previous`` of the first entry of a route."""


class FieldType(StrEnum):
    """What a field may hold."""

    NAME = "name"
    """1 to 512 characters, no control character."""
    TEXT = "text"
    """0 to 4,096 characters, no control character but the newline."""
    COUNT = "count"
    """An integer from 0 to 2^53 - 1."""
    SEQUENCE = "sequence"
    """An integer from 1 to 2^53 - 1."""
    INDEX = "index"
    """The index of an entry, or -1 for none."""
    DIGEST = "digest"
    """64 lower-case hex digits."""
    DIGEST_OR_NONE = "digest-or-none"
    """64 lower-case hex digits, or the empty string where there is none."""
    INSTANT = "instant"
    """``YYYY-MM-DDThh:mm:ss.ffffffZ``."""
    BASE64 = "base64"
    """Canonical base64 (RFC 4648 §4) of at least one byte; only the entry's own limit bounds it."""
    KEY = "key"
    """0 to 16,384 characters without any control character: a verifier key, or a certificate in base64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of entry: its name and its fields, beside ``kind`` and ``at`` which every entry has; ``optional`` ones may be left out."""

    name: str
    fields: Mapping[str, FieldType]
    optional: Mapping[str, FieldType] = field(default_factory=dict)

    @property
    def routed(self) -> bool:
        """Whether entries of this kind belong to a route and carry its sequence number."""
        return "route" in self.fields


_NAME, _TEXT, _COUNT = FieldType.NAME, FieldType.TEXT, FieldType.COUNT
_DIGEST_TYPE, _OPTIONAL_DIGEST, _INSTANT = FieldType.DIGEST, FieldType.DIGEST_OR_NONE, FieldType.INSTANT

_COMMON: Final = {"node": _NAME, "software": _NAME}
_ROUTE: Final = {
    "route": _NAME,
    "route_seq": FieldType.SEQUENCE,
    "previous": FieldType.INDEX,
    "batch_id": _NAME,
    "package_sha256": _DIGEST_TYPE,
}
_FIGURES: Final = {
    "total": _COUNT,
    "created": _COUNT,
    "updated": _COUNT,
    "unchanged": _COUNT,
    "withdrawn": _COUNT,
    "rejected": _COUNT,
}
_PACKAGE: Final = {
    "manifest_sha256": _DIGEST_TYPE,
    "signer_key_id": _DIGEST_TYPE,
    "record_root": _DIGEST_TYPE,
    "mapping_digest": _DIGEST_TYPE,
}


def _kind(
    name: str,
    *groups: Mapping[str, FieldType],
    optional: Mapping[str, FieldType] = MappingProxyType({}),
    **fields: FieldType,
) -> Kind:
    merged = dict(_COMMON)
    for group in (*groups, fields):
        merged.update(group)
    return Kind(name=name, fields=MappingProxyType(merged), optional=optional)


_CATALOGUE: Final = (
    _kind("genesis", origin=_NAME, verifier_key=_NAME, node_name=_NAME),
    # peer_* is the checkpoint in the receipt, echo_* ours as the receipt echoes it; size 0 and an empty root where there was none.
    # feedback_sha256 only where the receiver did not sign: what it told was taken down by us, and receipt_signer is our own key.
    _kind(
        "batch.reconciled",
        _ROUTE,
        _PACKAGE,
        _FIGURES,
        run_id=_TEXT,
        receipt_sha256=_DIGEST_TYPE,
        receipt_signer=_DIGEST_TYPE,
        peer_size=_COUNT,
        peer_root=_OPTIONAL_DIGEST,
        echo_size=_COUNT,
        echo_root=_OPTIONAL_DIGEST,
        attempts=_COUNT,
        claimed_at=_INSTANT,
        optional=MappingProxyType({"feedback_sha256": _DIGEST_TYPE}),
    ),
    # The figures are the receipt's own, which may be what is disputed: they need not balance.
    _kind(
        "batch.disputed",
        _ROUTE,
        _FIGURES,
        run_id=_TEXT,
        receipt_sha256=_OPTIONAL_DIGEST,
        receipt_signer=_OPTIONAL_DIGEST,
        code=_NAME,
        reason=_TEXT,
        attempts=_COUNT,
    ),
    _kind(
        "batch.abandoned",
        _ROUTE,
        run_id=_TEXT,
        total=_COUNT,
        person=_NAME,
        reason=_NAME,
        replaced_by=_TEXT,
        attempts=_COUNT,
    ),
    # The receiving side: verdict as in the receipt (accepted, partly-accepted, refused), peer_* the sender's checkpoint.
    _kind(
        "batch.received",
        _ROUTE,
        _PACKAGE,
        _FIGURES,
        verdict=_NAME,
        receipt_sha256=_DIGEST_TYPE,
        peer_size=_COUNT,
        peer_root=_OPTIONAL_DIGEST,
        claimed_at=_INSTANT,
    ),
    # What the receiver of a route told after its receipts, about records that went on from there: outcomes `first` to `last` of that route.
    _kind(
        "feedback.taken",
        about=_NAME,
        peer=_NAME,
        feedback_sha256=_DIGEST_TYPE,
        signer_key_id=_DIGEST_TYPE,
        first=FieldType.SEQUENCE,
        last=FieldType.SEQUENCE,
        rejected=_COUNT,
        accepted=_COUNT,
        stale=_COUNT,
    ),
    _kind(
        "run.closed",
        exchange=_NAME,
        run_id=_NAME,
        run_kind=_NAME,
        mapping_digest=_DIGEST_TYPE,
        started_at=_INSTANT,
        batches=_COUNT,
        rows=_COUNT,
        vanished=_COUNT,
        carried=_COUNT,
        read=_COUNT,
        unchanged=_COUNT,
        quarantined=_COUNT,
        sealed=_COUNT,
        withdrawn=_COUNT,
    ),
    _kind("operator.action", person=_NAME, action=_NAME, subject=_TEXT, reason=_TEXT),
    _kind("config.changed", config_sha256=_DIGEST_TYPE, before_sha256=_OPTIONAL_DIGEST, person=_TEXT, summary=_TEXT),
    # purpose: what the key signs (ledger, package, anchor, witness); owner: the code of the node that holds it, or the name of the authority or
    # witness; key: a signed-note verifier key or a certificate in base64, as much as an auditor needs to check with.
    _kind(
        "key.added",
        purpose=_NAME,
        owner=_NAME,
        key_id=_NAME,
        key=FieldType.KEY,
        valid_from=_INSTANT,
        valid_to=_INSTANT,
        person=_TEXT,
    ),
    _kind(
        "key.rotated",
        purpose=_NAME,
        owner=_NAME,
        key_id=_NAME,
        key=FieldType.KEY,
        before_key_id=_NAME,
        valid_from=_INSTANT,
        valid_to=_INSTANT,
        person=_TEXT,
    ),
    # from_size: checkpoints of this or a larger size are not to be believed under the revoked key.
    _kind("key.revoked", purpose=_NAME, owner=_NAME, key_id=_NAME, from_size=_COUNT, person=_NAME, reason=_NAME),
    _kind(
        "anchor",
        authority=_NAME,
        checkpoint_size=FieldType.SEQUENCE,
        checkpoint_root=_DIGEST_TYPE,
        token_sha256=_DIGEST_TYPE,
        token=FieldType.BASE64,
        stamped_at=_INSTANT,
    ),
    # The bytes of a package are gone; what was entered of it under the index `erased` stays and still verifies.
    _kind(
        "erasure",
        batch_id=_NAME,
        erased=FieldType.INDEX,
        package_sha256=_DIGEST_TYPE,
        person=_NAME,
        reason=_NAME,
    ),
    _kind(
        "recovery",
        person=_NAME,
        reason=_NAME,
        source=_TEXT,
        found_size=_COUNT,
        found_root=_OPTIONAL_DIGEST,
        note_sha256=_OPTIONAL_DIGEST,
    ),
)

KINDS: Final[Mapping[str, Kind]] = MappingProxyType({kind.name: kind for kind in _CATALOGUE})
"""Every kind of entry there is. Additions are made here and nowhere else; a kind once written keeps its fields, and gets
new ones as optional ones."""
