"""A format's folder is read strictly; every mistake in it is named with its place, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import Finding, Findings, Severity
from gateway.mapping.format_loader import load_format
from gateway.mapping.format_model import WhenEmpty
from gateway.texts import LANGUAGES
from tests.mapping.document_samples import CREDIT, LICENSE, PENALTY, credit_format, library
from tests.mapping.licence_format import COMMON, LIBRARY, NAMESPACE, TEXTS, other_format, write_format


def findings(home: Path) -> list[tuple[str, str, str]]:
    """(file, key, code) of the errors, each with a sentence and a remedy in both languages."""
    with pytest.raises(Findings) as refused:
        load_format(home, LIBRARY)
    errors = [finding for finding in refused.value.findings if finding.severity is Severity.ERROR]
    for finding in errors:
        told(finding)
    return [(Path(finding.file).name, finding.key, finding.code) for finding in errors]


def told(finding: Finding) -> None:
    for language in LANGUAGES:
        for text in (finding.say(language), finding.fix(language)):
            assert text, finding.code
            assert "{" not in text.replace("xmlns={", ""), text


def test_our_own_format_covers_both_catalogs_without_a_warning() -> None:
    fmt = credit_format()
    assert (fmt.id, fmt.version, fmt.schema.namespace) == ("credit-2018", "1", "urn:credit-exchange:credit-2018")
    assert set(fmt.bindings) == {LICENSE, PENALTY}
    assert fmt.warnings == ()
    for name, binding in fmt.bindings.items():
        assert [leaf.field for leaf in binding.leaves] == [field.name for field in library().catalogs[name].fields]


def test_what_no_standard_confirms_is_marked() -> None:
    fmt = credit_format()
    assert {fact.id for fact in fmt.facts if fact.profile} >= {"dates", "lengths", "required", "xml"}
    marked = {leaf.target for leaf in fmt.bindings[LICENSE].leaves if leaf.profile}
    assert {"XK_ZT", "XK_NR", "XK_JDRQ"} <= marked
    assert "XK_XDR_MC" not in marked


def test_a_schema_of_somebody_else_loads_by_its_folder_alone(tmp_path: Path) -> None:
    fmt = other_format(tmp_path)
    leaves = {leaf.target: leaf for leaf in fmt.bindings["licences"].leaves}
    code = leaves["Organisation/c:Code/@c:scheme"]
    assert code.steps == (f"{{{NAMESPACE}}}Organisation", f"{{{COMMON}}}Code", f"@{{{COMMON}}}scheme")
    assert code.field is None
    assert leaves["Remarks"].when_empty is WhenEmpty.BLANK
    assert {finding.code for finding in fmt.warnings} == {
        "coverage-narrower",
        "coverage-may-be-empty",
        "coverage-field-unsent",
    }
    for finding in fmt.warnings:
        told(finding)


def test_the_digest_follows_what_decides_how_a_record_is_written(tmp_path: Path) -> None:
    first = load_format(write_format(tmp_path / "1"), LIBRARY)
    again = load_format(write_format(tmp_path / "2"), LIBRARY)
    assert first.digest("licences") == again.digest("licences")
    edits = {
        "types": ('value="30"', 'value="31"'),
        "licences": ("key of the record", "the key"),
        "format": ("2.0", "2.1"),
    }
    for place, (stem, edit) in enumerate(edits.items()):
        edited = load_format(write_format(tmp_path / f"e{place}", edits={stem: edit}), LIBRARY)
        assert edited.digest("licences") != first.digest("licences"), stem
    # The binding of one catalog does not touch the other's.
    credit = credit_format()
    assert credit.digest(LICENSE) != credit.digest(PENALTY)


@pytest.mark.parametrize(
    ("stem", "old", "new", "expected"),
    [
        ("format", 'id = "other"', 'id = "else"', ("format.toml", "id", "format-id-not-folder")),
        ("format", 'version = "2.0"', 'version = "2/0"', ("format.toml", "version", "format-name-invalid")),
        ("format", "prefixes = { c", "prefixes = { xmlns", ("format.toml", "prefixes.xmlns", "format-prefix-reserved")),
        ("format", 'xsd = "licence.xsd"', 'xsd = "x.xsd"', ("format.toml", "xsd", "format-schema-missing")),
        (
            "format",
            'xsd = "licence.xsd"',
            'xsd = "../other/licence.xsd"',
            ("format.toml", "xsd", "format-schema-missing"),
        ),
        ("format", "[facts.codes]", "colour = 1\n[facts.codes]", ("format.toml", "colour", "catalog-key-unknown")),
        ("format", 'zh = "别处的格式"', "", ("format.toml", "zh", "catalog-key-missing")),
        (
            "format",
            "[facts.codes]",
            "valid_from = 2020-01-02\nvalid_to = 2020-01-01\n[facts.codes]",
            ("format.toml", "valid_to", "format-dates-reversed"),
        ),
        ("types", "<xs:simpleType", "<!DOCTYPE x><xs:simpleType", ("types.xsd", "", "schema-doctype")),
        ("common", "</xs:schema>", "", ("common.xsd", "", "document-malformed")),
        ("licence", 'type="Kind"', 'type="Kinds"', ("licence.xsd", "", "schema-unusable")),
        (
            "licences",
            'catalog = "licences"',
            'catalog = "taxes"',
            ("licences.toml", "catalog", "binding-catalog-unknown"),
        ),
        ("licences", 'root = "Licence"', 'root = "License"', ("licences.toml", "root", "binding-root-unknown")),
        ("licences", 'to = "Title"', 'to = "Titel"', ("licences.toml", "bind[4].to", "binding-path-unknown")),
        ("licences", 'to = "c:Name"', 'to = "Name"', ("licences.toml", "bind[14].to", "binding-path-unknown")),
        ("licences", 'to = "c:Name"', 'to = "d:Name"', ("licences.toml", "bind[14].to", "binding-path-unknown")),
        (
            "licences",
            'to = "Contact/Mail"',
            'to = "Contact"',
            ("licences.toml", "bind[16].to", "binding-path-not-leaf"),
        ),
        (
            "licences",
            'to = "Contact/Mail"',
            'to = "Contact/@Mail"',
            ("licences.toml", "bind[16].to", "binding-path-unknown"),
        ),
        (
            "licences",
            'to = "Contact/Mail"',
            'to = "Internal/x"',
            ("licences.toml", "bind[16].to", "binding-path-unknown"),
        ),
        ("licences", 'to = "Contact/Mail"', 'to = "Title"', ("licences.toml", "bind[16].to", "binding-path-twice")),
        ("licences", 'field = "title"', 'field = "titel"', ("licences.toml", "bind[4].field", "binding-field-unknown")),
        (
            "licences",
            'field = "title"\nempty = "reject"',
            'field = "title"',
            ("licences.toml", "bind[4].empty", "binding-empty-missing"),
        ),
        (
            "licences",
            'field = "title"',
            'field = "title"\nrules = ["trim"]',
            ("licences.toml", "bind[4].rules[1]", "binding-rule-one-way"),
        ),
        (
            "licences",
            'unmapped = "reject"',
            'unmapped = "keep"',
            ("licences.toml", "bind[5].rules[1]", "binding-rule-one-way"),
        ),
        (
            "licences",
            'crosswalk = "kinds"',
            'table = { "普通" = "01", "特许" = "01" }',
            ("licences.toml", "bind[5].rules[1]", "binding-rule-one-way"),
        ),
        (
            "licences",
            'rule = "constant"',
            'rule = "konstant"',
            ("licences.toml", "bind[2].rules[1]", "mapping-rule-unknown"),
        ),
        ("licences", 'why = "key', 'way = "key', ("licences.toml", "bind[1].way", "catalog-key-unknown")),
    ],
)
def test_a_mistake_is_named_with_its_place(
    tmp_path: Path, stem: str, old: str, new: str, expected: tuple[str, str, str]
) -> None:
    assert expected in findings(write_format(tmp_path, edits={stem: (old, new)}))


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    edits = {'to = "Title"': 'to = "Titel"', 'field = "mail"': 'field = "male"', 'why = "key': 'why = "the key'}
    text = TEXTS["bindings/licences.toml"]
    for old, new in edits.items():
        text = text.replace(old, new)
    found = findings(write_format(tmp_path, {**TEXTS, "bindings/licences.toml": text}))
    assert [code for _, _, code in found] == ["binding-path-unknown", "binding-field-unknown"]


def test_a_binding_belongs_to_the_file_of_its_name(tmp_path: Path) -> None:
    home = write_format(tmp_path)
    (home / "bindings" / "licences.toml").rename(home / "bindings" / "permits.toml")
    assert findings(home) == [("permits.toml", "catalog", "binding-not-file")]


@pytest.mark.parametrize(
    ("missing", "code"),
    [
        ("format.toml", "format-file-unreadable"),
        ("types.xsd", "schema-file-missing"),
        ("bindings/licences.toml", "format-without-binding"),
    ],
)
def test_a_missing_file_is_named(tmp_path: Path, missing: str, code: str) -> None:
    home = write_format(tmp_path)
    (home / missing).unlink()
    assert [found for _, _, found in findings(home)] == [code]


def test_a_schema_without_a_namespace_cannot_stand_in_a_batch(tmp_path: Path) -> None:
    home = tmp_path / "bare"
    (home / "bindings").mkdir(parents=True)
    (home / "bare.xsd").write_text(
        '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:element name="R" type="xs:string"/></xs:schema>'
    )
    (home / "format.toml").write_text(
        'id = "bare"\nversion = "1"\nzh = "无"\nen = "none"\nstandard = "none"\nxsd = "bare.xsd"\n', "utf-8"
    )
    assert findings(home) == [("bare.xsd", "targetNamespace", "format-namespace-missing")]


def test_the_names_in_the_schema_are_those_of_the_exchange() -> None:
    text = (CREDIT / "credit-2018.xsd").read_text("utf-8")
    assert text.index('name="XK_YXQZ"') < text.index('name="XK_YXQZI"')
    for name in ("XK_XDR_MC", "XK_XDR_SHXYM", "XK_WSH", "CF_SY", "CF_NR_FK", "CF_NR_WFFF", "CF_GSJZQ", "CF_SJLYDM"):
        assert f'name="{name}"' in text
    assert "CF_WFSS" not in text
