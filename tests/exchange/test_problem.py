"""Problems on the wire: ours follow the table, theirs are read with suspicion."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange.problem import PROBLEM_TYPE, STATUSES, Problem, ReportedProblem, read_problem, say_problem
from gateway.texts import LANGUAGES

PROTOCOL = {
    400: {"package-malformed"},
    401: {"caller-unknown"},
    403: {"route-forbidden"},
    404: {"unknown-batch"},
    409: {"batch-id-conflict", "sequence-gap"},
    413: {"package-too-large"},
    422: {"signature-invalid", "schema-invalid", "wrong-receiver", "figures-wrong"},
}


def test_the_codes_of_the_protocol_keep_their_status() -> None:
    for status, codes in PROTOCOL.items():
        assert {STATUSES[code] for code in codes} == {status}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_has_a_sentence(language: str) -> None:
    assert not [code for code in STATUSES if say_problem(code, language) == code]
    assert say_problem("a-code-of-their-own", language) == "a-code-of-their-own"


@pytest.mark.parametrize("code", sorted(STATUSES))
def test_a_problem_comes_back_as_it_was_sent(code: str) -> None:
    problem = Problem(code=code, detail="第 3 批", expected=4)
    document = json.loads(problem.to_json())
    assert set(document) == {"type", "title", "status", "code", "detail", "expected"}
    assert document["status"] == STATUSES[code]
    assert read_problem(PROBLEM_TYPE, problem.to_json()) == ReportedProblem(code=code, detail="第 3 批", expected=4)


def test_a_code_outside_the_table_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no-such"):
        Problem(code="no-such")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"code"',
        b"{}",
        b'{"code": 1}',
        b'{"code": ""}',
        b'{"code": "Not Kebab"}',
        b'{"code": "x\\n"}',
        b'{"code": "' + b"a" * 65 + b'"}',
        b"[" * 60_000,
        b'{"code": "fine", "detail": "' + b"x" * 70_000 + b'"}',
        b"\xff\xfe",
    ],
)
def test_what_is_no_problem(body: bytes) -> None:
    assert read_problem(PROBLEM_TYPE, body) is None


def test_another_media_type_is_no_problem() -> None:
    assert read_problem("application/json", b'{"code": "fine"}') is None


def test_a_detail_becomes_one_harmless_line() -> None:
    detail = "a\r\n\x1b[2Jb\u202ec\ud800" + "x" * 1000
    reported = read_problem(PROBLEM_TYPE, json.dumps({"code": "fine", "detail": detail}).encode())
    assert reported is not None
    assert reported.detail.isprintable()
    assert len(reported.detail) <= 500


@given(st.binary(max_size=200))
def test_reading_never_raises(body: bytes) -> None:
    read_problem(PROBLEM_TYPE, body)
