"""When exchanges run by themselves, as the configuration says."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.catalog.calendar import WorkingDays
from gateway.config import Settings
from gateway.delivery.plan import Plan
from gateway.delivery.schedule import Schedule

__all__ = ["plans_of"]


def plans_of(settings: Settings, working_days: WorkingDays) -> Mapping[str, Plan]:
    """The exchanges that have a schedule, by name."""
    return {
        name: Plan(
            schedule=Schedule(
                cron=exchange.schedule,
                zone=settings.node.time_zone,
                working_days=working_days if exchange.working_days_only else None,
            ),
            catch_up=exchange.catch_up,
        )
        for name, exchange in settings.exchanges.items()
        if exchange.schedule is not None
    }
