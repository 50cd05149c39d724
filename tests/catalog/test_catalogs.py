"""The two catalogs and the code lists that ship: what the exchange's own documents and records demand of them."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

import pytest

from gateway.catalog.identifiers import PLACEHOLDER, is_registration_number, is_uscc
from gateway.catalog.loader import Library, load_catalogs
from gateway.catalog.model import Catalog, Disclosure, FieldType, Identifier, Operator, Weight

MAPPINGS = Path(__file__).parents[2] / "mappings"
LICENSE, PENALTY = "administrative-license", "administrative-penalty"
CODES = (
    "subject_registration_number",
    "subject_organisation_code",
    "subject_tax_number",
    "subject_institution_number",
    "subject_association_number",
)
SUBJECT = (
    f"subject_name subject_kind subject_code {' '.join(CODES)} legal_representative legal_representative_id_kind "
    "legal_representative_id person_id_kind person_id "
)
FIELDS = {
    LICENSE: SUBJECT + "document_name document_number license_kind certificate_name certificate_number content "
    "decided_on valid_from valid_to authority_name authority_code status source_unit_name source_unit_code remarks",
    PENALTY: SUBJECT + "document_number violation_kind violation_facts legal_basis penalty_kinds content fine_amount "
    "confiscated_amount revoked_licence decided_on valid_to publicity_until authority_name authority_code "
    "source_unit_name source_unit_code remarks",
}
LENGTHS = {
    LICENSE: "200 16 18 50 9 15 12 50 50 64 64 64 64 64 64 256 64 64 4000 - - - 200 18 1 200 18 512",
    PENALTY: "200 16 18 50 9 15 12 50 50 64 64 64 64 128 2000 2000 2048 255 4000 - - 200 - - - 200 18 200 18 512",
}
REQUIRED = {
    LICENSE: "subject_name subject_kind document_name document_number license_kind content decided_on valid_from "
    "valid_to authority_name authority_code status source_unit_name source_unit_code",
    PENALTY: "subject_name subject_kind document_number violation_kind violation_facts legal_basis penalty_kinds "
    "content decided_on valid_to authority_name authority_code source_unit_name source_unit_code",
}
LEGAL, NATURAL, TRADER = "法人及非法人组织", "自然人", "个体工商户"


@pytest.fixture(scope="module")
def library() -> Library:
    return load_catalogs(MAPPINGS)


@pytest.fixture(params=[LICENSE, PENALTY])
def catalog(request: pytest.FixtureRequest, library: Library) -> Catalog:
    return library.catalogs[str(request.param)]


def kinds_when(conditions: tuple[tuple[object, ...], ...]) -> set[str]:
    """The subject kinds named by alternatives of one condition each."""
    named: set[str] = set()
    for alternative in conditions:
        for condition in alternative:
            if getattr(condition, "field", "") == "subject_kind":
                named |= set(getattr(condition, "values", ()))
    return named


def test_fields_stand_in_the_order_of_the_exchange(catalog: Catalog) -> None:
    assert " ".join(field.name for field in catalog.fields) == FIELDS[catalog.id]
    assert len(catalog.fields) == {LICENSE: 28, PENALTY: 30}[catalog.id]


def test_lengths_and_duties(catalog: Catalog) -> None:
    assert " ".join(str(field.max_length or "-") for field in catalog.fields) == LENGTHS[catalog.id]
    assert " ".join(field.name for field in catalog.fields if field.required) == REQUIRED[catalog.id]


def test_key_unit_and_deadline(catalog: Catalog) -> None:
    assert catalog.key == ("document_number",)
    assert catalog.unit == "source_unit_code"
    assert (catalog.deadline.field, catalog.deadline.working_days) == ("decided_on", 7)
    assert set(catalog.subject_kinds) == {LEGAL, NATURAL, TRADER}


def test_numbers_of_identity_documents_go_to_government_alone(catalog: Catalog) -> None:
    numbers = {field.name for field in catalog.fields if field.name.endswith("_id")}
    shown = {field.name for field in catalog.fields if field.disclosure is not Disclosure.GOVERNMENT}
    assert not numbers & shown
    assert numbers == {"legal_representative_id", "person_id"}
    assert {field.name for field in catalog.fields if field.personal} == numbers | {
        "subject_name",
        "legal_representative",
    }
    assert catalog.field("legal_representative").disclosure is Disclosure.AUTHORISED


def test_codes_of_subjects_by_kind(catalog: Catalog) -> None:
    code = catalog.field("subject_code")
    assert kinds_when(code.required_when) == {LEGAL, TRADER}
    assert kinds_when(code.empty_when) == {NATURAL}
    assert (code.placeholder, kinds_when((code.placeholder_when,))) == (PLACEHOLDER, {TRADER})
    for name in CODES:
        assert kinds_when(catalog.field(name).empty_when) == {NATURAL}, name


def test_bodies_with_a_placeholder_are_refused(catalog: Catalog) -> None:
    for name in ("authority_code", "source_unit_code"):
        field = catalog.field(name)
        assert field.identifier is Identifier.USCC
        assert (field.placeholder, field.placeholder_when) == (PLACEHOLDER, ())


def test_persons_by_kind(catalog: Catalog) -> None:
    assert kinds_when(catalog.field("legal_representative").required_when) == {LEGAL, TRADER}
    for name in ("person_id_kind", "person_id"):
        assert kinds_when(catalog.field(name).required_when) == {NATURAL}
        assert kinds_when(catalog.field(name).empty_when) == {LEGAL, TRADER}
    for number, kind in (("legal_representative_id", "legal_representative_id_kind"), ("person_id", "person_id_kind")):
        field = catalog.field(number)
        assert field.identifier is Identifier.RESIDENT
        assert [(item.field, item.operator, item.values) for item in field.identifier_when] == [
            (kind, Operator.IS, ("身份证",))
        ]


def test_id_kind_and_number_of_the_legal_representative_go_together(catalog: Catalog) -> None:
    pair = ("legal_representative_id_kind", "legal_representative_id")
    for name, other in (pair, pair[::-1]):
        ((condition,),) = catalog.field(name).required_when
        assert (condition.field, condition.operator) == (other, Operator.FILLED)


def test_money_is_exact_to_six_decimals(library: Library) -> None:
    for name in ("fine_amount", "confiscated_amount"):
        field = library.catalogs[PENALTY].field(name)
        assert (field.type, field.precision, field.scale) == (FieldType.DECIMAL, 18, 6)


@pytest.mark.parametrize(
    ("name", "demanding"),
    [
        ("fine_amount", {"罚款"}),
        ("confiscated_amount", {"没收违法所得", "没收非法财物", "没收违法所得、没收非法财物"}),
        (
            "revoked_licence",
            {
                "暂扣或者吊销许可证",
                "暂扣或者吊销执照",
                "暂扣或者吊销许可证、暂扣或者吊销执照",
                "暂扣许可证件",
                "吊销许可证件",
            },
        ),
    ],
)
def test_a_kind_of_penalty_demands_its_particulars(library: Library, name: str, demanding: set[str]) -> None:
    """``has`` holds for a value with that beginning: exactly these kinds of the list must be meant."""
    ((condition,),) = library.catalogs[PENALTY].field(name).required_when
    assert (condition.field, condition.operator) == ("penalty_kinds", Operator.HAS)
    meant = {code for code in library.codelists["penalty-kinds"].values() if code.startswith(condition.values)}
    assert meant == demanding


def test_facts_without_a_published_standard_are_marked(library: Library) -> None:
    """Marked: lengths and duties known only from memory. Not marked: what a production schema shows."""
    plain = {
        name: {field.name for field in item.fields if not field.profile} for name, item in library.catalogs.items()
    }
    assert plain[LICENSE] == {"subject_name", "remarks"}
    assert {"document_number", "violation_kind", "decided_on", "valid_to", "authority_code"} <= plain[PENALTY]
    assert not {"subject_code", "penalty_kinds", "fine_amount", "confiscated_amount"} & plain[PENALTY]


def test_rules_of_the_license_catalog(library: Library) -> None:
    assert [(rule.kind, rule.fields, rule.weight) for rule in library.catalogs[LICENSE].rules] == [
        ("order", ("decided_on", "valid_from", "valid_to"), Weight.REJECT),
        ("differs", ("document_name", "document_number"), Weight.NOTICE),
    ]


def test_rules_of_the_penalty_catalog(library: Library) -> None:
    rules = library.catalogs[PENALTY].rules
    assert [(rule.kind, rule.fields, rule.weight, rule.parameters.get("limit")) for rule in rules] == [
        ("order", ("decided_on", "valid_to"), Weight.REJECT, None),
        ("order", ("decided_on", "publicity_until"), Weight.REJECT, None),
        ("order", ("publicity_until", "valid_to"), Weight.NOTICE, None),
        ("publicity", ("decided_on", "publicity_until"), Weight.REJECT, "latest"),
        ("publicity", ("decided_on", "publicity_until"), Weight.NOTICE, "earliest"),
    ]


def test_kinds_of_penalty_follow_the_law_of_the_day(library: Library) -> None:
    kinds = library.codelists["penalty-kinds"]
    old, new = date(2021, 7, 14), date(2021, 7, 15)
    of = {day: {code for code in kinds.values() if kinds.in_force(code, day)} for day in (old, new)}
    both = {"警告", "罚款", "没收违法所得", "没收非法财物", "责令停产停业", "行政拘留"}
    assert of[old] & of[new] == both
    assert of[new] - both == {
        *("通报批评", "暂扣许可证件", "降低资质等级", "吊销许可证件"),
        *("限制开展生产经营活动", "责令关闭", "限制从业"),
    }
    assert {"暂扣或者吊销许可证", "暂扣或者吊销执照"} <= of[old]


def test_numeric_codes_of_known_systems_lead_to_words(library: Library) -> None:
    crosswalks = library.crosswalks
    assert [crosswalks["subject-kinds"][code] for code in ("01", "02", "03", "04")] == [NATURAL, LEGAL, LEGAL, TRADER]
    assert crosswalks["id-kinds"]["1"] == crosswalks["id-kinds"]["01"] == "身份证"
    assert crosswalks["license-kinds"]["04"] == "核准"
    assert "06" not in crosswalks["license-kinds"]  # 其他 needs its own words
    assert crosswalks["penalty-kinds"]["2"] == "罚款"
    assert "9" not in crosswalks["penalty-kinds"]
    assert crosswalks["license-status"]["有效"] == "1"


def test_every_kind_of_penalty_can_be_said_in_the_words_of_2018(library: Library) -> None:
    crosswalk = library.crosswalks["penalty-kinds-2018"]
    kinds = library.codelists["penalty-kinds"]
    assert set(crosswalk) == set(kinds.values())
    for target in crosswalk.values():
        for word in target.split(";"):
            assert word.startswith("其他-") or (kinds.in_force(word, date(2018, 1, 1)) and "、" not in word)


def test_words_of_our_own_lists_lead_to_themselves(library: Library) -> None:
    for name in ("subject-kinds", "id-kinds", "license-kinds", "license-status", "penalty-kinds"):
        for code in library.codelists[name].values():
            assert library.crosswalks[name][code] == code


def test_withdrawals_have_reasons(library: Library) -> None:
    assert {"decision-revoked", "credit-repaired"} <= set(library.codelists["withdrawal-reasons"].values())


def test_nothing_is_overridden_as_shipped(library: Library) -> None:
    assert dict(library.working_days.overrides) == {}
    assert [regime.id for regime in library.regimes] == ["2019-527", "order-58", "order-36"]


def test_a_live_record_fits_the_lists(library: Library) -> None:
    """A penalty as a provincial platform carried it in 2019."""
    catalog = library.catalogs[PENALTY]
    record = {"subject_kind": LEGAL, "penalty_kinds": "罚款"}
    for name, value in record.items():
        assert library.codelists[catalog.field(name).codelist or ""].in_force(value, date(2019, 10, 10))
    assert is_uscc("11230500001755309F")
    assert not is_uscc(PLACEHOLDER)
    assert not is_registration_number(PLACEHOLDER)


def test_the_digest_is_that_of_the_files_and_can_be_computed_by_hand(library: Library) -> None:
    used = ["id-kinds.csv", "license-kinds.csv", "license-status.csv", "subject-kinds.csv"]
    paths = [f"catalogs/{LICENSE}.toml", *(f"codelists/{name}" for name in used)]
    lines = [f"{hashlib.sha256((MAPPINGS / path).read_bytes()).hexdigest()} {path}\n" for path in paths]
    assert library.digest(LICENSE) == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert library.digest(PENALTY) != library.digest(LICENSE)
    with pytest.raises(KeyError):
        library.digest("no-such-catalog")
