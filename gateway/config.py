"""``config.toml`` → frozen settings; every problem at once, each with its key and its remedy.

Strict: an unknown key, a missing file, a secret written as a literal or a code that fails its check digit never starts. Relative paths
are relative to the configuration's own folder. Secrets are references: ``env:NAME`` or ``file:PATH`` (:class:`SecretReference`).
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from gateway.config_files import FolderSettings, SftpSettings, file_findings, sftp_files
from gateway.config_ledger import LedgerSettings, ledger_files, ledger_findings
from gateway.config_levels import PullSettings, ReceiveSettings, RecordsSourceSettings, level_findings
from gateway.config_site import SiteSettings, site_findings
from gateway.config_values import (
    Code,
    DatabaseUrl,
    Duration,
    Expression,
    LedgerKey,
    Listen,
    PeerPlace,
    Reference,
    Section,
    Zone,
)
from gateway.config_ways import exchange_way_findings, peer_way_findings
from gateway.delivery.ticks import CatchUp
from gateway.errors import ConfigError, Finding, Findings

__all__ = [
    "CsvSourceSettings",
    "DaemonSettings",
    "ExcelSourceSettings",
    "ExchangeSettings",
    "FrontDatabaseSettings",
    "GuardSettings",
    "KeySettings",
    "KeysSettings",
    "LedgerSettings",
    "LogSettings",
    "NodeSettings",
    "PeerSettings",
    "PullSettings",
    "ReceiveSettings",
    "RecordsSourceSettings",
    "RetrySettings",
    "SecretReference",
    "Settings",
    "SourceSettings",
    "SqlSourceSettings",
    "StoreSettings",
    "inspect_settings",
    "load_settings",
]

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True, slots=True, repr=False)
class SecretReference:
    """Where a secret stands; its value is read at the moment of use and never printed."""

    reference: str
    base: Path

    def reveal(self) -> str:
        """The secret itself. Raises ConfigError when the variable or file is missing or empty."""
        kind, _, place = self.reference.partition(":")
        try:
            value = os.environ[place] if kind == "env" else (self.base / place).read_text("utf-8").strip()
        except (KeyError, OSError, UnicodeDecodeError) as error:
            raise ConfigError("secret-missing", reference=self.reference) from error
        if not value:
            raise ConfigError("secret-missing", reference=self.reference)
        return value

    def __repr__(self) -> str:
        return f"SecretReference({self.reference})"


class NodeSettings(Section):
    """``[node]``: who we are."""

    code: Code
    name: str = Field(min_length=1)
    data_dir: Path = Path("var")
    mappings_dir: Path = Path("mappings")
    time_zone: Zone = ZoneInfo("Asia/Shanghai")
    max_clock_skew: Duration = Field(default=timedelta(minutes=5), ge=timedelta(seconds=10))
    language: Literal["zh-CN", "en"] = "zh-CN"


class StoreSettings(Section):
    """``[store]``: where the journal lives. Empty means ``<data_dir>/gateway.db``."""

    url: DatabaseUrl | None = None


class KeySettings(Section):
    """``[keys.*]``: a certificate and the private key that belongs to it."""

    certificate: Path
    private_key: Reference


class LedgerKeySettings(Section):
    """``[keys.ledger]``: the Ed25519 key that signs checkpoints."""

    private_key: Reference


class KeysSettings(Section):
    """``[keys]``: one key per purpose."""

    signing: KeySettings
    tls: KeySettings
    ledger: LedgerKeySettings


class LogSettings(Section):
    """``[log]``: what the daemon writes to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


class RetrySettings(Section):
    """How long a batch is tried again: bounded by attempts *and* by time."""

    attempts: int = Field(default=8, ge=1, le=1000)
    first: Duration = timedelta(seconds=30)
    factor: float = Field(default=2.0, ge=1.0, le=10.0)
    max: Duration = timedelta(hours=1)
    give_up_after: Duration = timedelta(hours=48)


class FrontDatabaseSettings(Section):
    """``[peers.NAME.database]``: its front-end database (前置库), and how long to wait before outcomes are looked for again."""

    url: DatabaseUrl
    poll: Duration = Field(default=timedelta(seconds=30), ge=timedelta(seconds=1))


class PeerSettings(Section):
    """``[peers.NAME]``: another organisation's node. ``feedback`` says how it answers: by receipts that it signs, or by unsigned feedback
    that we take down; ``delivery`` whether batches are sent to it or laid out for it to fetch."""

    code: Code
    name: str = Field(min_length=1)
    url: PeerPlace | None = None
    database: FrontDatabaseSettings | None = None
    certificates: tuple[Path, ...] = ()
    feedback: Literal["signed", "taken-down"] = "signed"
    tls_certificates: tuple[Path, ...] = ()
    ledger_keys: tuple[LedgerKey, ...] = ()
    token: Reference | None = None
    delivery: Literal["push", "pull"] = "push"
    feedback_every: Duration = Field(default=timedelta(minutes=10), ge=timedelta(seconds=1))
    retry: RetrySettings = RetrySettings()
    timeout: Duration = timedelta(seconds=60)
    folders: FolderSettings = FolderSettings()
    sftp: SftpSettings | None = None
    drain_rate: int = Field(default=60, ge=1, le=6000)
    clearance: Literal["public", "authorised", "government"] = "government"
    site: SiteSettings = SiteSettings()


class SqlSourceSettings(Section):
    """``[sources.NAME]`` with ``kind = "sql"``."""

    kind: Literal["sql"]
    mapping: str
    url: DatabaseUrl
    query: str = Field(min_length=1)
    cursor: str | None = None
    overlap: Duration | int = timedelta(minutes=10)
    mode: Literal["full", "cursor"] = "full"
    null_cursor: Literal["include", "refuse"] = "include"
    statement_timeout: Duration = timedelta(minutes=10)


class CsvSourceSettings(Section):
    """``[sources.NAME]`` with ``kind = "csv"``."""

    kind: Literal["csv"]
    mapping: str
    path: str = Field(min_length=1)
    encoding: Literal["detect", "utf-8", "gb18030"] = "detect"
    separator: Literal[",", ";", "\t"] = ","
    complete: bool = False


class ExcelSourceSettings(Section):
    """``[sources.NAME]`` with ``kind = "excel"``."""

    kind: Literal["excel"]
    mapping: str
    path: str = Field(min_length=1)
    complete: bool = False


_AnySource = SqlSourceSettings | CsvSourceSettings | ExcelSourceSettings | RecordsSourceSettings
SourceSettings = Annotated[_AnySource, Field(discriminator="kind")]


class GuardSettings(Section):
    """How much one run may take back (``share``) or change (``change_share``) without a person's word: up to ``number`` records, beyond
    it up to that share of what is held."""

    number: int = Field(default=100, ge=0)
    share: float = Field(default=0.1, ge=0.0, le=1.0)
    change_share: float = Field(default=0.5, ge=0.0, le=1.0)


class ExchangeSettings(Section):
    """``[exchanges.NAME]``: catalog + source + format + receiving node + schedule; without a schedule it runs only by order."""

    catalog: str
    source: str
    format: str
    peer: str
    schedule: Expression | None = None
    working_days_only: bool = False
    catch_up: CatchUp = CatchUp.ONCE
    batch_size: int = Field(default=5000, ge=1, le=50_000)
    guard: GuardSettings = GuardSettings()


class DaemonSettings(Section):
    """``[daemon]``: how the node works by itself. ``health`` is where a node without ``[receive]`` answers ``/healthz`` and ``/readyz``."""

    health: Listen | None = None
    drain: Duration = timedelta(seconds=30)
    free_space: int = Field(default=256 * 1024 * 1024, ge=0)


class _Document(Section):
    """The whole file."""

    node: NodeSettings
    store: StoreSettings = StoreSettings()
    keys: KeysSettings
    ledger: LedgerSettings = LedgerSettings()
    daemon: DaemonSettings = DaemonSettings()
    log: LogSettings = LogSettings()
    peers: Mapping[str, PeerSettings] = Field(default_factory=dict)
    sources: Mapping[str, SourceSettings] = Field(default_factory=dict)
    exchanges: Mapping[str, ExchangeSettings] = Field(default_factory=dict)
    pulls: Mapping[str, PullSettings] = Field(default_factory=dict)
    receive: ReceiveSettings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A configuration that may start. ``folder`` is where relative paths begin."""

    file: Path
    folder: Path
    document: _Document

    @property
    def node(self) -> NodeSettings:
        """Who we are."""
        return self.document.node

    @property
    def peers(self) -> Mapping[str, PeerSettings]:
        """The other organisations' nodes by name."""
        return self.document.peers

    @property
    def sources(self) -> Mapping[str, _AnySource]:
        """Where rows are read, by name."""
        return self.document.sources

    @property
    def exchanges(self) -> Mapping[str, ExchangeSettings]:
        """The exchanges by name."""
        return self.document.exchanges

    def held_under(self, exchange: str) -> str:
        """The source under whose name the records of an exchange are held. What goes to the public is held apart: it ends there when its
        period is over, and nowhere else."""
        chosen = self.exchanges[exchange]
        return f"{chosen.source}:public" if self.peers[chosen.peer].clearance == "public" else chosen.source

    def path(self, relative: Path | str) -> Path:
        """A path of the configuration, made absolute."""
        return self.folder / relative

    def secret(self, reference: str) -> SecretReference:
        """A reference of the configuration, ready to be revealed."""
        return SecretReference(reference, self.folder)

    def key_file(self, reference: str) -> Path:
        """The file of a private key; keys come from files alone, whose mode can be checked. Raises ConfigError."""
        kind, _, place = reference.partition(":")
        if kind != "file":
            raise ConfigError("key-not-file", reference=reference)
        return self.folder / place

    @property
    def data_dir(self) -> Path:
        """Journal, ledger and lock live below."""
        return self.path(self.node.data_dir)

    @property
    def mappings_dir(self) -> Path:
        """Catalogs, code lists, source mappings and formats live below."""
        return self.path(self.node.mappings_dir)

    @property
    def store_url(self) -> str:
        """The journal's database URL, secrets revealed."""
        url = self.document.store.url
        if url is None:
            return f"sqlite:///{self.data_dir / 'gateway.db'}"
        return self.database_url(url)

    def database_url(self, url: str) -> str:
        """A database URL with its reference revealed; a relative SQLite path starts at the configuration's folder."""
        revealed = self.secret(url).reveal() if url.startswith(("env:", "file:")) else url
        prefix, separator, place = revealed.partition(":///")
        if separator and prefix.startswith("sqlite") and not Path(place).is_absolute():
            return f"{prefix}:///{self.folder / place}"
        return revealed

    @property
    def head_memory(self) -> Path:
        """The file that remembers the newest signed head; best kept on another volume."""
        return self.path(self.document.ledger.head_memory or self.node.data_dir / "head-memory")

    @property
    def publish_dir(self) -> Path:
        """Where tiles and checkpoints are published."""
        return self.path(self.document.ledger.publish_dir or self.node.data_dir / "ledger")


def load_settings(file: Path) -> Settings:
    """Read and check ``file``. Raises ConfigError when it cannot be read, Findings with every problem found in it."""
    settings, findings = inspect_settings(file)
    if settings is None or findings:
        raise Findings(findings)
    return settings


def inspect_settings(file: Path) -> tuple[Settings | None, tuple[Finding, ...]]:
    """The settings as far as they can be made out, with every problem found; for :mod:`gateway.checkup`, which goes on to look further.

    Raises ConfigError when the file cannot be read at all.
    """
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("config-unreadable", file=str(file)) from error
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("config-not-toml", file=str(file), place=str(error)) from error
    try:
        document = _Document.model_validate(raw)
    except ValidationError as error:
        return None, tuple(_finding(str(file), detail) for detail in error.errors())
    settings = Settings(file=file, folder=file.resolve().parent, document=document)
    return settings, (
        *_references(settings),
        *_files(settings),
        *peer_way_findings(document.peers, str(file)),
        *exchange_way_findings(document.exchanges, document.peers, settings.mappings_dir, str(file)),
        *file_findings(document.peers, str(file)),
        *site_findings(document.peers, str(file)),
        *ledger_findings(document.ledger, str(file)),
    )


def _finding(file: str, detail: ErrorDetails) -> Finding:
    """One pydantic error as a finding. The value itself is never shown: it may be a secret in the wrong place."""
    key = ".".join(str(part) for part in detail["loc"] if part not in {"sql", "csv", "excel", "records"})
    facts = dict(detail.get("ctx") or {})
    match detail["type"]:
        case "config":
            return Finding(code=str(facts.pop("code")), file=file, key=key, facts=facts)
        case "extra_forbidden":
            return Finding(code="config-key-unknown", file=file, key=key)
        case "missing":
            return Finding(code="config-key-missing", file=file, key=key)
        case _:
            return Finding(code="config-value-invalid", file=file, key=key, facts={"expected": detail["msg"]})


def _references(settings: Settings) -> list[Finding]:
    """Names that point nowhere, and names that cannot be used as names."""
    file = str(settings.file)
    findings = [
        Finding(code="config-name-invalid", file=file, key=f"{table}.{name}")
        for table, names in (
            ("peers", settings.peers),
            ("sources", settings.sources),
            ("exchanges", settings.exchanges),
            ("pulls", settings.document.pulls),
        )
        for name in names
        if not _NAME.fullmatch(name)
    ]

    def unknown(key: str, name: str, known: Mapping[str, object]) -> None:
        if name not in known:
            known_names = ", ".join(known) or "-"
            facts = {"name": name, "known": known_names}
            findings.append(Finding(code="config-name-unknown", file=file, key=key, facts=facts))

    for name, exchange in settings.exchanges.items():
        unknown(f"exchanges.{name}.source", exchange.source, settings.sources)
        unknown(f"exchanges.{name}.peer", exchange.peer, settings.peers)
        peer = settings.peers.get(exchange.peer)
        if peer is not None and peer.url is None and peer.database is None and peer.delivery == "push":
            findings.append(Finding(code="config-peer-without-url", file=file, key=f"peers.{exchange.peer}.url"))
        findings += [
            Finding(code="config-schedule-missing", file=file, key=f"exchanges.{name}.{key}")
            for key in ("working_days_only", "catch_up")
            if exchange.schedule is None and key in exchange.model_fields_set
        ]
    for name, source in settings.sources.items():
        if isinstance(source, SqlSourceSettings) and source.mode == "cursor" and source.cursor is None:
            findings.append(Finding(code="config-cursor-missing", file=file, key=f"sources.{name}.cursor"))
    receive = settings.document.receive
    findings += level_findings(
        file,
        sources=settings.sources,
        pulls=settings.document.pulls,
        sent_to={name: (exchange.source, exchange.peer) for name, exchange in settings.exchanges.items()},
        asked={name: peer.url is not None for name, peer in settings.peers.items()},
        fetching={name: receive is not None for name, peer in settings.peers.items() if peer.delivery == "pull"},
    )
    for name in receive.allow if receive else ():
        unknown(f"receive.allow.{name}", name, settings.peers)
    codes: dict[str, str] = {settings.node.code: "node"}
    for name, peer in settings.peers.items():
        if not peer.certificates and peer.feedback == "signed":
            findings.append(
                Finding(code="config-peer-without-certificates", file=file, key=f"peers.{name}.certificates")
            )
        if peer.code in codes:
            facts = {"other": codes[peer.code]}
            findings.append(Finding(code="config-code-twice", file=file, key=f"peers.{name}.code", facts=facts))
        codes.setdefault(peer.code, f"peers.{name}")
    return findings


def _files(settings: Settings) -> list[Finding]:
    """Files that the configuration names and that are not there."""
    keys = settings.document.keys
    named: list[tuple[str, str]] = [
        ("keys.signing.certificate", str(keys.signing.certificate)),
        ("keys.tls.certificate", str(keys.tls.certificate)),
        ("keys.signing.private_key", keys.signing.private_key),
        ("keys.tls.private_key", keys.tls.private_key),
        ("keys.ledger.private_key", keys.ledger.private_key),
    ]
    for name, peer in settings.peers.items():
        named += [(f"peers.{name}.certificates", str(path)) for path in peer.certificates]
        named += [(f"peers.{name}.tls_certificates", str(path)) for path in peer.tls_certificates]
    named += [*sftp_files(settings.peers), *ledger_files(settings.document.ledger)]
    findings: list[Finding] = []
    file = str(settings.file)
    for key, place in named:
        if key.endswith("private_key") and not place.startswith("file:"):
            findings.append(Finding(code="config-key-not-file", file=file, key=key))
        elif not settings.path(place.removeprefix("file:")).is_file():
            facts = {"path": place.removeprefix("file:")}
            findings.append(Finding(code="config-file-missing", file=file, key=key, facts=facts))
    if not settings.mappings_dir.is_dir():
        facts = {"path": str(settings.node.mappings_dir)}
        findings.append(Finding(code="config-file-missing", file=file, key="node.mappings_dir", facts=facts))
    return findings
