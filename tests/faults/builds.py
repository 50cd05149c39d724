"""Builds of the gateway that misbehave, made in a child process by name; the gateway itself knows nothing of them.

:data:`RECEIVERS` are receivers of the kind that there is: they do wrong at every other call, and right at the next. :data:`BROKEN` are
builds in which one rule of ours is broken: the checker has to notice each (test_builds.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from gateway.delivery.receive import Receiver
from gateway.exchange.intake import Pending, ProblemAnswer, ReceiptTaken
from gateway.exchange.problem import Problem
from gateway.exchange.shown import Shown

__all__ = ["RECEIVERS", "install"]

Answer = ReceiptTaken | Pending | ProblemAnswer
_take, _receipt = Receiver.take, Receiver.receipt
_LATE = 4.0  # seconds; longer than the senders of these tests wait


class _Other:
    """Whether this call is one of those that go wrong: the first, the third, the fifth …"""

    def __init__(self) -> None:
        self._calls = count()

    def __call__(self) -> bool:
        return next(self._calls) % 2 == 0


def _takes(wrong: Callable[[Receiver, str, str, bytes, Shown], Any]) -> Callable[[], None]:
    """A receiver that takes packages in this way every other time."""

    def install() -> None:
        other = _Other()

        async def take(self: Receiver, caller: str, batch_id: str, package: bytes, shown: Shown) -> Answer:
            if other():
                answer: Answer = await wrong(self, caller, batch_id, package, shown)
                return answer
            return await _take(self, caller, batch_id, package, shown)

        vars_of(Receiver)["take"] = take

    return install


def vars_of(owner: type) -> Any:
    """A class's attributes, to be replaced."""

    class Setter:
        def __setitem__(self, name: str, value: object) -> None:
            setattr(owner, name, value)

    return Setter()


async def _refuses(self: Receiver, caller: str, batch_id: str, package: bytes, shown: Shown) -> Answer:
    return ProblemAnswer(problem=Problem(code="unavailable"), retry_after=1.0)


async def _fails_after_storing(self: Receiver, caller: str, batch_id: str, package: bytes, shown: Shown) -> Answer:
    await _take(self, caller, batch_id, package, shown)
    raise RuntimeError("after the work was done")


async def _never_answers(self: Receiver, caller: str, batch_id: str, package: bytes, shown: Shown) -> Answer:
    await _take(self, caller, batch_id, package, shown)
    await asyncio.Event().wait()
    raise AssertionError


async def _answers_late(self: Receiver, caller: str, batch_id: str, package: bytes, shown: Shown) -> Answer:
    answer = await _take(self, caller, batch_id, package, shown)
    await asyncio.sleep(_LATE)
    return answer


async def _stores_late(self: Receiver, caller: str, batch_id: str, package: bytes, shown: Shown) -> Answer:
    """It takes the package up long after the sender has gone: what was unknown becomes true behind its back."""
    asyncio.get_running_loop().call_later(
        _LATE, lambda: asyncio.ensure_future(_take(self, caller, batch_id, package, shown))
    )
    await asyncio.sleep(_LATE / 2)
    raise RuntimeError("not yet")


async def _takes_twice(self: Receiver, caller: str, batch_id: str, package: bytes, shown: Shown) -> Answer:
    _, answer = await asyncio.gather(
        _take(self, caller, batch_id, package, shown), _take(self, caller, batch_id, package, shown)
    )
    return answer


def _spoilt(answer: Answer) -> Answer:
    if not isinstance(answer, ReceiptTaken):
        return answer
    spoilt = bytearray(answer.receipt)
    spoilt[len(spoilt) // 2] ^= 0x01
    return ReceiptTaken(receipt=bytes(spoilt), new=answer.new)


async def _answers_with_a_byte_changed(
    self: Receiver, caller: str, batch_id: str, package: bytes, shown: Shown
) -> Answer:
    return _spoilt(await _take(self, caller, batch_id, package, shown))


async def _answers_half(self: Receiver, caller: str, batch_id: str, package: bytes, shown: Shown) -> Answer:
    answer = await _take(self, caller, batch_id, package, shown)
    return ReceiptTaken(receipt=answer.receipt[:700], new=True) if isinstance(answer, ReceiptTaken) else answer


async def _says_pending(self: Receiver, caller: str, batch_id: str, package: bytes, shown: Shown) -> Answer:
    await _take(self, caller, batch_id, package, shown)
    return Pending(retry_after=1.0)


def _answers_for_another() -> None:
    """The receipt of the batch before this one, well signed."""
    last: list[Answer] = []

    async def take(self: Receiver, caller: str, batch_id: str, package: bytes, shown: Shown) -> Answer:
        answer = await _take(self, caller, batch_id, package, shown)
        other = last.pop() if last else None
        last.append(answer)
        return answer if other is None else other

    vars_of(Receiver)["take"] = take


def _forgets() -> None:
    """Asked for a receipt, it does not know the batch that it has; it fails after storing, so that it is asked."""
    other = _Other()

    async def receipt(self: Receiver, caller: str, batch_id: str) -> Answer:
        if other():
            return ProblemAnswer(problem=Problem(code="unknown-batch"))
        return await _receipt(self, caller, batch_id)

    _takes(_fails_after_storing)()
    vars_of(Receiver)["receipt"] = receipt


RECEIVERS: Mapping[str, Callable[[], None]] = {
    "refuses": _takes(_refuses),
    "fails-after-storing": _takes(_fails_after_storing),
    "never-answers": _takes(_never_answers),
    "answers-late": _takes(_answers_late),
    "stores-late": _takes(_stores_late),
    "takes-twice": _takes(_takes_twice),
    "answers-with-a-byte-changed": _takes(_answers_with_a_byte_changed),
    "answers-half": _takes(_answers_half),
    "says-pending": _takes(_says_pending),
    "answers-for-another": _answers_for_another,
    "forgets": _forgets,
}
"""Receivers that misbehave, by what they do."""


def install(name: str) -> None:
    """Break this process in the way of this name."""
    RECEIVERS[name]()
