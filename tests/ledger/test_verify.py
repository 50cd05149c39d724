"""Verification names what was changed, and tells it from what cannot be proved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.ledger.checkpoint import Checkpoint, sign_checkpoint
from gateway.ledger.keys import generate_key
from gateway.ledger.note import NoteSigner
from gateway.ledger.port import StoredCheckpoint
from gateway.ledger.report import MAX_PER_CODE, Report, Verdict
from gateway.ledger.tiles import decode_bundle, encode_bundle
from gateway.ledger.tree import leaf_hash, root_of
from gateway.ledger.verify import verify_folder, verify_log
from tests.ledger.memory_log import MemoryLog
from tests.ledger.samples import ORIGIN, fill
from tests.ledger.world import SIGNER, World

SIZE = 300


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A ledger of 300 entries, all signed and published; 100 were signed before."""
    world = World(tmp_path_factory.mktemp("template"))
    for size in (100, SIZE):
        world.grow(size)
        world.restart()
    return world


@pytest.fixture
def world(template: World, tmp_path: Path) -> World:
    return template.copy(tmp_path / "world")


def codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings}


def flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_a_sound_log_is_proved(world: World) -> None:
    for report in (world.verify(), world.verify_published()):
        assert report == Report(
            verdict=Verdict.PROVED, entries=SIZE, signed=SIZE, root=world.log.head().root, findings=(), total=0
        )


def test_entries_after_the_newest_checkpoint_are_told_apart(world: World) -> None:
    world.grow(SIZE + 9)
    report = world.verify()
    assert (report.verdict, report.entries, report.signed) == (Verdict.PROVED, SIZE + 9, SIZE)


def test_without_a_checkpoint_nothing_is_proved(world: World) -> None:
    world.log.checkpoints.clear()
    (world.published_path / "checkpoint").unlink()
    for report in (world.verify(), world.verify_published()):
        assert (report.verdict, report.signed, report.findings) == (Verdict.NOT_PROVABLE, 0, ())


def test_an_unknown_key_proves_nothing_and_contradicts_nothing(world: World) -> None:
    stranger = NoteSigner(ORIGIN, generate_key(b"\x0b" * 32)).verifier
    for report in (
        verify_log(world.log, [stranger], origin=ORIGIN),
        verify_folder(world.folder, [stranger], origin=ORIGIN),
    ):
        assert (report.verdict, codes(report)) == (Verdict.NOT_PROVABLE, {"ledger-checkpoint-unproved"})


def test_a_forged_signature_contradicts(world: World) -> None:
    note = world.log.checkpoints[SIZE].note
    forged = sign_checkpoint(Checkpoint(origin=ORIGIN, size=SIZE, root=b"\x00" * 32), SIGNER)
    mixed = note.split(b"\n\n")[0] + b"\n\n" + forged.split(b"\n\n")[1]
    world.log.checkpoints[SIZE] = replace(world.log.checkpoints[SIZE], note=mixed)
    world.folder.replace("checkpoint", mixed)
    for report in (world.verify(), world.verify_published()):
        (finding,) = report.findings
        assert (report.verdict, finding.code, finding.found) == (
            Verdict.CONTRADICTED,
            "ledger-checkpoint-unproved",
            "note-signature-invalid",
        )


def test_a_signed_checkpoint_over_other_entries_contradicts(world: World) -> None:
    note = sign_checkpoint(Checkpoint(origin=ORIGIN, size=SIZE, root=b"\x00" * 32), SIGNER)
    world.log.checkpoints[SIZE] = StoredCheckpoint(size=SIZE, root=b"\x00" * 32, note=note)
    world.folder.replace("checkpoint", note)
    assert codes(world.verify()) == codes(world.verify_published()) == {"ledger-checkpoint-wrong"}


def test_columns_beside_a_checkpoint_are_compared(world: World) -> None:
    world.log.checkpoints[SIZE] = replace(world.log.checkpoints[SIZE], size=SIZE + 1)
    assert codes(world.verify()) == {"ledger-checkpoint-columns"}


@given(index=st.integers(0, SIZE - 1), data=st.data())
@settings(max_examples=60)
def test_a_flipped_bit_of_any_entry_is_named(template: World, index: int, data: st.DataObject) -> None:
    log = template.log.copy()
    row = log.rows[index]
    log.rows[index] = replace(row, leaf=flip(row.leaf, data.draw(st.integers(0, len(row.leaf) * 8 - 1))))
    report = verify_log(log, [SIGNER.verifier], origin=ORIGIN)
    assert report.verdict is Verdict.CONTRADICTED
    assert report.findings[0].index == index
    assert "ledger-leaf-wrong" in codes(report)
    assert "ledger-checkpoint-wrong" in codes(report)


@given(index=st.integers(0, SIZE - 1))
@settings(max_examples=30)
def test_an_entry_rewritten_together_with_its_hash_is_found(template: World, index: int) -> None:
    log = template.log.copy()
    leaf = log.rows[index].leaf.replace(b'"software":"name"', b'"software":"fame"')
    log.rows[index] = replace(log.rows[index], leaf=leaf, leaf_hash=leaf_hash(leaf))
    report = verify_log(log, [SIGNER.verifier], origin=ORIGIN)
    assert {"ledger-head-wrong", "ledger-checkpoint-wrong"} <= codes(report)
    if index < 256:  # the full tile still knows
        assert [one.index for one in report.findings if one.code == "ledger-tile-wrong"] == [index]


def test_a_log_rewritten_throughout_is_found_by_what_was_signed(world: World) -> None:
    rewritten = MemoryLog()
    fill(rewritten, SIZE, total=2, created=2)
    rewritten.checkpoints = dict(world.log.checkpoints)
    report = verify_log(rewritten, [SIGNER.verifier], origin=ORIGIN)
    assert codes(report) == {"ledger-checkpoint-wrong"}
    rewritten.checkpoints.clear()
    held = Checkpoint(origin=ORIGIN, size=100, root=world.log.checkpoints[100].root)
    report = verify_log(rewritten, [SIGNER.verifier], origin=ORIGIN, held=[held])
    assert codes(report) == {"ledger-held-checkpoint-wrong"}


@given(index=st.integers(0, SIZE - 1))
@settings(max_examples=60)
def test_a_deleted_entry_is_named(template: World, index: int) -> None:
    log = template.log.copy()
    del log.rows[index]
    report = verify_log(log, [SIGNER.verifier], origin=ORIGIN)
    assert (report.verdict, report.root) == (Verdict.CONTRADICTED, None)
    assert [(one.code, one.index) for one in report.findings] == [("ledger-entry-absent", index)]


@given(index=st.integers(0, SIZE - 2))
@settings(max_examples=60)
def test_swapped_entries_are_named(template: World, index: int) -> None:
    log = template.log.copy()
    first, second = log.rows[index], log.rows[index + 1]
    log.rows[index], log.rows[index + 1] = replace(second, index=index), replace(first, index=index + 1)
    report = verify_log(log, [SIGNER.verifier], origin=ORIGIN)
    assert report.verdict is Verdict.CONTRADICTED
    assert "ledger-checkpoint-wrong" in codes(report)
    assert min(one.index for one in report.findings if one.index >= 0) in {index, index + 1} or index >= 256


@pytest.mark.parametrize("size", [0, 1, 99, 100, 255, 256, 299])
def test_a_cut_tail_is_seen_from_outside_only(template: World, size: int) -> None:
    cut = World(template.path.with_name(f"cut-{size}"))
    cut.grow(size)
    assert cut.verify().verdict is Verdict.NOT_PROVABLE
    held = Checkpoint(origin=ORIGIN, size=SIZE, root=template.log.head().root)
    report = cut.verify(held=[held])
    assert report.verdict is Verdict.CONTRADICTED
    assert [(one.code, one.index) for one in report.findings] == [("ledger-tail-absent", size)]


def test_a_view_that_differs_from_a_peers_is_found(world: World) -> None:
    theirs = Checkpoint(origin=ORIGIN, size=100, root=b"\x00" * 32)
    ours = Checkpoint(origin=ORIGIN, size=100, root=world.log.checkpoints[100].root)
    assert world.verify(held=[ours]).verdict is Verdict.PROVED
    assert world.verify_published(held=[ours]).verdict is Verdict.PROVED
    assert codes(world.verify(held=[ours, theirs])) == {"ledger-held-checkpoint-wrong"}
    assert codes(world.verify_published(held=[theirs])) == {"ledger-held-checkpoint-wrong"}


@pytest.mark.parametrize(
    ("tamper", "expected"),
    [
        (lambda log: setattr(log, "current", replace(log.current, root=b"\x00" * 32)), {"ledger-head-wrong"}),
        (
            lambda log: setattr(log, "current", replace(log.current, edge=(b"\x00" * 32, *log.current.edge[1:]))),
            {"ledger-edge-wrong"},
        ),
        (lambda log: log.tiles.clear(), {"ledger-tile-wrong"}),
        (lambda log: log.rows.update({7: replace(log.rows[7], kind="anchor")}), {"ledger-columns-wrong"}),
        (lambda log: log.rows.update({8: replace(log.rows[8], route_seq=1)}), {"ledger-columns-wrong"}),
        (lambda log: log.rows.update({8: replace(log.rows[8], route=None)}), {"ledger-columns-wrong"}),
        (lambda log: log.rows.update({8: replace(log.rows[8], batch_id="other")}), {"ledger-columns-wrong"}),
        (lambda log: log.rows.update({8: replace(log.rows[8], leaf_hash=b"\x00" * 32)}), {"ledger-leaf-wrong"}),
    ],
)
def test_the_index_beside_the_entries_is_compared(
    world: World, tamper: Callable[[MemoryLog], None], expected: set[str]
) -> None:
    tamper(world.log)
    report = world.verify()
    assert (report.verdict, codes(report)) == (Verdict.CONTRADICTED, expected)


@pytest.mark.parametrize("at", [0, 5, 255])
def test_a_changed_tile_names_its_entry(world: World, at: int) -> None:
    tile = world.log.tiles[0, 0]
    data = flip(tile.data, at * 256)
    hashes = [data[start : start + 32] for start in range(0, 8192, 32)]
    for bad, index in [(replace(tile, data=data, root=root_of(hashes)), at), (replace(tile, root=b"\x00" * 32), 0)]:
        world.log.tiles[0, 0] = bad
        assert [(one.code, one.index) for one in world.verify().findings] == [("ledger-tile-wrong", index)]
    world.log.tiles[0, 0] = replace(tile, data=tile.data[:-1])
    assert codes(world.verify()) == {"ledger-tile-wrong"}


class TestPublished:
    @pytest.mark.parametrize(("path", "start"), [("tile/entries/000", 0), ("tile/entries/001.p/44", 256)])
    def test_a_changed_entry_is_found(self, world: World, path: str, start: int) -> None:
        file = world.published_path / path
        leaves = decode_bundle(file.read_bytes(), 256 if start == 0 else 44)
        leaves[40] = leaves[40].replace(b'"software":"name"', b'"software":"fame"')
        file.write_bytes(encode_bundle(leaves))
        report = world.verify_published()
        assert report.verdict is Verdict.CONTRADICTED
        assert codes(report) == {"ledger-tile-wrong", "ledger-checkpoint-wrong"}
        assert start + 40 in {one.index for one in report.findings}

    @pytest.mark.parametrize("path", ["tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1"])
    def test_a_changed_tile_is_found(self, world: World, path: str) -> None:
        file = world.published_path / path
        whole = file.read_bytes()
        for data in (flip(whole, 3), whole[:-1], whole + b"\x00", b""):
            file.write_bytes(data)
            report = world.verify_published()
            assert (report.verdict, codes(report)) == (Verdict.CONTRADICTED, {"ledger-tile-wrong"})

    @pytest.mark.parametrize(
        "path", ["tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/44"]
    )
    def test_a_missing_file_is_not_provable_and_named(self, world: World, path: str) -> None:
        (world.published_path / path).unlink()
        report = world.verify_published()
        assert report.verdict is Verdict.NOT_PROVABLE
        assert path in {one.expected for one in report.findings if one.code == "published-file-absent"}
        assert not any(one.contradicts for one in report.findings)

    def test_a_cut_bundle_is_found_and_what_follows_is_still_read(self, world: World) -> None:
        file = world.published_path / "tile" / "entries" / "000"
        file.write_bytes(file.read_bytes()[:-1])
        later = world.published_path / "tile" / "entries" / "001.p" / "44"
        leaves = decode_bundle(later.read_bytes(), 44)
        later.write_bytes(encode_bundle([*leaves[:-1], b"{}"]))
        report = world.verify_published()
        assert codes(report) == {"published-bundle-wrong", "ledger-entry-absent", "entry-invalid"}
        assert [one.index for one in report.findings if one.code == "entry-invalid"] == [SIZE - 1]


def test_findings_are_bounded_and_counted(world: World) -> None:
    for index, row in list(world.log.rows.items()):
        world.log.rows[index] = replace(row, leaf=b"{}")
    report = world.verify()
    assert report.total > 2 * SIZE
    assert len(report.findings) <= MAX_PER_CODE * len(codes(report))
    assert report.findings[0].index == 0
    assert sum(one.code == "entry-invalid" for one in report.findings) == MAX_PER_CODE


def test_findings_are_sentences(world: World) -> None:
    world.log.rows[3] = replace(world.log.rows[3], leaf=b"{}")
    for finding in world.verify().findings:
        for language in ("zh-CN", "en"):
            assert finding.say(language)
            assert "{" not in finding.say(language) + finding.fix(language)
            assert not finding.say(language).startswith(finding.code)
