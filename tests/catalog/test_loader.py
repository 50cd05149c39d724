"""The strict loader: the shipped folder with one thing spoilt must give exactly that finding, in two languages, at its place."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gateway.catalog.loader import Library, load_catalogs
from gateway.errors import Findings
from gateway.texts import LANGUAGES

SHIPPED = Path(__file__).parents[2] / "mappings"
LICENSE, PENALTY = "catalogs/administrative-license.toml", "catalogs/administrative-penalty.toml"
KINDS = "codelists/penalty-kinds.csv"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of what ships, to be spoilt."""
    for part in ("catalogs", "codelists"):
        shutil.copytree(SHIPPED / part, tmp_path / "mappings" / part)
    return tmp_path / "mappings"


def findings_of(folder: Path) -> list[tuple[str, str, str]]:
    """What the loader finds: code, file below the folder, place; each must be a whole sentence with a remedy."""
    with pytest.raises(Findings) as caught:
        load_catalogs(folder)
    for finding in caught.value.findings:
        for language in LANGUAGES:
            for sentence in (finding.say(language), finding.fix(language)):
                assert sentence, finding.code
                assert finding.code not in sentence, "no sentence for the code"
                assert "{" not in sentence.replace("{ … }", ""), f"{finding.code}: a fact is missing: {sentence}"
    start = folder.as_posix() + "/"
    return [(finding.code, finding.file.removeprefix(start), finding.key) for finding in caught.value.findings]


def replace(folder: Path, path: str, old: str, new: str, count: int = 1) -> None:
    file = folder / path
    text = file.read_text("utf-8")
    assert old in text, f"{path} does not hold {old!r}"
    file.write_text(text.replace(old, new, count), "utf-8")


def test_the_shipped_folder_loads(folder: Path) -> None:
    library = load_catalogs(folder)
    assert isinstance(library, Library)
    assert {"administrative-license", "administrative-penalty"} <= set(library.catalogs)
    assert "working-days" not in library.codelists
    assert {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in {".toml", ".csv"}
    } == set(library.files)


HEAD = [
    ('id = "administrative-license"', 'id = "Administrative License"', "catalog-name-invalid", "id"),
    ('id = "administrative-license"', 'id = "licenses"', "catalog-id-not-file", "id"),
    ('version = "2018-merged"\n', "", "catalog-key-missing", "version"),
    ('zh = "行政许可"', 'zh = ""', "catalog-value-empty", "zh"),
    ('version = "2018-merged"', "version = 2018", "catalog-type-wrong", "version"),
    ("subject_kinds = [", "subject_kind = [", "catalog-key-unknown", "subject_kind"),
    ('"自然人", "个体工商户"]\nkey', '"自然人", "个体户"]\nkey', "catalog-code-unknown", "subject_kinds[3]"),
    ('key = ["document_number"]', 'key = "document_number"', "catalog-type-wrong", "key"),
    ('key = ["document_number"]', "key = []", "catalog-value-empty", "key"),
    ('key = ["document_number"]', 'key = ["number"]', "catalog-field-unknown", "key[1]"),
    ('key = ["document_number"]', 'key = ["subject_code"]', "catalog-field-not-required", "key[1]"),
    (
        'key = ["document_number"]',
        'key = ["document_number", "document_number"]',
        "catalog-field-repeated",
        "key[2]",
    ),
    ('unit = "source_unit_code"', 'unit = "unit_code"', "catalog-field-unknown", "unit"),
    ('unit = "source_unit_code"', 'unit = "remarks"', "catalog-field-not-required", "unit"),
    ('unit = "source_unit_code"', 'unit = "decided_on"', "catalog-field-type", "unit"),
    ('field = "decided_on", w', 'field = "decided", w', "catalog-field-unknown", "deadline.field"),
    ('field = "decided_on", w', 'field = "document_number", w', "catalog-field-type", "deadline.field"),
    ("working_days = 7", "working_days = 0", "catalog-number-too-small", "deadline.working_days"),
    ("working_days = 7", "working_days = 7.0", "catalog-type-wrong", "deadline.working_days"),
    ("working_days = 7", "days = 7", "catalog-key-unknown", "deadline.days"),
]

FIELD = [
    ("[fields.remarks]", "[fields.Remarks]", "catalog-field-name", "fields.Remarks"),
    ("[fields.remarks]", '[fields."@row"]', "catalog-field-name", "fields.@row"),
    ("[fields.remarks]\n", "[fields.remarks]\ncolour = 1\n", "catalog-key-unknown", "fields.remarks.colour"),
    ('type = "text"\nmax_length = 512', "max_length = 512", "catalog-key-missing", "fields.remarks.type"),
    ('type = "text"\nmax_length = 512', 'type = "string"', "catalog-choice-unknown", "fields.remarks.type"),
    ("max_length = 512", 'max_length = "512"', "catalog-type-wrong", "fields.remarks.max_length"),
    ("max_length = 512", "max_length = 0", "catalog-number-too-small", "fields.remarks.max_length"),
    ("max_length = 512", "required = 1", "catalog-type-wrong", "fields.remarks.required"),
    ("max_length = 512", "scale = 2", "catalog-key-not-for-type", "fields.remarks.scale"),
    ("max_length = 512", 'separator = ";"', "catalog-key-needs", "fields.remarks.separator"),
    ("max_length = 512", 'open_prefix = "其他-"', "catalog-key-needs", "fields.remarks.open_prefix"),
    ("max_length = 512", 'identifier = "passport"', "catalog-choice-unknown", "fields.remarks.identifier"),
    ("max_length = 512", 'codelist = "colours"', "catalog-codelist-unknown", "fields.remarks.codelist"),
    (
        "max_length = 512",
        "identifier_when = { subject_name.filled = true }",
        "catalog-key-needs",
        "fields.remarks.identifier_when",
    ),
    (
        "max_length = 512",
        "placeholder_when = { subject_name.filled = true }",
        "catalog-key-needs",
        "fields.remarks.placeholder_when",
    ),
    (
        "max_length = 512",
        "required = true\nrequired_when = [{ subject_name.filled = true }]",
        "catalog-required-twice",
        "fields.remarks.required_when",
    ),
    (
        "max_length = 512",
        "required = true\nempty_when = [{ subject_name.empty = true }]",
        "catalog-required-and-empty",
        "fields.remarks.empty_when",
    ),
    (
        'disclosure = "government"\nnote',
        'disclosure = "secret"\nnote',
        "catalog-choice-unknown",
        "fields.remarks.disclosure",
    ),
    ('disclosure = "government"\nnote', "note", "catalog-key-missing", "fields.remarks.disclosure"),
    ("max_length = 16", "max_length = 3", "catalog-code-too-long", "fields.subject_kind.max_length"),
]

WHEN = "fields.remarks.required_when[1]"
CONDITION = [
    ("required_when = [{ subjekt.filled = true }]", "catalog-field-unknown", f"{WHEN}.subjekt"),
    ('required_when = [{ subject_kind.is = "自然人" }]', "catalog-type-wrong", f"{WHEN}.subject_kind.is"),
    ('required_when = [{ subject_kind.is = ["法人"] }]', "catalog-code-unknown", f"{WHEN}.subject_kind.is[1]"),
    ('required_when = [{ license_kind.has = ["特批"] }]', "catalog-code-unknown", f"{WHEN}.license_kind.has[1]"),
    ("required_when = [{ subject_kind.is = [] }]", "catalog-value-empty", f"{WHEN}.subject_kind.is"),
    ('required_when = [{ subject_kind.isnt = ["自然人"] }]', "catalog-key-unknown", f"{WHEN}.subject_kind.isnt"),
    ("required_when = [{ subject_kind = {} }]", "catalog-condition-tests", f"{WHEN}.subject_kind"),
    (
        "required_when = [{ subject_kind.filled = true, subject_kind.empty = true }]",
        "catalog-condition-tests",
        f"{WHEN}.subject_kind",
    ),
    ("required_when = [{ subject_kind.filled = false }]", "catalog-condition-tests", f"{WHEN}.subject_kind"),
    ("required_when = [{ subject_kind.filled = 1 }]", "catalog-type-wrong", f"{WHEN}.subject_kind.filled"),
    ('required_when = [{ decided_on.is = ["2020-01-01"] }]', "catalog-condition-type", f"{WHEN}.decided_on.is"),
    ("required_when = []", "catalog-value-empty", "fields.remarks.required_when"),
    ("required_when = [{}]", "catalog-value-empty", WHEN),
    ("required_when = { subject_kind.filled = true }", "catalog-type-wrong", "fields.remarks.required_when"),
    (
        'placeholder = "无"\nplaceholder_when = [{ subject_kind.filled = true }]',
        "catalog-type-wrong",
        "fields.remarks.placeholder_when",
    ),
]

RULE = [
    ('kind = "differs"', 'kind = "same"', "catalog-choice-unknown", "rules.name-is-not-number.kind"),
    ('weight = "notice"', 'weight = "warn"', "catalog-choice-unknown", "rules.name-is-not-number.weight"),
    ('weight = "notice"\n', "", "catalog-key-missing", "rules.name-is-not-number.weight"),
    (
        'weight = "notice"\n',
        'weight = "notice"\nstrict = true\n',
        "catalog-key-unknown",
        "rules.name-is-not-number.strict",
    ),
    (
        'weight = "notice"\n',
        'weight = "notice"\nlimit = "latest"\n',
        "catalog-key-not-for-rule",
        "rules.name-is-not-number.limit",
    ),
    (
        '["document_name", "document_number"]',
        '["document_name", "number"]',
        "catalog-field-unknown",
        "rules.name-is-not-number.fields[2]",
    ),
    (
        '["document_name", "document_number"]',
        '["document_name", "decided_on"]',
        "catalog-field-type",
        "rules.name-is-not-number.fields[2]",
    ),
    (
        '["document_name", "document_number"]',
        '["document_name"]',
        "catalog-value-empty",
        "rules.name-is-not-number.fields",
    ),
    (
        '["document_name", "document_number"]',
        '["document_name", "document_number", "content"]',
        "catalog-rule-fields",
        "rules.name-is-not-number.fields",
    ),
    (
        '["decided_on", "valid_from", "valid_to"]',
        '["decided_on", "valid_to", "valid_to"]',
        "catalog-field-repeated",
        "rules.dates-in-order.fields[3]",
    ),
    (
        '["decided_on", "valid_from", "valid_to"]',
        '["decided_on", "status"]',
        "catalog-field-type",
        "rules.dates-in-order.fields[2]",
    ),
    ("[rules.name-is-not-number]", "[rules.dates-in-order]", "catalog-table-twice", "rules.dates-in-order"),
]


@pytest.mark.parametrize(("old", "new", "code", "key"), HEAD + FIELD + RULE)
def test_a_mistake_in_a_catalog(folder: Path, old: str, new: str, code: str, key: str) -> None:
    replace(folder, LICENSE, old, new)
    found = findings_of(folder)
    assert (code, LICENSE, key) in found
    # Renaming a key leaves the right one missing; nothing else may be reported.
    assert {(other, file) for other, file, _ in found} <= {(code, LICENSE), ("catalog-key-missing", LICENSE)}


@pytest.mark.parametrize(("text", "code", "key"), CONDITION)
def test_a_mistake_in_a_condition(folder: Path, text: str, code: str, key: str) -> None:
    replace(folder, LICENSE, "max_length = 512", text)
    assert findings_of(folder) == [(code, LICENSE, key)]


@pytest.mark.parametrize(
    ("old", "new", "code", "key"),
    [
        ("precision = 18\n", "", "catalog-key-missing", "fields.fine_amount.precision"),
        ("scale = 6\n", "", "catalog-key-missing", "fields.fine_amount.scale"),
        ("precision = 18\n", "precision = 39\n", "catalog-number-too-large", "fields.fine_amount.precision"),
        ("scale = 6\n", "scale = 19\n", "catalog-scale-too-large", "fields.fine_amount.scale"),
        ("scale = 6\n", "scale = 6\nmax_length = 9\n", "catalog-key-not-for-type", "fields.fine_amount.max_length"),
        ('separator = ";"', 'separator = "、"', "catalog-code-separator", "fields.penalty_kinds.separator"),
        (
            'penalty_kinds.has = ["罚款"]',
            'penalty_kinds.is = ["罚款"]',
            "catalog-condition-multiple",
            "fields.fine_amount.required_when[1].penalty_kinds.is",
        ),
        ('limit = "latest"', 'limit = "longest"', "catalog-choice-unknown", "rules.not-published-too-long.limit"),
        (
            '["publicity_until", "valid_to"]',
            '["publicity_until", "remarks"]',
            "catalog-field-type",
            "rules.published-while-valid.fields[2]",
        ),
    ],
)
def test_a_mistake_in_the_penalty_catalog(folder: Path, old: str, new: str, code: str, key: str) -> None:
    replace(folder, PENALTY, old, new)
    assert set(findings_of(folder)) == {(code, PENALTY, key)}


def test_a_duplicate_field_is_named_with_both_lines(folder: Path) -> None:
    replace(folder, LICENSE, "[fields.remarks]", "[fields.content]")
    with pytest.raises(Findings) as caught:
        load_catalogs(folder)
    (finding,) = caught.value.findings
    lines = (folder / LICENSE).read_text("utf-8").splitlines()
    places = [number for number, line in enumerate(lines, start=1) if line == "[fields.content]"]
    assert (finding.code, finding.key) == ("catalog-table-twice", "fields.content")
    assert [finding.facts["first"], finding.facts["second"]] == places


def test_a_key_written_twice_is_a_mistake_of_its_line(folder: Path) -> None:
    replace(folder, LICENSE, "max_length = 512\n", "max_length = 512\nmax_length = 511\n")
    lines = (folder / LICENSE).read_text("utf-8").splitlines()
    assert findings_of(folder) == [("catalog-toml-invalid", LICENSE, f"line {lines.index('max_length = 511') + 1}")]


def test_a_misspelt_key_is_answered_with_the_closest(folder: Path) -> None:
    replace(folder, LICENSE, "max_length = 512", "max_lenght = 512")
    with pytest.raises(Findings) as caught:
        load_catalogs(folder)
    (finding,) = caught.value.findings
    assert "max_length" in finding.say("zh-CN")


def test_a_misspelt_test_is_answered_with_the_tests_there_are(folder: Path) -> None:
    replace(folder, LICENSE, "max_length = 512", 'required_when = [{ subject_kind.iss = ["自然人"] }]')
    with pytest.raises(Findings) as caught:
        load_catalogs(folder)
    (finding,) = caught.value.findings
    assert finding.facts["known"] == "is, has, filled, empty"


def test_fields_that_are_no_table(folder: Path) -> None:
    (folder / LICENSE).write_text('fields = "all"\nrules = 1\n', "utf-8")
    found = findings_of(folder)
    assert ("catalog-type-wrong", LICENSE, "fields") in found
    assert ("catalog-type-wrong", LICENSE, "rules") in found
    assert ("catalog-key-missing", LICENSE, "id") in found


def test_a_field_and_a_rule_that_are_no_table(folder: Path) -> None:
    replace(folder, LICENSE, "[fields.remarks]", '[fields]\nextra = 1\n[rules]\nmore = "x"\n[fields.remarks]')
    assert findings_of(folder) == [
        ("catalog-type-wrong", LICENSE, "fields.extra"),
        ("catalog-type-wrong", LICENSE, "rules.more"),
    ]


def test_a_catalog_in_another_encoding(folder: Path) -> None:
    text = (folder / LICENSE).read_text("utf-8")
    (folder / LICENSE).write_bytes(text.encode("gb18030"))
    assert findings_of(folder) == [("catalog-encoding", LICENSE, "line 1")]


def test_a_byte_order_mark_and_windows_line_ends_are_no_mistake(folder: Path) -> None:
    for path in (LICENSE, KINDS, "codelists/crosswalks/id-kinds.csv", "codelists/publicity-regimes.toml"):
        text = (folder / path).read_text("utf-8")
        (folder / path).write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert load_catalogs(folder).catalogs == load_catalogs(SHIPPED).catalogs


def test_all_mistakes_of_all_files_come_at_once(folder: Path) -> None:
    replace(folder, LICENSE, "max_length = 512", "max_lenght = 512")
    replace(folder, LICENSE, "working_days = 7", "working_days = 0")
    replace(folder, LICENSE, 'kind = "differs"', 'kind = "same"')
    replace(folder, PENALTY, 'unit = "source_unit_code"', 'unit = "unit"')
    replace(folder, KINDS, "2021-07-15", "2021-07-32")
    replace(folder, "codelists/crosswalks/id-kinds.csv", "01,身份证", "01,身份")
    replace(folder, "codelists/working-days.csv", "date,working,note", "day,working,note")
    replace(folder, "codelists/publicity-regimes.toml", "min_months = 3", "min_months = 13")
    assert {(code, file) for code, file, _ in findings_of(folder)} == {
        ("catalog-key-unknown", LICENSE),
        ("catalog-number-too-small", LICENSE),
        ("catalog-choice-unknown", LICENSE),
        ("catalog-field-unknown", PENALTY),
        ("catalog-date-invalid", KINDS),
        ("catalog-csv-heading", "codelists/working-days.csv"),
        ("regime-period-reversed", "codelists/publicity-regimes.toml"),
    }
    # The crosswalk's target is judged when every catalog can be read: a field may allow open values.
    shutil.copytree(SHIPPED / "catalogs", folder / "catalogs", dirs_exist_ok=True)
    assert ("crosswalk-target-unknown", "codelists/crosswalks/id-kinds.csv", "row 2") in findings_of(folder)


def test_a_mistake_does_not_depend_on_the_others_files(folder: Path) -> None:
    (folder / "codelists/id-kinds.csv").unlink()
    found = findings_of(folder)
    assert {code for code, _, _ in found} == {"catalog-codelist-unknown"}
    catalogs = [(folder / path).read_text("utf-8") for path in (LICENSE, PENALTY)]
    assert [text.count('codelist = "id-kinds"') for text in catalogs] == [2, 2]
    everywhere = (path.read_text("utf-8") for path in (folder / "catalogs").glob("*.toml"))
    assert len(found) == sum(text.count('codelist = "id-kinds"') for text in everywhere)


def test_without_subject_kinds_nothing_is_said_of_subjects(folder: Path) -> None:
    (folder / "codelists/subject-kinds.csv").unlink()
    assert ("catalog-codelist-unknown", LICENSE, "subject_kinds") in findings_of(folder)


@pytest.mark.parametrize("path", ["codelists/working-days.csv", "codelists/publicity-regimes.toml"])
def test_a_missing_file(folder: Path, path: str) -> None:
    (folder / path).unlink()
    assert findings_of(folder) == [("catalog-file-missing", path, "")]


def test_a_file_that_cannot_be_read(folder: Path) -> None:
    path = folder / "codelists/publicity-regimes.toml"
    path.unlink()
    path.mkdir()
    assert findings_of(folder) == [("catalog-file-unreadable", "codelists/publicity-regimes.toml", "")]


def test_missing_and_empty_folders(folder: Path) -> None:
    shutil.rmtree(folder / "catalogs")
    assert findings_of(folder) == [("catalog-folder-missing", "catalogs", "")]
    (folder / "catalogs").mkdir()
    (folder / "catalogs" / "administrative-license.txt").touch()
    assert findings_of(folder) == [("catalog-folder-empty", "catalogs", "")]


def test_crosswalks_are_not_obliged_to_exist(folder: Path) -> None:
    shutil.rmtree(folder / "codelists/crosswalks")
    assert dict(load_catalogs(folder).crosswalks) == {}


def test_a_crosswalk_may_lead_to_open_and_joined_values_that_a_field_allows(folder: Path) -> None:
    with (folder / "codelists/crosswalks/license-kinds.csv").open("a", encoding="utf-8") as file:
        file.write("06,其他-备案,\n")
    with (folder / "codelists/crosswalks/penalty-kinds.csv").open("a", encoding="utf-8") as file:
        file.write("12,警告;罚款,\n")
    assert load_catalogs(folder).crosswalks["license-kinds"]["06"] == "其他-备案"
    with (folder / "codelists/crosswalks/license-status.csv").open("a", encoding="utf-8") as file:
        file.write("3,其他-3,\n")
    assert [code for code, _, _ in findings_of(folder)] == ["crosswalk-target-unknown"]


def test_a_crosswalk_of_another_name_leads_anywhere(folder: Path) -> None:
    (folder / "codelists/crosswalks/our-words.csv").write_text("from,to,note\n甲,乙,\n", "utf-8")
    assert load_catalogs(folder).crosswalks["our-words"] == {"甲": "乙"}


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        (LICENSE, {"administrative-license"}),
        (KINDS, {"administrative-penalty"}),
        ("codelists/id-kinds.csv", {"administrative-license", "administrative-penalty"}),
        ("codelists/publicity-regimes.toml", {"administrative-penalty"}),
        ("codelists/working-days.csv", set[str]()),
        ("codelists/crosswalks/id-kinds.csv", set[str]()),
    ],
)
def test_a_digest_follows_what_decides_a_record(folder: Path, path: str, changed: set[str]) -> None:
    before = load_catalogs(folder)
    with (folder / path).open("a", encoding="utf-8") as file:
        file.write("\n")
    after = load_catalogs(folder)
    both = {"administrative-license", "administrative-penalty"}
    assert {name for name in both if before.digest(name) != after.digest(name)} == changed
    assert before.files[path] != after.files[path]


def test_what_is_loaded_cannot_be_changed(folder: Path) -> None:
    library = load_catalogs(folder)
    for table in (library.catalogs, library.codelists, library.crosswalks, library.files):
        assert not hasattr(table, "__setitem__")
