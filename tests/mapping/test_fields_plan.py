"""Formats of sheets in batches: bodies hold the very texts that the receiver's columns show, and pass a gate of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import fastexcel
import pytest

from gateway.errors import MappingError, PackageError
from gateway.mapping.batch_facts import SOME_BATCH
from gateway.mapping.fields_plan import FieldsPlan, fields_format
from gateway.mapping.format_model import BatchFact
from gateway.mapping.gate import Gate
from gateway.mapping.render_sheet import SheetPlan
from gateway.mapping.safe_xml import parse_safely
from gateway.mappings import Mappings
from gateway.package.fields import Fields, read_fields
from tests.mapping.document_samples import LICENSE, MAPPINGS, PENALTY, library, records
from tests.mapping.test_sheets import PERSON

ZONE = "Asia/Shanghai"


@pytest.fixture(scope="module")
def mappings() -> Mappings:
    return Mappings(MAPPINGS, ZONE)


def plan_of(mappings: Mappings, name: str, catalog: str = LICENSE) -> FieldsPlan:
    return FieldsPlan(mappings.sheet_format(name), library().catalogs[catalog], library(), ZONE)


def bodies(mappings: Mappings, name: str, *changes: Mapping[str, object], catalog: str = LICENSE) -> list[Fields]:
    rendered = plan_of(mappings, name, catalog).render(records(catalog, *map(dict, changes)), SOME_BATCH)
    assert rendered.problems.is_empty(), rendered.problems
    return [read_fields(body.encode()) for body in rendered.frame["body"]]


@pytest.mark.parametrize(("name", "catalog"), [("mot-sheets", PENALTY), ("credit-2018-split", LICENSE)])
def test_a_body_says_what_the_sheet_shows(mappings: Mappings, name: str, catalog: str) -> None:
    changes = {"remarks": 'a & b <c> "d"\n第二行\tx'}
    (fields,) = bodies(mappings, name, changes, catalog=catalog)
    fmt = mappings.sheet_format(name)
    template = next(one for one in fmt.templates if one.id == fields.template)
    sheet = SheetPlan(fmt, template, library()).render(
        records(catalog, changes), replace(SOME_BATCH, created_at=datetime(2026, 1, 2, 11, 4, 5, tzinfo=UTC))
    )
    assert sheet.data is not None
    (row,) = fastexcel.read_excel(sheet.data).load_sheet(0, dtypes="string").to_polars().iter_rows(named=True)
    assert {name: fields.texts.get(name) for name in row} == {
        name: (None if text is None else text.replace("_x000D_", "")) for name, text in row.items()
    }
    order = [column.heading for column in template.columns]
    assert [name for name in order if name in fields.texts] == list(fields.texts)


def test_each_record_names_the_template_that_it_belongs_to(mappings: Mappings) -> None:
    found = bodies(mappings, "credit-2018-split", {}, PERSON)
    assert [fields.template for fields in found] == [f"{LICENSE}.legal", f"{LICENSE}.person"]


def test_what_passes_the_gate_and_what_does_not(mappings: Mappings) -> None:
    gate = Gate(fields_format("credit-2018-split", "1"))
    rendered = plan_of(mappings, "credit-2018-split").render(records(LICENSE, {}), SOME_BATCH)
    body = rendered.frame["body"].item()
    assert gate.accepts(parse_safely(body.encode()))
    first = body.index("<Field ")
    for wrong in (
        body.replace(' template="administrative-license.legal"', ""),
        body.replace("<Field ", "<Feld ", 1).replace("</Field>", "</Feld>", 1),
        body[:first] + body[first : body.index("</Field>") + 8] + body[first:],
        body.replace('name="', 'nom="', 1),
    ):
        element = parse_safely(wrong.encode())
        assert not gate.accepts(element), wrong[:200]
        assert gate.explain(element)


def test_a_record_in_no_template_or_in_two_is_a_problem(mappings: Mappings) -> None:
    fmt = mappings.sheet_format("credit-2018-split")
    legal, person = (one for one in fmt.templates if one.catalog == LICENSE)
    catalog = library().catalogs[LICENSE]
    for templates, code in (((person,), "template-none"), ((legal, replace(legal, id=person.id)), "template-several")):
        plan = FieldsPlan(replace(fmt, templates=templates), catalog, library(), ZONE)
        rendered = plan.render(records(LICENSE, {}, PERSON), SOME_BATCH)
        (problem,) = [one for one in rendered.problems.to_dicts() if one["@key"] == "0"]
        assert (problem["code"], problem["weight"]) == (code, "reject")
        assert "0" not in rendered.frame["@key"].to_list()


def test_what_is_wrong_with_a_cell_is_told_as_in_a_sheet(mappings: Mappings) -> None:
    rendered = plan_of(mappings, "credit-2018-split").render(
        records(LICENSE, {"content": None}, {}, {"content": "a\x07"}), SOME_BATCH
    )
    assert rendered.frame["@key"].to_list() == ["1"]
    assert set(rendered.problems["code"]) == {"required-missing", "character-forbidden"}


@pytest.mark.parametrize("fact", [BatchFact.ID, BatchFact.SEQUENCE, BatchFact.COUNT])
def test_a_column_cannot_tell_what_a_record_does_not_know(mappings: Mappings, fact: BatchFact) -> None:
    fmt = mappings.sheet_format("mot-sheets")
    templates = tuple(
        replace(one, columns=tuple(replace(c, batch=fact) if c.batch else c for c in one.columns))
        for one in fmt.templates
    )
    with pytest.raises(MappingError, match="fields-batch-fact"):
        FieldsPlan(replace(fmt, templates=templates), library().catalogs[LICENSE], library(), ZONE)


def test_the_digest_follows_the_catalog_s_own_templates(mappings: Mappings) -> None:
    fmt = mappings.sheet_format("credit-2018-split")
    catalog = library().catalogs[LICENSE]

    def digest(path: str) -> str:
        texts = {**fmt.texts, path: fmt.texts[path] + b"\n"}
        return FieldsPlan(replace(fmt, texts=texts), catalog, library(), ZONE).digest

    unchanged = plan_of(mappings, "credit-2018-split").digest
    assert digest(f"bindings/{PENALTY}.legal.toml") == unchanged
    assert digest(f"bindings/{LICENSE}.legal.toml") != unchanged
    assert digest("format.toml") != unchanged


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'<Fields xmlns="urn:other" template="a"/>', "document-namespace"),
        (b'<Fields xmlns="urn:credit-exchange:fields:1"><Field name="a">1</Field></Fields>', "document-structure"),
        (
            b'<Fields xmlns="urn:credit-exchange:fields:1" template="a"><Field name="a">1</Field><Field name="a">1</Field></Fields>',
            "fields-repeated",
        ),
        (b'<Fields xmlns="urn:credit-exchange:fields:1" template="a"><Other/></Fields>', "document-structure"),
        (b'<!DOCTYPE Fields><Fields xmlns="urn:credit-exchange:fields:1" template="a"/>', "doctype-forbidden"),
    ],
)
def test_a_body_is_read_strictly(body: bytes, code: str) -> None:
    with pytest.raises(PackageError) as refused:
        read_fields(body)
    assert refused.value.code == code
