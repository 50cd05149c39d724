"""Credit transfers as ISO 20022 wants them (pain.001.001.03), in text files alone: parts within parts, choices, patterns, code lists."""

from __future__ import annotations

_TEXT = 'type = "text", disclosure = "government"'

CATALOG = f"""
id = "transfers"
version = "1"
zh = "付款"
en = "Transfers"
standard = "none"
subject_kinds = ["法人及非法人组织"]
key = ["message"]
unit = "unit"
deadline = {{ field = "made_on", working_days = 7 }}

[parts]
payments = {{ zh = "付款", en = "Payments", key = ["payment"] }}
orders = {{ zh = "转账", en = "Orders", key = ["order"], within = "payments" }}

[fields]
message = {{ zh = "报文号", en = "Message", required = true, max_length = 35, {_TEXT} }}
unit = {{ zh = "单位", en = "Unit", required = true, {_TEXT} }}
made_on = {{ zh = "日期", en = "Made on", type = "date", required = true, disclosure = "public" }}
count = {{ zh = "笔数", en = "Count", type = "integer", required = true, disclosure = "public" }}
party = {{ zh = "发起方", en = "Party", required = true, max_length = 140, {_TEXT} }}
payment = {{ zh = "付款号", en = "Payment", part = "payments", required = true, max_length = 35, {_TEXT} }}
due_on = {{ zh = "付款日", en = "Due on", part = "payments", type = "date", required = true, disclosure = "public" }}
payer = {{ zh = "付款人", en = "Payer", part = "payments", required = true, max_length = 140, {_TEXT} }}
payer_account = {{ zh = "账号", en = "Account", part = "payments", required = true, {_TEXT} }}
payer_bank = {{ zh = "行号", en = "Bank", part = "payments", required = true, {_TEXT} }}
order = {{ zh = "转账号", en = "Order", part = "orders", required = true, max_length = 35, {_TEXT} }}
amount = {{ zh = "金额", en = "Amount", part = "orders", type = "decimal", precision = 12, scale = 2, required = true, disclosure = "public" }}
currency = {{ zh = "币种", en = "Currency", part = "orders", required = true, {_TEXT} }}
payee = {{ zh = "收款人", en = "Payee", part = "orders", required = true, max_length = 140, {_TEXT} }}
payee_iban = {{ zh = "账号", en = "Account", part = "orders", empty_when = [{{ payee_other.filled = true }}], {_TEXT} }}
payee_other = {{ zh = "其他账号", en = "Other account", part = "orders", max_length = 34, {_TEXT} }}
purpose = {{ zh = "用途", en = "Purpose", part = "orders", max_length = 140, {_TEXT} }}
"""

COLUMNS = {
    "message": "MSG", "unit": "UNIT", "made_on": "DAY", "count": "N", "party": "PARTY", "payment": "PAY", "due_on": "DUE",
    "payer": "PAYER", "payer_account": "P_ACC", "payer_bank": "P_BANK", "order": "ORD", "amount": "SUM", "currency": "CUR",
    "payee": "PAYEE", "payee_iban": "IBAN", "payee_other": "OTHER", "purpose": "WHY",
}  # fmt: skip
_RULES = {"made_on": '["date"]', "due_on": '["date"]', "count": '["integer"]', "amount": '["decimal"]'}
SOURCE = (
    'id = "transfer-rows"\nversion = "1"\nzh = "付款"\nen = "Transfers"\ncatalog = "transfers"\n[fields]\n'
    + "".join(
        f'{field} = {{ column = "{column}", rules = {_RULES.get(field, "[]")}, empty = "leave" }}\n'
        for field, column in COLUMNS.items()
    )
)

FORMAT = """
id = "transfer"
version = "03"
zh = "付款指令"
en = "Credit transfer initiation"
standard = "ISO 20022 pain.001.001.03"
xsd = "pain.001.001.03.xsd"
"""

BINDING = """
catalog = "transfers"
root = "Document"
repeat = { payments = "CstmrCdtTrfInitn/PmtInf", orders = "CstmrCdtTrfInitn/PmtInf/CdtTrfTxInf" }
bind = [
  { to = "CstmrCdtTrfInitn/GrpHdr/MsgId", field = "message", empty = "reject" },
  { to = "CstmrCdtTrfInitn/GrpHdr/CreDtTm", field = "made_on", empty = "reject", rules = [
    { rule = "write-date", shape = "yyyy-MM-ddTHH:mm:ss" },
  ] },
  { to = "CstmrCdtTrfInitn/GrpHdr/NbOfTxs", field = "count", empty = "reject" },
  { to = "CstmrCdtTrfInitn/GrpHdr/InitgPty/Nm", field = "party", empty = "reject" },
  { to = "CstmrCdtTrfInitn/PmtInf/PmtInfId", field = "payment", empty = "reject" },
  { to = "CstmrCdtTrfInitn/PmtInf/PmtMtd", rules = [{ rule = "constant", value = "TRF" }] },
  { to = "CstmrCdtTrfInitn/PmtInf/ReqdExctnDt", field = "due_on", empty = "reject" },
  { to = "CstmrCdtTrfInitn/PmtInf/Dbtr/Nm", field = "payer", empty = "reject" },
  { to = "CstmrCdtTrfInitn/PmtInf/DbtrAcct/Id/IBAN", field = "payer_account", empty = "reject" },
  { to = "CstmrCdtTrfInitn/PmtInf/DbtrAgt/FinInstnId/BIC", field = "payer_bank", empty = "reject" },
  { to = "CstmrCdtTrfInitn/PmtInf/CdtTrfTxInf/PmtId/EndToEndId", field = "order", empty = "reject" },
  { to = "CstmrCdtTrfInitn/PmtInf/CdtTrfTxInf/Amt/InstdAmt", field = "amount", empty = "reject" },
  { to = "CstmrCdtTrfInitn/PmtInf/CdtTrfTxInf/Amt/InstdAmt/@Ccy", field = "currency", empty = "reject" },
  { to = "CstmrCdtTrfInitn/PmtInf/CdtTrfTxInf/Cdtr/Nm", field = "payee", empty = "reject" },
  { to = "CstmrCdtTrfInitn/PmtInf/CdtTrfTxInf/CdtrAcct/Id/IBAN", field = "payee_iban", empty = "omit" },
  { to = "CstmrCdtTrfInitn/PmtInf/CdtTrfTxInf/CdtrAcct/Id/Othr/Id", field = "payee_other", empty = "omit" },
  { to = "CstmrCdtTrfInitn/PmtInf/CdtTrfTxInf/RmtInf/Ustrd", field = "purpose", empty = "omit" },
]
"""

# The same schema the other way about: every record is one payment order, and a document holds all of them behind one heading.
WHOLE_FORMAT = FORMAT.replace('version = "03"', 'version = "03"\ndocument = "whole"')

TEXTS = {
    "catalogs/transfers.toml": CATALOG,
    "sources/transfer-rows.toml": SOURCE,
    "formats/transfer/format.toml": FORMAT,
    "formats/transfer/bindings/transfers.toml": BINDING,
}
_HEAD = "M1,11230500001755309F,2026-03-02,3,甲公司"
_PAY_1 = "P1,2026-03-05,甲公司,DE89370400440532013000,COBADEFFXXX"
_PAY_2 = "P2,2026-03-06,乙公司,FR1420041010050500013M02606,BNPAFRPP"
ROWS = (
    f"{','.join(COLUMNS.values())}\n"
    f"{_HEAD},{_PAY_1},O1,100.00,EUR,丙公司,DE02120300000000202051,,货款 & 运费\n"
    f"{_HEAD},{_PAY_1},O2,1.50,CNY,丁公司,,6222-01,\n"
    f"{_HEAD},{_PAY_2},O1,7,EUR,戊公司,,,\n"
)

ONE_CATALOG = f"""
id = "transfers"
version = "1"
zh = "付款"
en = "Transfers"
standard = "none"
subject_kinds = ["法人及非法人组织"]
key = ["payment"]
unit = "unit"
deadline = {{ field = "due_on", working_days = 7 }}

[fields]
payment = {{ zh = "付款号", en = "Payment", required = true, max_length = 35, {_TEXT} }}
unit = {{ zh = "单位", en = "Unit", required = true, {_TEXT} }}
due_on = {{ zh = "付款日", en = "Due on", type = "date", required = true, disclosure = "public" }}
payer = {{ zh = "付款人", en = "Payer", required = true, max_length = 140, {_TEXT} }}
payer_account = {{ zh = "账号", en = "Account", required = true, {_TEXT} }}
payer_bank = {{ zh = "行号", en = "Bank", required = true, {_TEXT} }}
order = {{ zh = "转账号", en = "Order", required = true, max_length = 35, {_TEXT} }}
amount = {{ zh = "金额", en = "Amount", type = "decimal", precision = 12, scale = 2, required = true, disclosure = "public" }}
currency = {{ zh = "币种", en = "Currency", required = true, {_TEXT} }}
payee = {{ zh = "收款人", en = "Payee", required = true, max_length = 140, {_TEXT} }}
"""
_KEPT = ("payment", "unit", "due_on", "payer", "payer_account", "payer_bank", "order", "amount", "currency", "payee")
_HEAD_LINES = """
  { to = "CstmrCdtTrfInitn/GrpHdr/MsgId", batch = "sequence" },
  { to = "CstmrCdtTrfInitn/GrpHdr/CreDtTm", batch = "created-at" },
  { to = "CstmrCdtTrfInitn/GrpHdr/NbOfTxs", batch = "count" },
  { to = "CstmrCdtTrfInitn/GrpHdr/InitgPty/Nm", rules = [{ rule = "constant", value = "甲公司" }] },
"""
ONE_TEXTS = {
    "catalogs/transfers.toml": ONE_CATALOG,
    "sources/transfer-rows.toml": SOURCE.partition("[fields]")[0]
    + "[fields]\n"
    + "".join(line for line in SOURCE.splitlines(keepends=True) if line.partition(" =")[0] in _KEPT),
    "formats/transfer/format.toml": WHOLE_FORMAT,
    "formats/transfer/bindings/transfers.toml": 'catalog = "transfers"\nroot = "Document"\n'
    'repeat = { records = "CstmrCdtTrfInitn/PmtInf" }\nbind = ['
    + _HEAD_LINES
    + "".join(
        line
        for line in BINDING.splitlines(keepends=True)
        if "PmtInf/" in line and "repeat" not in line and "payee_" not in line and "purpose" not in line
    )
    + "]\n",
}
ONE_ROWS = (
    "PAY,UNIT,DUE,PAYER,P_ACC,P_BANK,ORD,SUM,CUR,PAYEE\n"
    "P1,11230500001755309F,2026-03-05,甲,DE89370400440532013000,COBADEFFXXX,O1,100.00,EUR,丙\n"
    "P2,11230500001755309F,2026-03-06,乙,DE89370400440532013000,COBADEFFXXX,O2,0.5,CNY,丁\n"
    "P3,11230500001755309F,2026-03-06,乙,none,COBADEFFXXX,O2,0.5,CNY,丁\n"
)
