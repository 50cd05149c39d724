"""A format for the orders of :mod:`tests.mapping.order_catalog`, with everything that may be repeated in it: rows in rows, bounded and not,
a choice taken several times, an element in two places, an element that others may stand in for.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway.mapping.document import DocumentPlan
from gateway.mapping.format_loader import load_format
from tests.mapping.order_catalog import library

NAMESPACE = "urn:test:order"
XSD = f"""<?xml version="1.0" encoding="UTF-8"?>
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="{NAMESPACE}" targetNamespace="{NAMESPACE}"
           elementFormDefault="qualified">
  <xs:simpleType name="Short"><xs:restriction base="xs:string"><xs:maxLength value="3"/></xs:restriction></xs:simpleType>
  <xs:element name="About" abstract="true"/>
  <xs:element name="Remark" type="Short" substitutionGroup="About"/>
  <xs:element name="Title" type="xs:string" substitutionGroup="About"/>
  <xs:element name="Order">
    <xs:complexType>
      <xs:sequence>
        <xs:element ref="About" minOccurs="0"/>
        <xs:element name="Lines" minOccurs="0">
          <xs:complexType>
            <xs:sequence>
              <xs:element name="Line" minOccurs="2" maxOccurs="3">
                <xs:complexType>
                  <xs:sequence>
                    <xs:element name="Price" minOccurs="0">
                      <xs:simpleType>
                        <xs:restriction base="xs:decimal"><xs:minInclusive value="0"/><xs:fractionDigits value="1"/></xs:restriction>
                      </xs:simpleType>
                    </xs:element>
                    <xs:element name="Delivery" minOccurs="0" maxOccurs="2">
                      <xs:complexType>
                        <xs:simpleContent>
                          <xs:extension base="Short"><xs:attribute name="on" type="xs:date" use="required"/></xs:extension>
                        </xs:simpleContent>
                      </xs:complexType>
                    </xs:element>
                  </xs:sequence>
                  <xs:attribute name="no" type="xs:positiveInteger" use="required"/>
                </xs:complexType>
              </xs:element>
            </xs:sequence>
          </xs:complexType>
        </xs:element>
        <xs:choice minOccurs="1" maxOccurs="3">
          <xs:element name="Contact" type="Short"/>
          <xs:element name="Nobody" type="xs:string"/>
        </xs:choice>
        <xs:element name="Ref" minOccurs="0" maxOccurs="2">
          <xs:complexType>
            <xs:simpleContent>
              <xs:extension base="xs:token"><xs:attribute name="scheme" type="xs:token" use="required"/></xs:extension>
            </xs:simpleContent>
          </xs:complexType>
        </xs:element>
      </xs:sequence>
    </xs:complexType>
  </xs:element>
</xs:schema>
"""
FORMAT = 'id = "order"\nversion = "1"\nzh = "订单"\nen = "Order"\nstandard = "none"\nxsd = "order.xsd"\n'
BINDING = """
catalog = "orders"
root = "Order"
repeat = { lines = "Lines/Line", deliveries = "Lines/Line/Delivery", contacts = "Contact" }
bind = [
  { to = "Remark", field = "note", empty = "omit" },
  { to = "Lines/Line/@no", field = "line", empty = "reject" },
  { to = "Lines/Line/Price", field = "price", empty = "omit" },
  { to = "Lines/Line/Delivery", field = "place", empty = "blank" },
  { to = "Lines/Line/Delivery/@on", field = "delivered_on", empty = "reject" },
  { to = "Contact", field = "contact", empty = "reject" },
  { to = "Ref", field = "unit", empty = "omit" },
  { to = "Ref/@scheme", rules = [{ rule = "constant", value = "unit" }] },
  { to = "Ref[2]", field = "number", empty = "omit" },
  { to = "Ref[2]/@scheme", rules = [{ rule = "constant", value = "number" }] },
]
"""


def write_order_format(folder: Path, xsd: str = XSD, binding: str = BINDING) -> Path:
    """The format as a folder called ``order``."""
    home = folder / "order"
    for name, text in {"format.toml": FORMAT, "order.xsd": xsd, "bindings/orders.toml": binding}.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text, "utf-8")
    return home


@cache
def order_document() -> DocumentPlan:
    with TemporaryDirectory() as folder:
        return DocumentPlan(
            load_format(write_order_format(Path(folder)), library()), library().catalogs["orders"], library()
        )
