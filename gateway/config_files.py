"""File mode in the configuration: a peer's two folders, and its SFTP account."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Protocol

from pydantic import Field

from gateway.config_values import Duration, FolderName, HostKey, Reference, Section, file_place
from gateway.errors import Finding

__all__ = ["FolderSettings", "SftpSettings", "file_findings", "sftp_files"]


class FolderSettings(Section):
    """``[peers.NAME]`` ``folders``: what they are called below the peer's address, as this node sees them. With ``taken_away`` the other
    side removes files instead of moving them to ``taken/``; ``every`` is how often we look."""

    outgoing: FolderName = "outgoing"
    incoming: FolderName = "incoming"
    taken_away: bool = False
    every: Duration = Field(default=timedelta(seconds=10), ge=timedelta(seconds=1))


class SftpSettings(Section):
    """``[peers.NAME]`` ``sftp``: the server's host keys by fingerprint, and our key."""

    host_keys: tuple[HostKey, ...] = Field(min_length=1)
    private_key: Reference


class _Peer(Protocol):
    @property
    def url(self) -> str | None: ...
    @property
    def folders(self) -> FolderSettings: ...
    @property
    def sftp(self) -> SftpSettings | None: ...
    @property
    def model_fields_set(self) -> set[str]: ...


def file_findings(peers: Mapping[str, _Peer], file: str) -> Iterator[Finding]:
    """What does not fit together in the file modes of ``peers``."""
    seen: dict[tuple[str, str, str, str], str] = {}
    for name, peer in peers.items():
        key, place = f"peers.{name}", file_place(peer.url)
        if (peer.sftp is not None) != (place is not None and place.scheme == "sftp"):
            code = "config-sftp-missing" if peer.sftp is None else "config-sftp-unused"
            yield Finding(code=code, file=file, key=f"{key}.sftp")
        if place is None:
            if "folders" in peer.model_fields_set:
                yield Finding(code="config-folders-unused", file=file, key=f"{key}.folders")
            continue
        if peer.folders.outgoing == peer.folders.incoming:
            yield Finding(code="config-folders-same", file=file, key=f"{key}.folders")
        for folder in (peer.folders.outgoing, peer.folders.incoming):
            other = seen.setdefault((place.path, place.host, str(place.port), folder), name)
            if other != name:
                yield Finding(code="config-folder-shared", file=file, key=f"{key}.url", facts={"other": other})


def sftp_files(peers: Mapping[str, _Peer]) -> Iterator[tuple[str, str]]:
    """The key files that must be there, each with the key that names it."""
    for name, peer in peers.items():
        if peer.sftp is not None:
            yield f"peers.{name}.sftp.private_key", peer.sftp.private_key
