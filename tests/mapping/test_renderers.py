"""One suite for everything that writes documents: the same records through XML, sheets, JSON and tables, read back by other eyes than ours."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from xml.etree import ElementTree

import fastexcel
import polars as pl
import pytest

from gateway.catalog.model import FieldType
from gateway.mapping.batch_facts import SOME_BATCH
from gateway.mapping.render_sheet import SheetPlan
from gateway.mappings import Mappings
from tests.mapping.document_samples import LICENSE, MAPPINGS, PENALTY, records

CANARY = "金丝雀7391"
ODD = "甲 <乙> & \"丙\" '丁' =1+1 ／\n第二行"


@dataclass(frozen=True)
class Written:
    """What a renderer made: files, the keys of the records in them, and the problems."""

    files: Sequence[bytes]
    keys: Sequence[str]
    problems: pl.DataFrame


@dataclass(frozen=True)
class Renderer:
    """``bound`` leads from a catalog's fields to where their plain texts stand: fields that a rule rewrites are not among them.
    ``used`` are all fields that the format carries."""

    write: Callable[[pl.DataFrame], Written]
    read: Callable[[bytes], Iterator[Mapping[str, str]]]
    bound: Mapping[str, str]
    used: frozenset[str]


@cache
def mappings() -> Mappings:
    return Mappings(MAPPINGS, "Asia/Shanghai")


def _xml_places(element: ElementTree.Element, path: str = "") -> Iterator[tuple[str, str]]:
    for child in element:
        name = f"{path}{child.tag.rpartition('}')[2]}"
        yield name, child.text or ""
        yield from _xml_places(child, f"{name}/")


def _xml_record(data: bytes) -> Iterator[Mapping[str, str]]:
    yield dict(_xml_places(ElementTree.fromstring(data)))


def _row_texts(data: bytes) -> Iterator[Mapping[str, str]]:
    """What a sealed body says that the columns of a table hold."""
    yield {field.attrib["name"]: field.text or "" for field in ElementTree.fromstring(data)}


def _sheet_rows(data: bytes) -> Iterator[Mapping[str, str]]:
    sheet = fastexcel.read_excel(data).load_sheet(0, dtypes="string").to_polars()
    for row in sheet.iter_rows(named=True):
        yield {name: text for name, text in row.items() if text is not None}


def _json_places(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _json_places(inner, f"{path}/{name}")
    elif isinstance(value, str):
        yield path, value


def _json_records(data: bytes) -> Iterator[Mapping[str, str]]:
    for one in json.loads(data)["body"]["list"]:
        yield dict(_json_places(one, "body/list"))


def renderer(name: str, catalog: str) -> Renderer:
    home = mappings()
    if home.document_of(name) == "sheet":
        fmt = home.sheet_format(name)
        template = next(one for one in fmt.templates if one.catalog == catalog)
        sheet = SheetPlan(fmt, template, home.library)

        def write_sheet(sent: pl.DataFrame) -> Written:
            made = sheet.render(sent, SOME_BATCH)
            return Written([made.data] if made.data else [], made.keys, made.problems)

        columns = [one for one in template.columns if one.field is not None]
        bound = {str(one.field): one.heading for one in columns if not one.rules}
        return Renderer(write_sheet, _sheet_rows, bound, frozenset(str(one.field) for one in columns))
    if home.document_of(name) == "json":
        [plan] = home.json_plans(name, home.catalog(catalog))

        def write_json(sent: pl.DataFrame) -> Written:
            made = plan.documents(sent, SOME_BATCH)
            return Written(
                [one for one, _ in made.documents], [k for _, keys in made.documents for k in keys], made.problems
            )

        columns = [one for one in plan.template.columns if one.field is not None]
        bound = {str(one.field): one.heading for one in columns if not one.rules}
        return Renderer(write_json, _json_records, bound, frozenset(str(one.field) for one in columns))
    if home.document_of(name) == "table":
        table = next(one for one in home.table_format(name).templates if one.catalog == catalog)
        writing = home.writing(name, home.catalog(catalog))

        def write_rows(sent: pl.DataFrame) -> Written:
            rendered = writing.bodies.render(sent, SOME_BATCH)
            return Written(
                [one.encode() for one in rendered.frame["body"]], rendered.frame["@key"].to_list(), rendered.problems
            )

        columns = [one for one in table.columns if one.field is not None]
        bound = {str(one.field): one.heading for one in columns if not one.rules}
        return Renderer(write_rows, _row_texts, bound, frozenset(str(one.field) for one in columns))
    document = home.document_plan(name, home.catalog(catalog))

    def write_xml(sent: pl.DataFrame) -> Written:
        if document.format.document == "whole":
            made = document.documents(sent, SOME_BATCH)
            return Written(
                [one for one, _ in made.documents], [k for _, keys in made.documents for k in keys], made.problems
            )
        rendered = document.render(sent)
        return Written(
            [one.encode() for one in rendered.frame["body"]], rendered.frame["@key"].to_list(), rendered.problems
        )

    leaves = [one.slot.leaf for one in document.leaves if one.field is not None]
    bound = {str(one.field): one.target for one in leaves if not one.rules}
    return Renderer(write_xml, _xml_record, bound, frozenset(str(one.field) for one in leaves))


ALL = [
    (name, catalog)
    for name in (
        "credit-2018",
        "message-fields",
        "credit-2015",
        "credit-2018-split",
        "mot-sheets",
        "message-json",
        "front-tables",
    )
    for catalog in (LICENSE, PENALTY)
]


@pytest.mark.parametrize(("name", "catalog"), ALL)
def test_the_same_texts_come_back(name: str, catalog: str) -> None:
    made = renderer(name, catalog)
    sent = records(catalog, {}, {"content": ODD, "document_number": "第〔2〕号"})
    written = made.write(sent)
    assert written.problems.is_empty(), written.problems
    assert list(written.keys) == ["0", "1"]
    found = [one for data in written.files for one in made.read(data)]
    assert len(found) == 2
    plain = {one.name for one in mappings().catalog(catalog).fields if one.type is FieldType.TEXT and not one.separator}
    told = {"content", "document_number", "subject_name", "authority_name"}
    assert told <= set(made.bound)
    for before, after in zip(sent.iter_rows(named=True), found, strict=True):
        for field in sorted(set(made.bound) & plain):
            assert (after.get(made.bound[field]) or None) == before[field], field


@pytest.mark.parametrize(("name", "catalog"), ALL)
def test_a_bad_record_is_named_by_key_place_and_rule(name: str, catalog: str) -> None:
    made = renderer(name, catalog)
    written = made.write(records(catalog, {"content": f"{CANARY}\x07"}, {}, {"document_number": None}))
    assert list(written.keys) == ["1"]
    assert len([one for data in written.files for one in made.read(data)]) == 1
    told = {(one["@key"], one["field"], one["source"], one["code"]) for one in written.problems.iter_rows(named=True)}
    assert told == {
        ("0", "content", made.bound["content"], "character-forbidden"),
        ("2", "document_number", made.bound["document_number"], "required-missing"),
    }
    assert CANARY not in str(written.problems.to_dicts())


@pytest.mark.parametrize(("name", "catalog"), ALL)
def test_the_same_records_make_the_same_bytes(name: str, catalog: str) -> None:
    sent = records(catalog, {}, {"content": ODD})
    assert renderer(name, catalog).write(sent).files == renderer(name, catalog).write(sent).files


@pytest.mark.parametrize(("name", "catalog"), ALL)
def test_nothing_of_an_unbound_field_gets_out(name: str, catalog: str) -> None:
    made = renderer(name, catalog)
    free = [
        one.name
        for one in mappings().catalog(catalog).fields
        if one.type is FieldType.TEXT and one.codelist is None and one.name not in made.used
    ]
    written = made.write(records(catalog, dict.fromkeys(free, CANARY)))
    assert list(written.keys) == ["0"], written.problems
    for data in written.files:
        assert all(CANARY not in text for one in made.read(data) for text in one.values())
        assert not _holds(data, CANARY)
    # The same eyes see it where it is bound.
    assert any(_holds(data, CANARY) for data in made.write(records(catalog, {"content": CANARY})).files)


def _holds(data: bytes, word: str) -> bool:
    """Whether the word stands anywhere in a file, in whatever part of it."""
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as book:
            return any(word.encode() in book.read(name) for name in book.namelist())
    return word.encode() in data or word.encode("utf-16-le") in data
