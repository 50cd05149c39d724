"""Columns found whatever brackets, blanks and capitals they are written with, and never guessed."""

from __future__ import annotations

import pytest

from gateway.errors import MappingError
from gateway.mapping.headings import find_columns, heading_key


def test_writings_of_one_heading() -> None:
    same = [
        "代码_1 (统一社会信用代码)",
        "代码_1(统一社会信用代码)",
        "代码_1（统一社会信用代码）",
        "代码_1　（统一社会信用代码）\n",
    ]
    assert len({heading_key(heading) for heading in same}) == 1
    assert heading_key("XK_YXQZ") != heading_key("XK_YXQZI")


def test_the_same_name_comes_first() -> None:
    assert find_columns(["A", "b"], ["a", "A", "B"], "m") == {"A": "A", "b": "B"}


def test_every_missing_column_is_named() -> None:
    with pytest.raises(MappingError) as caught:
        find_columns(["A", "B", "C"], ["B", "@row"], "permits-local")
    assert caught.value.code == "column-missing"
    assert caught.value.facts["columns"] == ["A", "C"]
    assert "permits-local" in caught.value.say()
    assert "A、C" in caught.value.say()


def test_two_columns_that_could_be_meant_are_not_chosen_between() -> None:
    with pytest.raises(MappingError) as caught:
        find_columns(["许可 编号"], ["许可编号", "许可编 号"], "m")
    assert caught.value.code == "column-ambiguous"
