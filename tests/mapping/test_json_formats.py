"""Formats of JSON: what is written fits the receiver's JSON Schema, is told off place by place, and is the same from a sealed body."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from typer.testing import CliRunner

from gateway.checkup import check_mappings
from gateway.cli.main import app
from gateway.errors import Findings
from gateway.mapping.batch_facts import SOME_BATCH
from gateway.mapping.json_plan import JsonPlan
from gateway.mappings import Mappings
from gateway.package.fields import read_fields
from tests.mapping import order_catalog
from tests.mapping.document_samples import LICENSE, MAPPINGS, PENALTY, library, records

PERSON: Mapping[str, object] = {
    "subject_kind": "自然人",
    "subject_name": "测试乙",
    "subject_code": None,
    "legal_representative": None,
    "person_id_kind": "身份证",
    "person_id": "11010519491231002X",
}
FORMAT = MAPPINGS / "formats" / "message-json"


def plan_of(catalog: str, folder: Path = MAPPINGS) -> JsonPlan:
    mappings = Mappings(folder, "Asia/Shanghai")
    [plan] = mappings.json_plans("message-json", mappings.catalog(catalog))
    return plan


def validator(name: str) -> Draft202012Validator:
    """The receiver's own reading of the schema, put together here without ours."""
    common = Resource.from_contents(json.loads((FORMAT / "common.schema.json").read_text("utf-8")))
    registry: Registry[Any] = Registry().with_resource("common.schema.json", common)
    return Draft202012Validator(json.loads((FORMAT / name).read_text("utf-8")), registry=registry)


@pytest.mark.parametrize(("catalog", "schema"), [(LICENSE, "permits"), (PENALTY, "penalties")])
def test_a_message_of_the_shipped_example_is_what_its_schema_wants(catalog: str, schema: str) -> None:
    made = plan_of(catalog).documents(records(catalog, {}, PERSON), SOME_BATCH)
    assert made.problems.is_empty(), made.problems
    [(data, keys)] = made.documents
    assert keys == ("0", "1")
    message = json.loads(data)
    validator(f"{schema}.schema.json").validate(message)
    assert message["head"]["count"] == 2
    legal, person = message["body"]["list"]
    assert "certificate" not in legal["subject"], "an object with nothing to say does not stand"
    assert person["subject"]["certificate"] == {"kind": "身份证", "number": "11010519491231002X"}
    assert (legal["remarks"], legal["subject"]["kind"], person["subject"]["kind"]) == (None, "1", "2")


def test_numbers_truths_and_lists_stand_as_such() -> None:
    sent = records(PENALTY, {"penalty_kinds": "警告;罚款", "fine_amount": Decimal("12.340000")})
    [(data, _)] = plan_of(PENALTY).documents(sent, SOME_BATCH).documents
    assert '"kinds":["警告","罚款"]' in data.decode()
    assert '"fine":12.34,' in data.decode(), "digit by digit, without a rounded fraction"
    [(permit, _)] = plan_of(LICENSE).documents(records(LICENSE, {}), SOME_BATCH).documents
    assert '"current":true' in permit.decode()


def test_a_record_against_the_schema_stays_out_and_is_named_without_its_value(tmp_path: Path) -> None:
    folder = shorter(tmp_path)
    sent = records(
        LICENSE, {"document_number": "秘密秘密秘密秘密秘密第1号"}, {"document_number": "第2号"}, {"content": "坏\x07"}
    )
    made = plan_of(LICENSE, folder).documents(sent, SOME_BATCH)
    assert [keys for _, keys in made.documents] == [("1",)]
    told = [
        (one["@key"], one["field"], one["source"], one["code"], one["expected"]) for one in made.problems.to_dicts()
    ]
    assert sorted(told) == [
        ("0", "document_number", "body/list/document/number", "too-long", "5"),
        ("2", "content", "body/list/license/content", "character-forbidden", "XML 1.0"),
    ]
    assert "秘密" not in str(made.problems.to_dicts())


def shorter(tmp_path: Path) -> Path:
    """The mappings with a shorter document number in the schema."""
    shutil.copytree(MAPPINGS, tmp_path / "mappings")
    path = tmp_path / "mappings" / "formats" / "message-json" / "permits.schema.json"
    schema = json.loads(path.read_text("utf-8"))
    record = schema["properties"]["body"]["properties"]["list"]["items"]
    record["properties"]["document"]["properties"]["number"]["maxLength"] = 5
    path.write_text(json.dumps(schema), "utf-8")
    return tmp_path / "mappings"


def test_a_sealed_body_makes_the_same_file_again() -> None:
    mappings = Mappings(MAPPINGS, "Asia/Shanghai")
    for catalog in (LICENSE, PENALTY):
        sent = records(catalog, {}, {**PERSON, "remarks": '<&">\n'})
        writing = mappings.writing("message-json", mappings.catalog(catalog))
        bodies = writing.bodies.render(sent, SOME_BATCH).frame["body"].to_list()
        plan = plan_of(catalog)
        carried = plan.carry([read_fields(body.encode()) for body in bodies], SOME_BATCH)
        made = plan.documents(sent, SOME_BATCH).documents
        assert carried == tuple((data, len(keys)) for data, keys in made)


def test_more_records_than_a_message_takes_make_several() -> None:
    plan = plan_of(LICENSE)
    small = replace(plan.template, most=2)
    made = JsonPlan(plan.format, small, library()).documents(records(LICENSE, {}, {}, {}), SOME_BATCH)
    assert [keys for _, keys in made.documents] == [("0", "1"), ("2",)]


def test_check_names_what_a_binding_lacks(tmp_path: Path) -> None:
    shutil.copytree(MAPPINGS, tmp_path / "mappings")
    file = tmp_path / "mappings" / "formats" / "message-json" / "bindings" / f"{LICENSE}.toml"
    text = file.read_text("utf-8")
    assert [one for one in check_mappings(Mappings(tmp_path / "mappings", "Asia/Shanghai")) if "json" in one.file] == []
    mistakes = {
        ('to = "body/list/document/number"', 'to = "body/list/document/nummer"'): {"json-path-unknown"},
        ('{ records = "body/list" }', '{ records = "head" }'): {"json-repeat-no-array"},
        ("repeat =", "#"): {"json-array-unrepeated"},
        ('to = "body/list/document/name"', 'to = "body/list/document"'): {"json-path-no-leaf"},
        ('field = "document_name", empty = "reject"', 'field = "document_name", empty = "omit"'): {"json-omitted"},
        ('field = "document_name", empty = "reject"', 'field = "document_name", empty = "blank"'): {"json-blank"},
        ('to = "body/list/document/name", field = "document_name"', 'to = "body/list/document/name", field = "name"'): {
            "binding-field-unknown"
        },
        ('to = "body/list/document/name"', 'to = "body/list/license/certificate/name"'): {"binding-path-twice"},
        ('  { to = "head/sender", batch = "sender-code", profile = true },\n', ""): {"json-unbound"},
        ('"1" = "true", "2" = "false"', '"1" = "ja", "2" = "nein"'): {"json-never-fits"},
        ('"permits.schema.json"', '"permit.schema.json"'): {"json-schema-missing"},
        ('to = "head/sender"', 'to = "body/list/source/name"'): {"binding-path-twice"},
        ('batch = "count"', 'field = "document_number", empty = "reject"'): {"binding-record-outside"},
    }
    for (old, new), codes in mistakes.items():
        assert old in text
        file.write_text(text.replace(old, new), "utf-8")
        found = {one.code for one in check_mappings(Mappings(tmp_path / "mappings", "Asia/Shanghai"))}
        assert codes <= found, (new, found)
    file.write_text(text, "utf-8")
    schema = file.parent.parent / "common.schema.json"
    schema.unlink()
    found = {one.code for one in check_mappings(Mappings(tmp_path / "mappings", "Asia/Shanghai"))}
    assert found == {"json-schema-unusable"}, "what is referred to and not there is not fetched"


def test_command_line_explains_tries_and_writes(tmp_path: Path) -> None:
    def run(*words: str) -> str:
        result = CliRunner().invoke(app, [*words, "--mappings", str(MAPPINGS)])
        assert result.exit_code == 0, result.output
        return result.output

    assert "body/list/license/decidedOn" in run("mapping", "explain", "message-json", "--catalog", LICENSE, "--json")
    assert "message-json" in run("mapping", "explain", "message-json")
    row = {
        "XDR_NAME": "示例林区木业有限公司", "XDR_TYPE": "02", "XDR_USCC": "91230500MA1B3N1N2M", "FR_NAME": "示例人",
        "WS_NAME": "许可决定书", "WS_NO": "第1号", "XK_TYPE": "01", "XK_CONTENT": "准予", "JD_DATE": "2026-07-06",
        "VALID_FROM": "2026-07-06", "JG_NAME": "示例局", "JG_USCC": "11230700001001013H", "ZT": "有效",
        "LY_NAME": "示例局", "LY_USCC": "11230700001001013H",
    }  # fmt: skip
    (tmp_path / "row.json").write_text(json.dumps(row), "utf-8")
    run("mapping", "try", "permits-local", "--row", str(tmp_path / "row.json"), "--format", "message-json")


ORDER_SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["no", "lines"],
    "additionalProperties": False,
    "properties": {
        "no": {"type": "string"},
        "note": {"type": ["string", "null"]},
        "total/lines": {"type": "string"},
        "lines": {"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/line"}},
        "people": {"type": "object", "properties": {"names": {"type": "array", "items": {"type": "object"}}}},
    },
    "definitions": {
        "line": {
            "type": "object",
            "required": ["price"],
            "additionalProperties": False,
            "properties": {
                "no": {"type": "integer", "maximum": 5},
                "price": {"type": "number", "multipleOf": 0.05},
                "sent": {
                    "type": "array",
                    "maxItems": 2,
                    "items": {"type": "object", "properties": {"on": {"type": "string", "format": "date"}}},
                },
            },
        }
    },
}
ORDER_HEAD = """id = "orders-json"
version = "1"
zh = "订单"
en = "Orders"
standard = "-"
receiver = "-"
sealing = "-"
document = "json"
"""
ORDER_BINDING = """catalog = "orders"
json_schema = "order.json"
file = "order"
repeat = { lines = "lines", deliveries = "lines/sent", contacts = "people/names" }
bind = [
  { to = "no", field = "number", empty = "reject" },
  { to = "note", field = "note", empty = "blank" },
  { to = "total~1lines", rules = [{ rule = "constant", value = "/" }] },
  { to = "lines/no", field = "line", empty = "reject" },
  { to = "lines/price", field = "price", empty = "reject", rules = [{ rule = "write-decimal", digits = 2 }] },
  { to = "lines/sent/on", field = "delivered_on", empty = "reject" },
  { to = "people/names/name", field = "contact", empty = "omit" },
]
"""


def orders_plan(tmp_path: Path, binding: str = ORDER_BINDING) -> JsonPlan:
    folder = order_catalog.write_mappings(tmp_path)
    home = folder / "formats" / "orders-json"
    (home / "bindings").mkdir(parents=True)
    (home / "format.toml").write_text(ORDER_HEAD, "utf-8")
    (home / "order.json").write_text(json.dumps(ORDER_SCHEMA), "utf-8")
    (home / "bindings" / "orders.toml").write_text(binding, "utf-8")
    mappings = Mappings(folder, "Asia/Shanghai")
    [plan] = mappings.json_plans("orders-json", mappings.catalog("orders"))
    return plan


def test_rows_of_parts_are_arrays_in_arrays(tmp_path: Path) -> None:
    """Orders with lines with deliveries, one document a record, in a schema of draft 7."""
    rows = order_catalog.rows(
        {"LINE": "1", "PRICE": "1.5", "DELIVERED": "2026-03-03"},
        {"LINE": "1", "PRICE": "1.5", "DELIVERED": "2026-03-04"},
        {"LINE": "2", "PRICE": "100"},
        {"NO": "A2", "LINE": "7", "PRICE": "0.01"},
        {"NO": "A3", "LINE": "1", "PRICE": "2", "CONTACT": "甲"},
    )
    sent = order_catalog.plan().map(rows).records
    assert sent.height == 3
    plan = orders_plan(tmp_path)
    made = plan.documents(sent, SOME_BATCH)
    first, third = (json.loads(data) for data, _ in made.documents)
    assert first == {
        "no": "A1",
        "note": None,
        "total/lines": "/",
        "lines": [
            {"no": 1, "price": 1.5, "sent": [{"on": "2026-03-03"}, {"on": "2026-03-04"}]},
            {"no": 2, "price": 100},
        ],
    }
    assert third["people"] == {"names": [{"name": "甲"}]}
    told = [(one["@key"], one["field"], one["source"], one["code"]) for one in made.problems.to_dicts()]
    assert sorted(told) == [
        ("A2", "line", "lines[1]/no", "decimal-out-of-range"),
        ("A2", "price", "lines[1]/price", "decimal-too-precise"),
    ]
    bodies = [read_fields(body.encode()) for body in plan.bodies(sent, SOME_BATCH).frame["body"]]
    assert bodies[0].texts["lines[1]/sent[2]/on"] == "2026-03-04"
    assert plan.carry(bodies, SOME_BATCH) == tuple((data, len(keys)) for data, keys in made.documents)


def test_a_part_s_field_stands_in_its_array_alone(tmp_path: Path) -> None:
    wrong = ORDER_BINDING.replace('to = "note", field = "note"', 'to = "note", field = "line"')
    with pytest.raises(Findings) as caught:
        orders_plan(tmp_path, wrong)
    assert [one.code for one in caught.value.findings] == ["binding-part-outside-rows"]
