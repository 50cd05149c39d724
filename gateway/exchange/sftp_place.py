"""A place behind SFTP (asyncssh, the extra ``sftp``): a host key that is not configured is never accepted, a key is the only way in.

One connection is kept and made again when it broke. Nothing is read from ~/.ssh: no configuration, no agent, no known hosts.
"""

from __future__ import annotations

import asyncio
import importlib
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.errors import ExchangeError, PeerUnavailableError
from gateway.exchange.place import MOST_ENTRIES, Entry
from gateway.package.certificates import read_key_file

__all__ = ["SftpAddress", "SftpPlace"]

_FILE_MODE: Final = 0o640  # as on a folder of this machine
_KEEP_ALIVE: Final = 15  # seconds between two signs of life; three unanswered end the connection
_PIECE: Final = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SftpAddress:
    """Where an account is, and how both sides know each other: ``host_keys`` are fingerprints as ``ssh-keygen -lf`` prints them
    (``SHA256:…``), two during a change of keys; ``private_key`` is a file of mode 0600 without a passphrase."""

    host: str
    port: int
    user: str
    root: str
    host_keys: Sequence[str]
    private_key: Path


class SftpPlace:
    """The folders below ``address.root``. ``connect`` bounds connecting and logging in, in seconds.

    Raises ExchangeError ``sftp-missing`` without asyncssh, ``sftp-key-unusable``, and PackageError ``key-…`` for a key file that others
    may read.
    """

    def __init__(self, address: SftpAddress, *, peer: str, connect: float = 15.0) -> None:
        try:
            self._ssh: Any = importlib.import_module("asyncssh")
        except ImportError as error:
            raise ExchangeError("sftp-missing") from error
        self._address = address
        self._peer = peer
        self._connect_within = connect
        try:
            self._key: Any = self._ssh.import_private_key(read_key_file(address.private_key))
        except (self._ssh.KeyImportError, self._ssh.KeyEncryptionError) as error:
            raise ExchangeError("sftp-key-unusable", path=str(address.private_key)) from error
        self._turn = asyncio.Lock()
        self._connection: Any = None
        self._client: Any = None

    async def entries(self, folder: str) -> list[Entry]:
        """Everything in the folder; names that are not UTF-8 keep their bytes."""
        found: list[Entry] = []
        async with self._session(folder) as client:
            async for one in client.scandir(self._path(folder).encode()):
                name = one.filename.decode("utf-8", "surrogateescape")
                if name in {".", ".."}:
                    continue
                if len(found) == MOST_ENTRIES:
                    raise ExchangeError("folder-too-full", folder=folder, most=MOST_ENTRIES)
                found.append(_entry(name, one.attrs))
        return found

    async def find(self, folder: str, name: str) -> Entry | None:
        """The entry, links not followed."""
        async with self._session(folder) as client:
            try:
                return _entry(name, await client.lstat(self._file(folder, name)))
            except self._ssh.SFTPNoSuchFile:
                return None

    async def read(self, folder: str, name: str, limit: int) -> bytes | None:
        """A regular file's contents."""
        async with self._session(folder) as client:
            path = self._file(folder, name)
            try:
                status = await client.lstat(path)
                if not stat.S_ISREG(status.permissions or 0):
                    raise ExchangeError("file-irregular", name=name)
                if (status.size or 0) > limit:
                    raise ExchangeError("file-too-large", name=name, most=limit)
                async with client.open(path, "rb") as file:
                    data = bytearray()
                    while piece := await file.read(min(_PIECE, limit + 1 - len(data))):
                        data += piece
                        if len(data) > limit:
                            raise ExchangeError("file-too-large", name=name, most=limit)
            except self._ssh.SFTPNoSuchFile:
                return None
            return bytes(data)

    async def write(self, folder: str, name: str, data: bytes) -> None:
        """A new file, synced where the server can."""
        async with self._session(folder) as client:
            path = self._file(folder, name)
            with suppress(self._ssh.SFTPNoSuchFile):
                await client.remove(path)
            async with client.open(path, "xb") as file:
                await file.write(data)
                with suppress(self._ssh.SFTPError):  # whatever the server's umask took away, where it lets us
                    await file.chmod(_FILE_MODE)
                with suppress(self._ssh.SFTPOpUnsupported):  # its own durability is all there is
                    await file.fsync()

    async def rename(self, folder: str, name: str, to: str, to_name: str) -> None:
        """A rename; the server refuses to overwrite."""
        async with self._session(to) as client:
            if to != folder and not await client.exists(self._path(to)):
                await client.mkdir(self._path(to))
            await client.rename(self._file(folder, name), self._file(to, to_name))

    async def probe(self, folders: tuple[str, ...]) -> None:
        """Whether the folders are there. SFTP has no way to ask whether they may be written to."""
        for folder in folders:
            async with self._session(folder) as client:
                status = await client.stat(self._path(folder))
                if not stat.S_ISDIR(status.permissions or 0):
                    raise PeerUnavailableError("folder-missing", peer=self._peer, folder=folder, reason="-")

    async def close(self) -> None:
        """Hang up."""
        connection, self._connection, self._client = self._connection, None, None
        if connection is not None:
            connection.abort()
            await connection.wait_closed()

    @asynccontextmanager
    async def _session(self, folder: str) -> AsyncIterator[Any]:
        """The client, one call at a time. Whatever breaks, or is given up half-way, ends the connection: the next call makes a new one."""
        async with self._turn:
            whole = False
            try:
                if self._client is None:
                    await self._log_in()
                yield self._client
                whole = True
            except ExchangeError:
                whole = True
                raise
            except self._ssh.SFTPNoSuchFile as error:
                whole = True
                raise self._error("folder-missing", folder, error) from error
            except self._ssh.SFTPPermissionDenied as error:
                whole = True
                raise self._error("folder-forbidden", folder, error) from error
            except self._ssh.HostKeyNotVerifiable as error:
                raise PeerUnavailableError("sftp-host-key-other", peer=self._peer, host=self._address.host) from error
            except self._ssh.PermissionDenied as error:
                raise PeerUnavailableError("sftp-key-refused", peer=self._peer, user=self._address.user) from error
            except (self._ssh.SFTPNoConnection, self._ssh.SFTPConnectionLost, self._ssh.DisconnectError) as error:
                raise self._error("sftp-cut", folder, error) from error
            except self._ssh.SFTPError as error:
                raise self._error("folder-failing", folder, error) from error
            except (OSError, self._ssh.Error) as error:
                raise self._error("sftp-unreachable", folder, error) from error
            finally:
                if not whole:
                    await self.close()

    async def _log_in(self) -> None:
        place, ssh, trusted = self._address, self._ssh, frozenset(self._address.host_keys)

        class Knowing(ssh.SSHClient):  # type: ignore[misc, name-defined]  # the class comes with the module
            def validate_host_public_key(self, _host: str, _addr: str, _port: int, key: Any) -> bool:
                return key.get_fingerprint() in trusted

        try:
            self._connection = await ssh.connect(
                place.host,
                place.port,
                client_factory=Knowing,
                username=place.user,
                client_keys=[self._key],
                known_hosts=([], [], []),  # None would accept every key: an empty list leaves the word to Knowing
                config=None,
                agent_path=None,
                preferred_auth="publickey",
                x509_trusted_certs=None,
                compression_algs=None,
                connect_timeout=self._connect_within,
                login_timeout=self._connect_within,
                keepalive_interval=_KEEP_ALIVE,
            )
            self._client = await self._connection.start_sftp_client()
        except TimeoutError as error:
            raise self._error("sftp-unreachable", "", error) from error

    def _path(self, folder: str) -> str:
        return f"{self._address.root.rstrip('/')}/{folder}"

    def _file(self, folder: str, name: str) -> bytes:
        return f"{self._path(folder)}/{name}".encode("utf-8", "surrogateescape")

    def _error(self, code: str, folder: str, error: BaseException) -> PeerUnavailableError:
        place = f"{self._address.host}:{self._path(folder)}" if folder else self._address.host
        return PeerUnavailableError(code, peer=self._peer, folder=place, reason=type(error).__name__)


def _entry(name: str, attrs: Any) -> Entry:
    mode = attrs.permissions or 0
    return Entry(
        name=name,
        size=attrs.size or 0,
        changed=float(attrs.mtime or 0),
        regular=stat.S_ISREG(mode),
        folder=stat.S_ISDIR(mode),
    )
