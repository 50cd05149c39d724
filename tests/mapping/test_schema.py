"""A schema of somebody else's, read into plain values: tree, occurrence, facets of the whole chain of derivation."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import MappingError
from gateway.mapping.schema import Attribute, Element, Group, Model, Schema, Wildcard, load_schema
from gateway.mapping.xsd_types import Bound, Pattern, Primitive, WhiteSpace, read_simple_type
from tests.mapping.licence_format import COMMON, NAMESPACE, write_format

ZOO = Path(__file__).parent / "schemas"
HEAD = '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="urn:x" targetNamespace="urn:x">'


def schema_of(folder: Path, inside: str) -> Schema:
    (folder / "x.xsd").write_text(f"{HEAD}{inside}</xs:schema>", "utf-8")
    return load_schema(folder, "x.xsd")


def child(element: Element, name: str) -> Element:
    return next(found for found in element.children() if found.name.endswith(name))


def test_included_and_imported_files_make_one_tree(tmp_path: Path) -> None:
    schema = load_schema(write_format(tmp_path), "licence.xsd")
    root = schema.roots[f"{{{NAMESPACE}}}Licence"]
    names = " ".join(element.name.rpartition("}")[2] for element in root.children())
    assert names == "Title Kind Amount Places Validity Organisation Name Contact Remarks Internal"
    assert child(child(root, "Organisation"), "Code").name == f"{{{COMMON}}}Code"
    assert child(root, "Title").type is not None
    assert child(root, "Contact").type is None
    assert child(root, "Amount").min_occurs == 0


def test_groups_keep_their_model_and_occurrence(tmp_path: Path) -> None:
    schema = schema_of(
        tmp_path,
        """<xs:element name="R"><xs:complexType><xs:sequence>
             <xs:element name="A" type="xs:string" maxOccurs="unbounded"/>
             <xs:choice minOccurs="0"><xs:element name="B" type="xs:string"/>
               <xs:sequence><xs:element name="C" type="xs:string"/></xs:sequence></xs:choice>
             <xs:any namespace="##other"/>
           </xs:sequence></xs:complexType></xs:element>""",
    )
    group = schema.roots["{urn:x}R"].content
    assert group is not None
    first, choice, wildcard = group.members
    assert isinstance(first, Element)
    assert (first.name, first.max_occurs) == ("A", None)  # local elements are unqualified here
    assert isinstance(choice, Group)
    assert (choice.model, choice.min_occurs) == (Model.CHOICE, 0)
    assert [element.name for element in choice.elements()] == ["B", "C"]
    assert wildcard == Wildcard(required=True)


def test_attributes_tell_use_and_fixed_value(tmp_path: Path) -> None:
    schema = load_schema(write_format(tmp_path), "licence.xsd")
    found = {attribute.name: attribute for attribute in schema.roots[f"{{{NAMESPACE}}}Licence"].attributes}
    assert set(found) == {"number", "edition"}
    assert isinstance(found["number"], Attribute)
    assert found["number"].required
    assert found["edition"].fixed == "2"


def test_facets_of_the_whole_chain_come_together() -> None:
    zoo = load_schema(ZOO, "zoo.xsd").source.types
    shorter = read_simple_type(zoo["Shorter"])
    assert (shorter.min_length, shorter.max_length, shorter.white_space) == (2, 4, WhiteSpace.PRESERVE)
    both = read_simple_type(zoo["BothPatterns"])
    assert both.patterns == ((Pattern(text="[0-9a-f]*"),), (Pattern(text="[0-9]{2}"), Pattern(text="[a-z]{2}")))
    assert both.white_space is WhiteSpace.COLLAPSE
    month = read_simple_type(zoo["Month"])
    assert month.primitive is Primitive.INTEGER
    # The narrower bound of the descendant is kept, not the one of xs:int.
    assert month.bounds == (Bound(sign="≥", value="1"), Bound(sign="≤", value="12"))
    assert read_simple_type(zoo["DateOrWord"]).primitive is Primitive.UNION
    assert read_simple_type(zoo["Numbers"]).item == month
    assert not read_simple_type(zoo["Exact"]).may_be_empty
    assert read_simple_type(zoo["NumberOrNothing"]).may_be_empty


def test_notes_are_the_schema_s_own_words() -> None:
    schema = load_schema(ZOO.parents[2] / "mappings" / "formats" / "credit-2018", "credit-2018.xsd")
    permit = schema.roots["{urn:credit-exchange:credit-2018}Permit"]
    assert child(permit, "XK_YXQZ").note.startswith("有效期自")
    assert child(permit, "XK_YXQZI").note.startswith("有效期至")


def test_a_recursive_type_is_no_trouble(tmp_path: Path) -> None:
    schema = schema_of(
        tmp_path,
        """<xs:element name="R" type="T"/><xs:complexType name="T"><xs:sequence>
             <xs:element name="Part" type="T" minOccurs="0"/></xs:sequence></xs:complexType>""",
    )
    assert child(child(child(schema.roots["{urn:x}R"], "Part"), "Part"), "Part").min_occurs == 0


@pytest.mark.parametrize(
    "inside",
    [
        '<xs:element name="R" type="Missing"/>',
        '<xs:include schemaLocation="missing.xsd"/>',
        '<xs:import namespace="urn:y" schemaLocation="missing.xsd"/>',
        '<xs:import namespace="urn:y" schemaLocation="http://127.0.0.1:9/y.xsd"/><xs:element name="R" type="xs:date"/>',
        '<xs:include schemaLocation="../outside.xsd"/>',
        '<xs:simpleType name="T"><xs:restriction base="xs:string"><xs:pattern value="[z-a]"/></xs:restriction>'
        "</xs:simpleType>",
        "<xs:element/>",
        "<",
    ],
)
def test_what_is_wrong_missing_or_elsewhere_makes_it_unusable(tmp_path: Path, inside: str) -> None:
    (tmp_path / "outside.xsd").write_text(f'{HEAD}<xs:element name="O" type="xs:string"/></xs:schema>', "utf-8")
    folder = tmp_path / "format"
    folder.mkdir()
    with pytest.raises(MappingError) as refused:
        schema_of(folder, inside)
    assert refused.value.code == ("schema-file-missing" if "schemaLocation" in inside else "schema-unusable")
    assert refused.value.facts["schema"] == "x.xsd"
