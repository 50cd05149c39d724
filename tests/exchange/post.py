"""Two nodes that leave each other files: the bureau's way, the province's rounds, and a place that fails when it is told to."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.errors import PeerUnavailableError
from gateway.exchange.by_files import Folders
from gateway.exchange.file_intake import FileIntake, Looked
from gateway.exchange.file_names import digest_line
from gateway.exchange.folder import FolderTransport, name_of
from gateway.exchange.folder_place import FolderPlace
from gateway.exchange.place import Entry, Place
from gateway.exchange.port import NodeInfo, Outgoing
from gateway.package.batch import build_batch
from gateway.package.container import BATCH
from gateway.package.sealing import seal
from tests.exchange.shelf import Shelf
from tests.package.samples import RECEIVER, SENDER, draft, ecdsa, lines

AGREED = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
NODE = NodeInfo(code=RECEIVER.code, name=RECEIVER.name, versions=(1,))


def package(sequence: int = 1) -> tuple[str, bytes]:
    """A sealed batch: its id and its bytes."""
    batch_id = f"0193{sequence:04x}-0000-7abc-8def-0123456789ab"
    previous = f"0193{sequence - 1:04x}-0000-7abc-8def-0123456789ab" if sequence > 1 else None
    built = build_batch(draft(batch_id=batch_id, sequence=sequence, previous_batch_id=previous), lines())
    return batch_id, seal(BATCH, built.xml, ecdsa().signer, AGREED)


class SetClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.passed = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.passed  # files bear the machine's own times

    def monotonic(self) -> float:
        return self.passed.total_seconds()

    async def sleep(self, seconds: float) -> None:
        self.passed += timedelta(seconds=seconds)


class FailingPlace:
    """A place whose calls named in ``fails`` raise, the last of them after having done the work where ``persists``."""

    def __init__(self, inner: Place) -> None:
        self.inner = inner
        self.fails: str = ""
        self.of: str = ""
        self.persists = False

    def _hit(self, call: str, name: str) -> bool:
        return call == self.fails and name.endswith(self.of)

    async def entries(self, folder: str) -> list[Entry]:
        return await self.inner.entries(folder)

    async def find(self, folder: str, name: str) -> Entry | None:
        return await self.inner.find(folder, name)

    async def read(self, folder: str, name: str, limit: int) -> bytes | None:
        if self._hit("read", name):
            raise PeerUnavailableError("folder-failing", folder=folder, reason="EIO")
        return await self.inner.read(folder, name, limit)

    async def write(self, folder: str, name: str, data: bytes) -> None:
        if self._hit("write", name):
            if self.persists:
                await self.inner.write(folder, name, data[: len(data) // 2])
            raise PeerUnavailableError("folder-full", folder=folder, reason="ENOSPC")
        await self.inner.write(folder, name, data)

    async def rename(self, folder: str, name: str, to: str, to_name: str) -> None:
        if self._hit("rename", to_name):
            if self.persists:
                await self.inner.rename(folder, name, to, to_name)
            raise PeerUnavailableError("folder-failing", folder=folder, reason="EIO")
        await self.inner.rename(folder, name, to, to_name)

    async def probe(self, folders: tuple[str, ...]) -> None:
        await self.inner.probe(folders)

    async def close(self) -> None:
        await self.inner.close()


@dataclass(slots=True)
class Post:
    """Folders below ``root``, as the bureau names them; the province works on them from the other end."""

    root: Path
    place: FailingPlace
    shelf: Shelf = field(default_factory=Shelf)
    clock: SetClock = field(default_factory=SetClock)
    package_bytes: int = 1024 * 1024
    taken_away: bool = False
    sent: dict[str, bytes] = field(default_factory=dict)
    _way: FolderTransport | None = None
    _intake: FileIntake | None = None

    @property
    def way(self) -> FolderTransport:
        if self._way is None:
            self._way = FolderTransport(
                self.place,
                peer="province",
                node=NODE,
                clock=self.clock,
                package_of=self.sent.get,
                folders=Folders(taken_away=self.taken_away),
            )
        return self._way

    async def send(self, sequence: int = 1, **beside: object) -> tuple[str, object]:
        batch_id, data = package(sequence) if f"#{sequence}" not in self.sent else ("", b"")
        if not batch_id:
            batch_id = self.sent[f"#{sequence}"].decode()
            data = self.sent[batch_id]
        self.sent |= {f"#{sequence}": batch_id.encode(), batch_id: data}
        outgoing = Outgoing(batch_id=batch_id, package=data, **beside)  # type: ignore[arg-type]
        return batch_id, await self.way.send(outgoing)

    async def look(self) -> Looked:
        """The province looks through what the bureau put."""
        if self._intake is None:
            self._intake = FileIntake(
                FolderPlace(self.root, peer="bureau"),
                self.shelf,
                peer="bureau",
                caller=SENDER.code,
                clock=self.clock,
                package_bytes=self.package_bytes,
                folders=Folders(outgoing="incoming", incoming="outgoing"),
            )
        return await self._intake.look()

    def name(self, sequence: int = 1) -> str:
        return str(name_of(package(sequence)[1]))

    def put(self, name: str, data: bytes, *, digest: bool = True) -> Path:
        """A file as somebody else would put it, with its digest."""
        path = self.root / "outgoing" / name
        path.write_bytes(data)
        if digest:
            path.with_name(name + ".sha256").write_bytes(digest_line(name, data))
        return path

    def files(self, folder: str) -> list[str]:
        path = self.root / folder
        return sorted(each.name for each in path.iterdir() if not each.is_dir()) if path.is_dir() else []

    def settle(self, names: Iterable[str]) -> None:
        """Make these files of the outgoing folder an hour old."""
        for name in names:
            path = self.root / "outgoing" / name
            hour_ago = datetime.now(UTC).timestamp() - 3600
            os.utime(path, (hour_ago, hour_ago), follow_symlinks=False)
