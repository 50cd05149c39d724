"""Check digits of the identifiers that records carry.

Standards: GB 32100-2015 (统一社会信用代码), GB 11714-1997 (组织机构代码), GB 11643-1999 (公民身份号码), GS15-2006
(工商注册号, ISO 7064 MOD 11,10). Every predicate is strict about form: half-width, upper case, no blanks or hyphens;
tidying belongs to mappings. python-stdnum's own ``cn.uscc`` refuses the lettered departments A, N and Y, and its
``cn.ric`` the residence permits 81, 82 and 83 and every county that its list lacks, so those two schemes stand here;
the weights are exported for column expressions.
"""

from __future__ import annotations

from datetime import date
from typing import assert_never

from stdnum.iso7064 import mod_11_10

from gateway.catalog.model import Identifier

__all__ = [
    "ORGANISATION_ALPHABET",
    "ORGANISATION_CHECKS",
    "ORGANISATION_WEIGHTS",
    "PLACEHOLDER",
    "RESIDENT_CENTURIES",
    "RESIDENT_CHECKS",
    "RESIDENT_PROVINCES",
    "RESIDENT_WEIGHTS",
    "USCC_ALPHABET",
    "USCC_WEIGHTS",
    "is_identifier",
    "is_organisation_code",
    "is_registration_number",
    "is_resident_id",
    "is_uscc",
    "organisation_check_character",
    "registration_check_digit",
    "resident_check_character",
    "uscc_check_character",
]

PLACEHOLDER = "00000000000000000X"
"""Seventeen zeros and X: written for a sole trader without a code. It fails the GB 32100 check."""

USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""A character's value is its place. I, O, S, V and Z are left out."""

USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
"""3^(i-1) mod 31 for the first seventeen characters; the check character is ``alphabet[-sum % 31]``."""

ORGANISATION_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""A character's value is its place."""

ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
ORGANISATION_CHECKS = "0X987654321"
"""The check character, by the weighted sum mod 11."""

RESIDENT_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
RESIDENT_CHECKS = "10X98765432"
"""The check character, by the weighted sum mod 11."""

RESIDENT_CENTURIES = ("18", "19", "20")
"""First two digits of a year of birth; an older one is a slip of the pen."""

# fmt: off
RESIDENT_PROVINCES = (
    "11", "12", "13", "14", "15",
    "21", "22", "23",
    "31", "32", "33", "34", "35", "36", "37",
    "41", "42", "43", "44", "45", "46",
    "50", "51", "52", "53", "54",
    "61", "62", "63", "64", "65",
    "71",
    "81", "82", "83",
)
# fmt: on
"""First two digits: GB/T 2260 provinces, and 81/82/83 on residence permits of Hong Kong, Macao and Taiwan residents.

Counties are not checked: they were renumbered all through the decades in which living people received their numbers.
"""


def _digits(text: str) -> bool:
    """ASCII digits only; ``str.isdigit`` alone takes full-width and Indic ones."""
    return text.isascii() and text.isdigit()


def _weighted(text: str, alphabet: str, weights: tuple[int, ...]) -> int:
    """The weighted sum. Raises ValueError for a wrong length or a character outside ``alphabet``."""
    return sum(alphabet.index(character) * weight for character, weight in zip(text, weights, strict=True))


def uscc_check_character(first17: str) -> str:
    """The last character of a 统一社会信用代码. Raises ValueError unless given 17 characters of its alphabet."""
    return USCC_ALPHABET[-_weighted(first17, USCC_ALPHABET, USCC_WEIGHTS) % 31]


def organisation_check_character(first8: str) -> str:
    """The last character of a 组织机构代码. Raises ValueError unless given 8 digits or capitals."""
    return ORGANISATION_CHECKS[_weighted(first8, ORGANISATION_ALPHABET, ORGANISATION_WEIGHTS) % 11]


def resident_check_character(first17: str) -> str:
    """The last character of a 公民身份号码. Raises ValueError unless given 17 digits."""
    return RESIDENT_CHECKS[_weighted(first17, "0123456789", RESIDENT_WEIGHTS) % 11]


def registration_check_digit(first14: str) -> str:
    """The last digit of a 工商注册号. Raises ValueError unless given 14 digits."""
    if len(first14) != 14 or not _digits(first14):
        raise ValueError("14 digits expected")
    return mod_11_10.calc_check_digit(first14)


def is_uscc(text: str) -> bool:
    """Whether ``text`` is a 统一社会信用代码: 18 characters of its alphabet, the last one right.

    The region (places 3 to 8) is digits; department and category (places 1 and 2) are not compared with the standard's
    table, which amendments widen.
    """
    if len(text) != 18 or not _digits(text[2:8]) or any(character not in USCC_ALPHABET for character in text):
        return False
    return text[17] == uscc_check_character(text[:17])


def is_organisation_code(text: str) -> bool:
    """Whether ``text`` is a 组织机构代码 of nine characters, without a hyphen, its check character right."""
    if len(text) != 9 or any(character not in ORGANISATION_ALPHABET for character in text):
        return False
    return text[8] == organisation_check_character(text[:8])


def is_resident_id(text: str) -> bool:
    """Whether ``text`` is a 公民身份号码: a province, a birth date that exists, the right eighteenth character.

    The fifteen-digit numbers of before 1999 lost their force in 2013 and are refused.
    """
    if len(text) != 18 or not _digits(text[:17]):
        return False
    if not text.startswith(RESIDENT_PROVINCES) or not text[6:].startswith(RESIDENT_CENTURIES):
        return False
    try:
        date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    return text[17] == resident_check_character(text[:17])


def is_registration_number(text: str) -> bool:
    """Whether ``text`` is a 工商注册号 of 15 digits, its check digit right."""
    return len(text) == 15 and _digits(text) and text[14] == registration_check_digit(text[:14])


def is_identifier(kind: Identifier, text: str) -> bool:
    """Whether ``text`` satisfies the rule ``kind``."""
    match kind:
        case Identifier.USCC:
            return is_uscc(text)
        case Identifier.ORGANISATION:
            return is_organisation_code(text)
        case Identifier.RESIDENT:
            return is_resident_id(text)
        case Identifier.REGISTRATION:
            return is_registration_number(text)
        case _:
            assert_never(kind)
