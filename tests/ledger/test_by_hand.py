"""A published ledger checked with nothing of the gateway: file paths, hashlib, and openssl for the signature."""

from __future__ import annotations

import base64
import subprocess
from hashlib import sha256
from pathlib import Path

from tests.ledger import naive
from tests.ledger.world import SIGNER, World

SIZE = 600


def test_anybody_can_check_a_published_ledger(tmp_path: Path) -> None:
    world = World(tmp_path)
    for size in (1, 300, SIZE):
        world.grow(size)
        world.restart()
    published = world.published_path

    # The signed text says three lines and is signed.
    text, _, signatures = (published / "checkpoint").read_text("utf-8").rpartition("\n\n")
    origin, count_line, root = text.split("\n")
    assert count_line == str(SIZE)
    name, signature = signatures.removeprefix("— ").strip().split(" ")
    vkey_name, vkey_id, vkey_key = str(SIGNER.verifier).split("+", 2)
    raw, key = base64.b64decode(signature), base64.b64decode(vkey_key)
    assert (name, raw[:4].hex()) == (vkey_name, vkey_id) == (origin, raw[:4].hex())
    assert sha256(origin.encode() + b"\n" + key).digest()[:4] == raw[:4]
    (tmp_path / "text").write_bytes(f"{text}\n".encode())
    (tmp_path / "signature").write_bytes(raw[4:])
    # RFC 8410 §4: what stands before the 32 bytes of an Ed25519 public key in DER.
    (tmp_path / "key.der").write_bytes(bytes.fromhex("302a300506032b6570032100") + key[1:])
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key.der", "-rawin"]
    subprocess.run([*command, "-in", "text", "-sigfile", "signature"], cwd=tmp_path, check=True, capture_output=True)

    # The entries give its root.
    leaves: list[bytes] = []
    for path, count in [("000", 256), ("001", 256), ("002.p/88", 88)]:
        data = (published / "tile" / "entries" / path).read_bytes()
        before = len(leaves)
        while data:
            length = int.from_bytes(data[:2], "big")
            leaves.append(data[2 : 2 + length])
            data = data[2 + length :]
        assert len(leaves) - before == count
        tile = (published / "tile" / "0" / path).read_bytes()
        assert tile == b"".join(naive.leaf(leaf) for leaf in leaves[before:])
    assert base64.b64decode(root) == naive.root(leaves)
    assert (published / "tile" / "1" / "000.p" / "2").read_bytes() == naive.root(leaves[:256]) + naive.root(
        leaves[256:512]
    )
