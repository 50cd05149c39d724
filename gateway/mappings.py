"""The mappings folder of a node, read once: catalogs and code lists, source mappings, formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

from gateway.catalog.loader import Library, load_catalogs
from gateway.catalog.model import Catalog
from gateway.errors import ConfigError, MappingError
from gateway.mapping.columns_loader import document_of
from gateway.mapping.document import DocumentPlan
from gateway.mapping.fields_plan import FieldsPlan, fields_format
from gateway.mapping.format_loader import load_format
from gateway.mapping.format_model import Document, Format
from gateway.mapping.gate import Gate
from gateway.mapping.json_loader import load_json_format
from gateway.mapping.json_model import JsonFormat
from gateway.mapping.json_plan import JsonPlan
from gateway.mapping.loader import load_source_mapping, load_source_mappings
from gateway.mapping.model import SourceMapping
from gateway.mapping.plan import RecordPlan
from gateway.mapping.sheet_loader import load_sheet_format
from gateway.mapping.sheet_model import SheetFormat
from gateway.mapping.table_loader import load_table_format
from gateway.mapping.table_model import TableFormat
from gateway.mapping.whole_plan import WholePlan

__all__ = ["Mappings", "Writing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How records of one catalog travel in batches of one format: what makes their bodies, and the gate that these pass."""

    format_id: str
    format_version: str
    bodies: DocumentPlan | WholePlan | FieldsPlan
    gate: Gate


AnyFormat = Format | SheetFormat | JsonFormat | TableFormat
_Kind = TypeVar("_Kind", SheetFormat, JsonFormat, TableFormat)
_LOADERS: Mapping[str, Callable[[Path, Library], AnyFormat]] = {
    "sheet": load_sheet_format,
    "json": load_json_format,
    "table": load_table_format,
}


class Mappings:
    """What ``folder`` says; its parts are read when first asked for. ``zone`` is where an instant becomes a calendar day."""

    def __init__(self, folder: Path, zone: str) -> None:
        self.folder = folder
        self._zone = zone
        self._formats: dict[str, AnyFormat] = {}
        self._json_plans: dict[tuple[str, str], Sequence[JsonPlan]] = {}
        self._whole_plans: dict[tuple[str, str], WholePlan] = {}
        self._checking_plans: dict[str, RecordPlan] = {}
        self._document_plans: dict[tuple[str, str], DocumentPlan] = {}
        self._writings: dict[tuple[str, str], Writing] = {}

    @cached_property
    def library(self) -> Library:
        """Catalogs and code lists. Raises Findings."""
        return load_catalogs(self.folder)

    @cached_property
    def sources(self) -> Mapping[str, SourceMapping]:
        """Every source mapping by id. Raises Findings with the mistakes of all."""
        return load_source_mappings(self.folder, self.library)

    def format_names(self) -> list[str]:
        """The folders below ``formats/``."""
        folder = self.folder / "formats"
        return sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []

    def document_of(self, name: str) -> str:
        """What a format's documents are: ``record``, ``whole``, ``sheet``, ``json``, ``table``. Raises ConfigError ``format-unknown``."""
        if name not in self.format_names():
            raise ConfigError("format-unknown", format=name, known=", ".join(self.format_names()) or "-")
        return document_of(self._folder_of(name))

    def json_plans(self, name: str, catalog: Catalog) -> Sequence[JsonPlan]:
        """How records of a catalog become JSON documents, one plan for each of the format's templates. Raises MappingError
        ``format-without-catalog``, ConfigError ``format-unknown``, Findings."""
        if (name, catalog.id) not in self._json_plans:
            fmt = self.json_format(name)
            plans = [JsonPlan(fmt, one, self.library) for one in fmt.templates if one.catalog == catalog.id]
            if not plans:
                raise MappingError("format-without-catalog", format=name, catalog=catalog.id)
            self._json_plans[name, catalog.id] = plans
        return self._json_plans[name, catalog.id]

    def whole_plan(self, name: str, catalog: Catalog) -> WholePlan:
        """How records of a catalog become whole XML documents. Raises MappingError ``format-without-catalog``, ConfigError ``format-unknown``,
        Findings."""
        if (name, catalog.id) not in self._whole_plans:
            document = self.document_plan(name, catalog)
            self._whole_plans[name, catalog.id] = WholePlan(document, ZoneInfo(self._zone))
        return self._whole_plans[name, catalog.id]

    def any_format(self, name: str) -> AnyFormat:
        """A format of any kind by its folder's name. Raises ConfigError ``format-unknown``, Findings."""
        if name not in self._formats:
            load = _LOADERS.get(self.document_of(name), load_format)
            self._formats[name] = load(self._folder_of(name), self.library)
        return self._formats[name]

    def sheet_format(self, name: str) -> SheetFormat:
        """A format of sheets. Raises as :meth:`any_format`."""
        return self._read_as(name, SheetFormat, load_sheet_format)

    def json_format(self, name: str) -> JsonFormat:
        """A format of JSON. Raises as :meth:`any_format`."""
        return self._read_as(name, JsonFormat, load_json_format)

    def table_format(self, name: str) -> TableFormat:
        """A format of database tables. Raises as :meth:`any_format`."""
        return self._read_as(name, TableFormat, load_table_format)

    def format(self, name: str) -> Format:
        """A format of XML. Raises as :meth:`any_format`, MappingError ``format-of-sheets``, ``format-of-json``."""
        fmt = self.any_format(name)
        if isinstance(fmt, Format):
            return fmt
        raise MappingError("format-of-json" if isinstance(fmt, JsonFormat) else "format-of-sheets", format=name)

    def _read_as(self, name: str, kind: type[_Kind], load: Callable[[Path, Library], _Kind]) -> _Kind:
        """A format of this kind; one that is none is read as one all the same: its findings say what it is."""
        fmt = self.any_format(name)
        return fmt if isinstance(fmt, kind) else load(self._folder_of(name), self.library)

    def _folder_of(self, name: str) -> Path:
        return self.folder / "formats" / name

    def catalog(self, name: str) -> Catalog:
        """A catalog by its id. Raises ConfigError ``catalog-unknown``."""
        try:
            return self.library.catalogs[name]
        except KeyError:
            raise ConfigError("catalog-unknown", catalog=name, known=", ".join(self.library.catalogs)) from None

    def source_mapping(self, name: str) -> SourceMapping:
        """A source mapping by its id. Raises ConfigError ``mapping-unknown``, Findings."""
        path = self.folder / "sources" / f"{name}.toml"
        if not path.is_file():
            known = sorted(entry.stem for entry in (self.folder / "sources").glob("*.toml"))
            raise ConfigError("mapping-unknown", mapping=name, known=", ".join(known) or "-")
        return load_source_mapping(path, self.library)

    def record_plan(self, mapping_id: str) -> RecordPlan:
        """How rows become records by one source mapping. Raises ConfigError ``mapping-unknown``, Findings."""
        mapping = self.source_mapping(mapping_id)
        return RecordPlan(mapping, self.catalog(mapping.catalog), self.library, time_zone=self._zone)

    def checking_plan(self, catalog: str) -> RecordPlan:
        """The checks of a catalog alone, as a receiver uses them."""
        if catalog not in self._checking_plans:
            self._checking_plans[catalog] = RecordPlan(None, self.catalog(catalog), self.library, time_zone=self._zone)
        return self._checking_plans[catalog]

    def writing(self, name: str, catalog: Catalog) -> Writing:
        """How records of a catalog travel in batches of a format, whatever kind it is. Raises ConfigError ``format-unknown``, MappingError,
        Findings."""
        if (name, catalog.id) not in self._writings:
            self._writings[name, catalog.id] = self._writing(name, catalog)
        return self._writings[name, catalog.id]

    def _writing(self, name: str, catalog: Catalog) -> Writing:
        fmt = self.any_format(name)
        if isinstance(fmt, Format) and fmt.document is Document.RECORD:
            document = self.document_plan(name, catalog)
            return Writing(format_id=fmt.id, format_version=fmt.version, bodies=document, gate=document.gate)
        bodies: WholePlan | FieldsPlan
        if isinstance(fmt, Format):
            bodies = self.whole_plan(name, catalog)
        elif isinstance(fmt, JsonFormat):
            plans = {one.template.id: one for one in self.json_plans(name, catalog)}
            bodies = FieldsPlan(fmt, catalog, self.library, self._zone, lambda template: plans[template.id])
        else:
            bodies = FieldsPlan(fmt, catalog, self.library, self._zone)
        gate = Gate(fields_format(fmt.id, fmt.version))
        return Writing(format_id=fmt.id, format_version=fmt.version, bodies=bodies, gate=gate)

    def document_plan(self, name: str, catalog: Catalog) -> DocumentPlan:
        """How records of a catalog are written in a format of XML. Raises as :meth:`format`, MappingError."""
        if (name, catalog.id) not in self._document_plans:
            self._document_plans[name, catalog.id] = DocumentPlan(self.format(name), catalog, self.library)
        return self._document_plans[name, catalog.id]
