"""The mappings folder's catalogs, code lists, publicity regimes and working days, read strictly and together.

Either everything is right and a :class:`Library` comes back, or :class:`gateway.errors.Findings` names every mistake of
every file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType

from gateway.catalog.calendar import WorkingDays, parse_working_days
from gateway.catalog.catalog_text import parse_catalog
from gateway.catalog.codelists import CodeList, may_hold, parse_codelist, parse_crosswalk
from gateway.catalog.demands import Demand, parse_demand
from gateway.catalog.model import Catalog
from gateway.catalog.publicity import Regime, parse_regimes
from gateway.errors import Finding, Findings

__all__ = ["Library", "load_catalogs"]

_CATALOGS = "catalogs"
_CODELISTS = "codelists"
_CROSSWALKS = "codelists/crosswalks"
_WORKING_DAYS = "codelists/working-days.csv"
_DEMANDS = "demands"
_REGIMES = "codelists/publicity-regimes.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """What may be shared, as the mappings folder says it.

    ``files`` are the SHA-256 digests (hex) of the bytes read, by path below the folder (``codelists/id-kinds.csv``).
    """

    catalogs: Mapping[str, Catalog]
    codelists: Mapping[str, CodeList]
    crosswalks: Mapping[str, Mapping[str, str]]
    regimes: tuple[Regime, ...]
    working_days: WorkingDays
    files: Mapping[str, str]
    demands: Mapping[str, Demand] = field(default_factory=dict)

    def digest(self, catalog_id: str) -> str:
        """SHA-256 (hex) of everything that decides what a record of this catalog must be.

        Hashed are lines ``<sha256 hex> <path>``, each ended by a line feed: the catalog's text first, then in order of
        path the code lists of its fields, and the publicity regimes when a rule asks for them. Raises KeyError for an
        unknown catalog.
        """
        catalog = self.catalogs[catalog_id]
        used = {f"{_CODELISTS}/{field.codelist}.csv" for field in catalog.fields if field.codelist is not None}
        if any(rule.kind == "publicity" for rule in catalog.rules):
            used.add(_REGIMES)
        paths = [f"{_CATALOGS}/{catalog_id}.toml", *sorted(used)]
        return hashlib.sha256("".join(f"{self.files[path]} {path}\n" for path in paths).encode()).hexdigest()


def load_catalogs(folder: Path) -> Library:
    """Read ``folder`` (it holds ``catalogs/`` and ``codelists/``, perhaps ``demands/``).

    Raises :class:`gateway.errors.Findings` with every mistake found. Files of other kinds are left alone.
    """
    return _FolderReader(folder).read()


class _FolderReader:
    """One reading of the folder: gathers findings and the digests of what was read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._findings: list[Finding] = []
        self._digests: dict[str, str] = {}

    def read(self) -> Library:
        """The library. Raises Findings."""
        codelists: dict[str, CodeList] = {}
        for path in self._listing(_CODELISTS, ".csv"):
            data = self._bytes(path) if path != _WORKING_DAYS else None
            if data is not None:
                list_id = Path(path).stem
                codelists[list_id] = parse_codelist(list_id, self._name(path), data, self._findings)
        catalogs: dict[str, Catalog] = {}
        paths = self._listing(_CATALOGS, ".toml")
        for path in paths:
            data = self._bytes(path)
            catalog = None if data is None else parse_catalog(self._name(path), data, codelists, self._findings)
            if catalog is not None:
                catalogs[catalog.id] = catalog
        crosswalks: dict[str, Mapping[str, str]] = {}
        for path in self._listing(_CROSSWALKS, ".csv", optional=True):
            data = self._bytes(path)
            if data is not None:
                # Which open values a list's fields allow is known only when every catalog could be read.
                codelist = codelists.get(Path(path).stem) if len(catalogs) == len(paths) else None
                allowed = partial(_leads_into, codelist, list(catalogs.values()))
                name = self._name(path)
                crosswalks[Path(path).stem] = parse_crosswalk(name, data, self._findings, allowed=allowed)
        demands: dict[str, Demand] = {}
        for path in self._listing(_DEMANDS, ".toml", optional=True):
            if (data := self._bytes(path)) is not None:
                whole = len(catalogs) == len(paths)
                demand = parse_demand(self._name(path), data, catalogs, self._findings, whole=whole)
                if demand is not None:
                    demands[demand.id] = demand
        working_days = WorkingDays()
        if (data := self._bytes(_WORKING_DAYS)) is not None:
            working_days = parse_working_days(self._name(_WORKING_DAYS), data, self._findings)
        regimes: tuple[Regime, ...] = ()
        if (data := self._bytes(_REGIMES)) is not None:
            regimes = parse_regimes(self._name(_REGIMES), data, self._findings)
        if self._findings:
            raise Findings(self._findings)
        return Library(
            catalogs=MappingProxyType(catalogs),
            codelists=MappingProxyType(codelists),
            crosswalks=MappingProxyType(crosswalks),
            regimes=regimes,
            working_days=working_days,
            files=MappingProxyType(self._digests),
            demands=MappingProxyType(demands),
        )

    def _name(self, path: str) -> str:
        """The path as the person knows it."""
        return (self._folder / path).as_posix()

    def _find(self, code: str, path: str, **facts: object) -> None:
        self._findings.append(Finding(code=code, file=self._name(path), facts=facts))

    def _listing(self, path: str, suffix: str, *, optional: bool = False) -> list[str]:
        """The files of one kind in a folder, in order of name, as paths below the mappings folder."""
        folder = self._folder / path
        if not folder.is_dir():
            if not optional:
                self._find("catalog-folder-missing", path)
            return []
        found = sorted(item.name for item in folder.iterdir() if item.suffix == suffix and item.is_file())
        if not found and not optional:
            self._find("catalog-folder-empty", path, suffix=suffix)
        return [f"{path}/{name}" for name in found]

    def _bytes(self, path: str) -> bytes | None:
        """The bytes of a file, or None with a finding."""
        try:
            data = (self._folder / path).read_bytes()
        except FileNotFoundError:
            self._find("catalog-file-missing", path)
            return None
        except OSError as error:
            self._find("catalog-file-unreadable", path, detail=error.strerror or type(error).__name__)
            return None
        self._digests[path] = hashlib.sha256(data).hexdigest()
        return data


def _leads_into(codelist: CodeList | None, catalogs: list[Catalog], target: str) -> bool:
    """Whether a crosswalk may lead to ``target``: a code of the list of its own name, or what a field of that list holds."""
    if codelist is None or target in codelist.values():
        return True
    fields = (field for catalog in catalogs for field in catalog.fields if field.codelist == codelist.id)
    return any(may_hold(field, codelist, target) for field in fields)
