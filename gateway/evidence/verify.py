"""Verification of a whole bundle: four verdicts in two passes over its entries, in bounded memory, without stopping at the first error.

Nothing in the bundle is believed because it says so. What the auditor gives (a policy, checkpoints that others kept) is; what is missing keeps
things from being proved, what is wrong contradicts.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import BinaryIO, Final

from gateway.clock import instant
from gateway.errors import EvidenceError, LedgerError
from gateway.evidence.authenticity import Authenticity
from gateway.evidence.bundle import POLICY, Bundle, anchor_path, checkpoint_path, proof_path
from gateway.evidence.completeness import Completeness
from gateway.evidence.contents import Contents
from gateway.evidence.integrity import Integrity
from gateway.evidence.judgement import Judgements, conclude
from gateway.evidence.notes import Claimed, claimed
from gateway.evidence.policy import Policy, parse_policy
from gateway.evidence.proof import parse_proof
from gateway.evidence.tail import judge_tail
from gateway.evidence.timing import Timing
from gateway.evidence.trust import Trust
from gateway.evidence.verify_proof import verify_proof
from gateway.evidence.witnessing import Seen, judge_cosignatures
from gateway.ledger.entry import Entry, decode
from gateway.ledger.report import Discrepancies, Verdict
from gateway.ledger.tiles import CHECKPOINT_PATH

__all__ = ["Progress", "verify_bundle"]

_MOST_CHECKPOINTS: Final = 50_000
_MOST_ROUTES_SHOWN: Final = 50

Progress = Callable[[int, int], None]
"""Told now and then: how much was done, of how much."""


def verify_bundle(
    file: BinaryIO,
    *,
    policy: Policy | None = None,
    held: Sequence[Claimed] = (),
    progress: Progress = lambda _done, _all: None,
) -> Judgements:
    """Verify the bundle in ``file``, which is only read. ``policy`` is the auditor's own, ``held`` are checkpoints that others kept.

    Raises EvidenceError for what is no bundle at all.
    """
    integral, authentic, timely, complete = (Discrepancies() for _ in range(4))
    bundle = Bundle(file, integral)
    newest, others = _checkpoints(bundle, integral)
    checkpoints = [*([newest] if newest else []), *others]
    sizes = [one.checkpoint.size for one in (*checkpoints, *held)]
    integrity = Integrity(bundle, newest, sizes, found=integral, told=complete)
    trust = Trust(policy, _listed(bundle, authentic), authentic)
    authenticity = Authenticity(trust, authentic)
    timing = Timing(trust, lambda size: _of_size(bundle, newest, size), timely, last=bundle.manifest.entry)
    completeness = Completeness(bundle.manifest, integrity, complete)
    # 1. Every entry: hashed, decoded, chained; keys, anchors and erasures collected.
    at = ""
    for index, _leaf, entry in integrity.entries():
        if entry is not None:
            trust.take(index, entry, whole=integrity.whole)
            timing.take(index, entry)
            completeness.take(index, entry)
            at = instant(entry.at)
            if entry.kind == "anchor":
                _same_token(bundle, index, entry, timely)
            if entry.kind == "genesis":
                _same_log(bundle, policy, entry, integral)
        if index % 1_000 == 0:
            progress(index, 2 * integrity.size)
    # 2. Every checkpoint: on this history, signed by a key that was to be believed.
    integrity.judge_checkpoints(checkpoints)
    authenticity.judge_checkpoints(checkpoints, lambda one: integrity.on_history(one) is True)
    witnesses = judge_cosignatures(checkpoints, trust, lambda one: integrity.on_history(one) is True, authentic)
    authenticity.judge_copies(bundle, whole=integrity.whole)
    integrity.judge_files()
    timing.between()
    # 3. Every entry again: between its time-stamps, and with what was sealed of it.
    contents = Contents(bundle, integrity, authenticity, complete)
    for index, leaf in integrity.again():
        try:
            entry = decode(leaf)
        except LedgerError:
            continue  # told in the first pass
        timing.judge(index, entry)
        if "batch_id" in entry.fields and "route" in entry.fields:
            seen = contents.judge(index, entry) if completeness.selects(entry) else None
            completeness.judge(index, entry, seen)
            _proof(bundle, index, leaf, integral)
        if index % 1_000 == 0:
            progress(integrity.size + index, 2 * integrity.size)
    # 4. What is left over, left open, or may have been cut off.
    completeness.conclude(integrity.walk.chain.unfinished())
    timing.conclude()
    last = timing.last
    until = at if last is None else instant(last.at)
    vouched = judge_tail(integrity, held, authenticity.believes, complete, until=until)
    integrity.judge_surplus()
    return Judgements(
        by_question={
            "integrity": conclude(integral),
            "authenticity": conclude(authentic),
            "time": conclude(timely),
            "completeness": conclude(complete),
        },
        facts=_facts(bundle, integrity, timing),
        remarks=tuple(_remarks(bundle, completeness, timing, witnesses, vouched)),
    )


def _checkpoints(bundle: Bundle, found: Discrepancies) -> tuple[Claimed | None, list[Claimed]]:
    """The bundle's newest checkpoint, and the others, as far as they can be read."""
    newest: Claimed | None = None
    others: list[Claimed] = []
    for path, note in bundle.checkpoints():
        if len(others) >= _MOST_CHECKPOINTS:
            found.add("evidence-checkpoints-too-many", expected=_MOST_CHECKPOINTS, contradicts=False)
            break
        try:
            one = claimed(note, path)
        except LedgerError as error:
            found.add("evidence-checkpoint-unreadable", expected=path, found=error.code)
            continue
        if path == CHECKPOINT_PATH:
            newest = one
        elif path == checkpoint_path(one.checkpoint.size):
            others.append(one)
        else:
            found.add("evidence-checkpoint-misplaced", expected=path, found=one.checkpoint.size)
    return newest, others


def _same_log(bundle: Bundle, policy: Policy | None, genesis: Entry, found: Discrepancies) -> None:
    """The log, the manifest and the auditor speak of one node's ledger."""
    manifest = bundle.manifest
    expected = policy.origin if policy is not None and policy.origin is not None else manifest.origin
    for origin in (manifest.origin, genesis.text("origin")):
        if origin != expected:
            found.add("evidence-other-log", index=0, expected=expected, found=origin)
    if genesis.text("node") != manifest.node_code:
        found.add("evidence-other-log", index=0, expected=manifest.node_code, found=genesis.text("node"))


def _same_token(bundle: Bundle, index: int, entry: Entry, found: Discrepancies) -> None:
    """The copy of a token that lies there for other people's tools."""
    path = anchor_path(index)
    copy = bundle.read(path)
    if copy is None:
        found.add("evidence-file-absent", index=index, expected=path, contradicts=False)
    elif copy != base64.b64decode(entry.text("token")):
        found.add("evidence-copy-wrong", index=index, expected=path, found=sha256(copy).hexdigest())


def _proof(bundle: Bundle, index: int, leaf: bytes, found: Discrepancies) -> None:
    """The proof of one entry that lies there to be handed on by itself."""
    path = proof_path(index)
    data = bundle.read(path)
    if data is None:
        return
    try:
        proof = parse_proof(data)
    except EvidenceError as error:
        found.add("evidence-copy-wrong", index=index, expected=path, found=error.code)
        return
    judged = verify_proof(proof).verdict
    if (proof.entry.index, proof.entry.leaf) != (index, leaf) or judged is Verdict.CONTRADICTED:
        found.add("evidence-copy-wrong", index=index, expected=path, found=sha256(data).hexdigest())


def _of_size(bundle: Bundle, newest: Claimed | None, size: int) -> Claimed | None:
    note = bundle.read(checkpoint_path(size))
    if note is None:
        return newest if newest is not None and newest.checkpoint.size == size else None
    try:
        return claimed(note, checkpoint_path(size))
    except LedgerError:
        return None


def _listed(bundle: Bundle, found: Discrepancies) -> Policy:
    """What the bundle itself says should be believed."""
    data = bundle.read(POLICY)
    if data is None:
        return Policy()
    try:
        return parse_policy(data)
    except EvidenceError as error:
        found.add("evidence-policy-unreadable", expected=POLICY, found=error.code, contradicts=False)
        return Policy()


def _facts(bundle: Bundle, integrity: Integrity, timing: Timing) -> dict[str, str | int]:
    manifest, root = bundle.manifest, integrity.walk.root
    return {
        "log": manifest.origin,
        "node": f"{manifest.node_name} {manifest.node_code}".strip(),
        "entries": integrity.size,
        "root": "-" if root is None else root.hex(),
        "selection": str(manifest.selection),
        "made": instant(manifest.made_at),
        "anchors": timing.anchors,
    }


def _remarks(
    bundle: Bundle, completeness: Completeness, timing: Timing, witnesses: Sequence[Seen], vouched: int
) -> Iterator[tuple[str, Mapping[str, object]]]:
    tally, manifest = completeness.tally, bundle.manifest
    yield (
        "evidence-remark-batches",
        {name: getattr(tally, name) for name in ("selected", "checked", "erased", "outside")},
    )
    for route, last in list(tally.routes.items())[:_MOST_ROUTES_SHOWN]:
        yield "evidence-remark-route", {"route": route, "last": last}
    if timing.last is not None:
        yield "evidence-remark-time", {"size": timing.last.size, "at": instant(timing.last.at)}
    for one in witnesses:
        yield "evidence-remark-witness", {"witness": one.witness, "size": one.size, "at": instant(one.at)}
    if 0 < vouched < manifest.size:
        yield "evidence-remark-held", {"size": vouched}
    if manifest.entry < 0:
        yield "evidence-remark-not-entered", {"code": manifest.not_entered or "-"}
    else:
        yield "evidence-remark-entered", {"index": manifest.entry, "person": manifest.person}
