"""Source mappings are read strictly: every mistake named at once, with its place and a remedy in both languages."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path

import pytest

from gateway.errors import Finding, Findings
from gateway.mapping import loader, rule_reader
from gateway.mapping.loader import load_source_mapping, load_source_mappings
from gateway.mapping.model import Empty, EmptyPolicy, FieldMapping, Rule
from gateway.texts import LANGUAGES, fix_text, template
from tests.mapping.record_samples import MAPPINGS, library

GOOD = (MAPPINGS / "sources" / "permits-local.toml").read_text("utf-8")


LOOKUP = 'column = "A"\nrules = [{ rule = "lookup"'


def findings(tmp_path: Path, text: str, name: str = "permits-local.toml") -> list[Finding]:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    with pytest.raises(Findings) as caught:
        load_source_mapping(path, library())
    for finding in caught.value.findings:
        for language in LANGUAGES:
            assert finding.say(language)
            assert "{" not in finding.say(language).replace("{ ", "")
            assert finding.fix(language)
        assert finding.file == path.as_posix()
    return list(caught.value.findings)


def codes(tmp_path: Path, text: str) -> list[tuple[str, str]]:
    return [(finding.code, finding.key) for finding in findings(tmp_path, text)]


def with_field(name: str, body: str) -> str:
    """The good mapping with the table of one field replaced."""
    start = GOOD.index(f"[fields.{name}]")
    end = GOOD.find("\n[fields.", start)
    return GOOD[:start] + f"[fields.{name}]\n{body}\n" + (GOOD[end:] if end > 0 else "")


def test_a_good_mapping(tmp_path: Path) -> None:
    path = tmp_path / "permits-local.toml"
    path.write_text(GOOD, "utf-8")
    mapping = load_source_mapping(path, library())
    assert mapping.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert mapping.headings == ()
    fields = {item.field: item for item in mapping.fields}
    assert fields["valid_to"].empty == Empty(policy=EmptyPolicy.VALUE, value="2099-12-31")
    assert fields["subject_kind"] == FieldMapping(
        field="subject_kind",
        columns=("XDR_TYPE",),
        rules=(
            Rule(name="trim"),
            Rule(name="lookup", parameters={"crosswalk": "subject-kinds", "unmapped": "reject"}),
        ),
        empty=Empty(policy=EmptyPolicy.REJECT),
        why="业务系统记 01 自然人、02 法人、03 非法人组织、04 个体工商户",
    )


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    text = GOOD.replace('catalog = "admin', 'colour = "red"\ncatalog = "admin')
    text = text.replace('empty = "reject"', "", 1).replace("[fields.remarks]", "[fields.remark]")
    text = text.replace('rules = ["date"]', 'rules = ["dates"]', 1)
    assert codes(tmp_path, text) == [
        ("catalog-key-unknown", "colour"),
        ("catalog-key-missing", "fields.subject_name.empty"),
        ("mapping-rule-unknown", "fields.decided_on.rules[1]"),
        ("mapping-field-unknown", "fields.remark"),
    ]


@pytest.mark.parametrize(
    ("body", "code", "key"),
    [
        ('column = "A"\nrules = ["tirm"]\nempty = "leave"', "mapping-rule-unknown", "rules[1]"),
        ('column = "A"\nrules = [3]\nempty = "leave"', "mapping-rule-shape", "rules[1]"),
        ('column = "A"\nrules = [{ name = "trim" }]\nempty = "leave"', "mapping-rule-shape", "rules[1]"),
        ('column = "A"\nrules = ["trim", { rule = "upper", to = "x" }]\nempty = "leave"', "mapping-parameter-unknown", "rules[2].to"),
        ('column = "A"\nrules = [{ rule = "remove" }]\nempty = "leave"', "mapping-parameter-missing", "rules[1]"),
        ('column = "A"\nrules = [{ rule = "remove", characters = 3 }]\nempty = "leave"', "mapping-parameter-wrong", "rules[1].characters"),
        ('column = "A"\nrules = [{ rule = "half-width", only = "some" }]\nempty = "leave"', "mapping-parameter-wrong", "rules[1].only"),
        ('column = "A"\nrules = [{ rule = "lookup", table = { a = "b" } }]\nempty = "leave"', "mapping-parameter-missing", "rules[1]"),
        (f'{LOOKUP}, table = {{ a = "b" }}, unmapped = "drop" }}]\nempty = "leave"', "mapping-parameter-wrong", "rules[1].unmapped"),
        (f'{LOOKUP}, unmapped = "keep" }}]\nempty = "leave"', "mapping-parameter-either", "rules[1]"),
        (f'{LOOKUP}, crosswalk = "none", unmapped = "keep" }}]\nempty = "leave"', "mapping-crosswalk-unknown", "rules[1].crosswalk"),
        ('column = "A"\nrules = ["date", "trim"]\nempty = "leave"', "mapping-rule-type", "rules[2]"),
        ('column = "A"\nrules = ["date"]\nempty = "leave"', "mapping-result-type", "rules"),
        ('column = "A"\nrules = ["first-of"]\nempty = "leave"', "mapping-rule-place", "rules[1]"),
        ('column = "A"\nrules = [{ rule = "constant", value = "x" }]\nempty = "leave"', "mapping-rule-place", "rules[1]"),
        ('columns = ["A", "B"]\nrules = ["trim"]\nempty = "leave"', "mapping-rules-begin", "rules"),
        ('columns = ["A", "B"]\nrules = ["first-of", "first-of"]\nempty = "leave"', "mapping-rule-place", "rules[2]"),
        ('rules = ["trim"]\nempty = "leave"', "mapping-rules-begin", "rules"),
        ('empty = "leave"', "mapping-rules-begin", "rules"),
        ('column = "A"\ncolumns = ["B", "C"]\nempty = "leave"', "mapping-columns-either", ""),
        ('columns = ["B", "B"]\nrules = ["first-of"]\nempty = "leave"', "mapping-columns-few", "columns"),
        ('column = "A"\nempty = "drop"', "mapping-empty-wrong", "empty"),
        ('column = "A"\nempty = "value: "', "mapping-empty-wrong", "empty"),
        (f'column = "A"\nempty = "value:{"长" * 513}"', "mapping-empty-type", "empty"),
        ('column = "A"\nempty = "leave"\ndefault = "x"', "catalog-key-unknown", "default"),
        ('column = 3\nempty = "leave"', "catalog-type-wrong", "column"),
    ],
)  # fmt: skip
def test_mistakes_in_a_field(tmp_path: Path, body: str, code: str, key: str) -> None:
    place = "fields.remarks" + (f".{key}" if key else "")
    assert (code, place) in codes(tmp_path, with_field("remarks", body))


def test_the_closest_name_is_suggested(tmp_path: Path) -> None:
    body = 'column = "A"\nrules = ["spilt-join"]\nempty = "leave"'
    (finding,) = findings(tmp_path, with_field("remarks", body))
    assert "split-join" in finding.say()
    (finding,) = findings(tmp_path, GOOD.replace("[fields.remarks]", "[fields.remark]"))
    assert finding.facts["close"] == "remarks"


def test_what_a_mapping_writes_into_a_coded_field_is_in_its_list(tmp_path: Path) -> None:
    table = 'table = { a = "普通", b = "其他-x", c = "特别" }'
    lookup = f'{LOOKUP}, {table}, unmapped = "value:不明" }}]\nempty = "reject"'
    found = findings(tmp_path, with_field("license_kind", lookup))
    assert [(finding.code, finding.facts["value"]) for finding in found] == [
        ("mapping-code-outside", "不明"),
        ("mapping-code-outside", "特别"),
    ]
    constant = 'rules = [{ rule = "constant", value = "3" }]\nempty = "value:4"'
    found = findings(tmp_path, with_field("status", constant))
    assert [finding.facts["value"] for finding in found] == ["3", "4"]


def test_empty_values_are_canonical(tmp_path: Path) -> None:
    for value in ("2099/12/31", "2099-02-30", "20991231"):
        body = f'column = "A"\nrules = ["date"]\nempty = "value:{value}"'
        assert codes(tmp_path, with_field("valid_to", body)) == [("mapping-empty-type", "fields.valid_to.empty")]
    good = (MAPPINGS / "sources" / "penalties-local.toml").read_text("utf-8")
    for value, right in {
        "0": True,
        "0.2": True,
        "0.20": False,
        "1,000": False,
        "0.1234567": False,
        "-1": False,
    }.items():
        path = tmp_path / "penalties-local.toml"
        path.write_text(good.replace('empty = "leave"\nwhy = "同上"', f'empty = "value:{value}"'), "utf-8")
        if right:
            load_source_mapping(path, library())
        else:
            with pytest.raises(Findings) as caught:
                load_source_mapping(path, library())
            assert [finding.code for finding in caught.value.findings] == ["mapping-empty-type"]


def test_required_fields_come_from_somewhere(tmp_path: Path) -> None:
    text = GOOD.replace("[fields.decided_on]", "[fields.subject_tax_number2]").replace("[fields.status]", "[fields.x]")
    found = {finding.key for finding in findings(tmp_path, text) if finding.code == "mapping-field-unbound"}
    assert found == {"fields.decided_on", "fields.status"}


def test_a_field_bound_twice(tmp_path: Path) -> None:
    twice = GOOD + '\n[fields.remarks]\ncolumn = "B"\nempty = "leave"\n'
    assert codes(tmp_path, twice) == [("catalog-table-twice", "fields.remarks")]


def test_headings(tmp_path: Path) -> None:
    columns = sorted(load_source_mapping(MAPPINGS / "sources" / "permits-local.toml", library()).columns())
    right = "headings = [" + ", ".join(f'"{column}"' for column in columns) + ', "许可编号", "许可 编号"]\n'
    text = GOOD.replace("\n[fields.", f"{right}\n[fields.", 1).replace('column = "REMARK"', 'column = "REMARKS"')
    assert codes(tmp_path, text) == [
        ("mapping-heading-twice", f"headings[{len(columns) + 2}]"),
        ("mapping-column-not-in-headings", "fields.remarks"),
    ]


def test_head(tmp_path: Path) -> None:
    assert [f.code for f in findings(tmp_path, GOOD, "other.toml")] == ["mapping-id-not-file"]
    assert codes(tmp_path, GOOD.replace("administrative-license", "licences")) == [
        ("mapping-catalog-unknown", "catalog")
    ]
    assert codes(tmp_path, GOOD + "\n[fields.x\n")[0][0] == "catalog-toml-invalid"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(Findings) as caught:
        load_source_mapping(tmp_path / "none.toml", library())
    assert [finding.code for finding in caught.value.findings] == ["mapping-file-unreadable"]
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "a.toml").write_bytes(b"\xff")
    (tmp_path / "sources" / "b.toml").write_text('id = "b"', "utf-8")
    with pytest.raises(Findings) as caught:
        load_source_mappings(tmp_path, library())
    assert {Path(finding.file).name for finding in caught.value.findings} == {"a.toml", "b.toml"}


def test_every_finding_has_its_words() -> None:
    for module in (loader, rule_reader):
        tree = ast.parse(Path(module.__file__ or "").read_text("utf-8"))
        named = {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("mapping-")
        }
        assert len(named) > 8
        for code in named:
            for language in LANGUAGES:
                assert template(code, language, "say"), code
                assert fix_text(code, language, {}), code
