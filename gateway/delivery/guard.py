"""The mass-change guard: a run that would take back or change more than is plausible stops before anything is sealed, and waits for a person.

An emptied or cut-off listing looks exactly like a mass deletion, a slip in a mapping like a mass change; which of the two it is, only
a person can say.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.errors import DeliveryError

__all__ = ["Guard", "MassChange"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MassChange:
    """How much a run would take back or change, in records; as found, or as a person has approved."""

    withdrawals: int
    changes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What is plausible in one run: up to ``number`` always, beyond it up to ``share`` (withdrawals) or ``change_share`` (changes) of
    the records held."""

    number: int = 100
    share: float = 0.1
    change_share: float = 0.5

    def check(self, *, exchange: str, found: MassChange, held: int, approved: MassChange | None) -> bool:
        """Whether ``found`` passes only because of ``approved``: at most what a person has seen and approved.

        Raises DeliveryError ``mass-change`` when it does not pass.
        """
        over = (
            found.withdrawals > max(self.number, self.share * held),
            found.changes > max(self.number, self.change_share * held),
        )
        if not any(over):
            return False
        seen = approved or MassChange(withdrawals=0, changes=0)
        if (over[0] and found.withdrawals > seen.withdrawals) or (over[1] and found.changes > seen.changes):
            raise DeliveryError(
                "mass-change", exchange=exchange, withdrawals=found.withdrawals, changes=found.changes, held=held
            )
        return True
