"""Publication periods kept by every run of an exchange to the public: fixed for what is new, ended for what is over.

It happens before anything is sealed, so that nothing is published for a day too long, and nothing that may not be published at all. Two
short transactions for each few thousand records; a crash in between leaves the rest to the next run.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import islice

import structlog

from gateway.catalog.publicity import Regime
from gateway.catalog.term import OVER, Term, term_of
from gateway.clock import Clock, instant
from gateway.delivery.exchange import Exchange
from gateway.store import publicity, record_orders
from gateway.store.database import Database
from gateway.store.publicity import Published
from gateway.store.record_orders import Ordered

__all__ = ["Terms"]

_AT_ONCE = 5_000
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Keeps the periods by ``regimes``; days are counted in ``zone``."""

    database: Database
    regimes: Sequence[Regime]
    zone: tzinfo
    clock: Clock

    def keep(self, exchange: Exchange) -> Counter[str]:
        """Fix and end periods; returns how many records were taken back, by reason. Nothing happens for a receiver that is not the public."""
        done: Counter[str] = Counter()
        if not exchange.sight.public:
            return done
        today = self.clock.now().astimezone(self.zone).date().isoformat()
        place = (exchange.catalog.id, exchange.source.name)
        while True:
            with self.database.read() as conn:
                fresh = list(islice(publicity.without(conn, *place), _AT_ONCE))
            if not fresh:
                break
            self._fix(exchange, fresh, today, done)
        while True:
            with self.database.read() as conn:
                over = list(islice(publicity.over(conn, *place, today), _AT_ONCE))
            if not over:
                break
            self._back(dict.fromkeys(over, OVER), done)
        if done:
            _log.info(
                "publicity.ended", exchange=exchange.name, **{code.replace("-", "_"): n for code, n in done.items()}
            )
        return done

    def _fix(self, exchange: Exchange, fresh: Sequence[tuple[int, str]], today: str, done: Counter[str]) -> None:
        terms = {number: term_of(exchange.catalog, json.loads(content), self.regimes) for number, content in fresh}
        self._back({number: term.refused for number, term in terms.items() if term.refused}, done)
        rows = [_row(number, term, today) for number, term in terms.items() if not term.refused]
        with self.database.begin() as conn:
            publicity.fix(conn, rows)

    def _back(self, codes: dict[int, str], done: Counter[str]) -> None:
        at = instant(self.clock.now())
        rows = [Ordered(number, code, "", None, code, at) for number, code in codes.items()]
        with self.database.begin() as conn:
            record_orders.begin(conn, rows, op="withdraw")
        done.update(codes.values())


def _row(number: int, term: Term, today: str) -> Published:
    until = None if term.until is None else term.until.isoformat()
    return Published(number, today, until, term.regime, term.gravity)
