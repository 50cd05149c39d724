"""OpenSSH's own server on loopback, with keys made for the test: the other organisation's SFTP account, and a line to it that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.exchange.sftp_place import SftpAddress
from tests.exchange.peer import closed_port

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", "")) or "/usr/sbin/sshd"
CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/client.pub
PidFile none
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A server that runs: its port, the fingerprint of its host key, the file of the key that it lets in."""

    port: int
    host_key: str
    private_key: Path
    process: subprocess.Popen[bytes]

    def address(self, root: Path, **changes: object) -> SftpAddress:
        facts: dict[str, object] = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": getpass.getuser(),
            "root": str(root),
            "host_keys": [self.host_key],
            "private_key": self.private_key,
        }
        return SftpAddress(**(facts | changes))  # type: ignore[arg-type]  # a test names the facts that it bends


def make_key(file: Path) -> str:
    """An Ed25519 key without a passphrase; its fingerprint as ``ssh-keygen -lf`` prints it."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)
    told = subprocess.run(["ssh-keygen", "-lf", str(file)], check=True, capture_output=True, text=True)
    return told.stdout.split()[1]


@contextmanager
def sshd(folder: Path) -> Iterator[Account]:
    """A server of our own user, its files in ``folder``, until the end of the block."""
    host_key, port = make_key(folder / "host"), closed_port()
    make_key(folder / "client")
    (folder / "config").write_text(CONFIG.format(port=port, folder=folder))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where it shuts in what it has not let in yet
    log = (folder / "log").open("wb")
    process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "config")], stderr=log)
    try:
        _listening(port, process)
        yield Account(port=port, host_key=host_key, private_key=folder / "client", process=process)
    finally:
        process.terminate()
        process.wait(10)
        log.close()


def _listening(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        assert process.poll() is None, "sshd ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)  # it says nowhere that it listens
    raise AssertionError("sshd does not listen")


@asynccontextmanager
async def line_to(port: int, *, cut_after: int) -> AsyncIterator[int]:
    """A line to ``port`` that is cut once ``cut_after`` bytes have gone towards the server; its own port. The next one holds."""
    left = [cut_after]
    lines: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counts: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(16 * 1024):
                if counts and 0 < left[0] <= len(piece):
                    left[0] = 0
                    break
                left[0] -= len(piece) if counts else 0
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        lines.add(task)
        there, back = await asyncio.open_connection("127.0.0.1", port)
        one = asyncio.create_task(carry(reader, back, True))
        other = asyncio.create_task(carry(there, writer, False))
        try:
            await asyncio.wait({one, other}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (one, other):
                each.cancel()
            await asyncio.gather(one, other, return_exceptions=True)
            for end in (writer, back):
                end.transport.abort()
            await asyncio.sleep(0)  # the transports close in the next turn of the loop

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in lines:
            task.cancel()
        await asyncio.gather(*lines, return_exceptions=True)
