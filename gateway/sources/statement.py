"""The operator's query, checked to be one SELECT before any database sees it.

A reader of SQL's tokens, not of its grammar: it knows where texts, quoted names and comments begin and end. It is the first of three
bars; the second is that the query runs as a derived table, where nothing but a SELECT parses, the third is the engine's read-only
transaction.
"""

from __future__ import annotations

import re

from gateway.errors import SourceError

__all__ = ["for_text_clause", "single_select"]

COMMON = r"""
      (?P<space>\s+ | --[^\n]* | /\*.*?\*/)
    | (?P<quoted> {texts} | `(?:[^`]|``)*` | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    | (?P<word>\w+)
    | (?P<sign>[^'"`])
"""
# A text that never ends matches nothing and is refused. E'…' is PostgreSQL's text with backslashes.
STANDARD = re.compile(
    COMMON.format(texts=r"""[eE]'(?:[^'\\]|''|\\.)*' | '(?:[^']|'')*' | "(?:[^"]|"")*" """), re.VERBOSE | re.DOTALL
)
BACKSLASHED = re.compile(
    COMMON.format(texts=r"""'(?:[^'\\]|''|\\.)*' | "(?:[^"\\]|""|\\.)*" """), re.VERBOSE | re.DOTALL
)


def single_select(query: str, *, source: str, backslashes: bool = False) -> str:
    """The query without its closing semicolon. ``backslashes`` when the engine reads ``\\'`` as a quote in a text (MariaDB, MySQL).

    Raises SourceError unless it is one SELECT (or WITH … SELECT) whose texts, names and brackets are closed.
    """
    tokens = BACKSLASHED if backslashes else STANDARD
    place = depth = 0
    first = ""
    end: int | None = None
    while place < len(query):
        token = tokens.match(query, place)
        if token is None:
            raise SourceError("query-not-closed", source=source)
        kind, text = token.lastgroup, token.group()
        if kind != "space" and end is not None:
            raise SourceError("query-not-one", source=source)
        if kind == "word" and not first:
            first = text.upper()
        if text == ";":
            end = place
        elif text in {"(", ")"}:
            depth += 1 if text == "(" else -1
            if depth < 0:
                raise SourceError("query-not-closed", source=source)
        place = token.end()
    if first not in {"SELECT", "WITH"}:
        raise SourceError("query-not-select", source=source)
    if depth:
        raise SourceError("query-not-closed", source=source)
    return query[:end]


def for_text_clause(query: str) -> str:
    """The query for ``sqlalchemy.text``, which would take ``:name`` for a parameter even inside a text.

    The line end closes a comment on the last line, which would otherwise swallow the bracket that follows.
    """
    return query.replace(":", r"\:") + "\n"
