"""Head memory and published files: whole or not there, and never the wrong ones."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.errors import LedgerError
from gateway.ledger.folder import TileFolder, replace_file
from gateway.ledger.memory import FileHeadMemory, Remembered
from tests.ledger.samples import ORIGIN, START

HEAD = Remembered(origin=ORIGIN, size=3, root=b"\x01" * 32, at=START)
LATER = replace(HEAD, size=4)


def refusal(action: Callable[[], object]) -> str:
    with pytest.raises(LedgerError) as caught:
        action()
    return caught.value.code


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """As on a full disk: what is written beyond ``size`` bytes fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


class TestHeadMemory:
    def test_it_remembers(self, tmp_path: Path) -> None:
        memory = FileHeadMemory(tmp_path / "head")
        assert memory.read() is None
        memory.swap(None, HEAD)
        assert memory.read() == HEAD
        memory.swap(HEAD, LATER)
        assert FileHeadMemory(tmp_path / "head").read() == LATER
        assert (tmp_path / "head").read_text() == (
            f"{ORIGIN}\n4\nAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n2026-11-22T06:00:00.000000Z\n"
        )

    def test_it_moves_only_from_what_was_expected(self, tmp_path: Path) -> None:
        memory = FileHeadMemory(tmp_path / "head")
        assert refusal(lambda: memory.swap(HEAD, LATER)) == "head-memory-moved"
        memory.swap(None, HEAD)
        for expected in (None, LATER, replace(HEAD, root=b"\x02" * 32)):
            assert refusal(lambda expected=expected: memory.swap(expected, LATER)) == "head-memory-moved"  # type: ignore[misc]  # a default binds early
        assert memory.read() == HEAD

    def test_of_many_at_once_one_moves_it(self, tmp_path: Path) -> None:
        FileHeadMemory(tmp_path / "head").swap(None, HEAD)

        def move(number: int) -> str:
            try:
                FileHeadMemory(tmp_path / "head").swap(HEAD, replace(LATER, root=bytes([number]) * 32))
            except LedgerError as error:
                return error.code
            return "moved"

        with ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(move, range(16))) == ["head-memory-moved"] * 15 + ["moved"]

    @pytest.mark.parametrize("cut", range(0, len(HEAD.text()), 7))
    def test_half_a_memory_is_refused(self, tmp_path: Path, cut: int) -> None:
        (tmp_path / "head").write_text(HEAD.text()[:cut])
        assert refusal(FileHeadMemory(tmp_path / "head").read) == "head-memory-malformed"

    @pytest.mark.parametrize(
        "text",
        [
            HEAD.text() + "more\n",
            HEAD.text().replace("\n3\n", "\n03\n"),
            HEAD.text().replace("Z", ""),
            HEAD.text().replace("2026-11-22T06:00:00.000000Z", "2026-11-22T06:00:00.0Z"),
            HEAD.text().replace("\n", "\r\n"),
            "x" * 10_000,
        ],
    )
    def test_another_text_is_refused(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "head").write_bytes(text.encode())
        memory = FileHeadMemory(tmp_path / "head")
        assert refusal(memory.read) == "head-memory-malformed"
        assert refusal(lambda: memory.swap(HEAD, LATER)) == "head-memory-malformed"

    def test_a_failing_disk_leaves_the_old_memory(self, tmp_path: Path) -> None:
        memory = FileHeadMemory(tmp_path / "head")
        memory.swap(None, HEAD)
        with files_limited_to(20):
            assert refusal(lambda: memory.swap(HEAD, LATER)) == "ledger-file-failed"
        assert memory.read() == HEAD
        assert names(tmp_path) == {"head", "head.lock"}

    def test_no_folder_no_memory(self, tmp_path: Path) -> None:
        memory = FileHeadMemory(tmp_path / "unmounted" / "head")
        assert memory.read() is None
        assert refusal(lambda: memory.swap(None, HEAD)) == "ledger-file-failed"
        (tmp_path / "unmounted").write_bytes(b"a file")
        assert refusal(memory.read) == "ledger-file-failed"


class TestTileFolder:
    def test_files_are_made_with_their_folders(self, tmp_path: Path) -> None:
        folder = TileFolder(tmp_path / "a" / "published")
        assert folder.read("checkpoint") is None
        folder.create("tile/0/x001/000.p/5", b"data")
        folder.replace("checkpoint", b"one")
        folder.replace("checkpoint", b"two")
        assert folder.read("tile/0/x001/000.p/5") == b"data"
        assert folder.read("checkpoint") == b"two"
        assert names(tmp_path) == {"a/published/checkpoint", "a/published/tile/0/x001/000.p/5"}

    def test_a_file_that_never_changes_is_not_changed(self, tmp_path: Path) -> None:
        folder = TileFolder(tmp_path)
        folder.create("tile/0/000", b"data")
        folder.create("tile/0/000", b"data")
        for other in (b"", b"dat", b"data+", b"DATA"):
            assert refusal(lambda other=other: folder.create("tile/0/000", other)) == "published-file-differs"  # type: ignore[misc]  # a default binds early
        assert folder.read("tile/0/000") == b"data"

    def test_discarding(self, tmp_path: Path) -> None:
        folder = TileFolder(tmp_path)
        folder.create("tile/0/000.p/5", b"data")
        folder.discard("tile/0/000.p")
        folder.discard("tile/0/000.p")
        assert folder.read("tile/0/000.p/5") is None
        (tmp_path / "tile" / "file").write_bytes(b"")
        assert refusal(lambda: folder.discard("tile/file")) == "ledger-file-failed"

    def test_a_failing_disk_leaves_the_old_file_or_none(self, tmp_path: Path) -> None:
        folder = TileFolder(tmp_path)
        folder.replace("checkpoint", b"old")
        with files_limited_to(100):
            assert refusal(lambda: folder.replace("checkpoint", b"x" * 1_000)) == "ledger-file-failed"
            assert refusal(lambda: folder.create("tile/0/000", b"x" * 1_000)) == "ledger-file-failed"
        assert folder.read("checkpoint") == b"old"
        assert names(tmp_path) == {"checkpoint"}

    def test_a_path_that_cannot_be_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "tile").write_bytes(b"a file where a folder should be")
        folder = TileFolder(tmp_path)
        assert refusal(lambda: folder.create("tile/0/000", b"data")) == "ledger-file-failed"
        assert refusal(lambda: folder.read("tile/0/000")) == "ledger-file-failed"

    def test_a_file_larger_than_any_of_a_log_is_not_read(self, tmp_path: Path) -> None:
        with (tmp_path / "checkpoint").open("wb") as file:
            file.truncate(200_000_000)
        assert refusal(lambda: TileFolder(tmp_path).read("checkpoint")) == "ledger-file-failed"


def test_the_rename_is_what_makes_a_file(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "inside").write_bytes(b"")
    assert refusal(lambda: replace_file(tmp_path / "target", b"data")) == "ledger-file-failed"
    assert names(tmp_path) == {"target/inside"}
