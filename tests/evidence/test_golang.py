"""The log held against the Go project's own packages, golang.org/x/mod/sumdb/note and tlog, in both directions.

``tests/golang/check.go`` is built from Debian's packages (``golang-go``, ``golang-golang-x-mod-dev``); nothing is downloaded.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import LedgerError
from gateway.ledger.checkpoint import open_checkpoint
from gateway.ledger.note import VerifierKey, open_note
from gateway.ledger.proof import (
    LogNodes,
    check_consistency,
    check_inclusion,
    consistency_proof,
    edge_at,
    inclusion_proof,
)
from gateway.ledger.tree import leaf_hash
from tests.evidence.world import World
from tests.ledger.world import SIGNER
from tests.ledger.world import World as LedgerWorld

SOURCE = Path(__file__).parents[1] / "golang" / "check.go"
PACKAGES = Path("/usr/share/gocode")
SIZE = 600  # three levels of the paths of tiles: full ones, partial ones, one above the other


@pytest.fixture(scope="session")
def check(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built program."""
    if shutil.which("go") is None or not (PACKAGES / "src/golang.org/x/mod/sumdb/tlog").is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail("Go and golang-golang-x-mod-dev are needed here")
        pytest.skip("no Go, or no golang-golang-x-mod-dev: the log was not held against another implementation")
    folder = tmp_path_factory.mktemp("golang")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GOPATH": str(PACKAGES),
        "GO111MODULE": "off",
        "GOPROXY": "off",
        "GOCACHE": str(folder / "cache"),
        "CGO_ENABLED": "0",
    }
    command = ["go", "build", "-o", str(folder / "check"), str(SOURCE)]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "check"


def run(check: Path, *words: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([check, *words], input=stdin, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> LedgerWorld:
    """A ledger of :data:`SIZE` entries, published."""
    ledger = LedgerWorld(tmp_path_factory.mktemp("ledger"))
    for size in (1, 300, SIZE):
        ledger.grow(size)
        ledger.restart()
    return ledger


def hold(claims: list[dict[str, Any]], leaves: list[bytes]) -> None:
    """Our verifier on Go's proofs."""
    for claim in claims:
        path = [bytes.fromhex(node) for node in claim["path"]]
        root, size = bytes.fromhex(claim["root"]), claim["size"]
        if claim["old"] < 0:
            leaf = bytes.fromhex(claim["leaf"])
            assert leaf == leaf_hash(leaves[claim["index"]])
            check_inclusion(leaf, claim["index"], size, path, root)
        else:
            check_consistency(claim["old"], bytes.fromhex(claim["old_root"]), size, root, path)


def test_go_verifies_our_log_and_we_verify_its_proofs(check: Path, grown: LedgerWorld) -> None:
    done = run(check, "log", grown.published_path, str(SIGNER.verifier))
    assert done.returncode == 0, done.stderr
    claims = json.loads(done.stdout)
    assert len(claims) == 2 * SIZE
    hold(claims, [entry.leaf for entry in grown.log.entries(0, SIZE)])


def test_go_verifies_a_real_bundle(check: Path, world: World, tmp_path: Path) -> None:
    world.export("bureau", tmp_path / "evidence.zip")
    with zipfile.ZipFile(tmp_path / "evidence.zip") as bundle:
        bundle.extractall(tmp_path / "evidence")
    vkey = (world.nodes.bureau.path / "certs" / "ledger.vkey").read_text().strip()
    done = run(check, "log", tmp_path / "evidence", vkey)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) > 20
    (tile,) = (tmp_path / "evidence" / "tile" / "entries").glob("000.p/*")
    tile.write_bytes(tile.read_bytes().replace(b'"created":4', b'"created":5', 1))
    assert run(check, "log", tmp_path / "evidence", vkey).returncode != 0, "Go does not look at the entries"


def test_go_verifies_our_proofs(check: Path, grown: LedgerWorld) -> None:
    nodes = LogNodes(grown.log)
    leaves = [entry.leaf_hash.hex() for entry in grown.log.entries(0, SIZE)]
    claims: list[dict[str, Any]] = []
    for size in (1, 2, 255, 256, 257, 511, 512, 513, SIZE):
        root = _root(grown, size)
        for index in sorted({0, size // 3, size - 1}):
            path = [node.hex() for node in inclusion_proof(nodes, index, size)]
            claims.append({"index": index, "old": -1, "size": size, "root": root, "leaf": leaves[index], "path": path})
        for old in sorted({1, size // 2 or 1, size}):
            path = [node.hex() for node in consistency_proof(nodes, old, size)]
            claims.append({"old": old, "old_root": _root(grown, old), "size": size, "root": root, "path": path})
    done = run(check, "proofs", stdin=json.dumps(claims))
    assert (done.returncode, done.stdout.strip()) == (0, str(len(claims))), done.stderr
    for number in (0, len(claims) - 1):
        wrong = [dict(claim) for claim in claims]
        wrong[number]["root"] = "00" * 32
        assert f"claim {number}:" in run(check, "proofs", stdin=json.dumps(wrong)).stderr


def _root(grown: LedgerWorld, size: int) -> str:
    return edge_at(LogNodes(grown.log), size).root().hex()


def test_we_open_what_go_signs(check: Path) -> None:
    text = "credit-gateway/test\n17\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    made = json.loads(run(check, "note", "credit-gateway/test", stdin=text).stdout)
    key = VerifierKey.parse(made["vkey"])
    assert str(key) == made["vkey"]
    assert open_note(made["note"].encode(), [key]) == (text, (key,))
    assert open_checkpoint(made["note"].encode(), [key], "credit-gateway/test").size == 17
    with pytest.raises(LedgerError):
        open_note(made["note"].replace("17", "18").encode(), [key])


def test_go_refuses_another_key(check: Path, grown: LedgerWorld) -> None:
    other = json.loads(run(check, "note", SIGNER.verifier.name, stdin="text\n").stdout)["vkey"]
    assert run(check, "log", grown.published_path, other).returncode != 0
