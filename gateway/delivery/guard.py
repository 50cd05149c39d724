"""The mass-change guard: a run that would take back more than is plausible stops before anything is sealed, and waits for a person.

An emptied or cut-off listing looks exactly like a mass deletion; which of the two it is, only a person can say.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.errors import DeliveryError

__all__ = ["Guard"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """How many withdrawals are plausible in one run: up to ``number`` always, beyond it up to ``share`` of the records held."""

    number: int = 100
    share: float = 0.1

    def check(self, *, exchange: str, withdrawals: int, held: int) -> None:
        """Raises DeliveryError ``mass-withdrawal`` when ``withdrawals`` of the ``held`` records are more than that."""
        if withdrawals > max(self.number, self.share * held):
            raise DeliveryError("mass-withdrawal", exchange=exchange, withdrawals=withdrawals, held=held)
