"""The subjects of the bureau's decisions, as the first cells of a local row: who they are, by which numbers, who answers for them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

from gateway.demo.identifiers import registration_number, resident_id, uscc
from gateway.demo.names import company, cooperative, person, sole_trader

__all__ = ["SUBJECT_COLUMNS", "Kind", "Subject", "subjects"]

SUBJECT_COLUMNS: Final = (
    "XDR_NAME",
    "XDR_TYPE",
    "XDR_USCC",
    "XDR_GSZC_NO",
    "XDR_ORG_CODE",
    "XDR_TAX_NO",
    "FR_NAME",
    "FR_ID_TYPE",
    "FR_ID_NO",
    "ZRR_ID_TYPE",
    "ZRR_ID_NO",
)


class Kind(StrEnum):
    """The kinds of subject by the code that the business systems write."""

    PERSON = "01"
    LEGAL = "02"
    UNINCORPORATED = "03"
    SOLE_TRADER = "04"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One subject; ``cells`` in the order of :data:`SUBJECT_COLUMNS`."""

    kind: Kind
    cells: tuple[str | None, ...]


def subjects(count: int, seed: int) -> tuple[Subject, ...]:
    """``count`` subjects; a larger count begins with the same ones."""
    random = Random(f"{seed}/subjects")  # noqa: S311 - invented data, no secret
    return tuple(_subject(random) for _ in range(count))


def _subject(random: Random) -> Subject:
    (kind,) = random.choices(tuple(Kind), weights=(22, 48, 8, 22))
    if kind is Kind.PERSON:
        return Subject(kind=kind, cells=_person(random))
    return Subject(kind=kind, cells=_business(random, kind))


def _person(random: Random) -> tuple[str | None, ...]:
    if random.random() < 0.04:
        id_kind, number = "02", f"XX{random.randrange(10**7):07d}"  # a passport of a series that no state issues
    else:
        id_kind, number = random.choices(("01", "1", "身份证"), weights=(8, 1, 1))[0], resident_id(random)
    nothing = random.choices((None, "无"), weights=(9, 1))[0]
    return (_name(random, person(random)), Kind.PERSON.value, nothing, *(None,) * 6, id_kind, number)


def _business(random: Random, kind: Kind) -> tuple[str | None, ...]:
    match kind:
        case Kind.SOLE_TRADER:
            name, code = sole_trader(random), uscc(random, "92")
        case Kind.UNINCORPORATED:
            name, code = cooperative(random), uscc(random, "93")
        case _:
            name, code = company(random), uscc(random, "91")
    organisation = code[8:17] if random.random() < 0.4 else None
    return (
        _name(random, name),
        kind.value,
        code.lower() if random.random() < 0.03 else code,
        _registration(random, kind),
        f"{organisation[:8]}-{organisation[8]}" if organisation else None,
        code[2:17]
        if random.random() < 0.2
        else None,  # as tax numbers were made before 2015: region and organisation code
        person(random),
        *(("01", resident_id(random)) if random.random() < 0.6 else (None, None)),
        None,
        None,
    )


def _registration(random: Random, kind: Kind) -> str | None:
    if random.random() < 0.3:
        return registration_number(random, sole_trader=kind is Kind.SOLE_TRADER)
    return random.choices((None, "无", "/"), weights=(8, 1, 1))[0]


def _name(random: Random, name: str) -> str:
    """The name, now and then with the blanks that typing leaves."""
    return random.choices((name, f"{name} ", f"\u3000{name}"), weights=(94, 4, 2))[0]
