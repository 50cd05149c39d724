"""A bundle taken apart, changed as a forger would, and put together again: its members, the log in it, a checkpoint under a key of his."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from gateway.delivery.archive import ArchiveWriter
from gateway.evidence.judgement import Judgements
from gateway.evidence.manifest import Manifest, manifest_bytes, parse_manifest
from gateway.evidence.notes import Claimed, claimed
from gateway.evidence.policy import Policy, parse_policy
from gateway.evidence.verify import verify_bundle
from gateway.ledger.checkpoint import Checkpoint, sign_checkpoint
from gateway.ledger.entry import Entry, Value, decode, encode
from gateway.ledger.note import NoteSigner
from gateway.ledger.tiles import TILE_WIDTH, decode_bundle, encode_bundle, new_tiles
from gateway.ledger.tree import leaf_hash, root_of

PACKED = ("README", "policy", "gateway", "selection", "keys", "certificates", "checkpoint", "proofs", "tile/entries")


@dataclass(frozen=True, slots=True)
class Raw:
    """The bytes of a file that was a bundle."""

    data: bytes = field(repr=False)

    def verify(self, policy: Policy | None, held: Sequence[Claimed] = ()) -> Judgements:
        return verify_bundle(io.BytesIO(self.data), policy=policy, held=held)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The members of a bundle by name, in their order; every change gives another one."""

    members: dict[str, bytes] = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Evidence:
        with zipfile.ZipFile(path) as archive:
            return cls({name: archive.read(name) for name in archive.namelist()})

    def write(self) -> bytes:
        whole = io.BytesIO()
        with ArchiveWriter(whole) as writer:
            for name, content in self.members.items():
                writer.add(name, content, packed=name.startswith(PACKED))
        return whole.getvalue()

    def verify(self, policy: Policy | None, held: Sequence[Claimed] = ()) -> Judgements:
        return verify_bundle(io.BytesIO(self.write()), policy=policy, held=held)

    def changed(self, changes: Mapping[str, bytes | None]) -> Evidence:
        """Other contents by name; None takes a member away."""
        whole: dict[str, bytes | None] = {**self.members, **changes}
        return Evidence({name: content for name, content in whole.items() if content is not None})

    @property
    def policy(self) -> Policy:
        return parse_policy(self.members["policy.toml"])

    @property
    def newest(self) -> Claimed:
        return claimed(self.members["checkpoint"], "checkpoint")

    @property
    def size(self) -> int:
        return self.newest.checkpoint.size

    @property
    def manifest(self) -> Manifest:
        return parse_manifest(self.members["selection.json"])

    def with_manifest(self, manifest: Manifest) -> Evidence:
        return self.changed({"selection.json": manifest_bytes(manifest)})

    @property
    def leaves(self) -> list[bytes]:
        found: list[bytes] = []
        for tile in new_tiles(0, self.size):
            if tile.level == 0:
                found += decode_bundle(self.members[tile.bundle_path], tile.width)
        return found

    @property
    def entries(self) -> list[Entry]:
        return [decode(leaf) for leaf in self.leaves]

    def with_bundles(self, leaves: Sequence[bytes]) -> Evidence:
        """Other entries, and everything else as it was: tiles, checkpoint."""
        kept = {name: data for name, data in self.members.items() if not name.startswith("tile/entries/")}
        added = {}
        for tile in new_tiles(0, len(leaves)):
            if tile.level == 0:
                added[tile.bundle_path] = encode_bundle(leaves[tile.start : tile.start + tile.width])
        return Evidence({**kept, **added})

    def with_log(self, leaves: Sequence[bytes], signer: NoteSigner | None = None) -> Evidence:
        """Other entries with the tiles that belong to them; under a checkpoint of ``signer``'s, or the old one."""
        kept = {name: data for name, data in self.members.items() if not name.startswith("tile/")}
        level = [leaf_hash(leaf) for leaf in leaves]
        hashes = {0: level}
        while len(level) >= TILE_WIDTH:
            level = [root_of(level[at : at + TILE_WIDTH]) for at in range(0, len(level) - TILE_WIDTH + 1, TILE_WIDTH)]
            hashes[len(hashes)] = level
        tiles = {
            tile.path: b"".join(hashes[tile.level][tile.start : tile.start + tile.width])
            for tile in new_tiles(0, len(leaves))
        }
        whole = Evidence({**kept, **tiles}).with_bundles(leaves)
        if signer is None:
            return whole
        root = root_of(hashes[0])
        checkpoint = Checkpoint(origin=self.newest.checkpoint.origin, size=len(leaves), root=root)
        return whole.changed({"checkpoint": sign_checkpoint(checkpoint, signer)}).resized(len(leaves), root)

    def resized(self, size: int, root: bytes) -> Evidence:
        """With a manifest that says so."""
        return self.with_manifest(replace(self.manifest, size=size, root=root.hex()))

    def with_files_told(self) -> Evidence:
        """With the digests of its loose files as the manifest's: what a forger would not forget."""
        told = self.manifest
        files = {name: sha256(self.members[name]).hexdigest() for name in told.files if name in self.members}
        return self.with_manifest(replace(told, files=files))


def changed_entry(entry: Entry, changes: Mapping[str, Value] | None = None, *, at: datetime | None = None) -> bytes:
    """The entry with other fields or another time, written as it must be."""
    return encode(entry.kind, {**entry.fields, **(changes or {})}, at or entry.at)
