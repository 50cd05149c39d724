"""Columns found by their headings, whatever brackets, blanks or capitals a file or driver writes them with."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from gateway.errors import MappingError
from gateway.mapping.rules_text import WHITE_SPACE

__all__ = ["find_columns", "heading_key"]


def heading_key(heading: str) -> str:
    """What two writings of one heading have in common: NFKC, no blanks, no capitals.

    ``代码_1 (统一社会信用代码)`` and ``代码_1（统一社会信用代码）`` are one heading, as are ``XK_WSH`` and ``xk_wsh``.
    """
    plain = unicodedata.normalize("NFKC", heading)
    return "".join(character for character in plain if character not in WHITE_SPACE).casefold()


def find_columns(wanted: Sequence[str], present: Iterable[str], mapping_id: str) -> Mapping[str, str]:
    """The present column for each wanted one: the same name, or else the only one with the same key.

    Raises MappingError ``column-missing`` with every column that is not there, ``column-ambiguous`` when two columns could be meant.
    """
    names = list(present)
    by_key: dict[str, list[str]] = {}
    for name in names:
        by_key.setdefault(heading_key(name), []).append(name)
    found: dict[str, str] = {}
    missing: list[str] = []
    for column in wanted:
        alike = by_key.get(heading_key(column), [])
        if column in names:
            found[column] = column
        elif len(alike) == 1:
            found[column] = alike[0]
        elif alike:
            raise MappingError("column-ambiguous", column=column, candidates="、".join(alike), mapping=mapping_id)
        else:
            missing.append(column)
    if missing:
        raise MappingError("column-missing", columns=missing, names="、".join(missing), mapping=mapping_id)
    return found
