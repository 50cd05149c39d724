"""A receiver's format made up for tests, as different from ours as XSD allows: nested, two namespaces, attributes, a choice,
optional groups, included and imported schemas, a code list of its own. Written into a folder file by file, so that a test can
break one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

import polars as pl

from gateway.catalog.calendar import WorkingDays
from gateway.catalog.codelists import Code, CodeList
from gateway.catalog.loader import Library
from gateway.catalog.model import Catalog, Deadline, Field, FieldType
from gateway.mapping.canonical import canonical_schema
from gateway.mapping.document import DocumentPlan
from gateway.mapping.format_loader import load_format
from gateway.mapping.format_model import Format

NAMESPACE = "urn:other:licence"
COMMON = "urn:other:common"


def _field(name: str, kind: FieldType = FieldType.TEXT, **more: object) -> Field:
    return Field(name=name, zh=f"{name}（中文）", en=name, type=kind, **more)  # type: ignore[arg-type]  # keywords of Field


CATALOG = Catalog(
    id="licences",
    version="1",
    zh="许可",
    en="Licences",
    standard="none",
    subject_kinds=("法人",),
    key=("number",),
    unit="unit",
    deadline=Deadline(field="issued_on", working_days=7),
    fields=(
        _field("number", max_length=20, required=True),
        _field("title", max_length=30, required=True),
        _field("kind", codelist="kinds", required=True),
        _field("amount", FieldType.DECIMAL, precision=10, scale=2),
        _field("places", FieldType.INTEGER),
        _field("issued_on", FieldType.DATE, required=True),
        _field("expires_on", FieldType.DATE),
        _field("company", max_length=40),
        _field("company_code", max_length=18),
        _field("person", max_length=40),
        _field("phone", max_length=20),
        _field("mail", max_length=40),
        _field("remarks", max_length=100),
        _field("unit", max_length=18, required=True),
    ),
)
LIBRARY = Library(
    catalogs=MappingProxyType({"licences": CATALOG}),
    codelists=MappingProxyType(
        {"kinds": CodeList(id="kinds", entries=tuple(Code(code=code, zh=code, en=code) for code in ("普通", "特许")))}
    ),
    crosswalks=MappingProxyType({"kinds": {"普通": "01", "特许": "02"}}),
    regimes=(),
    working_days=WorkingDays(),
    files=MappingProxyType({"codelists/crosswalks/kinds.csv": "0" * 64}),
)

TEXTS: Mapping[str, str] = {
    "format.toml": f"""
id = "other"
version = "2.0"
zh = "别处的格式"
en = "A format of somebody else"
standard = "none"
xsd = "licence.xsd"
prefixes = {{ c = "{COMMON}" }}

[facts.codes]
zh = "代码由接收方规定"
en = "The receiver's own codes"
""",
    "licence.xsd": f"""<?xml version="1.0" encoding="UTF-8"?>
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="{NAMESPACE}" xmlns:c="{COMMON}"
           targetNamespace="{NAMESPACE}" elementFormDefault="qualified">
  <xs:include schemaLocation="types.xsd"/>
  <xs:import namespace="{COMMON}" schemaLocation="common/common.xsd"/>
  <xs:element name="Licence">
    <xs:complexType>
      <xs:sequence>
        <xs:element name="Title" type="Title"/>
        <xs:element name="Kind" type="Kind"/>
        <xs:element name="Amount" type="Money" minOccurs="0"/>
        <xs:element name="Places" type="xs:unsignedByte" minOccurs="0"/>
        <xs:element name="Validity">
          <xs:complexType>
            <xs:attribute name="from" type="xs:date" use="required"/>
            <xs:attribute name="to" type="xs:date"/>
          </xs:complexType>
        </xs:element>
        <xs:choice>
          <xs:element name="Organisation">
            <xs:complexType>
              <xs:sequence>
                <xs:element ref="c:Name"/>
                <xs:element ref="c:Code" minOccurs="0"/>
              </xs:sequence>
            </xs:complexType>
          </xs:element>
          <xs:element ref="c:Name"/>
        </xs:choice>
        <xs:element name="Contact" type="Contact" minOccurs="0"/>
        <xs:element name="Remarks" type="xs:string" minOccurs="0"/>
        <xs:element name="Internal" type="xs:string" minOccurs="0"/>
      </xs:sequence>
      <xs:attribute name="number" type="xs:token" use="required"/>
      <xs:attribute name="edition" type="xs:string" fixed="2"/>
    </xs:complexType>
  </xs:element>
</xs:schema>
""",
    "types.xsd": f"""<?xml version="1.0" encoding="UTF-8"?>
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="{NAMESPACE}" targetNamespace="{NAMESPACE}"
           elementFormDefault="qualified">
  <xs:simpleType name="Title">
    <xs:restriction base="xs:string"><xs:minLength value="1"/><xs:maxLength value="30"/></xs:restriction>
  </xs:simpleType>
  <xs:simpleType name="Kind">
    <xs:restriction base="xs:string"><xs:enumeration value="01"/><xs:enumeration value="02"/></xs:restriction>
  </xs:simpleType>
  <xs:complexType name="Money">
    <xs:simpleContent>
      <xs:extension base="Sum"><xs:attribute name="currency" type="xs:string" use="required"/></xs:extension>
    </xs:simpleContent>
  </xs:complexType>
  <xs:simpleType name="Sum">
    <xs:restriction base="xs:decimal"><xs:totalDigits value="10"/><xs:fractionDigits value="2"/></xs:restriction>
  </xs:simpleType>
  <xs:complexType name="Contact">
    <xs:sequence>
      <xs:element name="Phone" type="xs:string"/>
      <xs:element name="Mail" type="xs:string" minOccurs="0"/>
    </xs:sequence>
  </xs:complexType>
</xs:schema>
""",
    "common/common.xsd": f"""<?xml version="1.0" encoding="UTF-8"?>
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="{COMMON}" targetNamespace="{COMMON}"
           elementFormDefault="qualified" attributeFormDefault="qualified">
  <xs:element name="Name" type="xs:string"/>
  <xs:element name="Code">
    <xs:complexType>
      <xs:simpleContent>
        <xs:extension base="xs:string"><xs:attribute name="scheme" type="xs:string" use="required"/></xs:extension>
      </xs:simpleContent>
    </xs:complexType>
  </xs:element>
</xs:schema>
""",
    "bindings/licences.toml": """
catalog = "licences"
root = "Licence"

[[bind]]
to = "@number"
field = "number"
empty = "reject"
why = "key of the record"

[[bind]]
to = "@edition"
rules = [{ rule = "constant", value = "2" }]

[[bind]]
to = "Remarks"
field = "remarks"
empty = "blank"

[[bind]]
to = "Title"
field = "title"
empty = "reject"

[[bind]]
to = "Kind"
field = "kind"
rules = [{ rule = "lookup", crosswalk = "kinds", unmapped = "reject" }]
empty = "reject"
profile = true

[[bind]]
to = "Amount"
field = "amount"
empty = "omit"

[[bind]]
to = "Amount/@currency"
rules = [{ rule = "constant", value = "CNY" }]

[[bind]]
to = "Places"
field = "places"
empty = "omit"

[[bind]]
to = "Validity/@from"
field = "issued_on"
empty = "reject"

[[bind]]
to = "Validity/@to"
field = "expires_on"
empty = "omit"

[[bind]]
to = "Organisation/c:Name"
field = "company"
empty = "reject"

[[bind]]
to = "Organisation/c:Code"
field = "company_code"
empty = "omit"

[[bind]]
to = "Organisation/c:Code/@c:scheme"
rules = [{ rule = "constant", value = "GB 32100" }]

[[bind]]
to = "c:Name"
field = "person"
empty = "omit"

[[bind]]
to = "Contact/Phone"
field = "phone"
empty = "reject"

[[bind]]
to = "Contact/Mail"
field = "mail"
empty = "omit"
""",
}

RECORD: Mapping[str, object] = {
    "number": "L-1",
    "title": "道路运输",
    "kind": "特许",
    "amount": Decimal("12.50"),
    "places": 9,
    "issued_on": date(2024, 2, 29),
    "expires_on": date(2099, 12, 31),
    "company": "某某公司",
    "company_code": "91230500MA1B3N1N2M",
    "phone": "0451-1",
    "remarks": "无",
    "unit": "11230500001755309F",
}


def write_format(
    folder: Path, texts: Mapping[str, str] = TEXTS, edits: Mapping[str, tuple[str, str]] = MappingProxyType({})
) -> Path:
    """The format as a folder called ``other`` below ``folder``. ``edits`` maps a file's stem to (old, new) text in it."""
    home = folder / "other"
    for name, text in texts.items():
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        old, new = edits.get(file.stem, ("", ""))
        assert old in text, f"{name} does not hold {old!r}"
        file.write_text(text.replace(old, new) if old else text, "utf-8")
    return home


def other_format(folder: Path) -> Format:
    return load_format(write_format(folder), LIBRARY)


def other_plan(folder: Path) -> DocumentPlan:
    return DocumentPlan(other_format(folder), CATALOG, LIBRARY)


def records(*changes: Mapping[str, object]) -> pl.DataFrame:
    """Canonical records: the full one, changed for each of ``changes``; the key is the position."""
    schema = canonical_schema(CATALOG)
    rows = [{**dict.fromkeys(schema), **RECORD, **change, "@key": str(index)} for index, change in enumerate(changes)]
    return pl.DataFrame(rows, schema={**schema, "@key": pl.String()})
