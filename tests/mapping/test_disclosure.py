"""What a receiver may not see is in none of its documents: whatever the record, whatever the catalog, whatever its clearance."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.catalog.identifiers import resident_check_character
from gateway.catalog.model import Catalog, Disclosure, Field, FieldType, Identifier
from gateway.mapping.canonical import decode
from gateway.mapping.disclosure import Sight
from gateway.mapping.document import DocumentPlan
from gateway.mapping.format_loader import load_format
from gateway.mapping.masking import has_number, mask_name, mask_numbers
from tests.mapping.record_samples import COMPANY, PERSON, catalog, library

CATALOGS = sorted(library().catalogs)
CLEARANCES = [Disclosure.PUBLIC, Disclosure.AUTHORISED, Disclosure.GOVERNMENT]
NATURAL, TRADER, COMPANY_KIND = "自然人", "个体工商户", "法人及非法人组织"


@cache
def document(name: str) -> DocumentPlan:
    """A format that would carry every field of the catalog, whoever may see it."""
    fields = catalog(name).fields
    elements = "".join(f'<xs:element name="{field.name}" type="xs:string" minOccurs="0"/>' for field in fields)
    xsd = (
        '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="urn:test:all" targetNamespace="urn:test:all" '
        f'elementFormDefault="qualified"><xs:element name="All"><xs:complexType><xs:sequence>{elements}'
        "</xs:sequence></xs:complexType></xs:element></xs:schema>"
    )
    binds = ", ".join(f'{{ to = "{field.name}", field = "{field.name}", empty = "omit" }}' for field in fields)
    files = {
        "format.toml": 'id = "all"\nversion = "1"\nzh = "全"\nen = "All"\nstandard = "none"\nxsd = "all.xsd"\n',
        "all.xsd": xsd,
        f"bindings/{name}.toml": f'catalog = "{name}"\nroot = "All"\nbind = [{binds}]\n',
    }
    with TemporaryDirectory() as folder:
        for file, text in files.items():
            place = Path(folder) / "all" / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, "utf-8")
        return DocumentPlan(load_format(Path(folder) / "all", library()), catalog(name), library())


def resident(seed: int) -> str:
    """A resident's number with a right check character."""
    body = f"23010219{50 + seed % 50:02d}{1 + seed % 12:02d}{1 + seed % 28:02d}{seed % 1000:03d}"
    return body + resident_check_character(body)


NAMES = st.sampled_from(["王小明", "欧阳震华", "赵六七", "李雪莲"])
WORDS = st.text(alphabet="甲乙丙丁戊己庚辛", min_size=1, max_size=6)


def value(field: Field, draw: st.DrawFn, number: int) -> str:
    """A value of the field that no other field holds, and that nothing else in a document can be taken for."""
    match field.type:
        case FieldType.DATE:
            return date(1900 + number % 100, 1 + number % 12, 1 + number % 28).isoformat()
        case FieldType.DECIMAL | FieldType.INTEGER:
            return str(Decimal(70_000 + number))
        case FieldType.TEXT:
            if field.identifier is Identifier.RESIDENT:
                return resident(number)
            if field.name in {"subject_name", "legal_representative", "person_name"}:
                return draw(NAMES) if field.name != "subject_name" else "山河屯" + draw(WORDS) + "有限公司"
            return f"{field.name}：{draw(WORDS)}第{number}号"


@st.composite
def records(draw: st.DrawFn, of: Catalog) -> dict[str, str]:
    seed = draw(st.integers(1, 900))
    record = {field.name: value(field, draw, seed + place) for place, field in enumerate(of.fields)}
    if "subject_kind" in record:
        record["subject_kind"] = draw(st.sampled_from([NATURAL, TRADER, COMPANY_KIND]))
        if record["subject_kind"] != COMPANY_KIND:
            record["subject_name"] = draw(NAMES)
    # A person wrote the texts: they may say anything.
    loose = [field.name for field in of.fields if field.type is FieldType.TEXT and not field.personal]
    loose = [name for name in loose if name not in {*of.key, "subject_kind"} and of.field(name).identifier is None]
    for name in loose:
        said = draw(st.sampled_from(["", "id", "name", "phone", "card"]))
        record[name] += {
            "": "",
            "id": f"（{resident(seed)}）",
            "name": f"，当事人{record.get('legal_representative', record.get('person_name', ''))}在场",
            "phone": f"电话139{seed:08d}",
            "card": f"卡号6222 0202 0000 {seed:04d} 567",
        }[said]
    return record


def shown(drawn: Sequence[dict[str, str]], of: Catalog, clearance: Disclosure) -> list[str]:
    """The records' bodies as they would go out."""
    contents = [json.dumps(record, ensure_ascii=False) for record in drawn]
    frame = decode(contents, of).with_columns(pl.Series("@key", [str(place) for place in range(len(drawn))]))
    seen = Sight(catalog=of, clearance=clearance).apply(frame)
    assert seen.schema == frame.schema
    rendered = document(of.id).render(seen)
    assert rendered.problems.is_empty(), rendered.problems
    return rendered.frame["body"].to_list()


@pytest.mark.parametrize("name", CATALOGS)
@settings(max_examples=3, deadline=None)
@given(data=st.data())
def test_nothing_above_the_clearance_goes_out(name: str, data: st.DataObject) -> None:
    of = catalog(name)
    drawn = data.draw(st.lists(records(of), min_size=8, max_size=12))
    for clearance in CLEARANCES:
        for record, body in zip(drawn, shown(drawn, of, clearance), strict=True):
            for field in of.fields:
                if not clearance.shows(field.disclosure):
                    assert f"<{field.name}>" not in body
                # In a text that may be seen a person may have said anything; what is public is searched for it.
                alone = field.type is not FieldType.TEXT or field.name in {"remarks", "person_address", "reason"}
                if not clearance.shows(field.disclosure) and alone:
                    assert record[field.name] not in body, field.name
            if clearance is Disclosure.PUBLIC:
                no_identifier(of, record, body)


def no_identifier(of: Catalog, record: Mapping[str, str], body: str) -> None:
    """Whatever names a natural person, or belongs to one, is not in the body."""
    assert not has_number(body), body
    person = record.get("subject_kind") != COMPANY_KIND if "subject_kind" in record else of.subject_kinds == (NATURAL,)
    for field in of.fields:
        if field.personal and (field.name != "subject_name" or person):
            assert record[field.name] not in body, field.name


def test_what_is_masked() -> None:
    assert [mask_name(name) for name in ("王", "王明", "欧阳震华")] == ["＊", "王＊", "欧＊＊＊"]
    for text in (
        PERSON,
        "号码110105 19491231 002X。",
        "１１０１０５１９４９１２３１００２Ｘ",
        "13912345678，13912345679",
        "+86 139 1234 5678",
        "0451-87654321",
        "持护照E12345678",
        "户名某某622202020000123456",
    ):
        assert has_number(text), text
        assert not any(run.isdigit() and len(run) > 5 for run in mask_numbers(text).split("＊")), mask_numbers(text)
    for text in ("黑森交罚〔2026〕00012号", "罚款20000元", "2026年5月1日", "230700123456", COMPANY, "第E12345678号"):
        assert mask_numbers(text) == text


def seen(name: str, **record: str) -> dict[str, object]:
    of = catalog(name)
    frame = decode([json.dumps(record, ensure_ascii=False)], of).with_columns(pl.lit("k").alias("@key"))
    return Sight(catalog=of, clearance=Disclosure.PUBLIC).apply(frame).to_dicts()[0]


def test_sole_traders_and_companies() -> None:
    named = seen(
        "administrative-penalty",
        subject_kind=TRADER,
        subject_name="山河镇李记小吃店",
        legal_representative="李四",
        content="责令李四改正",
    )
    assert (named["subject_name"], named["legal_representative"], named["content"]) == (
        "山河镇李记小吃店",
        None,
        "责令李＊改正",
    )
    assert seen("administrative-penalty", subject_kind=TRADER, subject_name="李四")["subject_name"] == "李＊"
    long = "阿卜杜拉·买买提"
    masked = seen("administrative-penalty", subject_kind=TRADER, subject_name=long, legal_representative=long)
    assert masked["subject_name"] == mask_name(long)
    assert seen("administrative-penalty", subject_kind=COMPANY_KIND, subject_name="甲公司")["subject_name"] == "甲公司"
    assert seen("administrative-penalty", subject_kind=TRADER, subject_code=PERSON)["subject_code"] is None
    assert seen("administrative-penalty", subject_kind=COMPANY_KIND, subject_code=COMPANY)["subject_code"] == COMPANY


def test_government_sees_everything_but_what_is_never_disclosed() -> None:
    of = catalog("administrative-penalty")
    assert Sight(catalog=of, clearance=Disclosure.GOVERNMENT).whole
    assert not Sight(catalog=of, clearance=Disclosure.AUTHORISED).whole
    assert not Disclosure.NEVER.shows(Disclosure.NEVER)


def test_a_key_that_names_a_person_is_refused() -> None:
    sight = Sight(catalog=catalog("administrative-penalty"), clearance=Disclosure.PUBLIC)
    found = sight.refused(pl.Series([PERSON, "黑森交罚〔2026〕1号"]))
    assert found.select("@key", "code").rows() == [(PERSON, "key-personal")]
    assert (
        Sight(catalog=catalog("administrative-penalty"), clearance=Disclosure.GOVERNMENT)
        .refused(found["@key"])
        .is_empty()
    )
    assert [field.name for field in Sight(catalog=catalog("person"), clearance=Disclosure.PUBLIC).hidden_key()] == [
        "person_number"
    ]
    listed = Sight(catalog=catalog("black-list-legal"), clearance=Disclosure.PUBLIC)
    assert listed.refused(pl.Series([f"{COMPANY}|甲1号", f"{COMPANY}|{PERSON}"])).height == 1


def test_a_format_that_demands_what_may_not_be_seen_is_found(tmp_path: Path) -> None:
    of = catalog("administrative-penalty")
    files = {
        "format.toml": 'id = "few"\nversion = "1"\nzh = "少"\nen = "Few"\nstandard = "none"\nxsd = "few.xsd"\n',
        "few.xsd": (
            '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:few" elementFormDefault="qualified">'
            '<xs:element name="Few"><xs:complexType><xs:sequence><xs:element name="N" type="xs:string"/>'
            '<xs:element name="R" type="xs:string"/></xs:sequence></xs:complexType></xs:element></xs:schema>'
        ),
        "bindings/administrative-penalty.toml": (
            'catalog = "administrative-penalty"\nroot = "Few"\nbind = [{ to = "N", field = "document_number", empty = "reject" },'
            ' { to = "R", field = "remarks", empty = "reject" }]\n'
        ),
    }
    for name, text in files.items():
        (tmp_path / "few" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "few" / name).write_text(text, "utf-8")
    plan = DocumentPlan(load_format(tmp_path / "few", library()), of, library())
    found = {one: [leaf.target for leaf in Sight(catalog=of, clearance=one).demanded(plan)] for one in CLEARANCES}
    assert found == {Disclosure.PUBLIC: ["R"], Disclosure.AUTHORISED: ["R"], Disclosure.GOVERNMENT: []}
