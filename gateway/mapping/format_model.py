"""What an exchange format is: the schema a receiver demands, and for each catalog which field goes to which place in it.

Values only; :mod:`gateway.mapping.format_loader` makes them from ``mappings/formats/<id>/`` and names every mistake
there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from gateway.errors import Finding
from gateway.mapping.model import Rule
from gateway.mapping.schema import Schema, local_name, namespace_of

__all__ = ["Binding", "BoundLeaf", "Fact", "Format", "WhenEmpty"]


class WhenEmpty(StrEnum):
    """The three answers to an empty value; none of them is a default."""

    OMIT = "omit"  # the element or attribute is left out
    BLANK = "blank"  # it is written with nothing in it
    REJECT = "reject"  # the record is refused


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundLeaf:
    """One place in the document and what is written there.

    ``steps`` lead from the record's root element down, each ``{namespace}local``, the last one ``@name`` for an
    attribute; ``target`` is the same path as people write it (``Subject/s:Code/@scheme``). ``field`` is None where
    the first rule makes the value itself. ``profile`` marks what no published standard confirms.
    """

    target: str
    steps: tuple[str, ...]
    field: str | None
    rules: tuple[Rule, ...]
    when_empty: WhenEmpty
    why: str = ""
    profile: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """How records of one catalog are written: the global element of a record, and its leaves in the order of the text."""

    catalog: str
    root: str
    leaves: tuple[BoundLeaf, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something the format rests on; ``profile`` is true when it is a project profile, not confirmed by a published text."""

    id: str
    zh: str
    en: str
    profile: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format. ``prefixes`` name the namespaces in paths; the main one has the prefix ``""``.

    ``texts`` are the bytes of format.toml, of every schema and of every binding by path in the folder. ``valid_from``
    and ``valid_to`` are inclusive; None is open. ``warnings`` are findings that do not forbid its use.
    """

    id: str
    version: str
    zh: str
    en: str
    standard: str
    schema_file: str
    schema: Schema
    prefixes: Mapping[str, str]
    facts: tuple[Fact, ...]
    bindings: Mapping[str, Binding]
    texts: Mapping[str, bytes]
    valid_from: date | None = None
    valid_to: date | None = None
    warnings: tuple[Finding, ...] = ()

    def digest(self, catalog: str) -> str:
        """SHA-256 (hex) over what decides how a record of ``catalog`` is written: format.toml, every schema, its binding.

        Hashed are lines ``<sha256 hex of the bytes> <path>``, in order of path, each ended by a line feed.
        """
        used = [
            path for path in sorted(self.texts) if not path.startswith("bindings/") or path == binding_path(catalog)
        ]
        lines = (f"{hashlib.sha256(self.texts[path]).hexdigest()} {path}\n" for path in used)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def schemas(self) -> Mapping[str, bytes]:
        """The bytes of every schema by path."""
        return {path: data for path, data in self.texts.items() if path.endswith(".xsd")}

    def shown(self, *steps: str) -> str:
        """Steps of a path (``{namespace}local``, ``@…``) as a person writes them: ``Subject/s:Code/@scheme``."""
        return "/".join(map(self._shown, steps))

    def _shown(self, step: str) -> str:
        mark, name = ("@", step[1:]) if step.startswith("@") else ("", step)
        namespace = namespace_of(name)
        prefix = next((prefix for prefix, uri in self.prefixes.items() if uri == namespace), "") if namespace else ""
        return f"{mark}{prefix}:{local_name(name)}" if prefix else f"{mark}{local_name(name)}"


def binding_path(catalog: str) -> str:
    """Where the binding of ``catalog`` stands in a format's folder."""
    return f"bindings/{catalog}.toml"
