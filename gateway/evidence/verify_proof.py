"""Verification of a proof: integrity, authenticity and time of one entry or record. Completeness is not asked of one thing alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256

from gateway.clock import instant
from gateway.errors import LedgerError, PackageError
from gateway.evidence.authenticity import Authenticity
from gateway.evidence.judgement import Judgements, conclude
from gateway.evidence.notes import Claimed, claimed
from gateway.evidence.policy import Policy
from gateway.evidence.proof import Proof, ProvedEntry, ProvedRecord
from gateway.evidence.timing import Timing
from gateway.evidence.trust import Trust
from gateway.evidence.witnessing import judge_cosignatures
from gateway.ledger.entry import Entry, decode
from gateway.ledger.proof import check_consistency, check_inclusion
from gateway.ledger.report import Discrepancies
from gateway.ledger.tree import leaf_hash
from gateway.package.container import BATCH
from gateway.package.record import read_record

__all__ = ["verify_proof"]


def verify_proof(proof: Proof, *, policy: Policy | None = None) -> Judgements:
    """Verify ``proof``; ``policy`` is whoever's who asks. Nothing is raised: what cannot be read is a finding."""
    integral, authentic, timely = (Discrepancies() for _ in range(3))
    trust = Trust(policy, Policy(), authentic)
    authenticity = Authenticity(trust, authentic)
    # 1. the checkpoint, and the earlier ones on its history
    newest = _claim(proof.note, "checkpoint", integral)
    earlier = _earlier(proof, newest, integral)
    timing = Timing(trust, earlier.get, timely)
    # 2. every entry in the tree of the checkpoint: keys and time-stamps first, then the one that is proved
    around = sorted(proof.around, key=lambda one: one.index)
    for one in around:
        found = _entry(one, newest, integral)
        if found is not None:
            trust.take(one.index, found)
            timing.take(one.index, found)
    entry = _entry(proof.entry, newest, integral)
    _origin(proof, policy, newest, around, integral)
    # 3. signed by keys that were to be believed
    checkpoints = [one for one in (newest, *earlier.values()) if one is not None]
    authenticity.judge_checkpoints(checkpoints, lambda _one: True)  # one that is off the history was told, and left out
    judge_cosignatures(checkpoints, trust, lambda _one: True, authentic, each_asked=False)
    timing.between()
    if entry is not None:
        timing.judge(proof.entry.index, entry)
        _sealed(proof, entry, authenticity)
        # 4. the record in the batch
        if proof.record is not None:
            _record(proof.record, proof.entry.index, entry, integral)
    timing.conclude()
    return Judgements(
        by_question={
            "integrity": conclude(integral),
            "authenticity": conclude(authentic),
            "time": conclude(timely),
        },
        facts=_facts(proof, entry, newest),
        remarks=tuple(_remarks(timing, entry)),
    )


def _claim(note: bytes, place: str, found: Discrepancies) -> Claimed | None:
    try:
        return claimed(note, place)
    except LedgerError as error:
        found.add("evidence-checkpoint-unreadable", expected=place, found=error.code)
        return None


def _earlier(proof: Proof, newest: Claimed | None, found: Discrepancies) -> dict[int, Claimed]:
    on_history: dict[int, Claimed] = {} if newest is None else {newest.checkpoint.size: newest}
    for number, one in enumerate(proof.earlier):
        place = f"earlier[{number}]"
        old = _claim(one.note, place, found)
        if old is None or newest is None:
            continue
        try:
            if old.checkpoint.origin != newest.checkpoint.origin:
                raise LedgerError("checkpoint-of-other-log", expected="", found="")
            new = newest.checkpoint
            check_consistency(old.checkpoint.size, old.checkpoint.root, new.size, new.root, one.path)
        except LedgerError as error:
            found.add("evidence-proof-wrong", expected=f"{place} {old.checkpoint.size}", found=error.code)
            continue
        on_history[old.checkpoint.size] = old
    return on_history


def _entry(one: ProvedEntry, newest: Claimed | None, found: Discrepancies) -> Entry | None:
    if newest is None:
        return None
    try:
        check_inclusion(leaf_hash(one.leaf), one.index, newest.checkpoint.size, one.path, newest.checkpoint.root)
        entry = decode(one.leaf)
    except LedgerError as error:
        found.add("evidence-proof-wrong", index=one.index, expected=newest.checkpoint.size, found=error.code)
        return None
    return entry


def _origin(
    proof: Proof, policy: Policy | None, newest: Claimed | None, around: list[ProvedEntry], found: Discrepancies
) -> None:
    expected = policy.origin if policy is not None and policy.origin is not None else proof.origin
    said = [proof.origin, *([newest.checkpoint.origin] if newest is not None else [])]
    for origin in said:
        if origin != expected:
            found.add("evidence-other-log", index=0, expected=expected, found=origin)
    if not around or around[0].index != 0:
        found.add("evidence-proof-without-genesis", contradicts=False)


def _sealed(proof: Proof, entry: Entry, authenticity: Authenticity) -> None:
    if "manifest_sha256" not in entry.fields or not proof.manifest:
        return
    index, sender = proof.entry.index, entry.text("route").split("/")[0]
    authenticity.judge_manifest_digest(index, proof.manifest, entry.text("manifest_sha256"))
    authenticity.judge_signature(index, sender, BATCH, proof.manifest, proof.signature, entry.text("signer_key_id"))


def _record(record: ProvedRecord, index: int, entry: Entry, found: Discrepancies) -> None:
    root, total = entry.fields.get("record_root"), entry.fields.get("total")
    try:
        read_record(record.line, record.number, {})
        if record.count != total or not isinstance(root, str):
            raise LedgerError("inclusion-proof-invalid", index=record.number, size=record.count)
        leaf = sha256(b"\x00" + record.blind + record.line).digest()
        check_inclusion(leaf, record.number, record.count, record.path, bytes.fromhex(root))
    except (LedgerError, PackageError) as error:
        found.add("evidence-record-wrong", index=index, expected=f"{record.number} / {total}", found=error.code)


def _facts(proof: Proof, entry: Entry | None, newest: Claimed | None) -> dict[str, str | int]:
    facts: dict[str, str | int] = {"log": proof.origin, "entry": proof.entry.index}
    if newest is not None:
        facts["entries"] = newest.checkpoint.size
    if entry is not None:
        facts |= {"kind": entry.kind, "claimed": instant(entry.at)}
        for name in ("route", "batch_id"):
            if name in entry.fields:
                facts[name.replace("_id", "")] = entry.text(name)
    if proof.record is not None:
        facts["record"] = f"{proof.record.number + 1} / {proof.record.count}"
    return facts


def _remarks(timing: Timing, entry: Entry | None) -> Iterator[tuple[str, Mapping[str, object]]]:
    if entry is not None and "feedback_sha256" in entry.fields:
        receiver = entry.text("route").rsplit("/", 1)[-1]
        yield "evidence-remark-taken-down", {"receiver": receiver, "feedback": entry.text("feedback_sha256")}
    for at, bound in (("after", timing.after), ("before", timing.before)):
        if bound is not None:
            yield f"evidence-remark-{at}", {"at": instant(bound)}
    yield "evidence-remark-proof", {}
