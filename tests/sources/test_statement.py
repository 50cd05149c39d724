"""One SELECT, seen by its tokens: what hides in texts and comments is neither an end nor a bracket."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from gateway.errors import SourceError
from gateway.sources.statement import for_text_clause, single_select
from tests.sources.conftest import code_of


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        "  select 1 ; ",
        "SELECT 1;-- the end; of it",
        "SELECT 1 /* ; ( */ FROM t",
        "(SELECT 1) UNION (SELECT 2)",
        "-- heading; with ( signs\nWITH a AS (SELECT 1) SELECT * FROM a",
        "SELECT 'it''s ; (' FROM t",
        'SELECT "a;(""b" FROM t',
        "SELECT `a;(``b` FROM t",
        "SELECT $$ ; ( $$ FROM t",
        "SELECT $q$ ; $$ ( $q$ FROM t",
        "SELECT E'it\\'s ; (' FROM t",
        "SELECT 'C:\\' FROM t",
        "SELECT data #>> '{a}' FROM t",
    ],
)
def test_one_select_passes_without_its_semicolon(query: str) -> None:
    assert single_select(query, source="permits") == query.removesuffix("-- the end; of it").rstrip().removesuffix(";")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELECT 1; SELECT 2", "query-not-one"),
        ("SELECT 1;;", "query-not-one"),
        ("SELECT 'a'; DROP TABLE t; --'", "query-not-one"),
        ("SELECT 1 /* a /* b */ ; */", "query-not-one"),
        ("SELECT 'a", "query-not-closed"),
        ('SELECT "a', "query-not-closed"),
        ("SELECT `a", "query-not-closed"),
        ("SELECT (1", "query-not-closed"),
        ("SELECT 1)", "query-not-closed"),
        ("SELECT ) 1 (", "query-not-closed"),
        ("", "query-not-select"),
        ("-- SELECT 1", "query-not-select"),
        ("UPDATE t SET a = 1", "query-not-select"),
        ("EXPLAIN SELECT 1", "query-not-select"),
        ("SELECTED 1", "query-not-select"),
    ],
)
def test_anything_else_is_refused(query: str, code: str) -> None:
    with pytest.raises(SourceError) as error:
        single_select(query, source="permits")
    assert code_of(error) == code


def test_a_backslash_quotes_in_the_engines_that_say_so() -> None:
    for query in (r"SELECT 'it\'s; fine'", r'SELECT "a\"; b"'):
        assert single_select(query, source="permits", backslashes=True) == query
    for query in (r"SELECT 'it\'s; fine'", r"SELECT 'C:\'; DROP TABLE t"):
        with pytest.raises(SourceError):
            single_select(query, source="permits")


@pytest.mark.parametrize("query", ["SELECT ':a', b::date, '\\:c' -- :d", "SELECT a[1:2], '::', ':' FROM t"])
def test_colons_are_no_parameters(query: str) -> None:
    clause = sa.text(for_text_clause(query))
    assert str(clause) == query + "\n"
    assert clause.compile().params == {}
