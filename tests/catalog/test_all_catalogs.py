"""Every catalog that ships: what a person's data, the record's key and an unconfirmed fact demand of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.catalog.loader import load_catalogs
from gateway.catalog.model import Catalog, Disclosure, Identifier
from tests.mapping.document_samples import MAPPINGS

LIBRARY = load_catalogs(MAPPINGS)
WANTED = [
    "administrative-license",
    "administrative-penalty",
    "red-list",
    "black-list-legal",
    "black-list-persons",
    "credit-commitment",
    "credit-evaluation",
    "commendation",
    "person-commendation",
    "enterprise-registration",
    "qualification",
    "person",
    "person-qualification",
    "performance",
    "joint-action-object",
    "joint-action-measure",
    "joint-action-effect",
    "credit-repair",
]
# Lengths that a ministry exchange table states, by its columns.
TABLES = {
    "commendation": {"subject_code": 18, "title": 255, "document_number": 255, "level": 50, "published_by": 255, "content": 4000},
    "enterprise-registration": {"unit_kind": 50, "registered_by": 100, "city": 20, "business_scope": 4000, "parent_name": 100},
    "joint-action-effect": {"behaviour": 200, "department": 100, "measure": 100, "content": 100, "field": 200, "effect": 200},
    "person-commendation": {"title": 255, "year": 4, "level": 50, "content": 1000, "person_name": 50},
    "person-qualification": {"qualification": 255, "grade": 10, "certificate_number": 255},
    "performance": {"subject_code": 18, "builder": 200},
}  # fmt: skip


@pytest.fixture(params=WANTED)
def catalog(request: pytest.FixtureRequest) -> Catalog:
    return LIBRARY.catalogs[str(request.param)]


def test_nothing_is_missing_and_nothing_more_is_there() -> None:
    assert sorted(LIBRARY.catalogs) == sorted(WANTED)


def test_numbers_of_persons_never_stand_in_keys_and_are_never_public(catalog: Catalog) -> None:
    numbers = {field.name for field in catalog.fields if field.identifier is Identifier.RESIDENT}
    assert not numbers & set(catalog.key), "a key stands in batches, receipts and the ledger"
    for name in numbers:
        field = catalog.field(name)
        assert field.disclosure in {Disclosure.GOVERNMENT, Disclosure.NEVER}
        assert field.personal
    for field in catalog.fields:
        if field.personal:
            assert field.name not in catalog.key
        if re.search(r"(?:_id|address|telephone)$", field.name) and "person" in field.name:
            assert field.disclosure is Disclosure.GOVERNMENT, field.name


def test_who_a_record_is_about_can_be_told(catalog: Catalog) -> None:
    names = {field.name for field in catalog.fields}
    if catalog.id != "joint-action-measure":  # a measure is about nobody yet
        assert {"subject_code", "person_id"} & names
    if "自然人" not in catalog.subject_kinds:
        assert catalog.field("subject_code").required


def test_a_fact_of_a_table_is_not_called_ours(catalog: Catalog) -> None:
    for name, length in TABLES.get(catalog.id, {}).items():
        field = catalog.field(name)
        assert field.max_length == length
        assert not field.profile, f"{name} is in the table"


def test_what_no_source_names_is_called_ours() -> None:
    for name in ("credit-commitment", "credit-repair", "qualification"):
        confirmed = {"remarks", "subject_name", "person_name"}
        unmarked = {field.name for field in LIBRARY.catalogs[name].fields if not field.profile}
        assert unmarked <= confirmed, name
    assert all(one.deadline.profile for one in LIBRARY.catalogs.values() if not one.id.startswith("administrative"))


def test_each_says_where_it_comes_from(catalog: Catalog) -> None:
    assert catalog.category
    text = (MAPPINGS / "catalogs" / f"{catalog.id}.toml").read_text("utf-8")
    assert text.startswith("# ")
    assert catalog.zh
    assert catalog.en


def test_demands_ask_for_what_is_known() -> None:
    assert set(LIBRARY.demands) == {"province", "forestry-bureaus"}
    for demand in LIBRARY.demands.values():
        for want in demand.wants:
            assert want.catalog in LIBRARY.catalogs
            assert want.profile, "whom to ask for what is for each unit to say"
            assert want.provider is None, "no code of an organisation is made up"


def test_the_list_of_the_readme_is_that_of_the_folder() -> None:
    assert {file.stem for file in Path(MAPPINGS / "catalogs").glob("*.toml")} == set(WANTED)
