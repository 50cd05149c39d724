"""Values that a configuration is made of: durations, codes, references, addresses, schedules. Each is refused with a code of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError

from gateway.catalog.identifiers import is_uscc
from gateway.delivery.cron import Cron, parse_cron
from gateway.errors import ConfigError, LedgerError
from gateway.ledger.cosignature import CosignerKey
from gateway.ledger.note import VerifierKey

__all__ = [
    "Code",
    "DatabaseUrl",
    "Duration",
    "Expression",
    "FilePlace",
    "FolderName",
    "HostKey",
    "LedgerKey",
    "Listen",
    "PeerPlace",
    "PeerUrl",
    "Reference",
    "Section",
    "ServiceUrl",
    "WitnessKey",
    "Zone",
    "file_place",
    "site_folder",
]

_DURATION = re.compile(r"(\d+)(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_SFTP = re.compile(
    r"sftp://(?P<user>[A-Za-z0-9._-]+)@(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?(?P<root>(/[^/\x00-\x1f]+)*)/?"
)
_HOST_KEY = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_FOLDER = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,64}")


class Section(BaseModel):
    """A table of the configuration: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


def _refuse(code: str, **facts: object) -> PydanticCustomError:
    """A finding inside validation: pydantic carries the code and facts to :mod:`gateway.config`."""
    return PydanticCustomError("config", "config", {"code": code, **facts})


def _duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str) and (found := _DURATION.fullmatch(value)):
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    raise _refuse("config-duration-invalid")


def _code(value: object) -> object:
    if not isinstance(value, str) or not is_uscc(value):
        raise _refuse("config-code-invalid")
    return value


def _reference(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)", value):
        return value
    raise _refuse("config-secret-literal")


def _database(value: object) -> object:
    """A database URL: by reference, or literal as long as it carries no password."""
    if isinstance(value, str) and value.startswith(("env:", "file:")):
        return _reference(value)
    if not isinstance(value, str) or "://" not in value:
        raise _refuse("config-url-invalid")
    if urlsplit(value).password:
        raise _refuse("config-secret-literal")
    return value


def _service_url(value: object) -> object:
    if not isinstance(value, str):
        raise _refuse("config-url-invalid")
    parts = urlsplit(value)
    if parts.scheme not in {"https", "http"} or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise _refuse("config-url-invalid")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise _refuse("config-url-not-https")
    return value


def _peer_url(value: object) -> object:
    return str(_service_url(value)).rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePlace:
    """Where files are left: ``path`` on this machine (``scheme`` file), or below it on an SFTP server."""

    scheme: str
    path: str
    host: str = ""
    port: int = 22
    user: str = ""


def file_place(url: str | None) -> FilePlace | None:
    """The place that a peer's address means; None for any other address. Raises ValueError for one that is none."""
    if url is None or not url.startswith(("file:", "sftp:")):
        return None
    if url.startswith("file:"):
        path = url.removeprefix("file:").removeprefix("//")
        if not path or not path.isprintable():
            raise ValueError("not a path")
        return FilePlace(scheme="file", path=path)
    found = _SFTP.fullmatch(url)
    if found is None or not 0 < int(found["port"] or 22) < 65536:
        raise ValueError("not an SFTP address")
    host, port = found["host"].strip("[]"), int(found["port"] or 22)
    return FilePlace(scheme="sftp", path=found["root"], host=host, port=port, user=found["user"])


def site_folder(url: str | None) -> str | None:
    """The folder of a publication site that a peer's address means (``site:public``); None for any other address."""
    path = (url or "").removeprefix("site:")
    return path if url is not None and url.startswith("site:") else None


def _peer_place(value: object) -> object:
    text = str(value).rstrip("/")
    folder = site_folder(text)
    if folder is not None:
        if not folder or not folder.isprintable():
            raise _refuse("config-url-invalid")
        return text
    try:
        place = file_place(text)
    except ValueError as error:
        raise _refuse("config-url-invalid") from error
    return _peer_url(value) if place is None else text


def _host_key(value: object) -> object:
    if isinstance(value, str) and _HOST_KEY.fullmatch(value):
        return value
    raise _refuse("config-host-key-invalid")


def _folder(value: object) -> object:
    if isinstance(value, str) and _FOLDER.fullmatch(value):
        return value
    raise _refuse("config-folder-invalid")


def _ledger_key(value: object) -> object:
    try:
        return VerifierKey.parse(str(value))
    except LedgerError as error:
        raise _refuse("config-verifier-key-invalid") from error


def _witness_key(value: object) -> object:
    try:
        return CosignerKey.parse(str(value))
    except LedgerError as error:
        raise _refuse("config-verifier-key-invalid") from error


def _zone(value: object) -> object:
    try:
        return ZoneInfo(str(value))
    except (KeyError, ValueError, OSError) as error:
        raise _refuse("config-zone-unknown") from error


def _listen(value: object) -> object:
    host, _, port = str(value).rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise _refuse("config-listen-invalid")
    return value


def _cron(value: object) -> object:
    if not isinstance(value, str):
        raise _refuse("schedule-fields", found=0)
    try:
        return parse_cron(value)
    except ConfigError as error:
        raise _refuse(error.code, **error.facts) from error


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Code = Annotated[str, BeforeValidator(_code)]
Reference = Annotated[str, BeforeValidator(_reference)]
DatabaseUrl = Annotated[str, BeforeValidator(_database)]
PeerUrl = Annotated[str, BeforeValidator(_peer_url)]
PeerPlace = Annotated[str, BeforeValidator(_peer_place)]
HostKey = Annotated[str, BeforeValidator(_host_key)]
FolderName = Annotated[str, BeforeValidator(_folder)]
ServiceUrl = Annotated[str, BeforeValidator(_service_url)]
LedgerKey = Annotated[VerifierKey, BeforeValidator(_ledger_key)]
WitnessKey = Annotated[CosignerKey, BeforeValidator(_witness_key)]
Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]
Expression = Annotated[Cron, BeforeValidator(_cron)]
Listen = Annotated[str, BeforeValidator(_listen)]
