"""The set: every tampering by its name, with what it does and what must be said of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from itertools import combinations

from gateway.clock import instant, parse_instant
from gateway.errors import EvidenceError
from gateway.evidence.bundle import package_path, receipt_path
from gateway.evidence.manifest import BATCH_KINDS, Selection
from gateway.evidence.notes import Claimed, claimed
from gateway.evidence.trust import keys_json
from gateway.ledger.checkpoint import Checkpoint, sign_checkpoint
from gateway.ledger.entry import Entry, Value
from gateway.ledger.history import KEY_KINDS
from gateway.ledger.kinds import KINDS, FieldType
from gateway.ledger.note import NoteSigner
from gateway.ledger.report import Verdict
from gateway.ledger.tiles import new_tiles
from tests.package.stamping import Authority
from tests.tamper.forge import Evidence, Raw, changed_entry

CONTRADICTED, UNPROVED = Verdict.CONTRADICTED, Verdict.NOT_PROVABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the set starts from: a bundle in which everything is proved, and what its node could forge with."""

    side: str
    evidence: Evidence
    signer: NoteSigner  # the ledger's own key, as its owner or a thief has it
    stranger: NoteSigner  # another key under the same name
    authority: Authority


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One tampering. ``verdict`` is what must be said, None for anything but proved; ``question`` whose verdict it must be, where that is one.

    ``index``: the entry that a finding must name. ``held`` are the checkpoints that the auditor has from others: the newest, where it is None.
    """

    name: str
    make: Callable[[], Evidence | Raw]
    verdict: Verdict | None = CONTRADICTED
    question: str | None = None
    index: int | None = None
    held: tuple[Claimed, ...] | None = None


def other_value(declared: FieldType, value: Value) -> Value:
    """Another value of the same type."""
    match declared:
        case FieldType.COUNT | FieldType.SEQUENCE | FieldType.INDEX:
            return int(value) + 1
        case FieldType.DIGEST:
            return ("0" if str(value)[0] != "0" else "1") + str(value)[1:]
        case FieldType.DIGEST_OR_NONE:
            return "" if value else "ab" * 32
        case FieldType.INSTANT:
            return instant(parse_instant(str(value)) - timedelta(days=1))
        case FieldType.BASE64:
            data = bytearray(base64.b64decode(str(value)))
            data[-1] ^= 1
            return base64.b64encode(data).decode()
        case _:
            return f"{value}x"


def changed_fields(index: int, entry: Entry) -> Iterator[tuple[str, bytes]]:
    """The entry with each of its fields changed in turn, its time and its kind."""
    for name, declared in KINDS[entry.kind].fields.items():
        yield name, changed_entry(entry, {name: other_value(declared, entry.fields[name])})
    yield "at", changed_entry(entry, at=entry.at - timedelta(days=1))
    told = {**entry.fields, "at": instant(entry.at), "kind": "erasure" if entry.kind == "recovery" else "recovery"}
    yield "kind", json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def database(given: Given) -> Iterator[Case]:
    """Whoever can write to the database, and has no key: entries changed, dropped, doubled, swapped, put in."""
    whole, leaves = given.evidence, given.evidence.leaves
    for index, entry in enumerate(whole.entries):
        for name, leaf in changed_fields(index, entry):
            other = [*leaves[:index], leaf, *leaves[index + 1 :]]
            what = f"entry {index} {entry.kind}: {name} changed"
            yield Case(name=what, make=partial(whole.with_bundles, other), question="integrity", index=index)
            yield Case(name=f"{what}, with its tiles", make=partial(whole.with_log, other), question="integrity")
    for index in range(len(leaves)):
        changes = {
            "deleted": [*leaves[:index], *leaves[index + 1 :]],
            "doubled": [*leaves[: index + 1], *leaves[index:]],
            "followed by a forged one": [*leaves[: index + 1], forged(given, index), *leaves[index + 1 :]],
        }
        if index + 1 < len(leaves):
            changes["swapped"] = [*leaves[:index], leaves[index + 1], leaves[index], *leaves[index + 2 :]]
        for name, other in changes.items():
            yield Case(name=f"entry {index} {name}", make=partial(whole.with_bundles, other), question="integrity")
            what = f"entry {index} {name}, with its tiles"
            yield Case(name=what, make=partial(whole.with_log, other), question="integrity")


def forged(given: Given, index: int) -> bytes:
    """An entry that never was: the one at ``index`` again under another time."""
    entry = given.evidence.entries[index]
    return changed_entry(entry, at=entry.at + timedelta(microseconds=1))


def key_holder(given: Given) -> Iterator[Case]:
    """The operator, or a thief of the ledger's key: the log rewritten and signed anew. Others hold the newest checkpoint."""
    whole, leaves = given.evidence, given.evidence.leaves
    held = (whole.newest,)
    reach = stamped(whole)
    for index, entry in enumerate(whole.entries):
        for name, leaf in changed_fields(index, entry):
            other = [*leaves[:index], leaf, *leaves[index + 1 :]]
            what = f"entry {index} {entry.kind}: {name} changed, signed with the real key"
            make = partial(whole.with_log, other, given.signer)
            yield Case(name=what, make=make, question="completeness", held=held)
            # What was stamped, or shown to a receiver, is fixed even when nobody else's checkpoint is at hand.
            yield Case(
                name=f"{what}, nobody's checkpoint at hand",
                make=make,
                verdict=CONTRADICTED if index < reach else None,
                held=(),
            )
    for index in range(1, len(leaves)):
        other = [*leaves[:index], *leaves[index + 1 :]]
        what = f"entry {index} deleted, signed with the real key"
        yield Case(name=what, make=partial(whole.with_log, other, given.signer), held=held)
    yield from cut_tails(given)
    yield from forged_times(given)


def stamped(whole: Evidence) -> int:
    """Up to where time-stamps reach."""
    return max(entry.number("checkpoint_size") for entry in whole.entries if entry.kind == "anchor")


def cut_tails(given: Given) -> Iterator[Case]:
    """The end cut off at every size, by a forger who forgets nothing that could speak of it."""
    whole = given.evidence
    for size in range(1, whole.size):
        make = partial(cut, given, size)
        yield Case(name=f"cut to {size}", make=make, question="completeness", held=(whole.newest,))
        yield Case(
            name=f"cut to {size}, nobody's checkpoint at hand",
            make=make,
            verdict=UNPROVED,
            question="completeness",
            index=size,
            held=(),
        )
        yield Case(
            name=f"cut to {size}, under the old checkpoint",
            make=partial(whole.with_log, whole.leaves[:size]),
            question="integrity",
        )


def cut(given: Given, size: int) -> Evidence:
    """The bundle as it would have been at that size, signed with the real key."""
    whole, entries = given.evidence, given.evidence.entries
    kept = {package_path(one) for one in entries[:size] if one.kind in BATCH_KINDS}
    kept |= {receipt_path(at, one) for at, one in enumerate(entries[:size]) if one.kind in BATCH_KINDS}
    about_keys = [(at, one) for at, one in enumerate(entries[:size]) if one.kind in KEY_KINDS]
    kept |= {f"certificates/{one.fields.get('key_id')}.pem" for _, one in about_keys}
    kept |= {f"anchors/{at}.token" for at in range(size)} | {f"checkpoints/{at}" for at in range(size)}
    loose = ("sent/", "received/", "certificates/", "anchors/", "checkpoints/", "proofs/")
    members = {name: data for name, data in whole.members.items() if not name.startswith(loose) or name in kept}
    shorter = Evidence({**members, "keys.json": keys_json(about_keys)}).with_log(whole.leaves[:size], given.signer)
    manifest = shorter.manifest
    return shorter.with_manifest(replace(manifest, entry=-1, not_entered="state-held"))


def forged_times(given: Given) -> Iterator[Case]:
    """Entries of another time, put behind everything that is fixed."""
    leaves, entries = given.evidence.leaves, given.evidence.entries
    last = max(at for at, one in enumerate(entries) if one.kind == "anchor")
    template = next(one for one in entries if one.kind == "operator.action")
    fixed = leaves[: last + 1]
    base = cut(given, last + 1)
    held = (claimed(base.members["checkpoint"], "held"),)
    early = changed_entry(template, at=template.at - timedelta(days=1))
    yield Case(
        name="an entry dated back a day, after the last time-stamp",
        make=partial(base.with_log, [*fixed, early], given.signer),
        question="time",
        index=last + 1,
        held=held,
    )
    for name, days in (("dated ahead a day", 1), ("dated back a day", -1)):
        late = changed_entry(template, at=template.at + timedelta(days=days))
        yield Case(
            name=f"an entry {name}, stamped at its real time",
            make=partial(stamped_after, given, base, [*fixed, late], template.at),
            question="time",
            index=last + 1,
            held=held,
        )
    anchors = [(at, one) for at, one in enumerate(entries) if one.kind == "anchor"]
    for (_, older), (at, newer) in combinations(anchors, 2):
        reused = {name: older.fields[name] for name in ("token", "token_sha256", "stamped_at")}
        other = [*leaves[:at], changed_entry(newer, reused), *leaves[at + 1 :]]
        token = {f"anchors/{at}.token": base64.b64decode(older.text("token"))}
        yield Case(
            name=f"anchor {at} with an older token",
            make=partial(reused_token, given, other, token),
            question="time",
            index=at,
            held=(),
        )


def reused_token(given: Given, leaves: Sequence[bytes], token: Mapping[str, bytes]) -> Evidence:
    return given.evidence.with_log(leaves, given.signer).changed(token)


def stamped_after(given: Given, base: Evidence, leaves: Sequence[bytes], at: datetime) -> Evidence:
    """The log with one more time-stamp at its end, by the real authority at ``at``."""
    longer = base.with_log(leaves, given.signer)
    note = longer.members["checkpoint"]
    moment = at.replace(microsecond=0)
    token = given.authority.token(note, moment)
    template = next(one for one in given.evidence.entries if one.kind == "anchor")
    fields: dict[str, Value] = {
        "checkpoint_size": longer.size,
        "checkpoint_root": longer.newest.checkpoint.root.hex(),
        "token": base64.b64encode(token).decode(),
        "token_sha256": sha256(token).hexdigest(),
        "stamped_at": instant(moment),
    }
    anchor = changed_entry(template, fields, at=moment)
    kept = {f"checkpoints/{longer.size}": note, f"anchors/{len(leaves)}.token": token}
    return longer.with_log([*leaves, anchor], given.signer).changed(kept)


def checkpoints(given: Given) -> Iterator[Case]:
    """The newest checkpoint exchanged."""
    whole = given.evidence
    newest, note = whole.newest.checkpoint, whole.members["checkpoint"]
    other_root = bytes([newest.root[0] ^ 1]) + newest.root[1:]

    def under(signer: NoteSigner, checkpoint: Checkpoint) -> Evidence:
        changed = whole.changed({"checkpoint": sign_checkpoint(checkpoint, signer)})
        return changed.resized(checkpoint.size, checkpoint.root)

    forgeries = {
        "another root": Checkpoint(origin=newest.origin, size=newest.size, root=other_root),
        "a larger size": Checkpoint(origin=newest.origin, size=newest.size + 1, root=newest.root),
        "a huge size": Checkpoint(origin=newest.origin, size=2**50, root=newest.root),
        "a smaller size": Checkpoint(origin=newest.origin, size=newest.size - 1, root=newest.root),
        "another log": Checkpoint(origin=newest.origin + "x", size=newest.size, root=newest.root),
    }
    for name, checkpoint in forgeries.items():
        yield Case(name=f"checkpoint of {name}, the real key", make=partial(under, given.signer, checkpoint))
    stranger = partial(under, given.stranger, newest)
    yield Case(name="checkpoint by another key", make=stranger, verdict=UNPROVED, question="authenticity")
    without = partial(whole.changed, {"checkpoint": None})
    yield Case(name="checkpoint removed", make=without, verdict=UNPROVED, question="integrity")
    for name in [name for name in whole.members if name.startswith("checkpoints/")]:
        older = partial(whole.changed, {"checkpoint": whole.members[name]})
        yield Case(name=f"checkpoint replaced by the older {name}", make=older)
        yield Case(
            name=f"{name} replaced by the newest", make=partial(whole.changed, {name: note}), question="integrity"
        )
        removed = partial(whole.changed, {name: None})
        yield Case(name=f"{name} removed", make=removed, verdict=UNPROVED, question="time")
    for at in range(0, len(note), 7):
        make = partial(whole.changed, {"checkpoint": flipped(note, at)})
        yield Case(name=f"checkpoint, byte {at} flipped", make=make, verdict=None)


def cosignatures(given: Given) -> Iterator[Case]:
    """What a witness signed: under another checkpoint, at another time, by another key under its name."""
    whole = given.evidence
    notes = {name: whole.members[name] for name in whole.members if name.startswith("checkpoint")}
    lines = {name: note.removeprefix(claimed(note, name).stamped) for name, note in notes.items()}
    for one, other in combinations([name for name, line in lines.items() if line], 2):
        moved = partial(whole.changed, {one: claimed(notes[one], one).stamped + lines[other]})
        yield Case(name=f"{one} cosigned as {other}", make=moved, question="authenticity")
    for name, line in lines.items():
        if not line:
            continue
        own = claimed(notes[name], name).stamped
        label, _, encoded = line.rstrip(b"\n").rpartition(b" ")
        signed = base64.b64decode(encoded)
        for what, at in (("time", 11), ("signature", 40)):
            bent = label + b" " + base64.b64encode(flipped(signed, at)) + b"\n"
            make = partial(whole.changed, {name: own + bent})
            yield Case(name=f"{name}, another {what} of its witness", make=make, question="authenticity")
        strange = label + b" " + base64.b64encode(flipped(signed, 0)) + b"\n"
        make = partial(whole.changed, {name: own + strange})
        yield Case(name=f"{name}, cosigned by a stranger", make=make, verdict=UNPROVED, question="authenticity")


def files(given: Given) -> Iterator[Case]:
    """Tiles, packages, receipts, tokens, certificates, and everything else that lies in the bundle."""
    whole = given.evidence
    for name, data in whole.members.items():
        if name in {"selection.json", "checkpoint"}:
            continue
        for at in sorted({0, len(data) // 3, len(data) // 2, len(data) - 1}):
            make = partial(whole.changed, {name: flipped(data, at)})
            yield Case(name=f"{name}, byte {at} flipped", make=make, verdict=_of_flip(name))
        if not name.startswith("proofs/"):  # nothing leans on them: they are there to be handed on
            yield Case(name=f"{name} removed", make=partial(whole.changed, {name: None}), verdict=UNPROVED)
    for prefix in ("sent/", "received/", "anchors/", "certificates/", "checkpoints/", "proofs/"):
        names = [name for name in whole.members if name.startswith(prefix)]
        for one, other in combinations(names, 2):
            exchanged: dict[str, bytes | None] = {one: whole.members[other], other: whole.members[one]}
            yield Case(name=f"{one} and {other} exchanged", make=partial(whole.changed, exchanged))
            yield Case(name=f"{other} in place of {one}", make=partial(whole.changed, {one: whole.members[other]}))
    for tile in new_tiles(0, whole.size):
        older = whole.members[tile.path][: 32 * (tile.width // 2)]
        yield Case(name=f"{tile.path} as it was earlier", make=partial(whole.changed, {tile.path: older}))
    extra = "sent/01900000-0000-7000-8000-000000000000/package.asice"
    yield Case(name="a package that no entry tells of", make=partial(whole.changed, {extra: b"PK"}))
    yield Case(
        name="a certificate that no entry tells of", make=partial(whole.changed, {f"certificates/{'0' * 64}.pem": b""})
    )


def _of_flip(name: str) -> Verdict | None:
    # A checkpoint's or policy's bytes may flip into something unreadable or unknown, which only fails to prove.
    return None if name.startswith("checkpoints/") else CONTRADICTED


def selections(given: Given) -> Iterator[Case]:
    """The manifest made to ask for less than was exported."""
    whole, manifest = given.evidence, given.evidence.manifest
    route = next(one.text("route") for one in whole.entries if "route" in one.fields)
    for name, chosen in {
        "to a route": Selection(route=route),
        "to a batch": Selection(batches=("01900000-0000-7000-8000-000000000000",)),
        "to a time": Selection(stop=manifest.made_at - timedelta(days=1)),
    }.items():
        narrowed = replace(manifest, selection=chosen)
        yield Case(
            name=f"selection narrowed {name}", make=partial(whole.with_manifest, narrowed), question="completeness"
        )
        hidden = replace(narrowed, entry=-1, not_entered="state-held")
        bare = Evidence({name: data for name, data in whole.members.items() if not _left_out(name, given, chosen)})
        yield Case(
            name=f"selection narrowed {name}, the rest taken away and the export denied",
            make=partial(bare.with_manifest, hidden),
            verdict=UNPROVED,
            question="completeness",
        )
    for name, other in {
        "size": replace(manifest, size=whole.size + 1),
        "root": replace(manifest, root="0" * 64),
        "log": replace(manifest, origin="another"),
        "node": replace(manifest, node_code="another"),
    }.items():
        yield Case(name=f"selection.json: another {name}", make=partial(whole.with_manifest, other))


def _left_out(name: str, given: Given, chosen: Selection) -> bool:
    entries = given.evidence.entries
    kept = {package_path(one) for one in entries if chosen.takes(one)}
    kept |= {receipt_path(at, one) for at, one in enumerate(entries) if chosen.takes(one)}
    kept |= {f"proofs/{at}.json" for at, one in enumerate(entries) if chosen.takes(one)}
    return name.startswith(("sent/", "received/", "proofs/")) and name not in kept


def archives(given: Given) -> Iterator[Case]:
    """The file itself damaged, cut, lengthened."""
    data = given.evidence.write()
    for part in range(400):
        at = len(data) * part // 400
        yield Case(name=f"the file, byte {at} flipped", make=partial(Raw, flipped(data, at)), verdict=None)
    for part in range(50):
        at = len(data) * part // 50
        yield Case(name=f"the file cut at {at}", make=partial(Raw, data[:at]), verdict=None)
    for name, other in {
        "with a byte behind it": data + b"\0",
        "with a byte before it": b"\0" + data,
        "twice": data + data,
        "behind another archive": Evidence({"README.txt": b""}).write() + data,
    }.items():
        yield Case(name=f"the file {name}", make=partial(Raw, other), verdict=None)


def all_cases(given: Given) -> Iterator[Case]:
    """The whole set."""
    for part in (database, key_holder, checkpoints, cosignatures, files, selections, archives):
        yield from part(given)


def cases_of(given: Given, kind: str) -> Iterator[Case]:
    """Of the whole set, what is done to the entries of one kind and has to be contradicted, in a bundle that is not wholly proved."""
    for part in (database, key_holder):
        yield from (case for case in part(given) if f" {kind}: " in case.name and case.verdict is CONTRADICTED)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def judge(given: Given, case: Case) -> str | None:
    """What is wrong with what was said of the case; None when it is right."""
    held = (given.evidence.newest,) if case.held is None else case.held
    try:
        result = case.make().verify(given.evidence.policy, held)
    except EvidenceError as error:
        return None if case.verdict is None else f"refused ({error.code}), expected {case.verdict.value}"
    if result.verdict is Verdict.PROVED:
        return "passed"
    if case.verdict is not None and result.verdict is not case.verdict:
        return f"{result.verdict.value}, expected {case.verdict.value}"
    if case.question is not None:
        judged = result.by_question[case.question]
        if judged.verdict is not case.verdict:
            return f"{case.question} {judged.verdict.value}"
        if case.index is not None and all(finding.index != case.index for finding in judged.findings):
            return f"{case.question} does not name entry {case.index}"
    return None
