"""Who may see what (披露等级): a catalog's frame with everything left out that its receiver is not cleared for.

One place enforces it: what goes to rendering goes through :meth:`Sight.apply`. What the public sees is masked besides
(:mod:`gateway.mapping.masking`): a natural person's name, and every text that might repeat a name or a number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import polars as pl

from gateway.catalog.identifiers import is_resident_id
from gateway.catalog.model import Catalog, Disclosure, Field, FieldType, Identifier
from gateway.mapping.canonical import canonical_type
from gateway.mapping.document import DocumentPlan
from gateway.mapping.format_model import WhenEmpty
from gateway.mapping.leaf_plan import LeafPlan
from gateway.mapping.masking import (
    HIDDEN,
    TRADER_NAME,
    has_number,
    mask_name,
    mask_numbers,
    masked_names,
    masked_numbers,
)
from gateway.mapping.problems import PROBLEMS

__all__ = ["Sight"]

_KIND: Final = "subject_kind"
_NATURAL, _TRADER = "自然人", "个体工商户"  # codelists/subject-kinds.csv
_HIDE: Final = "@hide:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What somebody cleared for ``clearance`` sees of records of ``catalog``."""

    catalog: Catalog
    clearance: Disclosure

    @property
    def public(self) -> bool:
        """Whether everybody sees it: then it is masked."""
        return self.clearance is Disclosure.PUBLIC

    @property
    def whole(self) -> bool:
        """Whether nothing is left out."""
        return not self.public and not self.hidden()

    def hidden(self) -> tuple[Field, ...]:
        """The fields that are left out."""
        return tuple(field for field in self.catalog.fields if not self.clearance.shows(field.disclosure))

    def hidden_key(self) -> tuple[Field, ...]:
        """Those among them that are part of the key: a record of such a catalog cannot be named without showing them."""
        return tuple(field for field in self.hidden() if field.name in self.catalog.key)

    def demanded(self, document: DocumentPlan) -> Iterator[LeafPlan]:
        """Leaves that must be filled, from fields that are left out: records would be refused one by one."""
        hidden = {field.name for field in self.hidden()}
        for leaf in document.leaves:
            wanted = leaf.slot.required or leaf.slot.leaf.when_empty is WhenEmpty.REJECT
            if leaf.field is not None and leaf.field.name in hidden and wanted:
                yield leaf

    def apply(self, frame: pl.DataFrame) -> pl.DataFrame:
        """``frame`` (canonical, with ``@key`` and whatever else) without what may not be seen; the number and order of rows stay."""
        return self._masked(frame) if self.public else self._bare(frame)

    def refused(self, keys: pl.Series) -> pl.DataFrame:
        """Why records under these keys cannot be shown at all (schema :data:`gateway.mapping.problems.PROBLEMS`): the key itself holds a
        number that may be a person's, and a key is shown as it is."""
        bad = [key for key in keys if self.public and has_number(_without_codes(key, self.catalog))]
        field = self.catalog.key[0]
        rows = [(key, key, field, "", "key-personal", "reject", "", "") for key in bad]
        return pl.DataFrame(rows, schema=PROBLEMS, orient="row")

    def words(self, text: str) -> str:
        """A text that goes beside a record, as it may be seen."""
        return mask_numbers(text) if self.public else text

    def _bare(self, frame: pl.DataFrame) -> pl.DataFrame:
        hidden = {field.name for field in self.hidden()}
        parts = {field.part for field in self.hidden()} - {None}
        plain = [field for field in self.hidden() if field.part is None]
        frame = frame.with_columns(pl.lit(None, canonical_type(field)).alias(field.name) for field in plain)
        outer = {self.catalog.chain(part)[0] for part in parts}
        return frame.with_columns(
            _emptied(frame.schema[name], pl.col(name), hidden).alias(name) for name in sorted(outer)
        )

    def _masked(self, frame: pl.DataFrame) -> pl.DataFrame:
        names = [
            field
            for field in self.catalog.fields
            if field.personal and field.type is FieldType.TEXT and field.part is None
        ]
        known = frame.select(pl.col(field.name).alias(f"{_HIDE}{field.name}") for field in names)
        person = self._about_person(frame)
        bare = self._bare(frame)
        shown = [field for field in names if self.clearance.shows(field.disclosure) and field.identifier is None]
        bare = bare.with_columns(
            pl.when(person[field.name])
            .then(masked_names(pl.col(field.name)))
            .otherwise(pl.col(field.name))
            .alias(field.name)
            for field in shown
        )
        texts = [field for field in self.catalog.fields if self._free(field) and field.part is None]
        bare = bare.with_columns(masked_numbers(pl.col(field.name)).alias(field.name) for field in texts)
        bare = bare.with_columns(
            pl.col(field.name)
            .map_elements(lambda code: None if is_resident_id(code) else code, return_dtype=pl.String)
            .alias(field.name)
            for field in self.catalog.fields
            if field.identifier is not None
            and field.identifier is not Identifier.RESIDENT
            and field.part is None
            and self.clearance.shows(field.disclosure)
        )
        for part in self.catalog.parts_within(None):
            scrub = partial(_scrubbed, names={field.name for field in self.catalog.fields if self._free(field)})
            kind = frame.schema[part.name]
            bare = bare.with_columns(pl.col(part.name).map_elements(scrub, return_dtype=kind).alias(part.name))
        return self._without_names(
            bare, known, {field.name: person[field.name] for field in names}, [f.name for f in texts]
        )

    def _free(self, field: Field) -> bool:
        """Whether a person wrote the text: it may say anything."""
        free = field.type is FieldType.TEXT and field.identifier is None
        return free and self.clearance.shows(field.disclosure)

    def _about_person(self, frame: pl.DataFrame) -> dict[str, pl.Series]:
        """By personal field: on which rows it names a natural person, and not an organisation."""
        has_kind = any(field.name == _KIND for field in self.catalog.fields)
        every = pl.lit(value=True) if self.catalog.subject_kinds == (_NATURAL,) else pl.lit(value=False)
        natural = pl.col(_KIND).fill_null("") == _NATURAL if has_kind else every
        trader = (
            pl.col(_KIND).fill_null("") == _TRADER if has_kind else pl.lit(value=_TRADER in self.catalog.subject_kinds)
        )
        persons = [field.name for field in self.catalog.fields if field.name == "legal_representative"]
        found: dict[str, pl.Expr] = {}
        for field in self.catalog.fields:
            if not field.personal:
                continue
            if field.name != "subject_name":
                found[field.name] = pl.lit(value=True)
                continue
            own = pl.col(field.name).str.len_chars() <= TRADER_NAME
            for name in persons:
                own = own | (pl.col(field.name) == pl.col(name)).fill_null(value=False)
            found[field.name] = natural | (trader & own)
        wide = frame.select(pl.int_range(pl.len()).alias("@place"), *(when.alias(name) for name, when in found.items()))
        return {name: wide[name].fill_null(value=True) for name in found}

    def _without_names(
        self, bare: pl.DataFrame, known: pl.DataFrame, person: dict[str, pl.Series], texts: list[str]
    ) -> pl.DataFrame:
        """Texts in which a person's name or number of the same record is repeated, with it hidden."""
        for name, here in person.items():
            needle = pl.when(here).then(known[f"{_HIDE}{name}"])
            wide = bare.with_columns(needle.alias("@needle"))
            long_enough = pl.col("@needle").str.len_chars() > 1
            for text in texts:
                if text == name:
                    continue
                hit = (pl.col(text).str.contains(pl.col("@needle"), literal=True) & long_enough).fill_null(value=False)
                places = wide.select(hit.arg_true()).to_series()
                if places.is_empty():
                    continue
                rows = wide.select(text, "@needle")[places].iter_rows()
                mended = bare[text].scatter(places, [whole.replace(part, _shown(part)) for whole, part in rows])
                bare = bare.with_columns(mended.alias(text))
                wide = bare.with_columns(wide["@needle"])
        return bare


def _shown(part: str) -> str:
    """What stands for a personal value met inside a text: a name keeps its first character, what has digits shows nothing."""
    return HIDDEN if any(character.isdigit() for character in part) else mask_name(part)


def _emptied(kind: pl.DataType, column: pl.Expr, hidden: set[str]) -> pl.Expr:
    """A part's list of rows with the hidden fields empty."""
    if not isinstance(kind, pl.List) or not isinstance(kind.inner, pl.Struct):
        return column
    fields = []
    for field in kind.inner.fields:
        inner = pl.element().struct.field(field.name)
        kept = pl.lit(None, field.dtype) if field.name in hidden else inner
        fields.append(kept.alias(field.name))
    return column.list.eval(pl.struct(fields))


def _scrubbed(rows: pl.Series, names: set[str]) -> list[dict[str, object]]:
    """The rows of a part with numbers hidden in texts; parts within it likewise."""
    return [_scrubbed_row(row, names) for row in rows.to_list()]


def _scrubbed_row(row: dict[str, object], names: set[str]) -> dict[str, object]:
    done: dict[str, object] = {}
    for name, value in row.items():
        if isinstance(value, list):
            done[name] = [_scrubbed_row(one, names) for one in value]
        else:
            done[name] = mask_numbers(value) if name in names and isinstance(value, str) else value
    return done


def _without_codes(key: str, catalog: Catalog) -> str:
    """A key without what its identifier fields hold, unless that is a resident's number."""
    parts = key.split("|") if len(catalog.key) > 1 else [key]
    kept = []
    for name, part in zip(catalog.key, parts, strict=False):
        code = catalog.field(name).identifier
        kept.append("" if code is not None and code is not Identifier.RESIDENT and not is_resident_id(part) else part)
    return "|".join(kept)
