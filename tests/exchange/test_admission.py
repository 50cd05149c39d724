"""A caller's share comes back whole, however its requests end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange.admission import Admission, TooBusy


def test_requests_and_bytes_are_counted_per_caller() -> None:
    admission = Admission(requests=2, bytes=10)
    with admission.enter("a") as first, admission.enter("a") as second:
        with pytest.raises(TooBusy), admission.enter("a"):
            pass
        first.add(6)
        with pytest.raises(TooBusy):
            second.add(5)
        second.add(4)
        with admission.enter("b") as other:
            other.add(10)
    with admission.enter("a") as again:
        again.add(10)


def test_bytes_come_back_while_another_request_goes_on() -> None:
    admission = Admission(requests=2, bytes=10)
    with admission.enter("a") as long:
        with admission.enter("a") as short:
            short.add(10)
        long.add(10)


@given(st.lists(st.integers(0, 20), max_size=20))
def test_nothing_stays_booked(counts: list[int]) -> None:
    admission = Admission(requests=1, bytes=30)
    for count in counts:
        try:
            with admission.enter("a") as ticket:
                ticket.add(count)
                ticket.add(count)
                raise KeyError
        except (KeyError, TooBusy):
            pass
    with admission.enter("a") as ticket:
        ticket.add(30)
