"""Records become documents, and documents records again: exactly, or with a problem that says why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.catalog.model import FieldType
from gateway.errors import MappingError
from gateway.mapping.document import DocumentPlan, ReadBack
from gateway.mapping.format_loader import load_format
from gateway.mapping.problems import problem_text
from tests.mapping import licence_format as other
from tests.mapping.document_samples import (
    LICENSE,
    NAMESPACE,
    PENALTY,
    bodies,
    credit_plan,
    library,
    records,
)


def told(problems: pl.DataFrame) -> list[tuple[str, str, str, str]]:
    """(row, field, place, code) of each problem."""
    return [(row["@row"], row["field"], row["source"], row["code"]) for row in problems.iter_rows(named=True)]


def read(catalog: str, *documents: str) -> ReadBack:
    return credit_plan(catalog).read([document.encode() for document in documents])


@pytest.fixture
def plan(tmp_path: Path) -> DocumentPlan:
    return other.other_plan(tmp_path)


# Out


def test_a_permit_is_written_as_the_platforms_write_it() -> None:
    assert bodies(LICENSE, {}) == [
        f'<Permit xmlns="{NAMESPACE}"><XK_XDR_MC>双鸭山智慧城市运营有限公司</XK_XDR_MC>'
        "<XK_XDR_LB>法人及非法人组织</XK_XDR_LB><XK_XDR_SHXYM>91230500MA1B3N1N2M</XK_XDR_SHXYM><XK_FRDB>测试甲</XK_FRDB>"
        "<XK_XKWS>双环许可证书2019</XK_XKWS><XK_WSH>双环许可2019</XK_WSH><XK_XKLB>普通</XK_XKLB>"
        "<XK_NR>许可开展智慧城市建设</XK_NR><XK_JDRQ>2019/09/01</XK_JDRQ><XK_YXQZ>2019/09/05</XK_YXQZ>"
        "<XK_YXQZI>2099/12/31</XK_YXQZI><XK_XKJG>双鸭山市交通运输局</XK_XKJG><XK_XKJGDM>11230500001755309F</XK_XKJGDM>"
        "<XK_ZT>1</XK_ZT><XK_LYDW>双鸭山市交通运输局</XK_LYDW><XK_LYDWDM>11230500001755309F</XK_LYDWDM></Permit>"
    ]


def test_a_fine_of_two_thousand_yuan_is_a_fifth_of_ten_thousand() -> None:
    body = bodies(PENALTY, {})[0]
    assert "<CF_NR_FK>0.200000</CF_NR_FK>" in body
    assert "<CF_NR_WFFF>" not in body


def test_every_bad_record_of_a_frame_is_named_and_the_others_go_on() -> None:
    frame = records(
        LICENSE,
        {},
        {"subject_name": "长" * 201, "status": "3"},
        {"content": None},
        {"document_number": "一\x07二"},
        {"subject_name": "长" * 200},
    )
    rendered = credit_plan().render(frame)
    assert rendered.frame["@key"].to_list() == ["0", "4"]
    assert told(rendered.problems) == [
        ("1", "subject_name", "XK_XDR_MC", "too-long"),
        ("1", "status", "XK_ZT", "code-unknown"),
        ("2", "content", "XK_NR", "required-missing"),
        ("3", "document_number", "XK_WSH", "character-forbidden"),
    ]
    assert set(rendered.problems["weight"]) == {"reject"}
    sentences = [problem_text(row, library().catalogs[LICENSE]) for row in rendered.problems.to_dicts()]
    assert sentences[0] == "“行政相对人名称”（来源栏：XK_XDR_MC）超长：最多 200 个字，现为 201 个字，汉字。"


def test_an_empty_frame_gives_nothing() -> None:
    rendered = credit_plan().render(records(LICENSE))
    assert rendered.frame.schema == pl.Schema({"@key": pl.String(), "body": pl.String()})
    assert rendered.frame.is_empty()


def test_whatever_a_text_holds_the_record_is_one_line_and_stands_alone() -> None:
    hostile = "一&<二>\"三'\n四\r五\t六]]>七&#0;八<![CDATA[九]]>&amp;lt;\u2028\x85𠀀"
    body = bodies(LICENSE, {"content": hostile})[0]
    assert "\n" not in body
    assert "\r" not in body
    assert "\t" not in body
    found = ElementTree.fromstring(body).findtext(f"{{{NAMESPACE}}}XK_NR")
    assert found == hostile


@pytest.mark.parametrize("sign", ["&", "<", ">", "]]>", '"', "'", "\t", "\n", "\r", "{}", "%s", "\\1"])
def test_a_single_sign_comes_through(plan: DocumentPlan, sign: str) -> None:
    # In a text and in an attribute, with nothing else in the frame that would need escaping.
    (body,) = plan.render(other.records({"title": f"a{sign}b", "number": f"a{sign}b"})).frame["body"]
    element = ElementTree.fromstring(body)
    assert (element[0].text, element.get("number")) == (f"a{sign}b", f"a{sign}b")
    assert not set("\t\n\r") & set(body)
    assert "]]>" not in body


def test_the_format_knows_nothing_of_other_catalogs(tmp_path: Path) -> None:
    with pytest.raises(MappingError) as refused:
        DocumentPlan(other.other_format(tmp_path), library().catalogs[LICENSE], library())
    assert refused.value.code == "format-without-catalog"


def test_a_field_has_its_target_s_name() -> None:
    assert credit_plan().target("valid_from") == "XK_YXQZ"
    assert credit_plan().target("valid_to") == "XK_YXQZI"
    assert credit_plan(PENALTY).target("violation_facts") == "CF_SY"
    assert credit_plan().target("elsewhere") == "elsewhere"


def test_the_digest_follows_the_format_and_the_crosswalks_it_uses(plan: DocumentPlan) -> None:
    files = {"codelists/crosswalks/kinds.csv": "1" * 64}
    changed = DocumentPlan(plan.format, plan.catalog, replace(other.LIBRARY, files=files))
    again = DocumentPlan(plan.format, plan.catalog, other.LIBRARY)
    assert again.digest == plan.digest != changed.digest
    assert len({plan.digest, credit_plan().digest, credit_plan(PENALTY).digest}) == 3


# Out, into a nested schema of somebody else's


def test_a_nested_document_is_written_in_schema_order_with_its_namespaces(plan: DocumentPlan) -> None:
    rendered = plan.render(other.records({}))
    assert rendered.frame["body"].to_list() == [
        '<Licence xmlns="urn:other:licence" xmlns:c="urn:other:common" number="L-1" edition="2"><Title>道路运输</Title>'
        '<Kind>02</Kind><Amount currency="CNY">12.5</Amount><Places>9</Places>'
        '<Validity from="2024-02-29" to="2099-12-31"></Validity><Organisation><c:Name>某某公司</c:Name>'
        '<c:Code c:scheme="GB 32100">91230500MA1B3N1N2M</c:Code></Organisation>'
        "<Contact><Phone>0451-1</Phone></Contact><Remarks>无</Remarks></Licence>"
    ]


def test_what_is_empty_is_left_out_group_by_group(plan: DocumentPlan) -> None:
    empty = dict.fromkeys(("amount", "places", "expires_on", "company", "company_code", "phone", "remarks"))
    rendered = plan.render(other.records({**empty, "person": "甲"}))
    assert rendered.frame["body"].to_list() == [
        '<Licence xmlns="urn:other:licence" xmlns:c="urn:other:common" number="L-1" edition="2"><Title>道路运输</Title>'
        '<Kind>02</Kind><Validity from="2024-02-29"></Validity><c:Name>甲</c:Name><Remarks></Remarks></Licence>'
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"person": "甲"}, ("company", "Organisation/c:Name", "schema-violation")),  # both branches of the choice
        (
            {"company": None, "company_code": None},
            ("company", "Organisation/c:Name | c:Name", "required-missing"),  # none of them
        ),
        ({"company": None}, ("company", "Organisation/c:Name", "required-missing")),  # the chosen branch is not whole
        ({"phone": None, "mail": "a@b"}, ("phone", "Contact/Phone", "required-missing")),  # nor is the optional group
        ({"title": None}, ("title", "Title", "required-missing")),
        ({"issued_on": None}, ("issued_on", "Validity/@from", "required-missing")),
        ({"kind": "别的"}, ("kind", "Kind", "code-unknown")),
        ({"places": 256}, ("places", "Places", "decimal-out-of-range")),
        ({"number": "一\x00"}, ("number", "@number", "character-forbidden")),
    ],
)
def test_what_the_schema_would_refuse_is_named(
    plan: DocumentPlan, change: Mapping[str, object], expected: tuple[str, str, str]
) -> None:
    rendered = plan.render(other.records(change))
    assert rendered.frame.is_empty()
    assert [problem[1:] for problem in told(rendered.problems)] == [expected]


def test_elements_without_a_namespace_are_freed_from_what_stands_around_the_record(tmp_path: Path) -> None:
    # A schema whose local elements are unqualified: the record's own element needs a prefix, its children must have none.
    licence = '<xs:element name="Licence">'
    unqualified = other.TEXTS["licence.xsd"].replace(
        licence,
        '<xs:element name="Bare"><xs:complexType><xs:sequence><xs:element name="Title" type="xs:string" form="unqualified"/>'
        f"</xs:sequence></xs:complexType></xs:element>{licence}",
    )
    binding = 'catalog = "licences"\nroot = "Bare"\n[[bind]]\nto = "Title"\nfield = "title"\nempty = "reject"\n'
    texts = {**other.TEXTS, "licence.xsd": unqualified, "bindings/licences.toml": binding}
    fmt = load_format(other.write_format(tmp_path, texts), other.LIBRARY)
    plan = DocumentPlan(fmt, other.CATALOG, other.LIBRARY)
    body = plan.render(other.records({})).frame["body"][0]
    assert body == '<n0:Bare xmlns="" xmlns:n0="urn:other:licence"><Title>道路运输</Title></n0:Bare>'
    inside = ElementTree.fromstring(f'<Record xmlns="urn:credit-exchange:batch:1">{body}</Record>')
    assert inside[0][0].tag == "Title"
    assert plan.read([body.encode()]).records["title"].to_list() == ["道路运输"]


# In


def test_what_was_written_is_read_back(plan: DocumentPlan) -> None:
    frame = other.records({}, {"company": None, "company_code": None, "person": "甲", "remarks": None, "amount": None})
    back = plan.read([body.encode() for body in plan.render(frame).frame["body"]])
    assert back.problems.is_empty()
    assert back.records.drop("@row", "unit").equals(frame.drop("@key", "unit"))
    assert back.records["unit"].to_list() == [None, None]  # the format does not carry it


_TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1, max_size=30
)


def _values(name: str, kind: FieldType, length: int | None) -> st.SearchStrategy[object]:
    match kind:
        case FieldType.DATE:
            return st.dates(date(1900, 1, 1), date(9999, 12, 31))
        case FieldType.DECIMAL:
            return st.decimals(0, 999999999999, places=6, allow_nan=False)
        case _ if name == "subject_kind":
            return st.sampled_from(["法人及非法人组织", "自然人", "个体工商户"])
        case _ if name == "status":
            return st.sampled_from(["1", "2"])
        case _:
            return _TEXTS.map(lambda text: text[:length])


@pytest.mark.parametrize("name", [LICENSE, PENALTY])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_any_record_that_can_be_written_comes_back_the_same(name: str, data: st.DataObject) -> None:
    catalog = library().catalogs[name]
    drawn = {field.name: _values(field.name, field.type, field.max_length) for field in catalog.fields}
    optional = {
        field: values if catalog.field(field).required else st.none() | values for field, values in drawn.items()
    }
    frame = records(name, *data.draw(st.lists(st.fixed_dictionaries(optional), min_size=1, max_size=5)))
    rendered = credit_plan(name).render(frame)
    assert rendered.problems.is_empty()
    back = read(name, *rendered.frame["body"])
    assert back.problems.is_empty()
    assert back.records.equals(frame.drop("@key", "@row").with_columns(frame["@row"]))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("<XK_ZT>1<", "<XK_ZT>9<", ("status", "XK_ZT", "code-unknown")),
        ("<XK_ZT>1</XK_ZT>", "", ("status", "XK_ZT", "required-missing")),
        ("<XK_ZT>1</XK_ZT>", "<XK_ZT/>", ("status", "XK_ZT", "code-unknown")),
        ("2019/09/01", "2019/02/30", ("decided_on", "XK_JDRQ", "date-invalid")),
        ("2019/09/01", "2019-09-01", ("decided_on", "XK_JDRQ", "pattern-mismatch")),
        ("<XK_WSH>", "<XX>1</XX><XK_WSH>", ("", "XX", "element-unexpected")),
        ("<XK_WSH>", '<XK_WSH a="1">', ("", "XK_WSH/@a", "element-unexpected")),
        ("<XK_WSH>", "<XK_WSH><b/>", ("document_number", "XK_WSH", "schema-violation")),
        (f'xmlns="{NAMESPACE}"', 'xmlns="urn:x"', ("", "Permit", "schema-violation")),
        ("</Permit>", "", ("", "Permit", "schema-violation")),
        ("测试甲", "测\x01试", ("", "Permit", "schema-violation")),
    ],
)
def test_a_bad_body_is_a_problem_and_the_others_are_read(old: str, new: str, expected: tuple[str, str, str]) -> None:
    good = bodies(LICENSE, {})[0]
    assert old in good
    back = read(LICENSE, good, good.replace(old, new), good)
    assert back.records["@row"].to_list() == ["0", "2"]
    assert told(back.problems) == [("1", *expected)]


def test_a_body_of_another_catalog_is_refused() -> None:
    back = read(LICENSE, bodies(PENALTY, {})[0])
    assert told(back.problems) == [("0", "", "Penalty", "schema-violation")]
    assert back.records.is_empty()


@pytest.mark.parametrize(
    "document",
    ["", "许可", "<!DOCTYPE Permit><Permit/>", "<Permit>", "<a>&#0;</a>", '<?xml version="1.0" encoding="gbk"?><a/>'],
)
def test_rubbish_never_raises(document: str) -> None:
    back = read(LICENSE, document)
    assert back.records.is_empty()
    assert back.problems["expected"].to_list() == ["XML 1.0, UTF-8"]


def test_what_is_not_taken_from_a_document_is_a_notice(plan: DocumentPlan) -> None:
    body = plan.render(other.records({})).frame["body"][0].replace("</Licence>", "<Internal>机密</Internal></Licence>")
    back = plan.read([body.encode()], ["第 7 条"])
    assert back.records["@row"].to_list() == ["第 7 条"]
    assert [(row["@row"], row["source"], row["code"], row["weight"]) for row in back.problems.to_dicts()] == [
        ("第 7 条", "Internal", "element-not-taken", "notice")
    ]


def test_comments_other_prefixes_and_blanks_do_not_change_what_is_read(plan: DocumentPlan) -> None:
    body = (
        '<l:Licence xmlns:l="urn:other:licence" xmlns="urn:other:common" number=" L-1 " edition="2">\n'
        "  <l:Title>道路<!-- 公路 -->运输</l:Title><l:Kind>02</l:Kind><l:Amount currency='CNY'> +12.50 </l:Amount>"
        "<l:Validity from='2024-02-29'/><Name><![CDATA[甲<乙>]]></Name></l:Licence>"
    )
    record = plan.read([body.encode()]).records.to_dicts()[0]
    assert (record["number"], record["title"], record["amount"]) == ("L-1", "道路运输", Decimal("12.50"))
    assert (record["kind"], record["person"]) == ("特许", "甲<乙>")


def test_no_problem_ever_shows_a_value() -> None:
    secret = "230102199001011234"
    frame = records(LICENSE, {"subject_code": secret + "9", "status": secret, "license_kind": secret * 20})
    shown = str(credit_plan().render(frame).problems.to_dicts())
    body = bodies(LICENSE, {})[0].replace("<XK_ZT>1", f"<XK_ZT>{secret}").replace("2019/09/01", secret)
    shown += str(read(LICENSE, body).problems.to_dicts())
    assert "code-unknown" in shown
    assert secret not in shown
