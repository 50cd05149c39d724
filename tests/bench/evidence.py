"""``python -m tests.bench.evidence``: a ledger of 100,000 entries exported and verified; rates, and memory that must not grow with it.

Export and verification run in processes of their own, so that each one's largest memory is its own.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from gateway.clock import SystemClock, instant
from gateway.delivery.export import ExportOrder, export
from gateway.evidence.manifest import Selection
from gateway.evidence.policy import parse_policy
from gateway.evidence.verify import verify_bundle
from gateway.ledger.checkpoint import Checkpoint, sign_checkpoint
from gateway.ledger.entry import Value, encode
from gateway.ledger.keys import generate_key
from gateway.ledger.note import NoteSigner
from gateway.ledger.tiles import TILE_WIDTH
from gateway.ledger.tree import Edge, leaf_hash, root_of
from gateway.package.batch import build_batch
from gateway.package.certificates import load_certificates
from gateway.package.container import BATCH, RECEIPT
from gateway.package.forms import Node
from gateway.package.header import BatchDraft, FormatReference
from gateway.package.manifest import build_manifest
from gateway.package.receipt import Figures, Receipt, Verdict, build_receipt
from gateway.package.record import Operation, record_line
from gateway.package.sealing import seal
from gateway.store.database import Database
from tests.ledger.samples import all_fields
from tests.package.samples import Identity, ecdsa, stranger

__all__ = ["Measured", "build", "main", "measure"]

ENTRIES: Final = 100_000
BATCHES: Final = 2_000
_RECORDS: Final = 20  # of each batch, of about 1 KB
_START: Final = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
_SENDER, _NODE = Node(code="SENDER", name="sender"), Node(code="RECEIVER", name="receiver")
_ROUTE: Final = "SENDER/administrative-license/RECEIVER"
_ORIGIN: Final = "credit-gateway/RECEIVER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a process took: seconds of work, and MB of memory at its start and at most."""

    seconds: float
    before: float
    most: float
    told: dict[str, Any]

    @property
    def grown(self) -> float:
        """MB that the work itself took."""
        return self.most - self.before


def build(folder: Path, entries: int, batches: int) -> None:
    """A receiver's journal: ``entries`` of which ``batches`` have a package and a receipt. The ledger's rows are written in bulk."""
    url = f"sqlite:///{folder / 'gateway.db'}"
    database = Database.open(url, upgrading=True)
    database.migrate()
    database.close()
    signer = NoteSigner(_ORIGIN, generate_key(b"\x09" * 32))
    (folder / "sender.crt").write_bytes(ecdsa().certificate_pem)
    (folder / "own.crt").write_bytes(stranger().certificate_pem)
    leaves = [_entry("genesis", 0, origin=_ORIGIN, verifier_key=str(signer.verifier))]
    rows: list[tuple[object, ...]] = []
    previous = -1
    for number in range(1, entries):
        if number <= batches:
            leaf, row = _received(number, previous)
            rows.append(row)
            previous = number
        else:
            leaf = _entry("operator.action", number, person="person", action="retry", subject=f"subject {number}")
        leaves.append(leaf)
    _write(folder / "gateway.db", leaves, rows, signer)


def _entry(kind: str, number: int, **fields: Value) -> bytes:
    at = _START + timedelta(seconds=number)
    return encode(kind, {**all_fields(kind), "node": _NODE.code, **fields}, at)


def _received(number: int, previous: int) -> tuple[bytes, tuple[object, ...]]:
    batch_id, before = (f"01900000-0000-7000-8000-{each:012x}" for each in (number, number - 1))
    at = _START + timedelta(seconds=number)
    body = f'<Permit xmlns="urn:test:permit">{"许可内容" * 80}</Permit>'
    lines = [record_line(f"key {number} {each}", 1, Operation.UPSERT, body) for each in range(_RECORDS)]
    built = build_batch(
        BatchDraft(
            batch_id=batch_id,
            sequence=number,
            previous_batch_id=before if number > 1 else None,
            sender=_SENDER,
            receiver=_NODE,
            catalog="administrative-license",
            format=FormatReference(id="credit-2018", version="1"),
            mapping_digest="ab" * 32,
            created_at=at,
            salt=sha256(batch_id.encode()).digest(),
        ),
        lines,
    )
    package = _sealed(BATCH, built.xml, ecdsa(), at)
    figures = Figures(total=_RECORDS, created=_RECORDS)
    receipt = _sealed(
        RECEIPT,
        build_receipt(
            Receipt(
                batch_id=batch_id,
                route=_ROUTE,
                sequence=number,
                package_sha256=sha256(package).hexdigest(),
                receiver=_NODE,
                received_at=at,
                verdict=Verdict.ACCEPTED,
                figures=figures,
            )
        ),
        stranger(),
        at,
    )
    told: dict[str, Value] = {
        "route": _ROUTE,
        "route_seq": number,
        "previous": previous,
        "batch_id": batch_id,
        "package_sha256": sha256(package).hexdigest(),
        "manifest_sha256": sha256(build_manifest(BATCH, built.xml)).hexdigest(),
        "signer_key_id": ecdsa().signer.key_id,
        "record_root": built.header.record_root.hex(),
        "mapping_digest": "ab" * 32,
        "verdict": "accepted",
        "receipt_sha256": sha256(receipt).hexdigest(),
        "peer_size": 0,
        "peer_root": "",
        "claimed_at": instant(at),
        **asdict(figures),
    }
    row = (
        batch_id, _ROUTE, _SENDER.code, "administrative-license", number, told["package_sha256"], told["receipt_sha256"],
        "accepted", "{}", "", instant(at), receipt, package,
    )  # fmt: skip
    return _entry("batch.received", number, **told), row


def _sealed(name: str, document: bytes, identity: Identity, at: datetime) -> bytes:
    return seal(name, document, identity.signer, at)


def _write(file: Path, leaves: Sequence[bytes], rows: Sequence[tuple[object, ...]], signer: NoteSigner) -> None:
    """The rows as they would stand there after years, without the years."""
    hashes = [leaf_hash(leaf) for leaf in leaves]
    edge = Edge()
    for hashed in hashes:
        edge = edge.append(hashed)
    note = sign_checkpoint(Checkpoint(origin=_ORIGIN, size=edge.size, root=edge.root()), signer)
    with sqlite3.connect(file) as conn:
        for (trigger,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            conn.execute(f'DROP TRIGGER "{trigger}"')
        told = [json.loads(leaf) for leaf in leaves]
        conn.executemany(
            "INSERT INTO entry (idx, leaf_hash, kind, route, route_seq, batch_id, leaf) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (index, hashes[index], one["kind"], one.get("route"), one.get("route_seq"), one.get("batch_id"), leaf)
                for index, (leaf, one) in enumerate(zip(leaves, told, strict=True))
            ),
        )
        level, height = hashes, 0
        while len(level) >= TILE_WIDTH:
            tiles = [level[at : at + TILE_WIDTH] for at in range(0, len(level) - TILE_WIDTH + 1, TILE_WIDTH)]
            above = [root_of(tile) for tile in tiles]
            conn.executemany(
                "INSERT INTO tile (level, n, root, data) VALUES (?, ?, ?, ?)",
                ((height, n, above[n], b"".join(tile)) for n, tile in enumerate(tiles)),
            )
            level, height = above, height + 1
        conn.execute(
            "UPDATE ledger_head SET size = ?, root = ?, edge = ?", (edge.size, edge.root(), b"".join(edge.hashes))
        )
        conn.execute("INSERT INTO checkpoint (size, root, note) VALUES (?, ?, ?)", (edge.size, edge.root(), note))
        conn.executemany(f"INSERT INTO inbox_batch VALUES ({', '.join('?' * 13)})", rows)
    conn.close()


def measure(folder: Path, what: str) -> Measured:
    """``export`` or ``verify`` in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.evidence", "--child", what, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def _child(what: str, folder: Path) -> None:
    before, started = _memory(), time.monotonic()
    told = _export(folder) if what == "export" else _verify(folder)
    measured = Measured(seconds=time.monotonic() - started, before=before, most=_memory(), told=told)
    sys.stdout.write(json.dumps(asdict(measured)) + "\n")


def _memory() -> float:
    """The most that this process ever had in memory, MB. getrusage would tell of the one that started it as well."""
    (line,) = (each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def _export(folder: Path) -> dict[str, Any]:
    database = Database.open(f"sqlite:///{folder / 'gateway.db'}", read_only=True)
    order = ExportOrder(
        selection=Selection(),
        person="auditor",
        reason="bench",
        entry=-1,
        not_entered="bench",
        signers={"SENDER": load_certificates(folder / "sender.crt"), "RECEIVER": load_certificates(folder / "own.crt")},
    )
    target = folder / "evidence.zip"
    done = export(
        database, target, order, node=_NODE, origin=_ORIGIN, clock=SystemClock(), tell=lambda _stage, _done, _all: None
    )
    database.close()
    return {"entries": done.entries, "batches": done.batches, "absent": done.absent, "bytes": done.size}


def _verify(folder: Path) -> dict[str, Any]:
    with zipfile.ZipFile(folder / "evidence.zip") as bundle:
        policy = parse_policy(bundle.read("policy.toml"))
    with (folder / "evidence.zip").open("rb") as file:
        result = verify_bundle(file, policy=policy)
    return {question: one.verdict.value for question, one in result.by_question.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.evidence")
    parser.add_argument("--entries", type=int, default=ENTRIES)
    parser.add_argument("--batches", type=int, default=BATCHES)
    parser.add_argument("--child", nargs=2, metavar=("WHAT", "FOLDER"), help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.child:
        _child(chosen.child[0], Path(chosen.child[1]))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder), chosen.entries, chosen.batches)
        for what in ("export", "verify"):
            one = measure(Path(folder), what)
            sys.stdout.write(
                f"{what}: {chosen.entries:,} entries, {chosen.batches:,} packages and receipts in {one.seconds:.1f} s: "
                f"{chosen.entries / one.seconds:,.0f} entries/s, {one.grown:.0f} MB over {one.before:.0f} MB; {one.told}\n"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
