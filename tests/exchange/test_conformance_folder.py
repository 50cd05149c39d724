"""Packages as files by the suite that every transport passes, in a folder and behind SFTP; at the far end works the receiving side itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from gateway.exchange.by_files import Folders
from gateway.exchange.file_intake import FileIntake
from gateway.exchange.folder import FolderTransport
from gateway.exchange.folder_place import FolderPlace
from gateway.exchange.intake import Facts, Pending, ProblemAnswer, ReceiptTaken
from gateway.exchange.place import Place
from gateway.exchange.port import NodeInfo
from gateway.exchange.problem import Problem
from gateway.exchange.sftp_place import SftpPlace
from gateway.exchange.shown import NOTHING, Shown
from gateway.package.certificates import Certificate
from gateway.package.container import RECEIPT
from gateway.package.header import FormatReference
from gateway.package.sealing import seal
from tests.exchange.conformance import Bench, Conformance, Manner, receipt_of
from tests.exchange.post import FailingPlace, SetClock
from tests.exchange.sshd import Account, sshd
from tests.exchange.test_conformance_service import WRONGS
from tests.package.samples import NOW, RECEIVER, SENDER, body, ecdsa, stranger


class FolderBench:
    """The other organisation takes packages from the folder, and is the work behind them too."""

    taken_down = False
    format = FormatReference(id="credit-2018", version="1")
    trusted: Sequence[Certificate] = (stranger().certificate,)
    wrongs = tuple(WRONGS)

    def __init__(self, root: Path, place: Place) -> None:
        self.root = root
        self.packages: dict[str, bytes] = {}
        self.receipts: dict[str, bytes] = {}
        self.taken: list[str] = []
        self.manner = Manner.ACCEPT
        self.rejected: Collection[str] = ()
        self.wrong = ""
        self.place = FailingPlace(place)
        self.transport = FolderTransport(
            self.place,
            peer="province",
            node=NodeInfo(code=RECEIVER.code, name=RECEIVER.name, versions=(1,)),
            clock=SetClock(),
            package_of=self.packages.get,
        )
        self.intake = FileIntake(
            FolderPlace(root, peer="bureau"),
            self,
            peer="bureau",
            caller=SENDER.code,
            clock=SetClock(),
            package_bytes=1024 * 1024,
            folders=Folders(outgoing="incoming", incoming="outgoing"),
        )

    def body(self, number: int) -> str:
        return body(str(number))

    async def behave(self, manner: Manner, *, rejected: Collection[str] = ()) -> None:
        if self.wrong:
            self._once_more()
        self.manner, self.rejected, self.wrong = manner, rejected, ""
        gone, here = self.root.with_name("gone"), self.root
        if (manner is Manner.VANISH) != gone.exists():
            (here if manner is Manner.VANISH else gone).rename(gone if manner is Manner.VANISH else here)
        self.place.fails, self.place.of = ("rename", ".asice") if manner is Manner.LOSE else ("", "")
        self.place.persists = True

    async def answer_wrongly(self, how: str) -> None:
        self.wrong = how

    async def work(self) -> None:
        if self.manner is not Manner.LATE:
            await self.intake.look()

    async def copies(self, batch_id: str) -> int:
        return self.taken.count(batch_id)

    def _once_more(self) -> None:
        """Whoever answered wrongly takes the same file up again."""
        self.receipts.clear()
        for file in (self.root / "outgoing" / "taken").iterdir():
            file.rename(file.parent.parent / file.name)

    async def take(
        self, caller: str, batch_id: str, package: bytes, shown: Shown = NOTHING
    ) -> ReceiptTaken | Pending | ProblemAnswer:
        if self.manner is Manner.REFUSE:
            return ProblemAnswer(problem=Problem(code="route-forbidden", detail="not yours to send"))
        if batch_id not in self.taken:
            self.taken.append(batch_id)
        new = batch_id not in self.receipts
        if new:
            self.receipts[batch_id] = self._receipt(package)
        return ReceiptTaken(receipt=self.receipts[batch_id], new=new)

    def _receipt(self, package: bytes) -> bytes:
        if self.wrong == "rubbish":
            return b"PK nothing"
        document = receipt_of(package, self.rejected, **WRONGS.get(self.wrong, {}))
        signer = ecdsa() if self.wrong == "another signer" else stranger()
        return seal(RECEIPT, document, signer.signer, NOW)

    async def receipt(self, caller: str, batch_id: str) -> ReceiptTaken | Pending | ProblemAnswer:
        raise NotImplementedError("nobody asks by files")

    async def node(self, caller: str) -> Mapping[str, object]:
        raise NotImplementedError("nobody asks by files")

    async def digests(
        self, caller: str, sender: str, catalog: str, receiver: str, prefix: str
    ) -> Facts | ProblemAnswer:
        raise NotImplementedError("nobody asks by files")


def lay_out(folder: Path) -> Path:
    for name in ("outgoing", "incoming"):
        (folder / "exchange" / name).mkdir(parents=True)
    return folder / "exchange"


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


class TestFolder(Conformance):
    """A folder that both reach."""

    @pytest.fixture
    async def bench(self, tmp_path: Path) -> AsyncIterator[Bench]:
        root = lay_out(tmp_path)
        bench = FolderBench(root, FolderPlace(root, peer="province"))
        yield bench
        await bench.transport.close()


class TestSftp(Conformance):
    """An account on OpenSSH's server."""

    @pytest.fixture
    async def bench(self, tmp_path: Path, account: Account) -> AsyncIterator[Bench]:
        root = lay_out(tmp_path)
        bench = FolderBench(root, SftpPlace(account.address(root), peer="province"))
        yield bench
        await bench.transport.close()
