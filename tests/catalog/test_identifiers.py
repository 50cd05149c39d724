"""Check digits: the verified examples, and what each scheme guarantees to detect."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.cn import ric, uscc

from gateway.catalog.identifiers import (
    ORGANISATION_ALPHABET,
    PLACEHOLDER,
    RESIDENT_PROVINCES,
    USCC_ALPHABET,
    is_identifier,
    is_organisation_code,
    is_registration_number,
    is_resident_id,
    is_uscc,
    organisation_check_character,
    registration_check_digit,
    resident_check_character,
    uscc_check_character,
)
from gateway.catalog.model import Identifier

USCCS = ("91230500MA1B3N1N2M", "11230500001755309F", "91330000755918469E", "11500226753092798P", "1144150000724047XL")
RESIDENTS = ("11010519491231002X", "440524188001010014")
DIGITS = "0123456789"

few = settings(max_examples=150, deadline=None)


def digits(count: int) -> st.SearchStrategy[str]:
    return st.text(DIGITS, min_size=count, max_size=count)


@st.composite
def usccs(draw: st.DrawFn) -> str:
    first = draw(st.text(USCC_ALPHABET, min_size=2, max_size=2)) + draw(digits(6))
    first += draw(st.text(USCC_ALPHABET, min_size=9, max_size=9))
    return first + uscc_check_character(first)


@st.composite
def residents(draw: st.DrawFn) -> str:
    born = draw(st.dates(date(1880, 1, 1), date(2026, 12, 31)))
    first = f"{draw(st.sampled_from(RESIDENT_PROVINCES))}{draw(digits(4))}{born:%Y%m%d}{draw(digits(3))}"
    return first + resident_check_character(first)


@st.composite
def registrations(draw: st.DrawFn) -> str:
    first = draw(digits(14))
    return first + registration_check_digit(first)


@st.composite
def organisations(draw: st.DrawFn) -> str:
    first = draw(st.text(ORGANISATION_ALPHABET, min_size=8, max_size=8))
    return first + organisation_check_character(first)


def substituted(data: st.DataObject, text: str, alphabet: str) -> str:
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from([character for character in alphabet if character != text[place]]))
    return text[:place] + other + text[place + 1 :]


def transposed(data: st.DataObject, text: str) -> str | None:
    """Two unequal neighbours exchanged; None when all neighbours are equal."""
    places = [place for place in range(len(text) - 1) if text[place] != text[place + 1]]
    if not places:
        return None
    place = data.draw(st.sampled_from(places))
    return text[:place] + text[place + 1] + text[place] + text[place + 2 :]


@pytest.mark.parametrize("code", USCCS)
def test_codes_of_public_records(code: str) -> None:
    assert is_uscc(code)
    assert is_organisation_code(code[8:17])
    assert uscc_check_character(code[:17]) == code[17]


@pytest.mark.parametrize("number", RESIDENTS)
def test_sample_resident_numbers(number: str) -> None:
    assert is_resident_id(number)


def test_the_placeholder_is_no_code() -> None:
    assert PLACEHOLDER == "0" * 17 + "X"
    assert not is_uscc(PLACEHOLDER)
    assert uscc_check_character("0" * 17) == "0"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "91230500MA1B3N1N2",  # 17
        "91230500MA1B3N1N2MM",  # 19
        "91230500ma1b3n1n2m",
        " 91230500MA1B3N1N2M",
        "91230500-MA1B3N1N2-M",
        "９1230500MA1B3N1N2M",  # full-width
        "91٢30500MA1B3N1N2M",  # Arabic-Indic digit in the region
        "91230500MA1B3N1N2M\n",
        "91230500MA1B3N1N2O",  # O is not in the alphabet
    ],
)
def test_a_code_in_another_form_is_no_code(text: str) -> None:
    assert not is_uscc(text)


@pytest.mark.parametrize("department", ["A1", "N2", "Y1"])
def test_lettered_departments_are_codes(department: str) -> None:
    first = department + "230500MA1B3N1N2"
    assert is_uscc(first + uscc_check_character(first))


def test_a_region_is_digits() -> None:
    first = "912305A0MA1B3N1N2"
    assert not is_uscc(first + uscc_check_character(first))


@few
@given(usccs())
def test_usccs_agree_with_stdnum_where_it_knows_the_department(code: str) -> None:
    assert is_uscc(code)
    assert uscc.is_valid(code) == code[:2].isdigit()


@few
@given(usccs(), st.data())
def test_a_uscc_detects_every_substitution_and_transposition(code: str, data: st.DataObject) -> None:
    assert not is_uscc(substituted(data, code, USCC_ALPHABET))
    other = transposed(data, code)
    assert other is None or not is_uscc(other)


@few
@given(residents())
def test_resident_numbers_of_every_province(number: str) -> None:
    assert is_resident_id(number)
    assert ric.calc_check_digit(number) == number[17]


@few
@given(residents(), st.data())
def test_a_resident_number_detects_every_substitution_and_transposition(number: str, data: st.DataObject) -> None:
    assert not is_resident_id(substituted(data, number, DIGITS + "X"))
    other = transposed(data, number)
    assert other is None or not is_resident_id(other)


@pytest.mark.parametrize("province", ["81", "82", "83"])
def test_residence_permits_are_resident_numbers(province: str) -> None:
    first = province + "000019900307001"
    assert is_resident_id(first + resident_check_character(first))


@pytest.mark.parametrize(
    "first",
    [
        "11010519490231002",  # 31 February
        "11010519490229002",  # 1949 has no 29 February
        "11010519491301002",  # month 13
        "11010517491231002",  # eighteenth century
        "11010500001231002",  # year 0
        "10010519491231002",  # no such province
        "91010519491231002",
    ],
)
def test_a_resident_number_with_the_right_check_and_a_wrong_part(first: str) -> None:
    assert not is_resident_id(first + resident_check_character(first))


@pytest.mark.parametrize(
    "text", ["11010519491231002x", "110105491231002", "１1010519491231002X", "11010519491231002X "]
)
def test_a_resident_number_in_another_form(text: str) -> None:
    assert not is_resident_id(text)


@few
@given(organisations())
def test_organisation_codes_round_trip(code: str) -> None:
    assert is_organisation_code(code)
    assert not is_organisation_code(f"{code[:8]}-{code[8]}")


@few
@given(digits(8), st.data())
def test_an_organisation_code_of_digits_detects_every_substitution_and_transposition(
    first: str, data: st.DataObject
) -> None:
    code = first + organisation_check_character(first)
    assert not is_organisation_code(substituted(data, code, DIGITS))
    other = transposed(data, first)
    assert other is None or not is_organisation_code(other + code[8])


def test_an_organisation_code_of_letters_does_not_detect_all() -> None:
    """0 and B differ by eleven: mod 11 cannot tell them apart. Known of the scheme, not a fault of ours."""
    assert organisation_check_character("00000000") == organisation_check_character("B0000000")


@few
@given(registrations())
def test_registration_numbers_by_the_recurrence_of_the_standard(number: str) -> None:
    product = 10
    for digit in number[:14]:
        total = (product + int(digit)) % 10 or 10
        product = total * 2 % 11
    assert int(number[14]) == (11 - product) % 10
    assert is_registration_number(number)


@few
@given(registrations(), st.data())
def test_a_registration_number_detects_every_substitution(number: str, data: st.DataObject) -> None:
    """ISO 7064 MOD 11,10 promises no more: it misses some transpositions."""
    assert not is_registration_number(substituted(data, number, DIGITS))


@pytest.mark.parametrize("text", ["", "23010010000001", "2301001000000011", "２30100100000019", "23010010000001X"])
def test_a_registration_number_in_another_form(text: str) -> None:
    assert not is_registration_number(text)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (uscc_check_character, "9123050"),
        (uscc_check_character, "91230500MA1B3N1NO"),
        (organisation_check_character, "MA1B3N1"),
        (organisation_check_character, "ma1b3n1n"),
        (resident_check_character, "1101051949123100X"),
        (registration_check_digit, "2301001000000"),
        (registration_check_digit, "２3010010000001"),
    ],
)
def test_a_check_character_of_nonsense_is_refused(call: object, text: str) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=r"\w"):
        call(text)


@pytest.mark.parametrize(
    ("kind", "right"),
    [
        (Identifier.USCC, USCCS[0]),
        (Identifier.ORGANISATION, USCCS[0][8:17]),
        (Identifier.RESIDENT, RESIDENTS[0]),
        (Identifier.REGISTRATION, "23010010000001" + registration_check_digit("23010010000001")),
    ],
)
def test_each_rule_by_its_name(kind: Identifier, right: str) -> None:
    assert is_identifier(kind, right)
    assert not is_identifier(kind, right[:-1])
    assert [other for other in Identifier if is_identifier(other, right)] == [kind]
