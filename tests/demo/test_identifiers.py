from __future__ import annotations

from random import Random

import pytest

from gateway.catalog.identifiers import is_organisation_code, is_registration_number, is_resident_id, is_uscc
from gateway.demo.identifiers import organisation_code, registration_number, resident_id, uscc


def chance(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - invented identifiers, no secret


@pytest.mark.parametrize("kind", ["11", "91", "92", "93"])
def test_social_credit_codes_satisfy_both_standards_they_are_made_of(kind: str) -> None:
    random = chance(3)
    for _ in range(500):
        code = uscc(random, kind)
        assert is_uscc(code)
        assert is_organisation_code(code[8:17])
        assert code.startswith(f"{kind}2399")


def test_organisation_codes_are_valid() -> None:
    random = chance(4)
    assert all(is_organisation_code(organisation_code(random)) for _ in range(500))


def test_id_numbers_are_valid_and_of_a_region_where_nobody_is_registered() -> None:
    random = chance(5)
    numbers = [resident_id(random) for _ in range(2_000)]
    assert all(is_resident_id(number) for number in numbers)
    assert {number[:4] for number in numbers} == {"2399"}


@pytest.mark.parametrize(("sole_trader", "digits"), [(False, "0123"), (True, "6789")])
def test_registration_numbers_are_valid_and_tell_the_kind_of_business(sole_trader: bool, digits: str) -> None:
    random = chance(6)
    numbers = [registration_number(random, sole_trader=sole_trader) for _ in range(500)]
    assert all(is_registration_number(number) for number in numbers)
    assert {number[6] for number in numbers} == set(digits)


def test_identifiers_follow_from_the_seed() -> None:
    assert uscc(chance(1), "91") == uscc(chance(1), "91") != uscc(chance(2), "91")
