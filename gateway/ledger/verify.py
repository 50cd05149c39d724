"""Verification of a whole log: everything recomputed from the entries' bytes, in one pass, in bounded memory.

It does not stop at the first error. Two places are read alike: the log's storage, and the folder that was published.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from gateway.errors import LedgerError
from gateway.ledger.checkpoint import Checkpoint, open_checkpoint
from gateway.ledger.entry import Entry
from gateway.ledger.note import VerifierKey
from gateway.ledger.port import Log, StoredEntry
from gateway.ledger.report import Discrepancies, Report
from gateway.ledger.tiles import CHECKPOINT_PATH, TileId, decode_bundle, new_tiles, split_tile
from gateway.ledger.tree import leaf_hash, root_of
from gateway.ledger.walk import ComputedTile, Walk

__all__ = ["PublishedFiles", "compare_tiles", "published_leaves", "verify_folder", "verify_log"]


class PublishedFiles(Protocol):
    """A log as published, in whatever holds files by path."""

    def read(self, path: str) -> bytes | None:
        """The file's bytes, or None when there is no such file."""
        ...


def verify_log(log: Log, known: Sequence[VerifierKey], *, origin: str, held: Sequence[Checkpoint] = ()) -> Report:
    """Verify a log in its storage: entries, columns beside them, tiles, head, newest checkpoint.

    ``known`` are the keys whose signature counts; ``held`` are checkpoints of this log that others hold (head memory, peers, witnesses),
    opened and believed by the caller: the log must contain every one of them.
    """
    newest = log.newest_checkpoint()  # before the head: a log that grows meanwhile must not look cut
    head = log.head()
    found = Discrepancies()
    signed = None if newest is None else _open(newest.note, known, origin, found)
    if newest is not None and signed is not None and (signed.size, signed.root) != (newest.size, newest.root):
        found.add("ledger-checkpoint-columns", expected=signed.size, found=newest.size)
    own = Checkpoint(origin=origin, size=head.size, root=head.root)
    sizes = [own.size, *(one.size for one in (signed, *held) if one is not None)]
    walk = Walk(found, sizes, absence_contradicts=True)
    for stored in log.entries(0, head.size):
        hashed = leaf_hash(stored.leaf)
        entry = walk.take(stored.index, stored.leaf, hashed)
        _check_columns(stored, hashed, entry, found)
        for tile in walk.completed:
            _compare_tile(tile, _stored_hashes(log, tile), found)
    walk.end(head.size)
    walk.compare("ledger-head-wrong", own)
    if walk.root is not None and walk.edge.hashes != head.edge:
        found.add("ledger-edge-wrong", expected=head.size, found=head.size)
    return _conclude(walk, found, signed, held)


def verify_folder(
    folder: PublishedFiles, known: Sequence[VerifierKey], *, origin: str, held: Sequence[Checkpoint] = ()
) -> Report:
    """Verify a log as published in tlog-tiles form, as anybody can who has the files and the verifier key.

    Without a checkpoint that a known key signed nothing can be proved. ``held`` as in :func:`verify_log`.
    """
    found = Discrepancies()
    note = folder.read(CHECKPOINT_PATH)
    signed = None if note is None else _open(note, known, origin, found)
    walk = Walk(found, [one.size for one in (signed, *held) if one is not None], absence_contradicts=False)
    size = 0 if signed is None else signed.size
    for tile in new_tiles(0, size):
        if tile.level > 0:
            continue
        for index, leaf in enumerate(published_leaves(folder, tile, found), start=tile.start):
            walk.take(index, leaf, leaf_hash(leaf))
            compare_tiles(folder, walk.completed, found)
    walk.end(size)
    compare_tiles(folder, walk.partial_tiles(), found)
    return _conclude(walk, found, signed, held)


def _open(note: bytes, known: Sequence[VerifierKey], origin: str, found: Discrepancies) -> Checkpoint | None:
    try:
        return open_checkpoint(note, known, origin)
    except LedgerError as error:
        # Nobody we know signed it: that may be a missing key, and proves nothing either way.
        contradicts = error.code != "note-unsigned"
        found.add("ledger-checkpoint-unproved", expected=origin, found=error.code, contradicts=contradicts)
        return None


def _conclude(walk: Walk, found: Discrepancies, signed: Checkpoint | None, held: Sequence[Checkpoint]) -> Report:
    if signed is not None:
        walk.compare("ledger-checkpoint-wrong", signed)
    for checkpoint in held:
        walk.compare("ledger-held-checkpoint-wrong", checkpoint)
    return found.report(entries=walk.size, signed=0 if signed is None else signed.size, root=walk.root)


def _check_columns(stored: StoredEntry, hashed: bytes, entry: Entry | None, found: Discrepancies) -> None:
    if hashed != stored.leaf_hash:
        found.add("ledger-leaf-wrong", index=stored.index, expected=stored.leaf_hash.hex(), found=hashed.hex())
    if entry is None:
        return
    told = (stored.kind, stored.route, stored.route_seq, stored.batch_id)
    fields = entry.fields if "route" in entry.fields else {}
    meant = (entry.kind, fields.get("route"), fields.get("route_seq"), fields.get("batch_id"))
    if told != meant:
        found.add("ledger-columns-wrong", index=stored.index, expected=meant, found=told)


def _compare_tile(computed: ComputedTile, hashes: list[bytes], found: Discrepancies) -> None:
    """Name the first entry under the first hash that differs."""
    if hashes == computed.hashes:
        return
    pairs = enumerate(zip(computed.hashes, hashes, strict=False))
    at = next((at for at, (ours, theirs) in pairs if ours != theirs), min(len(hashes), computed.id.width - 1))
    found.add(
        "ledger-tile-wrong",
        index=(computed.id.start + at) << (8 * computed.id.level),
        expected=f"{computed.id.path} {computed.hashes[at].hex()}",
        found=hashes[at].hex() if at < len(hashes) else "",
    )


def _stored_hashes(log: Log, tile: ComputedTile) -> list[bytes]:
    """What storage holds as the tile; nothing when it is not whole or its root, kept beside it, is not its own."""
    data = log.tile(tile.id.level, tile.id.index)
    above = list(log.hashes(tile.id.level + 1, tile.id.index, tile.id.index + 1))
    try:
        hashes = [] if data is None else split_tile(data, tile.id.width)
    except LedgerError:
        return []
    return hashes if above == [root_of(hashes)] else []


def compare_tiles(folder: PublishedFiles, tiles: Iterable[ComputedTile], found: Discrepancies) -> None:
    """Hold tiles as the entries give them against those that were published."""
    for tile in tiles:
        _compare_tile(tile, _published_hashes(folder, tile, found), found)


def _published_hashes(folder: PublishedFiles, tile: ComputedTile, found: Discrepancies) -> list[bytes]:
    data = folder.read(tile.id.path)
    if data is None:
        index = tile.id.start << (8 * tile.id.level)
        found.add("published-file-absent", index=index, expected=tile.id.path, contradicts=False)
        return tile.hashes
    try:
        return split_tile(data, tile.id.width)
    except LedgerError:
        return []


def published_leaves(folder: PublishedFiles, tile: TileId, found: Discrepancies) -> list[bytes]:
    """The entries of a bundle as published; none when it is not there or not whole, which is told to ``found``."""
    data = folder.read(tile.bundle_path)
    if data is None:
        found.add("published-file-absent", index=tile.start, expected=tile.bundle_path, contradicts=False)
        return []
    try:
        return decode_bundle(data, tile.width)
    except LedgerError as error:
        found.add("published-bundle-wrong", index=tile.start, expected=tile.bundle_path, found=error.code)
        return []
