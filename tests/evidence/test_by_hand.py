"""What the READMEs tell auditors to type is typed here, on a real bundle: with unzip, sha256sum and openssl, and nothing of ours."""

from __future__ import annotations

import subprocess
import textwrap
import zipfile
from pathlib import Path

import pytest

from gateway.evidence.notes import claimed
from gateway.ledger.entry import Entry
from tests.evidence.world import World
from tests.nodes import PROVINCE
from tests.tamper.forge import Evidence
from tests.test_docs import CHINESE, ENGLISH, FENCE, page

TITLES = {ENGLISH: "### Check one batch by hand\n", CHINESE: "### 手工核对一个批次\n"}


def blocks(name: str) -> list[str]:
    """The code blocks of the section; a heading inside a block is none, so sections are not asked for."""
    text = page(name).split(TITLES[name], 1)[1].split("\n## ", 1)[0]
    return [code for _, code in FENCE.findall(text)]


def test_all_three_texts_tell_the_same() -> None:
    assert blocks(ENGLISH) == blocks(CHINESE)
    assert len(blocks(ENGLISH)) == 6
    told = (Path(__file__).parents[2] / "gateway" / "delivery" / "bundle-readme.txt").read_text("utf-8")
    for block in blocks(ENGLISH):
        assert textwrap.indent(block, "    ") in told


@pytest.fixture
def desk(world: World, tmp_path: Path) -> Path:
    """An auditor's desk: the bundle, and what he got by other ways."""
    world.export("bureau", tmp_path / "evidence.zip")
    certs = world.nodes.bureau.path / "certs"
    (tmp_path / "ledger.vkey").write_bytes((certs / "ledger.vkey").read_bytes())
    (tmp_path / "authority.crt").write_bytes(world.authority.root.certificate_pem)
    return tmp_path


def script(evidence: Evidence, batch: int) -> str:
    """The commands for the batch of an entry, its time-stamp filled in."""
    entries = evidence.entries
    stamps = [(at, one.number("checkpoint_size")) for at, one in enumerate(entries) if one.kind == "anchor"]
    anchor, size = next((at, size) for at, size in stamps if size > batch)
    filled = "".join(blocks(ENGLISH)).replace("BATCH_ID", entries[batch].text("batch_id"))
    return filled.replace("ANCHOR", str(anchor)).replace("STAMPED", str(size))


def run(desk: Path, commands: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands], cwd=desk, capture_output=True, text=True, check=False
    )


def settled(evidence: Evidence) -> list[tuple[int, Entry]]:
    """Those whose package is still there."""
    found = [(at, one) for at, one in enumerate(evidence.entries) if one.kind == "batch.reconciled"]
    return [(at, one) for at, one in found if f"sent/{one.text('batch_id')}/package.asice" in evidence.members]


def receiver(world: World, entry: Entry) -> bytes:
    side = "province" if entry.text("route").endswith(PROVINCE) else "ministry"
    return world.folder(side).certificate("signing")


def test_every_batch_can_be_checked_by_hand(world: World, desk: Path) -> None:
    evidence = Evidence.read(desk / "evidence.zip")
    assert evidence.members["checkpoint"].count("—".encode()) == 2, "signed by the log and by its witness"
    for at, entry in settled(evidence):
        (desk / "receiver-signing.crt").write_bytes(receiver(world, entry))
        done = run(desk, f"rm -rf evidence\n{script(evidence, at)}")
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("CMS Verification successful") == 2
        assert "the root is that of the checkpoint" in done.stdout
        assert "Signature Verified Successfully" in done.stdout
        assert "Verification: OK" in done.stdout + done.stderr
        assert "Time stamp: " in done.stdout


def test_a_batch_of_a_ledger_without_witnesses(world: World, desk: Path) -> None:
    evidence = Evidence.read(desk / "evidence.zip")
    notes = [name for name in evidence.members if name.startswith("checkpoint")]
    bare = evidence.changed({name: claimed(evidence.members[name], name).stamped for name in notes})
    (desk / "evidence.zip").write_bytes(bare.write())
    at, entry = settled(evidence)[0]
    (desk / "receiver-signing.crt").write_bytes(receiver(world, entry))
    done = run(desk, script(evidence, at))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("what", ["package", "receipt", "tile", "checkpoint", "token", "proof"])
def test_the_commands_find_what_was_changed(world: World, desk: Path, what: str) -> None:
    """Each of the six steps can fail: something else is changed for each."""
    evidence = Evidence.read(desk / "evidence.zip")
    at, entry = settled(evidence)[0]
    other = settled(evidence)[1]
    (desk / "receiver-signing.crt").write_bytes(receiver(world, entry))
    folder = f"sent/{entry.text('batch_id')}"
    (name,) = {
        "package": [f"{folder}/package.asice"],
        "receipt": [f"{folder}/receipt-{at}.asice"],
        "tile": [name for name in evidence.members if name.startswith("tile/entries/")],
        "checkpoint": ["checkpoint"],
        "token": [
            f"anchors/{next(n for n, one in enumerate(evidence.entries) if one.kind == 'anchor' and n > at)}.token"
        ],
        "proof": [f"proofs/{at}.json"],
    }[what]
    data, leaf = evidence.members[name], evidence.leaves[at]
    changed = {
        "package": evidence.members[f"sent/{other[1].text('batch_id')}/package.asice"],
        "receipt": evidence.members[f"sent/{other[1].text('batch_id')}/receipt-{other[0]}.asice"],
        "tile": data.replace(leaf, leaf.replace(b'"rejected":0', b'"rejected":1')),
        "checkpoint": _other_signature(data) if what == "checkpoint" else b"",
        "token": data[:-1] + bytes([data[-1] ^ 1]),
        "proof": data.replace(b'"path": [\n   "', b'"path": [\n   "0', 1),
    }[what]
    assert changed != data
    with zipfile.ZipFile(desk / "evidence.zip", "w") as whole:
        for each, content in evidence.changed({name: changed}).members.items():
            whole.writestr(each, content)
    done = run(desk, script(evidence, at))
    assert done.returncode != 0, done.stdout


def _other_signature(note: bytes) -> bytes:
    """A letter of the log's own signature is another."""
    at = len(claimed(note, "checkpoint").stamped) - 9
    return note[:at] + (b"A" if note[at : at + 1] != b"A" else b"B") + note[at + 1 :]
