"""Small bundles made entry by entry, for what a real node would take years to do: changes of the ledger's key, erasures, disputes."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from gateway.clock import instant
from gateway.evidence.judgement import Judgements
from gateway.evidence.manifest import Manifest, Selection, manifest_bytes
from gateway.evidence.notes import Claimed
from gateway.evidence.policy import Policy, policy_text
from gateway.evidence.trust import keys_json
from gateway.ledger.checkpoint import Checkpoint, sign_checkpoint
from gateway.ledger.entry import Value, decode, encode
from gateway.ledger.history import KEY_KINDS, key_id_of
from gateway.ledger.keys import generate_key
from gateway.ledger.note import NoteSigner
from gateway.ledger.tree import leaf_hash, root_of
from tests.ledger.samples import all_fields
from tests.package.stamping import Authority
from tests.tamper.forge import Evidence

ORIGIN, NODE = "credit-gateway/11230000MB1234567X", "11230000MB1234567X"
START = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
SKEW = timedelta(minutes=5)


def signer(number: int) -> NoteSigner:
    return NoteSigner(ORIGIN, generate_key(bytes([number]) * 32))


FIRST, SECOND, THIRD = signer(1), signer(2), signer(3)


@dataclass(slots=True)
class Ledger:
    """Entries, a minute apart, and what stands beside them in a bundle."""

    authority: Authority = field(default_factory=Authority)
    leaves: list[bytes] = field(default_factory=list)
    notes: dict[int, bytes] = field(default_factory=dict)
    members: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.leaves:
            self.add("genesis", origin=ORIGIN, verifier_key=str(FIRST.verifier))

    def now(self) -> datetime:
        return START + timedelta(minutes=len(self.leaves))

    def add(
        self, kind: str, told: Mapping[str, Value] | None = None, *, at: datetime | None = None, **fields: Value
    ) -> int:
        """One more entry; returns its index."""
        whole = {**all_fields(kind, node=NODE), **(told or {}), **fields}
        self.leaves.append(encode(kind, whole, at or self.now()))
        return len(self.leaves) - 1

    def signed(self, by: NoteSigner = FIRST, size: int | None = None) -> bytes:
        """A checkpoint over the first ``size`` entries, kept beside the newest one."""
        size = len(self.leaves) if size is None else size
        root = root_of([leaf_hash(leaf) for leaf in self.leaves[:size]])
        note = sign_checkpoint(Checkpoint(origin=ORIGIN, size=size, root=root), by)
        self.notes[size] = note
        return note

    def stamp(
        self, *, by: NoteSigner = FIRST, at: datetime | None = None, token: bytes | None = None, **fields: Value
    ) -> int:
        """A time-stamp over everything so far."""
        note = self.signed(by)
        moment = at or self.now()
        token = self.authority.token(note, moment) if token is None else token
        index = len(self.leaves)
        self.members[f"anchors/{index}.token"] = token
        told: dict[str, Value] = {
            "checkpoint_size": index,
            "checkpoint_root": root_of([leaf_hash(leaf) for leaf in self.leaves]).hex(),
            "token": base64.b64encode(token).decode(),
            "token_sha256": sha256(token).hexdigest(),
            "stamped_at": instant(moment),
        }
        return self.add("anchor", {**told, **fields}, at=moment)

    def rotate(self, new: NoteSigner, before: NoteSigner = FIRST, **fields: Value) -> int:
        """Another ledger key, vouched for by the one before it."""
        told: dict[str, Value] = {
            "purpose": "ledger",
            "owner": NODE,
            "key_id": key_id_of(new.verifier),
            "key": str(new.verifier),
            "before_key_id": key_id_of(before.verifier),
        }
        index = self.add("key.rotated", {**told, **fields})
        self.signed(before)
        return index

    def bundle(self, by: NoteSigner = FIRST, selection: Selection | None = None) -> Evidence:
        """A bundle of everything, signed by ``by``."""
        about_keys = [(at, decode(leaf)) for at, leaf in enumerate(self.leaves) if decode(leaf).kind in KEY_KINDS]
        loose = {
            "README.txt": b"read me",
            "policy.toml": policy_text(
                origin=ORIGIN,
                ledger_keys=[FIRST.verifier],
                signers={},
                authorities=[self.authority.root.certificate],
            ).encode(),
            "gateway-verify.pyz": b"#!",
        }
        manifest = Manifest(
            origin=ORIGIN,
            node_code=NODE,
            node_name="node",
            size=0,
            root="",
            selection=selection or Selection(batches=("none",)),
            made_at=self.now(),
            software="test",
            person="auditor",
            reason="test",
            entry=-1,
            not_entered="",
            files={name: sha256(data).hexdigest() for name, data in loose.items()},
        )
        earlier = {f"checkpoints/{size}": note for size, note in self.notes.items() if size < len(self.leaves)}
        whole = Evidence(
            {
                **loose,
                "selection.json": manifest_bytes(manifest),
                "keys.json": keys_json(about_keys),
                "checkpoint": sign_checkpoint(Checkpoint(origin=ORIGIN, size=1, root=bytes(32)), by),
                **earlier,
                **self.members,
            }
        )
        return whole.with_log(self.leaves, by)

    def verify(
        self, *, by: NoteSigner = FIRST, policy: Policy | None = None, held: Sequence[Claimed] = ()
    ) -> Judgements:
        return self.bundle(by).verify(policy or self.policy(), held)

    def policy(self, *keys: NoteSigner) -> Policy:
        return Policy(
            origin=ORIGIN,
            ledger_keys=tuple(each.verifier for each in keys or (FIRST,)),
            authorities=(self.authority.root.certificate,),
        )


def codes(result: Judgements, question: str) -> list[tuple[str, int]]:
    """What was found, by code and entry."""
    return [(finding.code, finding.index) for finding in result.by_question[question].findings]
