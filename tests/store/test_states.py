"""The table of legal transitions, said once more in the words of the protocol."""

from __future__ import annotations

import itertools

import pytest

from gateway.errors import StoreError
from gateway.store.states import CLAIMABLE, FINAL, OPEN, PENDING, TRANSITIONS, State, check_transition

LEGAL = """
ready sending
ready abandoned
sending acknowledged
sending waiting
sending unknown
sending refused
waiting sending
waiting acknowledged
waiting disputed
waiting abandoned
unknown sending
unknown refused
unknown acknowledged
unknown abandoned
refused waiting
refused acknowledged
refused disputed
refused abandoned
acknowledged reconciled
acknowledged disputed
"""


def test_the_table_says_what_is_written_here_and_nothing_else() -> None:
    legal = {tuple(line.split()) for line in LEGAL.strip().splitlines()}
    for here, to in itertools.product(State, State):
        if (here.value, to.value) in legal:
            check_transition("b", here, to)
        else:
            with pytest.raises(StoreError) as refused:
                check_transition("b", here, to)
            assert refused.value.facts == {"batch": "b", "state": here.value, "to": to.value}


def test_every_state_can_be_reached_and_every_open_one_left() -> None:
    reached, edge = {State.READY}, {State.READY}
    while edge:
        edge = {to for here in edge for to in TRANSITIONS[here]} - reached
        reached |= edge
    assert reached == set(State)
    for state in OPEN:
        following = {state}
        while not following & FINAL:
            following = {to for here in following for to in TRANSITIONS[here]}


def test_the_kinds_of_states() -> None:
    assert {State.RECONCILED, State.DISPUTED, State.ABANDONED} == FINAL
    assert State.ACKNOWLEDGED in OPEN - PENDING, "the receiver has answered: the next batch may go"
    assert State.REFUSED in PENDING - CLAIMABLE, "the next batch may not go, and a person is needed"
