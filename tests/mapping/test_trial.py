"""One row's story tells every step and no personal value."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.mapping.plan import RecordPlan
from gateway.mapping.trial import StepStory, try_row
from tests.mapping.record_samples import PERSON, catalog, library, licenses, local, mappings, penalties, plan

NAME = "双鸭山智慧城市运营有限公司"


def test_the_story_of_a_good_row() -> None:
    story = try_row(plan("credit-2018-penalties"), penalties({"CF_JDRQ": " 2023年6月1日 ", "CF_NR_FK": "0.20"}))
    assert story.good
    assert (story.row, story.key, story.problems) == ("第 1 行", "黑森交罚〔2023〕1号", ())
    fields = {field.field: field for field in story.fields}
    kind = fields["subject_kind"]
    assert (kind.source, kind.local, kind.value) == ("CF_XDR_LB", "8 chars, CJK", "法人及非法人组织")
    assert kind.steps == (
        StepStory(rule="trim", value="法人及非法人组织"),
        StepStory(rule="lookup", value="法人及非法人组织"),
    )
    assert fields["decided_on"].value == "2023-06-01"
    assert fields["fine_amount"].value == "0.2"
    assert fields["confiscated_amount"].value == ""
    assert fields["confiscated_amount"].local == "empty"


def test_the_story_of_a_bad_row() -> None:
    story = try_row(plan("credit-2018-permits"), licenses({"XK_JDRQ": "去年", "XK_XDR_LB": "自然人"}))
    assert not story.good
    assert story.key == "黑森交许〔2019〕1号"
    fields = {field.field: field for field in story.fields}
    assert [problem["code"] for problem in fields["decided_on"].problems] == ["date-invalid"]
    assert fields["decided_on"].value == ""
    assert [problem["code"] for problem in fields["subject_code"].problems] == ["must-be-empty"]
    assert [problem["code"] for problem in fields["person_id"].problems] == ["required-missing"]


def test_personal_values_are_told_by_their_class() -> None:
    frame = licenses({"XK_FR_ZJLX": "身份证", "XK_FR_ZJHM": PERSON.lower(), "XK_FRDB": "欧阳某"})
    story = try_row(plan("credit-2018-permits"), frame)
    assert story.good
    for secret in (PERSON, PERSON.lower(), "欧阳某", NAME):
        assert secret not in str(story)
    fields = {field.field: field for field in story.fields}
    assert fields["legal_representative_id"].masked
    assert fields["legal_representative_id"].value == "18 chars, digits and letters"
    assert not fields["legal_representative_id_kind"].masked


def test_a_column_shared_with_a_personal_field_is_masked_everywhere() -> None:
    row = {"行政相对人名称": "某公司", "法定代表人身份证号": PERSON}
    story = try_row(plan("split-2018-permits-legal"), local("split-2018-permits-legal", row))
    assert PERSON not in str(story)
    fields = {field.field: field for field in story.fields}
    assert fields["legal_representative_id_kind"].masked


def test_what_a_mapping_fills_in_is_told() -> None:
    story = try_row(plan("permits-local"), local("permits-local", {"VALID_TO": None}))
    fields = {field.field: field for field in story.fields}
    assert (fields["valid_to"].local, fields["valid_to"].value) == ("empty", "2099-12-31")
    assert fields["valid_to"].steps == (StepStory(rule="date", value=""),)
    refused = try_row(plan("permits-local"), local("permits-local", {"VALID_TO": "长期"}))
    assert {field.field: field for field in refused.fields}["valid_to"].value == ""
    person = try_row(plan("split-2018-permits-person"), local("split-2018-permits-person", {}))
    constant = {field.field: field for field in person.fields}["subject_kind"]
    assert (constant.source, constant.value) == ("", "自然人")


def test_problems_of_fields_without_a_mapping_stand_apart() -> None:
    full = mappings()["credit-2018-permits"]
    partial = replace(full, fields=tuple(item for item in full.fields if item.field != "legal_representative"))
    story = try_row(RecordPlan(partial, catalog("administrative-license"), library()), licenses({}))
    assert "legal_representative" not in {field.field for field in story.fields}
    assert [(problem["field"], problem["code"]) for problem in story.problems] == [
        ("legal_representative", "required-missing")
    ]


def test_one_row_at_a_time() -> None:
    with pytest.raises(ValueError, match="one row"):
        try_row(plan("credit-2018-permits"), licenses({}, {}))
