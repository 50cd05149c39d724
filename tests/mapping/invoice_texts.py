"""An invoice as somebody else's schema wants it (UN/CEFACT Cross Industry Invoice, profile BASIC), said in text files alone.

Five namespaces, attributes, two repeated parts beside each other, one element in two places, optional parts.
"""

from __future__ import annotations

_TEXT = 'type = "text", disclosure = "public"'
_MONEY = 'type = "decimal", precision = 14, scale = 2, disclosure = "public"'
_RAM = "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100"
_UDT = "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100"

CATALOG = f"""
id = "invoices"
version = "1"
zh = "发票"
en = "Invoices"
standard = "none"
subject_kinds = ["法人及非法人组织"]
key = ["number"]
unit = "unit"
deadline = {{ field = "issued_on", working_days = 7 }}

[parts]
lines = {{ zh = "行", en = "Lines", key = ["line"] }}
taxes = {{ zh = "税", en = "Taxes", key = ["tax_category", "tax_rate"] }}

[fields]
number = {{ zh = "号码", en = "Number", required = true, {_TEXT} }}
unit = {{ zh = "单位", en = "Unit", required = true, {_TEXT} }}
issued_on = {{ zh = "日期", en = "Issued", type = "date", required = true, disclosure = "public" }}
currency = {{ zh = "币种", en = "Currency", required = true, {_TEXT} }}
note = {{ zh = "说明", en = "Note", {_TEXT} }}
seller = {{ zh = "卖方", en = "Seller", required = true, {_TEXT} }}
seller_country = {{ zh = "国别", en = "Country", required = true, {_TEXT} }}
seller_tax = {{ zh = "税号", en = "Tax number", {_TEXT} }}
seller_vat = {{ zh = "增值税号", en = "VAT number", {_TEXT} }}
buyer = {{ zh = "买方", en = "Buyer", required = true, {_TEXT} }}
buyer_city = {{ zh = "城市", en = "City", {_TEXT} }}
buyer_country = {{ zh = "买方国别", en = "Buyer's country", required_when = [{{ buyer_city.filled = true }}], {_TEXT} }}
net = {{ zh = "净额", en = "Net", required = true, {_MONEY} }}
tax = {{ zh = "税额", en = "Tax", required = true, {_MONEY} }}
total = {{ zh = "总额", en = "Total", required = true, {_MONEY} }}
line = {{ zh = "行号", en = "Line", part = "lines", required = true, {_TEXT} }}
product = {{ zh = "品名", en = "Product", part = "lines", required = true, {_TEXT} }}
price = {{ zh = "单价", en = "Price", part = "lines", required = true, {_MONEY} }}
quantity = {{ zh = "数量", en = "Quantity", type = "integer", part = "lines", required = true, disclosure = "public" }}
line_rate = {{ zh = "税率", en = "Rate", part = "lines", required = true, {_MONEY} }}
line_total = {{ zh = "行金额", en = "Line total", part = "lines", required = true, {_MONEY} }}
tax_category = {{ zh = "税类", en = "Category", part = "taxes", required = true, {_TEXT} }}
tax_rate = {{ zh = "税率", en = "Rate", part = "taxes", required = true, {_MONEY} }}
tax_base = {{ zh = "税基", en = "Base", part = "taxes", required = true, {_MONEY} }}
tax_amount = {{ zh = "税额", en = "Amount", part = "taxes", required = true, {_MONEY} }}
"""

COLUMNS = {
    "number": "NO", "unit": "UNIT", "issued_on": "DATE", "currency": "CUR", "note": "NOTE", "seller": "SELLER",
    "seller_country": "S_LAND", "seller_tax": "S_TAX", "seller_vat": "S_VAT", "buyer": "BUYER", "buyer_city": "B_CITY",
    "buyer_country": "B_LAND", "net": "NET", "tax": "TAX", "total": "TOTAL", "line": "POS", "product": "ITEM", "price": "PRICE",
    "quantity": "QTY", "line_rate": "L_RATE", "line_total": "L_SUM", "tax_category": "T_CAT", "tax_rate": "T_RATE",
    "tax_base": "T_BASE", "tax_amount": "T_SUM",
}  # fmt: skip
_RULES = {"issued_on": '["date"]', "quantity": '["integer"]'} | dict.fromkeys(
    ("net", "tax", "total", "price", "line_rate", "line_total", "tax_rate", "tax_base", "tax_amount"), '["decimal"]'
)
SOURCE = 'id = "invoice-rows"\nversion = "1"\nzh = "发票"\nen = "Invoices"\ncatalog = "invoices"\n[fields]\n' + "".join(
    f'{field} = {{ column = "{column}", rules = {_RULES.get(field, "[]")}, empty = "leave" }}\n'
    for field, column in COLUMNS.items()
)

FORMAT = f"""
id = "invoice"
version = "1.0.9"
zh = "发票（BASIC）"
en = "Invoice (BASIC)"
standard = "UN/CEFACT CII"
xsd = "Factur-X_BASIC.xsd"
prefixes = {{ ram = "{_RAM}", udt = "{_UDT}" }}
"""

_LINE = "SupplyChainTradeTransaction/ram:IncludedSupplyChainTradeLineItem"
_DEAL = "SupplyChainTradeTransaction/ram:ApplicableHeaderTradeAgreement"
_PAY = "SupplyChainTradeTransaction/ram:ApplicableHeaderTradeSettlement"
_SUM = f"{_PAY}/ram:SpecifiedTradeSettlementHeaderMonetarySummation"
_BINDS: dict[str, str] = {
    "ExchangedDocumentContext/ram:GuidelineSpecifiedDocumentContextParameter/ram:ID": "=urn:cen.eu:en16931:2017#compliant#basic",
    "ExchangedDocument/ram:ID": "number",
    "ExchangedDocument/ram:TypeCode": "=380",
    "ExchangedDocument/ram:IssueDateTime/udt:DateTimeString": "issued_on",
    "ExchangedDocument/ram:IssueDateTime/udt:DateTimeString/@format": "=102",
    "ExchangedDocument/ram:IncludedNote/ram:Content": "?note",
    f"{_LINE}/ram:AssociatedDocumentLineDocument/ram:LineID": "line",
    f"{_LINE}/ram:SpecifiedTradeProduct/ram:Name": "product",
    f"{_LINE}/ram:SpecifiedLineTradeAgreement/ram:NetPriceProductTradePrice/ram:ChargeAmount": "price",
    f"{_LINE}/ram:SpecifiedLineTradeDelivery/ram:BilledQuantity": "quantity",
    f"{_LINE}/ram:SpecifiedLineTradeDelivery/ram:BilledQuantity/@unitCode": "=C62",
    f"{_LINE}/ram:SpecifiedLineTradeSettlement/ram:ApplicableTradeTax/ram:TypeCode": "=VAT",
    f"{_LINE}/ram:SpecifiedLineTradeSettlement/ram:ApplicableTradeTax/ram:CategoryCode": "=S",
    f"{_LINE}/ram:SpecifiedLineTradeSettlement/ram:ApplicableTradeTax/ram:RateApplicablePercent": "line_rate",
    f"{_LINE}/ram:SpecifiedLineTradeSettlement/ram:SpecifiedTradeSettlementLineMonetarySummation/ram:LineTotalAmount": "line_total",
    f"{_DEAL}/ram:SellerTradeParty/ram:Name": "seller",
    f"{_DEAL}/ram:SellerTradeParty/ram:PostalTradeAddress/ram:CountryID": "seller_country",
    f"{_DEAL}/ram:SellerTradeParty/ram:SpecifiedTaxRegistration/ram:ID": "?seller_tax",
    f"{_DEAL}/ram:SellerTradeParty/ram:SpecifiedTaxRegistration/ram:ID/@schemeID": "=FC",
    f"{_DEAL}/ram:SellerTradeParty/ram:SpecifiedTaxRegistration[2]/ram:ID": "?seller_vat",
    f"{_DEAL}/ram:SellerTradeParty/ram:SpecifiedTaxRegistration[2]/ram:ID/@schemeID": "=VA",
    f"{_DEAL}/ram:BuyerTradeParty/ram:Name": "buyer",
    f"{_DEAL}/ram:BuyerTradeParty/ram:PostalTradeAddress/ram:CityName": "?buyer_city",
    f"{_DEAL}/ram:BuyerTradeParty/ram:PostalTradeAddress/ram:CountryID": "buyer_country",
    f"{_PAY}/ram:InvoiceCurrencyCode": "currency",
    f"{_PAY}/ram:ApplicableTradeTax/ram:CalculatedAmount": "tax_amount",
    f"{_PAY}/ram:ApplicableTradeTax/ram:TypeCode": "=VAT",
    f"{_PAY}/ram:ApplicableTradeTax/ram:BasisAmount": "tax_base",
    f"{_PAY}/ram:ApplicableTradeTax/ram:CategoryCode": "tax_category",
    f"{_PAY}/ram:ApplicableTradeTax/ram:RateApplicablePercent": "tax_rate",
    f"{_SUM}/ram:LineTotalAmount": "net",
    f"{_SUM}/ram:TaxBasisTotalAmount": "net",
    f"{_SUM}/ram:TaxTotalAmount": "tax",
    f"{_SUM}/ram:TaxTotalAmount/@currencyID": "currency",
    f"{_SUM}/ram:GrandTotalAmount": "total",
    f"{_SUM}/ram:DuePayableAmount": "total",
}
_WRITTEN = {"issued_on": ', rules = [{ rule = "write-date", shape = "yyyyMMdd" }]'}


def _bind(path: str, value: str) -> str:
    if value.startswith("="):
        return f'  {{ to = "{path}", rules = [{{ rule = "constant", value = "{value[1:]}" }}] }},\n'
    field, empty = value.removeprefix("?"), "omit" if value.startswith("?") else "reject"
    return f'  {{ to = "{path}", field = "{field}", empty = "{empty}"{_WRITTEN.get(field, "")} }},\n'


BINDING = (
    f'catalog = "invoices"\nroot = "CrossIndustryInvoice"\n'
    f'repeat = {{ lines = "{_LINE}", taxes = "{_PAY}/ram:ApplicableTradeTax" }}\n'
    f"bind = [\n{''.join(_bind(path, value) for path, value in _BINDS.items())}]\n"
)
TEXTS = {
    "catalogs/invoices.toml": CATALOG,
    "sources/invoice-rows.toml": SOURCE,
    "formats/invoice/format.toml": FORMAT,
    "formats/invoice/bindings/invoices.toml": BINDING,
}
_ONE = "R-1,11230500001755309F,2026-03-02,EUR,谢谢 & <再见>,甲商行,DE,12/345,DE123456789,乙公司,汉堡,DE,210.00,33.90,243.90"
ROWS = (
    f"{','.join(COLUMNS.values())}\n"
    f"{_ONE},1,木材,50.00,3,19.00,150.00,S,19.00,150.00,28.50\n"
    f"{_ONE},2,书,60.00,1,9.00,60.00,S,9.00,60.00,5.40\n"
    "R-2,11230500001755309F,2026/3/3,CNY,,丙,CN,,CN9,丁,,,1,0.13,1.13,1,票,1,1,13,1,S,13,1,0.13\n"
)
