"""A model of the line and of what stands at its other end: requests arrive late, twice, cut or never, and so do answers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from gateway.exchange.outcome import Later, Unknown
from tests.faults.daemon import Call
from tests.faults.mutants import Mutant
from tests.faults.receiver import Receiver, Signed

__all__ = ["Network"]

TIMEOUT = 10.0

# What becomes of a request while faults happen, with how many in a hundred.
FATES = (
    ("unreachable", 5),
    ("lost", 4),  # before the receiver: the sender waits in vain
    ("cut", 4),  # in the middle of the body
    ("answer-lost", 8),
    ("late", 6),  # the request arrives when the sender has given up waiting
    ("answer-late", 3),
    ("twice", 6),  # and the second time much later
    ("busy", 5),
    ("bent", 5),  # a receipt that is not what was signed
)


class Surroundings(Protocol):
    """What the line needs: time, chance, and whether faults happen."""

    calm: bool
    now: float
    random: Random

    def later(self, seconds: float, act: Callable[..., None], *arguments: Any) -> None:
        """Do this in so many seconds."""
        ...

    def say(self, *words: object) -> None:
        """A line of the trace."""
        ...


@dataclass(slots=True)
class Network:
    """Between one sender and its ``receivers``, by code; ``down`` says until when one of them is gone."""

    world: Surroundings
    receivers: Mapping[str, Receiver]
    mutant: Mutant | None
    down: dict[str, float] = field(default_factory=dict)

    def go_down(self, code: str) -> None:
        """A receiver is gone for a while."""
        self.down[code] = self.world.now + self.world.random.uniform(5, 60)
        self.world.say(code, "is down")

    def call(self, call: Call, back: Callable[[Any], None]) -> None:
        """Ask; ``back`` gets every answer there is, the first counts, and silence is one of them."""
        chance = self.world.random
        there, home = chance.uniform(0.02, 0.4), chance.uniform(0.02, 0.4)
        fate = "" if self.world.calm else self._fate()
        self.world.later(TIMEOUT, back, _nothing(call, "peer-timeout"))
        if fate == "unreachable" or self.down.get(call.peer, 0) > self.world.now:
            self.world.later(there, back, _unreachable(call))
        elif fate == "cut":
            self.world.later(there, back, _nothing(call, "peer-cut"))
        elif fate == "busy":
            status = chance.choice((429, 503))
            answer = Later(why="peer-busy", status=status, retry_after=chance.choice((None, 1.0, 15.0)))
            self.world.later(there, back, status == 429 if call.kind == "node" else answer)
        elif fate != "lost":
            late = TIMEOUT * chance.uniform(1, 4)
            there, home = there + late * (fate == "late"), home + late * (fate == "answer-late")
            self.world.later(there, self._arrive, call, back, None if fate == "answer-lost" else home, fate == "bent")
            if fate == "twice":
                self.world.later(there + chance.uniform(0, 60), self._arrive, call, back, None, False)

    def _fate(self) -> str:
        number = self.world.random.randrange(100)
        for fate, share in FATES:
            if number < share:
                return fate
            number -= share
        return ""

    def _arrive(self, call: Call, back: Callable[[Any], None], home: float | None, bent: bool) -> None:
        receiver = self.receivers[call.peer]
        if self.down.get(call.peer, 0) > self.world.now:
            return
        if call.kind == "node":
            answer: Any = True
        elif call.kind == "get":
            answer = receiver.question(call.subject, self.world.now)
        else:
            answer = receiver.answer(call.subject, self.world.now)
            if answer is None:
                answer = self._take(receiver, call)
        if bent and isinstance(answer, Signed):
            answer = self._bend(answer)
        if home is not None and answer is not None:
            self.world.later(home, back, answer)

    def _take(self, receiver: Receiver, call: Call) -> object:
        """The receiver's transaction, with its own crashes before and after it."""
        dies = self.world.random.random() if not self.world.calm else 1.0
        before = None
        if self.mutant is Mutant.ANSWERED_BEFORE_STORED and dies < 0.1:
            before = copy.deepcopy((receiver.taken, receiver.order, receiver.held, receiver.last, receiver.log))
        elif dies < 0.03:
            self.go_down(receiver.code)
            return None
        receiver.store(call.subject, self.world.now)
        self.world.say(receiver.code, "takes", call.subject.id, "number", call.subject.sequence)
        answer = receiver.signed(call.subject.id, self.world.now)
        if before is not None:
            receiver.taken, receiver.order, receiver.held, receiver.last, receiver.log = before
        elif dies < 0.06:
            self.go_down(receiver.code)
            return None
        return answer

    def _bend(self, answer: Signed) -> Signed:
        """The peer, or somebody in its place, answers with what it should not."""
        receipt = answer.receipt
        other = f"r{self.world.random.getrandbits(48):x}"
        bent = (
            receipt._replace(digest=other, batch_id="b0-other"),
            receipt._replace(digest=other, package="d0"),
            receipt._replace(digest=other, signer="M"),
            receipt._replace(digest=other, sequence=receipt.sequence + 1),
            receipt._replace(digest=other, counts={**receipt.counts, "created": receipt.counts["created"] + 1}),
        )
        return Signed(self.world.random.choice(bent), stored=answer.stored)


def _nothing(call: Call, why: str) -> object:
    """No answer: after a body left, nobody knows; a question changes nothing."""
    if call.kind == "node":
        return False
    return Unknown(why=why) if call.kind == "put" else Later(why=why)


def _unreachable(call: Call) -> object:
    return False if call.kind == "node" else Later(why="peer-unreachable")
