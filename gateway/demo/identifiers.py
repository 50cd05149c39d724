"""Identifiers that satisfy their standards and belong to nobody.

They carry region 2399xx: GB/T 2260 has no prefecture 99 in Heilongjiang, so that no person, company or body holds such a number.
"""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

from gateway.catalog.identifiers import (
    USCC_ALPHABET,
    organisation_check_character,
    registration_check_digit,
    resident_check_character,
    uscc_check_character,
)

__all__ = ["organisation_code", "registration_number", "resident_id", "uscc"]

_FIRST_BIRTH = date(1958, 1, 1)
_BIRTHS = (date(2003, 12, 31) - _FIRST_BIRTH).days
# GS15-2006: the first digit of the sequence tells the kind of business.
_DOMESTIC, _SOLE_TRADER = "0123", "6789"


def organisation_code(random: Random) -> str:
    """A 组织机构代码 (GB 11714) in the series MA, which is given together with a 统一社会信用代码."""
    # The USCC alphabet is the narrower one: the code must fit into places 9 to 17 of a USCC.
    first8 = "MA" + "".join(random.choices(USCC_ALPHABET, k=6))
    return first8 + organisation_check_character(first8)


def uscc(random: Random, kind: str) -> str:
    """A 统一社会信用代码 (GB 32100); ``kind`` are its first two characters: 91 company, 92 sole trader, 93 cooperative, 11 government."""
    first17 = kind + _region(random) + organisation_code(random)
    return first17 + uscc_check_character(first17)


def resident_id(random: Random) -> str:
    """A 公民身份号码 (GB 11643) of someone born between 1958 and 2003."""
    born = _FIRST_BIRTH + timedelta(days=random.randrange(_BIRTHS))
    first17 = f"{_region(random)}{born:%Y%m%d}{random.randrange(1, 1000):03d}"
    return first17 + resident_check_character(first17)


def registration_number(random: Random, *, sole_trader: bool = False) -> str:
    """A 工商注册号 (GS15-2006)."""
    sequence = random.choice(_SOLE_TRADER if sole_trader else _DOMESTIC) + f"{random.randrange(10**7):07d}"
    first14 = _region(random) + sequence
    return first14 + registration_check_digit(first14)


def _region(random: Random) -> str:
    return f"2399{random.randrange(1, 100):02d}"
