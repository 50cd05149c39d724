"""``gateway check``: everything that can be looked at without changing anything, every problem at once.

Configuration, mappings, keys and certificates, clock, journal, sources, peers: each part is looked at even when another one is wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from gateway.app import Gateway
from gateway.catalog.loader import Library
from gateway.catalog.model import Disclosure
from gateway.clock import Clock, Ids, instant
from gateway.config import RecordsSourceSettings, Settings, inspect_settings
from gateway.errors import ExchangeError, Finding, Findings, GatewayError, Severity
from gateway.exchange.by_files import REFUSED
from gateway.exchange.place import ASIDE
from gateway.ledger.memory import FileHeadMemory
from gateway.mapping.disclosure import Sight
from gateway.mapping.format_model import Document, Format, WhenEmpty
from gateway.mapping.headings import find_columns
from gateway.mapping.json_model import JsonFormat
from gateway.mapping.model import SourceMapping
from gateway.mapping.sheet_model import SheetFormat
from gateway.mapping.table_model import TableFormat
from gateway.mappings import Mappings
from gateway.opening import read_gateway
from gateway.package.certificates import days_left, load_certificates, load_private_key
from gateway.ways import build_place, folders_of, is_by_files

__all__ = ["check_mappings", "check_node"]

Part = TypeVar("Part")
AnyFormat: TypeAlias = Format | SheetFormat | JsonFormat | TableFormat
_SOON_DAYS: Final = 60
_BUILT: Final = datetime(2026, 1, 1, tzinfo=UTC)  # a clock that shows less has never been set


def check_node(file: Path, clock: Clock, ids: Ids) -> list[Finding]:
    """Every problem of the node that ``file`` configures. Raises ConfigError when the file cannot be read at all."""
    settings, found = inspect_settings(file)
    findings = list(found)
    if settings is None:
        return findings
    with read_gateway(settings, clock=clock, ids=ids) as gateway:
        checks = _Checks(settings, gateway, clock, findings)
        checks.mappings()
        checks.keys()
        checks.clock()
        checks.journal()
        checks.sources()
        asyncio.run(checks.peers())
        asyncio.run(checks.authorities())
    return findings


def check_mappings(mappings: Mappings) -> list[Finding]:
    """Every problem in a mappings folder: catalogs, code lists, source mappings, formats."""
    findings: list[Finding] = []
    library = _taken(lambda: mappings.library, findings, str(mappings.folder))
    if library is None:
        return findings
    _taken(lambda: mappings.sources, findings, str(mappings.folder / "sources"))
    for name in mappings.format_names():
        place = str(mappings.folder / "formats" / name)
        fmt = _taken(partial(mappings.any_format, name), findings, place)
        findings += fmt.warnings if fmt is not None else ()
    return findings


def _taken(part: Callable[[], Part], findings: list[Finding], file: str, key: str = "") -> Part | None:
    """What ``part`` gives; its error, or every finding of it, is taken down instead when it raises."""
    try:
        return part()
    except Findings as error:
        findings += error.findings
    except GatewayError as error:
        findings.append(Finding(code=error.code, file=file, key=key, facts=error.facts))
    return None


class _Checks:
    """Looks at one part after another and gathers findings."""

    def __init__(self, settings: Settings, gateway: Gateway, clock: Clock, findings: list[Finding]) -> None:
        self._settings = settings
        self._gateway = gateway
        self._clock = clock
        self._findings = findings
        self._file = str(settings.file)

    def mappings(self) -> None:
        """The mappings folder, and how exchanges put its parts together."""
        self._findings += check_mappings(self._gateway.mappings)
        library = self._quietly(lambda: self._gateway.mappings.library)
        if library is None:
            return
        mappings = self._quietly(lambda: self._gateway.mappings.sources) or {}
        names = self._gateway.mappings.format_names()
        formats = {name: self._quietly(partial(self._gateway.mappings.any_format, name)) for name in names}
        usable = {name: fmt for name, fmt in formats.items() if fmt is not None}
        self._exchanges(library, mappings, usable)
        self._taken_in(library, usable)
        today = self._clock.now().astimezone(self._settings.node.time_zone).date()
        if library.working_days.assumed(today):
            self._find("check-calendar-assumed", "codelists/working-days.csv", Severity.WARNING, year=today.year)

    def _exchanges(
        self, library: Library, mappings: Mapping[str, SourceMapping], formats: Mapping[str, AnyFormat]
    ) -> None:
        for name, exchange in self._settings.exchanges.items():
            key = f"exchanges.{name}"
            fmt = formats.get(exchange.format)
            if exchange.catalog not in library.catalogs:
                known = _names(library.catalogs)
                self._find("check-catalog-unknown", f"{key}.catalog", name=exchange.catalog, known=known)
            elif fmt is not None and exchange.catalog not in _catalogs(fmt):
                self._find("check-format-without-catalog", f"{key}.format", name=fmt.id, catalog=exchange.catalog)
            elif fmt is not None and not (isinstance(fmt, Format) and fmt.document is Document.RECORD):
                catalog = library.catalogs[exchange.catalog]
                self._tried(partial(self._gateway.mappings.writing, fmt.id, catalog), f"{key}.format")
            if fmt is None:
                self._find("check-format-unusable", f"{key}.format", name=exchange.format, known=_names(formats))
            peer = self._settings.peers.get(exchange.peer)
            if fmt is not None and peer is not None and exchange.catalog in library.catalogs:
                sight = Sight(catalog=library.catalogs[exchange.catalog], clearance=Disclosure(peer.clearance))
                self._sight(key, sight, fmt)
            source = self._settings.sources.get(exchange.source)
            if source is None or not mappings:
                continue
            if isinstance(source, RecordsSourceSettings):
                if source.catalog != exchange.catalog:
                    self._find("check-records-other-catalog", key, name=exchange.source, catalog=source.catalog)
                continue
            mapping = mappings.get(source.mapping)
            if mapping is None:
                place = f"sources.{exchange.source}.mapping"
                self._find("check-mapping-unknown", place, name=source.mapping, known=_names(mappings))
            elif mapping.catalog != exchange.catalog:
                self._find("check-mapping-other-catalog", key, name=mapping.id, catalog=mapping.catalog)

    def _taken_in(self, library: Library, formats: Mapping[str, AnyFormat]) -> None:
        """What peers send or share, by the format in which it is to come."""
        document = self._settings.document
        wanted = [(f"pulls.{name}", pull.catalog, pull.format) for name, pull in document.pulls.items()]
        if (receive := document.receive) is not None:
            catalogs = dict.fromkeys(one for allowed in receive.allow.values() for one in allowed)
            wanted += [("receive", one, receive.format_of(one)) for one in catalogs]
        for key, catalog, name in wanted:
            fmt = formats.get(name)
            if catalog not in library.catalogs:
                self._find("check-catalog-unknown", key, name=catalog, known=_names(library.catalogs))
            elif fmt is None:
                self._find("check-format-unusable", key, name=name, known=_names(formats))
            elif catalog not in _catalogs(fmt):
                self._find("check-format-without-catalog", key, name=fmt.id, catalog=catalog)

    def _sight(self, key: str, sight: Sight, fmt: AnyFormat) -> None:
        """What the format demands and its receiver may not see."""
        for field in sight.hidden_key():
            facts: dict[str, Any] = {"field": field.name, "zh": field.zh, "en": field.en}
            facts |= {"clearance": sight.clearance.value, "catalog": sight.catalog.id}
            self._find("check-clearance-key", f"{key}.catalog", **facts)
        if not isinstance(fmt, Format):
            self._sight_of_columns(key, sight, fmt)
            return
        if sight.catalog.id not in fmt.bindings:
            return
        document = self._quietly(lambda: self._gateway.mappings.document_plan(fmt.id, sight.catalog))
        for leaf in sight.demanded(document) if document is not None else ():
            if leaf.field is not None:
                facts = {"field": leaf.field.name, "zh": leaf.field.zh, "en": leaf.field.en}
                facts |= {"format": fmt.id, "path": leaf.target, "clearance": sight.clearance.value}
                self._find("check-clearance-demanded", f"{key}.format", **facts)

    def _sight_of_columns(self, key: str, sight: Sight, fmt: SheetFormat | JsonFormat | TableFormat) -> None:
        hidden = {field.name: field for field in sight.hidden()}
        for template in fmt.templates:
            for column in template.columns if template.catalog == sight.catalog.id else ():
                field = hidden.get(column.field or "")
                if field is not None and column.when_empty is WhenEmpty.REJECT:
                    facts: dict[str, Any] = {"field": field.name, "zh": field.zh, "en": field.en}
                    facts |= {"format": fmt.id, "path": column.heading, "clearance": sight.clearance.value}
                    self._find("check-clearance-demanded", f"{key}.format", **facts)

    def keys(self) -> None:
        """Keys can be read and are ours alone, certificates belong to them and are in their time."""
        keys = self._settings.document.keys
        self._tried(lambda: self._gateway.signer, "keys.signing")
        self._tried(lambda: self._gateway.note_signer, "keys.ledger")
        self._tried(lambda: load_private_key(self._settings.key_file(keys.tls.private_key)), "keys.tls.private_key")
        own = {"keys.signing.certificate": keys.signing.certificate, "keys.tls.certificate": keys.tls.certificate}
        for key, path in own.items():
            self._certificates(key, path)
        for name, peer in self._settings.peers.items():
            for path in peer.certificates:
                self._certificates(f"peers.{name}.certificates", path)
            for path in peer.tls_certificates:
                self._certificates(f"peers.{name}.tls_certificates", path)

    def _certificates(self, key: str, path: Path) -> None:
        if not self._settings.path(path).is_file():
            return  # told already, as a missing file
        now = self._clock.now()
        for certificate in self._tried(lambda: load_certificates(self._settings.path(path)), key) or ():
            left = days_left(certificate, now)
            until = certificate.not_valid_after_utc.date().isoformat()
            if certificate.not_valid_before_utc > now:
                self._find("check-certificate-early", key, path=str(path))
            elif left < 0:
                self._find("check-certificate-expired", key, path=str(path), until=until)
            elif left < _SOON_DAYS:
                self._find("check-certificate-expires", key, Severity.WARNING, path=str(path), until=until, days=left)

    def clock(self) -> None:
        """The clock is set, and has not gone back behind what was signed."""
        now = self._clock.now()
        if now < _BUILT:
            self._find("check-clock-unset", "", now=instant(now))
        remembered = self._tried(FileHeadMemory(self._settings.head_memory).read, "ledger.head_memory")
        if remembered is not None and remembered.at > now:
            self._find("check-clock-behind", "", now=instant(now), last=instant(remembered.at))

    def journal(self) -> None:
        """The state folder can be written by its owner alone."""
        folder = self._settings.data_dir
        if not self._settings.head_memory.parent.is_dir():
            self._find("check-folder-missing", "ledger.head_memory", path=str(self._settings.head_memory.parent))
        if folder.is_dir() and folder.stat().st_mode & 0o077:
            self._find("check-folder-open", "node.data_dir", path=str(self._settings.node.data_dir))

    def sources(self) -> None:
        """Every source answers and has the columns that its mapping names."""
        mappings = self._quietly(lambda: self._gateway.mappings.sources) or {}
        for name, chosen in self._settings.sources.items():
            if isinstance(chosen, RecordsSourceSettings):
                self._received(name, chosen)
                continue
            mapping = mappings.get(chosen.mapping)
            if mapping is None:
                continue  # told with the mappings
            self._tried(partial(self._probe, name, mapping), f"sources.{name}")

    def _received(self, name: str, chosen: RecordsSourceSettings) -> None:
        """What is passed on must be able to come."""
        receive = self._settings.document.receive
        allowed = receive.allow if receive is not None else {}
        for peer in chosen.peers:
            if chosen.catalog not in allowed.get(peer, ()):
                self._find("check-records-not-received", f"sources.{name}", peer=peer, catalog=chosen.catalog)

    def _probe(self, name: str, mapping: SourceMapping) -> None:
        source = self._gateway.source(name)
        source.probe()
        find_columns(mapping.columns(), source.columns(), mapping.id)

    async def authorities(self) -> None:
        """Every time-stamp authority stamps what it is given, and its clock agrees with ours."""
        for number, chosen in enumerate(self._settings.document.ledger.authorities):
            place = f"ledger.authorities.{number}"
            authority = self._tried(partial(self._gateway.authority, chosen), place)
            if authority is None:
                continue
            try:
                await authority.stamp(f"gateway check {instant(self._clock.now())}\n".encode())
            except ExchangeError as error:
                self._findings.append(Finding(code=error.code, file=self._file, key=place, facts=error.facts))

    async def peers(self) -> None:
        """Every peer that we send to answers, is who it should be, takes what we send, and its clock agrees with ours."""
        for name, peer in self._settings.peers.items():
            if peer.database is not None:
                await self._database(name)
                continue
            if peer.url is None or not all(self._settings.path(path).is_file() for path in peer.tls_certificates):
                continue  # a missing file is told already
            transport = self._tried(partial(self._gateway.transport, name), f"peers.{name}")
            if transport is None:
                continue
            try:
                info = await transport.node()
            except ExchangeError as error:
                place = f"peers.{name}.url"
                self._findings.append(Finding(code=error.code, file=self._file, key=place, facts=error.facts))
                continue
            finally:
                await transport.close()
            by_files = is_by_files(self._settings, name)
            if by_files:
                await self._set_aside(name)
            if info.code != peer.code:
                self._find("check-peer-other", f"peers.{name}.code", expected=peer.code, found=info.code)
            for exchange in self._settings.exchanges.values():
                if by_files or exchange.peer != name:
                    continue  # folders do not say what is taken
                if exchange.catalog not in info.catalogs:
                    self._find("check-peer-takes-not", f"peers.{name}", Severity.WARNING, catalog=exchange.catalog)
            skew = None if info.time is None else abs(info.time - self._clock.now())
            if skew is not None and skew > self._settings.node.max_clock_skew:
                seconds = round(skew.total_seconds())
                self._find("check-clock-skew", f"peers.{name}", Severity.WARNING, seconds=seconds)

    async def _set_aside(self, name: str) -> None:
        """What nobody could make anything of, in the folder that we look through."""
        folders, place = folders_of(self._settings, name), build_place(self._settings, name)
        try:
            for folder in (f"{folders.incoming}/{ASIDE}", f"{folders.incoming}/{REFUSED}"):
                if await place.find(*folder.split("/")) is not None and (found := await place.entries(folder)):
                    key = f"peers.{name}.url"
                    self._find("check-files-aside", key, Severity.WARNING, folder=folder, count=len(found))
        except ExchangeError as error:
            self._findings.append(Finding(code=error.code, file=self._file, key=f"peers.{name}.url", facts=error.facts))
        finally:
            await place.close()

    async def _database(self, name: str) -> None:
        """The peer's database is there, and has the tables and columns that we write and read."""
        transport = self._tried(partial(self._gateway.front_transport, name), f"peers.{name}.database")
        if transport is None:
            return
        try:
            for problem in await transport.problems():
                place = f"peers.{name}.database"
                self._findings.append(Finding(code=problem.code, file=self._file, key=place, facts=problem.facts))
        finally:
            await transport.close()

    def _tried(self, part: Callable[[], Part], key: str) -> Part | None:
        return _taken(part, self._findings, self._file, key)

    @staticmethod
    def _quietly(part: Callable[[], Part]) -> Part | None:
        try:
            return part()
        except GatewayError:
            return None

    def _find(self, code: str, key: str, severity: Severity = Severity.ERROR, **facts: object) -> None:
        self._findings.append(Finding(code=code, file=self._file, key=key, severity=severity, facts=facts))


def _catalogs(fmt: AnyFormat) -> Iterable[str]:
    return fmt.bindings if isinstance(fmt, Format) else fmt.catalogs()


def _names(known: Iterable[str]) -> str:
    return ", ".join(sorted(known)) or "-"
