"""The mappings folder of a node, read once: catalogs and code lists, source mappings, formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gateway.catalog.loader import Library, load_catalogs
from gateway.catalog.model import Catalog
from gateway.errors import ConfigError, MappingError
from gateway.mapping.columns_loader import document_of
from gateway.mapping.document import DocumentPlan
from gateway.mapping.fields_plan import FieldsPlan, fields_format
from gateway.mapping.format_loader import load_format
from gateway.mapping.format_model import Format
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

__all__ = ["Mappings", "Writing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How records of one catalog travel in batches of one format: what makes their bodies, and the gate that these pass."""

    format_id: str
    format_version: str
    bodies: DocumentPlan | FieldsPlan
    gate: Gate


AnyFormat = Format | SheetFormat | JsonFormat | TableFormat
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

    def is_sheet_format(self, name: str) -> bool:
        """Whether a format is one of sheets. Raises ConfigError ``format-unknown``."""
        return self.document_of(name) == "sheet"

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

    def is_table_format(self, name: str) -> bool:
        """Whether a format is one of database tables. Raises ConfigError ``format-unknown``."""
        return self.document_of(name) == "table"

    def any_format(self, name: str) -> AnyFormat:
        """A format of any kind by its folder's name. Raises ConfigError ``format-unknown``, Findings."""
        if name not in self._formats:
            load = _LOADERS.get(self.document_of(name), load_format)
            self._formats[name] = load(self._folder_of(name), self.library)
        return self._formats[name]

    # A format that is asked for as what it is not is read as that: its findings say what it is.

    def sheet_format(self, name: str) -> SheetFormat:
        """A format of sheets. Raises as :meth:`any_format`."""
        fmt = self.any_format(name)
        return fmt if isinstance(fmt, SheetFormat) else load_sheet_format(self._folder_of(name), self.library)

    def json_format(self, name: str) -> JsonFormat:
        """A format of JSON. Raises as :meth:`any_format`."""
        fmt = self.any_format(name)
        return fmt if isinstance(fmt, JsonFormat) else load_json_format(self._folder_of(name), self.library)

    def table_format(self, name: str) -> TableFormat:
        """A format of database tables. Raises as :meth:`any_format`."""
        fmt = self.any_format(name)
        return fmt if isinstance(fmt, TableFormat) else load_table_format(self._folder_of(name), self.library)

    def format(self, name: str) -> Format:
        """A format of XML. Raises as :meth:`any_format`, MappingError ``format-of-sheets``, ``format-of-json``."""
        fmt = self.any_format(name)
        if isinstance(fmt, Format):
            return fmt
        raise MappingError("format-of-json" if isinstance(fmt, JsonFormat) else "format-of-sheets", format=name)

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
        return RecordPlan(None, self.catalog(catalog), self.library, time_zone=self._zone)

    def writing(self, name: str, catalog: Catalog) -> Writing:
        """How records of a catalog travel in batches of a format, whatever kind it is. Raises ConfigError ``format-unknown``, MappingError,
        Findings."""
        fmt = self.any_format(name)
        bodies: DocumentPlan | FieldsPlan
        if isinstance(fmt, Format):
            bodies, gate = self.document_plan(fmt, catalog), Gate(fmt)
        elif isinstance(fmt, JsonFormat):
            plans = {one.template.id: one for one in self.json_plans(name, catalog)}
            bodies = FieldsPlan(fmt, catalog, self.library, self._zone, lambda template: plans[template.id])
            gate = Gate(fields_format(fmt.id, fmt.version))
        else:
            bodies = FieldsPlan(fmt, catalog, self.library, self._zone)
            gate = Gate(fields_format(fmt.id, fmt.version))
        return Writing(format_id=fmt.id, format_version=fmt.version, bodies=bodies, gate=gate)

    def document_plan(self, fmt: Format, catalog: Catalog) -> DocumentPlan:
        """How records of a catalog are written in a format. Raises MappingError."""
        return DocumentPlan(fmt, catalog, self.library)
