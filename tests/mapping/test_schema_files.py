"""A schema finds its own files wherever their authors thought that they would be, and opens no others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from lxml import etree

from gateway.errors import Findings, MappingError
from gateway.mapping.batch_facts import SOME_BATCH
from gateway.mapping.document import DocumentPlan
from gateway.mapping.format_loader import load_format
from gateway.mapping.gate import compile_schema
from gateway.mapping.schema import load_schema
from tests.mapping.licence_format import CATALOG, LIBRARY, records
from tests.mapping.order_catalog import library
from tests.mapping.order_format import XSD, write_order_format

HEAD = '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="urn:x" xmlns:y="urn:y" elementFormDefault="qualified"'
TYPES = f'{HEAD} targetNamespace="urn:y"><xs:simpleType name="T"><xs:restriction base="xs:date"/></xs:simpleType></xs:schema>'


def main(location: str) -> str:
    return (
        f'{HEAD} targetNamespace="urn:x"><xs:import namespace="urn:y" schemaLocation="{location}"/>'
        '<xs:element name="R" type="y:T"/></xs:schema>'
    )


def written(folder: Path, texts: Mapping[str, str]) -> Path:
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return folder


@pytest.mark.parametrize(
    ("location", "place"),
    [
        ("../common/types.xsd", "common/types.xsd"),
        ("http://127.0.0.1:9/published/types.xsd", "types.xsd"),
        ("file:///C:/work/types.xsd", "common/types.xsd"),
        ("types.xsd", "elsewhere/types.xsd"),
        ("./types.xsd", "main/types.xsd"),
    ],
)
def test_a_file_is_found_by_its_path_or_by_its_name(tmp_path: Path, location: str, place: str) -> None:
    texts = {"main/x.xsd": main(location), place: TYPES}
    schema = load_schema(written(tmp_path, texts), "main/x.xsd")
    compiled = compile_schema("main/x.xsd", {name: text.encode() for name, text in texts.items()})
    for day, good in (("2026-03-05", True), ("soon", False)):
        element = etree.fromstring(f'<R xmlns="urn:x">{day}</R>')
        assert compiled.validate(element) == schema.source.is_valid(element) == good


@pytest.mark.parametrize("encoding", ["utf-16", "gb2312", "GBK", "us-ascii", "iso-8859-1"])
def test_a_schema_may_be_written_in_any_known_encoding(tmp_path: Path, encoding: str) -> None:
    word = "许可" if encoding in {"utf-16", "gb2312", "GBK"} else "permit"
    text = (
        f'<?xml version="1.0" encoding="{encoding}"?>{HEAD} targetNamespace="urn:x"><xs:element name="R"><xs:simpleType>'
        f'<xs:restriction base="xs:string"><xs:enumeration value="{word}"/></xs:restriction></xs:simpleType></xs:element></xs:schema>'
    )
    (tmp_path / "x.xsd").write_bytes(text.encode(encoding))
    schema = load_schema(tmp_path, "x.xsd")
    compiled = compile_schema("x.xsd", {"x.xsd": text.encode(encoding)})
    for said, good in ((word, True), ("?", False)):
        element = etree.fromstring(f'<R xmlns="urn:x">{said}</R>')
        assert compiled.validate(element) == schema.source.is_valid(element) == good


DOCTYPES = {
    "as W3C's own": """<!DOCTYPE schema PUBLIC "-//W3C//DTD XMLSchema 200102//EN" "http://127.0.0.1:9/XMLSchema.dtd" [
 <!ATTLIST schema xmlns:ds CDATA #FIXED "urn:y"><!ENTITY dsig 'a > ] b'><!ENTITY % p ''> %p; <!-- ]> --> ]>""",
    "behind a comment of it": "<!-- <!DOCTYPE a [ -->\n<?pi?><!DOCTYPE schema SYSTEM 'x>y'>",
    "that reads files": """<!DOCTYPE schema [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]>""",
}


@pytest.mark.parametrize("kind", DOCTYPES)
def test_a_document_type_is_passed_over(tmp_path: Path, kind: str) -> None:
    text = '<?xml version="1.0" encoding="UTF-8"?>\n' + DOCTYPES[kind] + TYPES.replace("urn:y", "urn:x")
    texts = {"x.xsd": text.replace("</xs:schema>", '<xs:element name="R" type="xs:date"/></xs:schema>')}
    schema = load_schema(written(tmp_path, texts), "x.xsd")
    compiled = compile_schema("x.xsd", {name: text.encode() for name, text in texts.items()})
    for day, good in (("2026-03-05", True), ("soon", False)):
        element = etree.fromstring(f'<R xmlns="urn:x">{day}</R>')
        assert compiled.validate(element) == schema.source.is_valid(element) == good


def test_what_only_a_document_type_declares_is_missed(tmp_path: Path) -> None:
    text = f'<!DOCTYPE s [<!ENTITY e "xs:date">]>{HEAD}><xs:element name="R" type="&e;"/></xs:schema>'
    with pytest.raises(MappingError) as refused:
        load_schema(written(tmp_path, {"x.xsd": text}), "x.xsd")
    assert refused.value.code == "schema-unusable"


def test_of_two_files_of_one_name_none_is_guessed(tmp_path: Path) -> None:
    texts = {"x.xsd": main("http://127.0.0.1:9/types.xsd"), "a/types.xsd": TYPES, "b/types.xsd": TYPES}
    with pytest.raises(MappingError) as refused:
        load_schema(written(tmp_path, texts), "x.xsd")
    assert refused.value.code == "schema-file-missing"
    assert "types.xsd" in str(refused.value.facts["missing"])


@pytest.mark.parametrize(
    "left_out",
    [
        '<xs:import namespace="urn:y"/>',
        "<xs:import\n id='a'\n namespace='urn:y' ></xs:import>",
        '<!-- <xs:import namespace="urn:y" schemaLocation="nowhere.xsd"/> --><xs:import namespace="&#117;rn:y"/>',
    ],
)
@pytest.mark.parametrize("place", ["types.xsd", 'common/it\'s & "types".xsd'])
def test_an_import_may_leave_out_where_its_schema_lies(tmp_path: Path, left_out: str, place: str) -> None:
    text = main("").replace('<xs:import namespace="urn:y" schemaLocation=""/>', left_out)
    texts = {"main/x.xsd": text, place: TYPES, "main/other.xsd": TYPES.replace("urn:y", "urn:z")}
    schema = load_schema(written(tmp_path, texts), "main/x.xsd")
    compiled = compile_schema("main/x.xsd", {name: text.encode() for name, text in texts.items()})
    for day, good in (("2026-03-05", True), ("soon", False)):
        element = etree.fromstring(f'<R xmlns="urn:x">{day}</R>')
        assert compiled.validate(element) == schema.source.is_valid(element) == good


def test_of_two_files_of_one_namespace_none_is_guessed(tmp_path: Path) -> None:
    text = main("").replace(' schemaLocation=""', "")
    with pytest.raises(MappingError) as refused:
        load_schema(written(tmp_path, {"x.xsd": text, "a.xsd": TYPES, "b.xsd": TYPES}), "x.xsd")
    assert refused.value.code == "schema-unusable"
    assert "y:T" in str(refused.value.facts["detail"])


def test_the_attributes_of_xml_are_at_hand(tmp_path: Path) -> None:
    text = (
        f'{HEAD} targetNamespace="urn:x"><xs:import namespace="http://www.w3.org/XML/1998/namespace"'
        ' schemaLocation="http://www.w3.org/2001/xml.xsd"/><xs:element name="R"><xs:complexType><xs:simpleContent>'
        '<xs:extension base="xs:string"><xs:attribute ref="xml:lang" use="required"/></xs:extension>'
        "</xs:simpleContent></xs:complexType></xs:element></xs:schema>"
    )
    schema = load_schema(written(tmp_path, {"x.xsd": text}), "x.xsd")
    compiled = compile_schema("x.xsd", {"x.xsd": text.encode()})
    for said, good in (('xml:lang="zh"', True), ("", False)):
        element = etree.fromstring(f'<R xmlns="urn:x" {said}>x</R>')
        assert compiled.validate(element) == schema.source.is_valid(element) == good


def test_a_stand_in_is_bound_by_its_own_name(tmp_path: Path) -> None:
    schema = load_schema(written(tmp_path, {"x.xsd": XSD}), "x.xsd")
    order = schema.roots["{urn:test:order}Order"]
    assert [child.name.rpartition("}")[2] for child in order.children()][:2] == ["Remark", "Title"]


def test_an_abstract_element_without_a_stand_in_is_no_place(tmp_path: Path) -> None:
    home = write_order_format(tmp_path, XSD.replace(' substitutionGroup="About"', ""))
    with pytest.raises(Findings) as refused:
        load_format(home, library())
    assert "binding-path-unknown" in {finding.code for finding in refused.value.findings}


BARE = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <xs:element name="list"><xs:complexType><xs:sequence>
    <xs:element name="made" type="xs:dateTime"/>
    <xs:element name="item" maxOccurs="unbounded"><xs:complexType mixed="true">
      <xs:sequence><xs:element name="b" minOccurs="0"/></xs:sequence>
      <xs:attribute name="id" type="xs:ID" use="required"/>
    </xs:complexType></xs:element>
    <xs:element name="note" minOccurs="0"/>
  </xs:sequence></xs:complexType></xs:element>
</xs:schema>"""
BARE_BINDING = """
catalog = "licences"
root = "list"
repeat = { records = "item" }
bind = [
  { to = "made", batch = "created-at" },
  { to = "item", field = "title", empty = "reject" },
  { to = "item/@id", field = "number", empty = "reject" },
  { to = "note", batch = "sender-name" },
]
"""
BARE_FORMAT = (
    'id = "bare"\nversion = "1"\nzh = "无"\nen = "none"\nstandard = "none"\nxsd = "bare.xsd"\ndocument = "whole"\n'
)


def bare_plan(folder: Path) -> DocumentPlan:
    texts = {"format.toml": BARE_FORMAT, "bare.xsd": BARE, "bindings/licences.toml": BARE_BINDING}
    return DocumentPlan(load_format(written(folder / "bare", texts), LIBRARY), CATALOG, LIBRARY)


def test_a_schema_without_a_namespace_makes_whole_documents(tmp_path: Path) -> None:
    made = bare_plan(tmp_path).documents(records({"number": "a"}, {"number": "b", "title": "<x>"}), SOME_BATCH)
    assert made.problems.is_empty()
    [(document, keys)] = made.documents
    assert keys == ("0", "1")
    assert document.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<list xmlns=""><made>2026-01-02T03:04:05</made>'
        '<item id="a">道路运输</item><item id="b">&lt;x&gt;</item><note>甲局</note></list>\n'
    )


def test_records_that_do_not_go_together_make_no_document(tmp_path: Path) -> None:
    # Each is right by itself; an xs:ID may stand in a document once.
    with pytest.raises(MappingError) as refused:
        bare_plan(tmp_path).documents(records({"number": "a"}, {"number": "a"}), SOME_BATCH)
    assert refused.value.code == "gate-refused"


def test_no_good_record_makes_no_document(tmp_path: Path) -> None:
    made = bare_plan(tmp_path).documents(records({"number": "1 2"}), SOME_BATCH)
    assert made.documents == ()
    assert set(made.problems["code"]) == {"pattern-mismatch"}


SHARED = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <xs:element name="list"><xs:complexType><xs:choice>
    <xs:sequence><xs:element name="a" type="xs:string"/><xs:element name="both" type="xs:string"/></xs:sequence>
    <xs:sequence><xs:element name="b" type="xs:string"/><xs:element name="c" type="xs:string"/>
      <xs:element name="both" type="xs:string"/></xs:sequence>
  </xs:choice></xs:complexType></xs:element>
</xs:schema>"""


@pytest.mark.parametrize(
    ("own", "document", "missing"),
    [
        (["a"], "<a>道路运输</a><both>L-1</both>", []),
        (["b", "c"], "<b>道路运输</b><c>道路运输</c><both>L-1</both>", []),
        (["b"], "", ["c"]),
    ],
)
def test_a_name_that_branches_share_is_meant_in_the_branch_that_is_bound(
    tmp_path: Path, own: list[str], document: str, missing: list[str]
) -> None:
    lines = [f'{{ to = "{name}", field = "title", empty = "reject" }}' for name in own]
    binds = ", ".join([*lines, '{ to = "both", field = "number", empty = "reject" }'])
    binding = f'catalog = "licences"\nroot = "list"\nbind = [{binds}]\n'
    home = written(
        tmp_path / "bare", {"format.toml": BARE_FORMAT, "bare.xsd": SHARED, "bindings/licences.toml": binding}
    )
    if missing:
        with pytest.raises(Findings) as refused:
            load_format(home, LIBRARY)
        told = [finding.facts["path"] for finding in refused.value.findings if finding.code == "coverage-unbound"]
        assert told == missing
        return
    made = DocumentPlan(load_format(home, LIBRARY), CATALOG, LIBRARY).documents(records({}), SOME_BATCH)
    [(data, _)] = made.documents
    assert f'<list xmlns="">{document}</list>' in data.decode()
