"""What other people's schemas are made of: each construct is bound by text alone, or refused by the check in words that say what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import Findings
from gateway.mapping.batch_facts import SOME_BATCH
from gateway.mapping.document import DocumentPlan
from gateway.mapping.format_loader import load_format
from gateway.texts import LANGUAGES, fix_text, say_text
from tests.mapping import order_catalog

HEAD = 'id = "f"\nversion = "1"\nzh = "x"\nen = "x"\nstandard = "x"\nxsd = "f.xsd"\n'
A = '<xs:element name="A" type="xs:string"/>'
LINE = '<xs:element name="A" type="xs:integer"/>'
B = '<xs:element name="B" type="xs:string"/>'
SHAPES = (
    '<xs:complexType name="Shape" abstract="true"><xs:sequence><xs:element name="N" type="xs:string"/></xs:sequence></xs:complexType>'
    '<xs:complexType name="Dot"><xs:complexContent><xs:extension base="Shape"/></xs:complexContent></xs:complexType>'
    '<xs:complexType name="Circle"><xs:complexContent><xs:extension base="Shape"><xs:sequence>'
    '<xs:element name="Radius" type="xs:string" minOccurs="0"/></xs:sequence><xs:attribute name="q" use="required"/>'
    "</xs:extension></xs:complexContent></xs:complexType>"
)
SHAPE = '<xs:sequence><xs:element name="S" type="Shape" maxOccurs="3"/></xs:sequence>'
HEADS = (
    '<xs:element name="Head" type="xs:string" abstract="true"/><xs:element name="X" substitutionGroup="Head" type="xs:string"/>'
    '<xs:element name="Y" substitutionGroup="Head" type="xs:string"/>'
)
NIL = (
    '<xs:element name="D" nillable="true"><xs:complexType><xs:simpleContent><xs:extension base="Code">'
    '<xs:attribute name="u"/></xs:extension></xs:simpleContent></xs:complexType></xs:element>'
)
CODE = '<xs:simpleType name="Code"><xs:restriction base="xs:string"><xs:minLength value="1"/></xs:restriction></xs:simpleType>'


def plan(
    folder: Path,
    inner: str,
    beside: str,
    binds: list[str],
    repeat: str = "",
    *,
    whole: bool = True,
    abstract: bool = False,
) -> DocumentPlan:
    """The orders of the tests in a schema whose root ``R`` holds ``inner``. A bind is ``path:field`` or ``path:field:empty``."""
    (folder / "f" / "bindings").mkdir(parents=True)
    (folder / "f" / "format.toml").write_text(HEAD + ('document = "whole"\n' if whole else ""), "utf-8")
    schema = (
        '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="urn:f" targetNamespace="urn:f" elementFormDefault="qualified">'
        f'<xs:element name="R" abstract="{str(abstract).lower()}"><xs:complexType>{inner}</xs:complexType></xs:element>{beside}</xs:schema>'
    )
    (folder / "f" / "f.xsd").write_text(schema, "utf-8")
    text = f'catalog = "orders"\nroot = "R"\nrepeat = {{ {repeat} }}\n'
    text += "" if binds else "bind = []\n"
    for bind in binds:
        path, field, empty = (*bind.split(":"), "reject")[:3]
        text += f'[[bind]]\nto = "{path}"\nfield = "{field}"\nempty = "{empty}"\n'
    (folder / "f" / "bindings" / "orders.toml").write_text(text, "utf-8")
    library = order_catalog.library()
    return DocumentPlan(load_format(folder / "f", library), library.catalogs["orders"], library)


def written(made: DocumentPlan) -> tuple[list[str], list[tuple[str, str]]]:
    """The bodies of two orders, and the problems."""
    rows = order_catalog.rows(
        {"LINE": "1", "PRICE": "1", "NOTE": "n"},
        {"LINE": "2", "PRICE": "2", "NOTE": "n"},
        {"NO": "A2", "LINE": "1", "PRICE": "1"},
    )
    documents = made.documents(order_catalog.plan().map(rows).records, SOME_BATCH)
    bodies = [data.decode().splitlines()[1].partition(">")[2].removesuffix("</R>") for data, _ in documents.documents]
    return bodies, [(one["@key"], one["code"]) for one in documents.problems.to_dicts()]


WORKS: dict[str, tuple[str, str, list[str], str, list[str]]] = {
    "a sequence that may be repeated, once": (
        f'<xs:sequence maxOccurs="unbounded">{A}{B}</xs:sequence>', "", ["A:number", "B:note:blank"], "",
        ["<A>A1</A><B>n</B>", "<A>A2</A><B></B>"],
    ),
    "a choice that may be repeated": (
        f'<xs:choice maxOccurs="unbounded">{A}{B}</xs:choice>', "", ["A:number", "B:note:omit"], "",
        ["<A>A1</A><B>n</B>", "<A>A2</A>"],
    ),
    "rows in a choice that may be repeated": (
        f'<xs:choice maxOccurs="unbounded">{LINE}{B}</xs:choice>', "", ["A:line", "B:note:omit"], 'lines = "A"',
        ["<A>1</A><A>2</A><B>n</B>", "<A>1</A>"],
    ),
    "a row for each time that a sequence is repeated": (
        f'<xs:sequence maxOccurs="9">{LINE}{B}</xs:sequence>', "", ["A:line", "B:price"], 'lines = "B"',
        ["<A>1</A><B>1</B><A>2</A><B>2</B>", "<A>1</A><B>1</B>"],
    ),
    "a repeated group between others, with a choice in it": (
        '<xs:sequence><xs:element name="N" type="xs:string"/><xs:group ref="G" minOccurs="0" maxOccurs="unbounded"/>'
        '<xs:element name="Z" type="xs:string"/></xs:sequence>',
        f'<xs:group name="G"><xs:sequence>{LINE}<xs:choice>{B}<xs:element name="C" type="xs:string"/></xs:choice></xs:sequence></xs:group>',
        ["N:number", "A:line", "C:price", "Z:number"], 'lines = "C"',
        ["<N>A1</N><A>1</A><C>1</C><A>2</A><C>2</C><Z>A1</Z>", "<N>A2</N><A>1</A><C>1</C><Z>A2</Z>"],
    ),
    "a derived type for an abstract one, and another for rows": (
        SHAPE, SHAPES, ["S(Circle)/N:number", "S(Circle)/@q:number", "S(Dot)/N:line"], 'lines = "S(Dot)"',
        [
            f'<S xsi:type="Circle" q="{key}"><N>{key}</N></S>' + "".join(f'<S xsi:type="Dot"><N>{n}</N></S>' for n in lines)
            for key, lines in (("A1", (1, 2)), ("A2", (1,)))
        ],
    ),
    "stand-ins of a substitution group": (
        '<xs:sequence><xs:element ref="Head" maxOccurs="2"/></xs:sequence>', HEADS, ["X:number", "Y:note:omit"], "",
        ["<X>A1</X><Y>n</Y>", "<X>A2</X>"],
    ),
    "an optional wildcard, left alone": (
        f'<xs:sequence>{A}<xs:any minOccurs="0" namespace="##other"/></xs:sequence><xs:anyAttribute/>', "", ["A:number"], "",
        ["<A>A1</A>", "<A>A2</A>"],
    ),
    "a choice that an absent branch meets": (
        '<xs:sequence><xs:element name="N" type="xs:string"/><xs:choice><xs:element name="A" type="xs:string" minOccurs="0"/>'
        f"<xs:sequence>{B}</xs:sequence></xs:choice></xs:sequence>", "", ["N:number", "B:note:omit"], "",
        ["<N>A1</N><B>n</B>", "<N>A2</N>"],
    ),
    "an element that says nothing by xsi:nil": (
        f"<xs:sequence>{NIL}</xs:sequence>", CODE, ["D:note:blank"], "", ["<D>n</D>", '<D xsi:nil="true"></D>'],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WORKS)
def test_a_construct_is_written(name: str, tmp_path: Path) -> None:
    inner, beside, binds, repeat, bodies = WORKS[name]
    assert written(plan(tmp_path, inner, beside, binds, repeat)) == (bodies, [])


REFUSED: dict[str, tuple[str, str, list[str], str, str]] = {
    "a row too many for one place of a repeated group": (
        f'<xs:sequence maxOccurs="9">{LINE}{B}</xs:sequence>', "", ["A:line", "B:price"], 'lines = "A", deliveries = "B"', "binding-path-twice",
    ),
    "what stands once in a repeated group": (
        f'<xs:sequence maxOccurs="9">{LINE}{B}</xs:sequence>', "", ["A:line"], 'lines = "A"', "coverage-unbound",
    ),
    "rows of a group that does not repeat": (
        f"<xs:sequence>{LINE}{B}</xs:sequence>", "", ["A:line", "B:price"], 'lines = "A"', "binding-repeat-once",
    ),
    "a second place in a repeated sequence": (
        f'<xs:sequence maxOccurs="9">{A}{B}</xs:sequence>', "", ["A:number", "B:note", "A[2]:unit"], "", "binding-group-repeated",
    ),
    "a sequence that must stand twice and is bound once": (
        f'<xs:sequence minOccurs="2" maxOccurs="2">{A}{B}</xs:sequence>', "", ["A:number", "B:unit"], "", "coverage-group-demanded",
    ),
    "a choice of nothing": ("<xs:choice/>", "", [], "", "coverage-unbound"),
    "a name that must stand at two places": (
        f"<xs:sequence><xs:sequence>{A}</xs:sequence>{B}<xs:sequence>{A}</xs:sequence></xs:sequence>", "", ["A:number", "B:unit"], "",
        "coverage-unbound",
    ),
    "one element in a sequence that must stand twice": (
        f'<xs:sequence minOccurs="2" maxOccurs="unbounded">{A}</xs:sequence>', "", ["A:number"], "", "coverage-group-demanded",
    ),
    "a named group that must stand twice": (
        '<xs:group ref="G" minOccurs="2" maxOccurs="4"/>', f'<xs:group name="G"><xs:sequence>{A}{B}</xs:sequence></xs:group>',
        ["A:number", "B:unit"], "", "coverage-group-demanded",
    ),
    "an element that must hold itself": (
        '<xs:sequence><xs:element ref="E"/></xs:sequence>',
        '<xs:element name="E"><xs:complexType><xs:sequence><xs:element ref="E"/></xs:sequence></xs:complexType></xs:element>', [], "",
        "coverage-unbound",
    ),
    "an abstract type": (SHAPE, SHAPES, ["S/N:number"], "", "coverage-type-abstract"),
    "a type that is none of the element's": (SHAPE, SHAPES, ["S(Square)/N:number"], "", "binding-path-unknown"),
    "the abstract head of a substitution group": (
        '<xs:sequence><xs:element ref="Head"/></xs:sequence>', HEADS, ["Head:number"], "", "binding-path-unknown",
    ),
    "a wildcard that must be filled": (
        f'<xs:sequence>{A}<xs:any namespace="##other"/></xs:sequence>', "", ["A:number"], "", "coverage-wildcard",
    ),
    "blank without nillable": (
        '<xs:sequence><xs:element name="D" type="Code"/></xs:sequence>', CODE, ["D:note:blank"], "", "coverage-blank",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_construct_is_refused_with_what_to_do(name: str, tmp_path: Path) -> None:
    inner, beside, binds, repeat, code = REFUSED[name]
    with pytest.raises(Findings) as caught:
        plan(tmp_path, inner, beside, binds, repeat)
    [found, *_] = [one for one in caught.value.findings if one.code == code]
    for language in LANGUAGES:
        assert "{" not in say_text(code, language, found.facts)
        assert fix_text(code, language, found.facts)


def test_an_abstract_root_is_told_with_its_stand_ins(tmp_path: Path) -> None:
    head = '<xs:element name="Q" substitutionGroup="R"/>'
    with pytest.raises(Findings) as caught:
        plan(tmp_path, f"<xs:sequence>{A}</xs:sequence>", head, ["A:number"], abstract=True)
    [found, *_] = caught.value.findings
    assert (found.code, found.facts.get("known")) == ("binding-root-abstract", "Q")


def test_too_few_of_a_choice_is_told_of_the_record(tmp_path: Path) -> None:
    inner = f'<xs:choice minOccurs="2" maxOccurs="unbounded">{A}{B}</xs:choice>'
    assert written(plan(tmp_path, inner, "", ["A:number", "B:note:omit"])) == (
        ["<A>A1</A><B>n</B>"],
        [("A2", "rows-few")],
    )


def test_a_binding_of_nothing_makes_a_document_a_record(tmp_path: Path) -> None:
    assert written(plan(tmp_path, f'<xs:sequence minOccurs="0">{A}</xs:sequence>', "", [])) == (["", ""], [])


def test_types_and_nil_are_read_back(tmp_path: Path) -> None:
    inner = f'<xs:sequence>{NIL}<xs:element name="S" type="Shape" maxOccurs="3"/></xs:sequence>'
    binds = ["D:note:blank", "S(Circle)/N:number", "S(Circle)/@q:unit", "S(Dot)/N:line"]
    made = plan(tmp_path, inner, SHAPES + CODE, binds, 'lines = "S(Dot)"', whole=False)
    rows = order_catalog.rows({"LINE": "1", "PRICE": "1"}, {"NO": "A2", "LINE": "2", "PRICE": "1", "NOTE": "n"})
    sent = order_catalog.plan().map(rows).records
    bodies = made.render(sent).frame["body"].to_list()
    read = made.read([body.encode() for body in bodies])
    assert read.problems.is_empty(), read.problems
    assert read.records["number"].to_list() == ["A1", "A2"]
    assert read.records["note"].to_list() == [None, "n"]
    assert [[row["line"] for row in rows] for rows in read.records["lines"]] == [[1], [2]]


def test_too_many_and_too_few_repeated_groups_are_told(tmp_path: Path) -> None:
    inner = f'<xs:sequence minOccurs="2" maxOccurs="2">{LINE}{B}</xs:sequence>'
    made = plan(tmp_path, inner, "", ["A:line", "B:price"], 'lines = "A"')
    assert written(made) == (["<A>1</A><B>1</B><A>2</A><B>2</B>"], [("A2", "rows-few")])


def test_a_repeated_group_that_need_not_begin_is_warned_of(tmp_path: Path) -> None:
    inner = f'<xs:sequence maxOccurs="9"><xs:element name="B" type="xs:string" minOccurs="0"/>{LINE}</xs:sequence>'
    made = plan(tmp_path, inner, "", ["A:line", "B:price:omit"], 'lines = "A"')
    assert "coverage-places-alike" in {one.code for one in made.format.warnings}
    assert written(made)[0] == ["<B>1</B><A>1</A><B>2</B><A>2</A>", "<B>1</B><A>1</A>"]


def test_repeated_groups_are_read_back(tmp_path: Path) -> None:
    inner = f'<xs:sequence><xs:element name="N" type="xs:string"/><xs:sequence maxOccurs="unbounded">{LINE}{B}</xs:sequence></xs:sequence>'
    made = plan(tmp_path, inner, "", ["N:number", "A:line", "B:price"], 'lines = "A"', whole=False)
    rows = order_catalog.rows(
        {"LINE": "1", "PRICE": "5"}, {"LINE": "2", "PRICE": "6"}, {"NO": "A2", "LINE": "3", "PRICE": "7"}
    )
    bodies = made.render(order_catalog.plan().map(rows).records).frame["body"]
    read = made.read([body.encode() for body in bodies])
    assert read.problems.is_empty(), read.problems
    told = [[(row["line"], str(row["price"].normalize())) for row in rows] for rows in read.records["lines"].to_list()]
    assert told == [[(1, "5"), (2, "6")], [(3, "7")]]


def test_a_branch_of_a_choice_with_too_few_rows_is_told(tmp_path: Path) -> None:
    inner = f'<xs:choice><xs:element name="A" type="xs:integer" minOccurs="2" maxOccurs="9"/>{B}</xs:choice>'
    assert written(plan(tmp_path, inner, "", ["A:line"], 'lines = "A"')) == (["<A>1</A><A>2</A>"], [("A2", "rows-few")])
