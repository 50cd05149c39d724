"""An invoice as OASIS UBL 2.1 wants it, said in text files alone.

Sixteen schema files in two folders, one of them with a DOCTYPE; three namespaces, amounts whose currency stands in an attribute, a party
within a party, and a part of the record at two places.
"""

from __future__ import annotations

from tests.mapping import invoice_texts

CATALOG, SOURCE, COLUMNS, ROWS = (
    invoice_texts.CATALOG,
    invoice_texts.SOURCE,
    invoice_texts.COLUMNS,
    invoice_texts.ROWS,
)

_UBL = "urn:oasis:names:specification:ubl:schema:xsd"
FORMAT = f"""
id = "ubl"
version = "2.1"
zh = "发票（UBL）"
en = "Invoice (UBL)"
standard = "OASIS UBL 2.1"
xsd = "maindoc/UBL-Invoice-2.1.xsd"
prefixes = {{ cac = "{_UBL}:CommonAggregateComponents-2", cbc = "{_UBL}:CommonBasicComponents-2" }}
"""

_SUM = "cac:LegalMonetaryTotal"
_TAX = "cac:TaxTotal/cac:TaxSubtotal"
_MONEY = {
    "cac:TaxTotal/cbc:TaxAmount": "tax",
    f"{_TAX}/cbc:TaxableAmount": "tax_base",
    f"{_TAX}/cbc:TaxAmount": "tax_amount",
    f"{_SUM}/cbc:TaxExclusiveAmount": "net",
    f"{_SUM}/cbc:PayableAmount": "total",
    "cac:InvoiceLine/cbc:LineExtensionAmount": "line_total",
    "cac:InvoiceLine/cac:Price/cbc:PriceAmount": "price",
}
_BINDS = {
    "cbc:CustomizationID": "=urn:cen.eu:en16931:2017",
    "cbc:ID": "number",
    "cbc:IssueDate": "issued_on",
    "cbc:Note": "?note",
    "cbc:DocumentCurrencyCode": "currency",
    "cac:AccountingSupplierParty/cac:Party/cac:PartyName/cbc:Name": "seller",
    "cac:AccountingSupplierParty/cac:Party/cac:PostalAddress/cac:Country/cbc:IdentificationCode": "seller_country",
    "cac:AccountingSupplierParty/cac:Party/cac:PartyTaxScheme/cbc:CompanyID": "?seller_vat",
    "cac:AccountingSupplierParty/cac:Party/cac:PartyTaxScheme/cac:TaxScheme/cbc:ID": "=VAT",
    "cac:AccountingCustomerParty/cac:Party/cac:PartyName/cbc:Name": "buyer",
    "cac:AccountingCustomerParty/cac:Party/cac:PostalAddress/cbc:CityName": "?buyer_city",
    "cac:AccountingCustomerParty/cac:Party/cac:PostalAddress/cac:Country/cbc:IdentificationCode": "buyer_country",
    f"{_TAX}/cac:TaxCategory/cbc:ID": "tax_category",
    f"{_TAX}/cac:TaxCategory/cbc:Percent": "tax_rate",
    f"{_TAX}/cac:TaxCategory/cac:TaxScheme/cbc:ID": "=VAT",
    "cac:InvoiceLine/cbc:ID": "line",
    "cac:InvoiceLine/cbc:InvoicedQuantity": "quantity",
    "cac:InvoiceLine/cbc:InvoicedQuantity/@unitCode": "=C62",
    "cac:InvoiceLine/cac:Item/cbc:Name": "product",
    **_MONEY,
    **{f"{path}/@currencyID": "currency" for path in _MONEY},
}


def _bind(path: str, value: str) -> str:
    if value.startswith("="):
        return f'  {{ to = "{path}", rules = [{{ rule = "constant", value = "{value[1:]}" }}] }},\n'
    field, empty = value.removeprefix("?"), "omit" if value.startswith("?") else "reject"
    return f'  {{ to = "{path}", field = "{field}", empty = "{empty}" }},\n'


BINDING = (
    f'catalog = "invoices"\nroot = "Invoice"\nrepeat = {{ lines = "cac:InvoiceLine", taxes = "{_TAX}" }}\n'
    f"bind = [\n{''.join(_bind(path, value) for path, value in _BINDS.items())}]\n"
)
TEXTS = {
    "catalogs/invoices.toml": CATALOG,
    "sources/invoice-rows.toml": SOURCE,
    "formats/ubl/format.toml": FORMAT,
    "formats/ubl/bindings/invoices.toml": BINDING,
}
