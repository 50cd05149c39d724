"""What a binding leaves open is told before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from gateway.errors import Findings, Severity
from gateway.mapping.format_loader import load_format
from gateway.texts import LANGUAGES
from tests.mapping.licence_format import LIBRARY, TEXTS, write_format

ERROR, WARNING = Severity.ERROR, Severity.WARNING
BINDING = TEXTS["bindings/licences.toml"]


def without(target: str) -> str:
    """The binding without the ``[[bind]]`` of ``target``."""
    blocks = BINDING.split("\n[[bind]]\n")
    kept = [block for block in blocks if not block.startswith(f'to = "{target}"\n')]
    assert len(kept) == len(blocks) - 1, target
    return "\n[[bind]]\n".join(kept)


def found(
    tmp_path: Path, binding: str = BINDING, edits: Mapping[str, tuple[str, str]] = MappingProxyType({})
) -> list[tuple[str, Severity, str]]:
    """(code, severity, path or field) of everything that is found."""
    home = write_format(tmp_path, {**TEXTS, "bindings/licences.toml": binding}, edits)
    try:
        findings = load_format(home, LIBRARY).warnings
    except Findings as refused:
        findings = refused.findings
    for finding in findings:
        assert all("{" not in finding.say(language) + finding.fix(language) for language in LANGUAGES)
    return [
        (finding.code, finding.severity, str(finding.facts.get("path", finding.facts.get("field"))))
        for finding in findings
    ]


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("Title", "Title"),
        ("@number", "@number"),
        ("Validity/@from", "Validity/@from"),
        ("Amount/@currency", "Amount/@currency"),
        ("Organisation/c:Name", "Organisation/c:Name"),
        ("Contact/Phone", "Contact/Phone"),
        ("Organisation/c:Code/@c:scheme", "Organisation/c:Code/@c:scheme"),
    ],
)
def test_what_the_schema_demands_must_be_bound(tmp_path: Path, target: str, told: str) -> None:
    assert ("coverage-unbound", ERROR, told) in found(tmp_path, without(target))


@pytest.mark.parametrize("target", ["Places", "Remarks", "@edition", "Validity/@to", "Contact/Mail", "c:Name"])
def test_what_is_optional_need_not_be_bound(tmp_path: Path, target: str) -> None:
    assert "coverage-unbound" not in {code for code, _, _ in found(tmp_path, without(target))}


def test_an_element_of_which_an_attribute_is_bound_needs_its_text(tmp_path: Path) -> None:
    assert ("coverage-unbound", ERROR, "Amount") in found(tmp_path, without("Amount"))


def test_a_choice_needs_one_branch(tmp_path: Path) -> None:
    text = BINDING
    for target in ("Organisation/c:Name", "Organisation/c:Code", "Organisation/c:Code/@c:scheme", "c:Name"):
        blocks = text.split("\n[[bind]]\n")
        text = "\n[[bind]]\n".join(block for block in blocks if not block.startswith(f'to = "{target}"\n'))
    assert ("coverage-unbound", ERROR, "(Organisation | c:Name)") in found(tmp_path, text)


def test_a_demanded_place_cannot_be_omitted_nor_left_blank(tmp_path: Path) -> None:
    title = 'field = "title"\nempty = "reject"'
    omitted = found(tmp_path / "1", BINDING.replace(title, 'field = "title"\nempty = "omit"'))
    assert ("coverage-omitted", ERROR, "Title") in omitted
    blank = found(tmp_path / "2", BINDING.replace(title, 'field = "title"\nempty = "blank"'))
    assert ("coverage-blank", ERROR, "Title") in blank


def test_a_demanded_place_fed_by_an_optional_field_is_a_warning(tmp_path: Path) -> None:
    changed = BINDING.replace('field = "title"', 'field = "mail"', 1)
    assert ("coverage-may-be-empty", WARNING, "Title") in found(tmp_path, changed)


@pytest.mark.parametrize(
    ("schema", "old", "new", "expected"),
    [
        ("types", '<xs:maxLength value="30"/>', '<xs:maxLength value="29"/>', ("coverage-narrower", WARNING, "Title")),
        ("types", '<xs:fractionDigits value="2"/>', '<xs:fractionDigits value="1"/>', ("coverage-narrower", WARNING, "Amount")),
        ("types", '<xs:enumeration value="02"/>', '<xs:enumeration value="03"/>', ("coverage-narrower", WARNING, "Kind")),
        ("licence", 'name="from" type="xs:date"', 'name="from" type="xs:dateTime"', ("coverage-never-fits", ERROR, "Validity/@from")),
        ("licence", 'name="Title" type="Title"', 'name="Title" type="xs:date"', ("coverage-never-fits", ERROR, "Title")),
        ("licence", 'fixed="2"', 'fixed="3"', ("coverage-never-fits", ERROR, "@edition")),
        ("licence", 'type="Title"/>', 'type="Title" minOccurs="2" maxOccurs="2"/>', ("coverage-repeated", ERROR, "Title")),
        ("licence", 'minOccurs="0"/>\n      </xs:seq', 'minOccurs="0"/><xs:any namespace="urn:z"/></xs:seq', ("coverage-wildcard", ERROR, "*")),
    ],
)  # fmt: skip
def test_values_that_do_not_fit_are_found_by_trying(
    tmp_path: Path, schema: str, old: str, new: str, expected: tuple[str, Severity, str]
) -> None:
    assert expected in found(tmp_path, edits={schema: (old, new)})


def test_a_rule_that_makes_the_value_fit_silences_the_finding(tmp_path: Path) -> None:
    changed = BINDING.replace(
        'field = "issued_on"', 'field = "issued_on"\nrules = [{ rule = "write-date", shape = "yyyy-MM-ddTHH:mm:ss" }]'
    )
    codes = found(tmp_path, changed, {"licence": ('name="from" type="xs:date"', 'name="from" type="xs:dateTime"')})
    assert not [code for code in codes if code[0] == "coverage-never-fits"]


def test_a_required_field_that_is_not_sent_is_a_warning(tmp_path: Path) -> None:
    assert ("coverage-field-unsent", WARNING, "unit") in found(tmp_path)
