"""Sending again at a person's order: a resync (重新同步), and cases of quarantine to be tried once more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from gateway.app import Gateway
from gateway.clock import instant
from gateway.delivery.compare import Comparison
from gateway.delivery.decisions import note_action
from gateway.delivery.exchange import Exchange, Progress
from gateway.delivery.replay import lost_batches, replay
from gateway.delivery.resync import REFUSED, By, Chosen, Fate, MappingOf, Selection, choose, compared, make_due
from gateway.delivery.retry import Retried, retry_cases
from gateway.delivery.run import Order, Resend
from gateway.errors import ConfigError
from gateway.store import alarms, peer_heads, quarantine
from gateway.store.batches import Batch
from gateway.store.database import Connection
from gateway.store.quarantine import StoredCase
from gateway.store.runs import Kind

__all__ = ["preview_resync", "quarantine_retry", "resync"]

Json = dict[str, Any]
_MOST_KEYS: Final = 10_000
_MOST_CASES: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """An order's arguments, read."""

    exchange: str
    selection: Selection
    mapping: MappingOf


async def resync(gateway: Gateway, args: Mapping[str, Any], tell: Progress) -> Json:
    """Send again what ``args`` choose, as one run of the exchange, beside whatever else is at work; a run under way is waited for.

    ``args``: ``exchange``, ``person``, ``reason``, and of a selection ``since``, ``until`` (days), ``by``, ``keys``, ``unit``, ``batch``,
    ``rejected``, ``all``, ``compare``; ``mapping`` is ``today`` or ``as-sent``. Answers as :func:`preview_resync` does, and with the run's
    ``statement`` (None when there was nothing to send). Raises ConfigError ``resync-argument``, ``resync-keys``, and as
    :func:`gateway.delivery.resync.choose`; DeliveryError as :func:`gateway.delivery.replay.replay`; and what a run raises.
    """
    wish = _wish(gateway, args)
    person, reason = str(args["person"]), str(args["reason"])
    async with gateway.exchange(wish.exchange) as exchange:
        lost = await _lost(gateway, exchange, wish)
        if lost:
            subject = f"{exchange.route} {lost[0].sequence}..{lost[-1].sequence}"
            with gateway.database.begin() as conn:
                note_action(
                    conn,
                    gateway.node,
                    gateway.clock,
                    person=person,
                    action="replay",
                    subject=subject,
                    reason=reason,
                )
                # Who gives a peer its lost batches back knows that its ledger begins anew from an older state.
                code = exchange.peer.node.code
                alarms.close_about(conn, code, person=person, reason=reason, at=instant(gateway.clock.now()))
                peer_heads.forget(conn, code)
            await replay(gateway.database, gateway.clock, exchange.peer, lost, tell)
        chosen = await _chosen(gateway, exchange, wish, tell)
        found = _json(wish, chosen, lost)
        if not chosen.ids:
            await gateway.dispatcher.deliver(exchange.route, exchange.peer, tell)
            return {**found, "statement": None}

        def prepare(conn: Connection, run_id: str) -> Sequence[int]:
            going = make_due(conn, exchange, chosen, mapping=wish.mapping)
            subject = f"{exchange.name} {wish.selection.describe()} mapping={wish.mapping.value} records={len(going)}"
            note_action(
                conn,
                gateway.node,
                gateway.clock,
                person=person,
                action="resync",
                subject=f"{run_id} {subject}",
                reason=reason,
            )
            return going

        resend = Resend(prepare=prepare, as_sent=wish.mapping is MappingOf.AS_SENT)
        order = Order(kind=Kind.RESYNC, person=person, reason=reason, resend=resend)
        statement = await gateway.runner.run(exchange, order, tell)
    return {**found, "statement": None if statement is None else statement.to_json()}


async def preview_resync(gateway: Gateway, args: Mapping[str, Any], tell: Progress) -> Json:
    """What :func:`resync` would send, found out without writing anything.

    ``chosen`` counts records by what would become of each (:class:`gateway.delivery.resync.Fate`), ``sends`` how many would go out,
    ``refused`` how many cannot go as they were sent, ``ops`` counts by operation, ``samples`` has a few keys of each fate. ``compare`` (None
    without it): records by verdict, ``stray`` among the unknown ones those that we hold nothing for, and a few of each; ``lost`` are the
    sequence numbers of the batches that the receiver took and has no more, which go to it again first: what is compared here is how it
    stands before that.
    """
    wish = _wish(gateway, args)
    async with gateway.exchange(wish.exchange) as exchange:
        lost = await _lost(gateway, exchange, wish)
        return _json(wish, await _chosen(gateway, exchange, wish, tell), lost)


def _wish(gateway: Gateway, args: Mapping[str, Any]) -> _Wish:
    name = str(args["exchange"])
    if name not in gateway.settings.exchanges:
        raise ConfigError("exchange-unknown", exchange=name, known=", ".join(gateway.settings.exchanges) or "-")
    keys = tuple(dict.fromkeys(str(key) for key in args.get("keys") or ()))
    if len(keys) > _MOST_KEYS:
        raise ConfigError("resync-keys", count=len(keys), limit=_MOST_KEYS)
    selection = Selection(
        since=_day(args, "since"),
        until=_day(args, "until"),
        by=_choice(By, args, "by", By.DECIDED),
        keys=keys,
        unit=args.get("unit") or None,
        batch_id=args.get("batch") or None,
        rejected=bool(args.get("rejected")),
        everything=bool(args.get("all")),
        compare=bool(args.get("compare")),
        zone=gateway.settings.node.time_zone,
    )
    selection.check()
    return _Wish(exchange=name, selection=selection, mapping=_choice(MappingOf, args, "mapping", MappingOf.TODAY))


def _day(args: Mapping[str, Any], name: str) -> date | None:
    value = args.get(name)
    if not value:
        return None
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise ConfigError("resync-argument", name=name, expected="YYYY-MM-DD") from None


def _choice(kind: Any, args: Mapping[str, Any], name: str, otherwise: Any) -> Any:
    value = args.get(name) or otherwise
    try:
        return kind(value)
    except ValueError:
        raise ConfigError("resync-argument", name=name, expected=" | ".join(kind)) from None


async def _lost(gateway: Gateway, exchange: Exchange, wish: _Wish) -> list[Batch]:
    if not wish.selection.compare:
        return []
    return await lost_batches(gateway.database, exchange.peer, exchange.route)


async def _chosen(gateway: Gateway, exchange: Exchange, wish: _Wish, tell: Progress) -> Chosen:
    found = None
    if wish.selection.compare:
        found = await compared(Comparison(gateway.database, exchange, _sharing(gateway, exchange), tell))

    def look() -> Chosen:
        with gateway.database.read() as conn:
            return choose(conn, exchange, wish.selection, mapping=wish.mapping, found=found)

    return await asyncio.to_thread(look)


def _sharing(gateway: Gateway, exchange: Exchange) -> list[str]:
    """The other exchanges on the same route."""
    settings = gateway.settings
    return [
        name
        for name, other in settings.exchanges.items()
        if name != exchange.name
        and other.catalog == exchange.catalog.id
        and settings.peers[other.peer].code == exchange.peer.node.code
    ]


def _json(wish: _Wish, chosen: Chosen, lost: Sequence[Batch]) -> Json:
    compare: Json | None = None
    if chosen.compared is not None:
        compare = {
            **{verdict.value: count for verdict, count in chosen.compared.counts.items()},
            "stray": chosen.compared.stray,
            "lost": [batch.sequence for batch in lost],
            "samples": {verdict.value: shown for verdict, shown in chosen.compared.samples.items()},
        }
    return {
        "exchange": wish.exchange,
        "mapping": wish.mapping.value,
        "selection": wish.selection.describe(),
        "sends": sum(count for fate, count in chosen.fates.items() if fate not in {*REFUSED, Fate.UNDER_WAY}),
        "refused": sum(count for fate, count in chosen.fates.items() if fate in REFUSED),
        "chosen": {fate.value: count for fate, count in chosen.fates.items()},
        "ops": dict(chosen.ops),
        "samples": {fate.value: list(shown) for fate, shown in chosen.samples.items()},
        "compare": compare,
    }


async def quarantine_retry(gateway: Gateway, args: Mapping[str, Any], tell: Progress) -> Json:
    """Have cases of quarantine tried again by the next run of their exchange.

    ``args``: ``person``, ``reason``, and ``cases`` (numbers), or ``exchange`` with or without ``unit`` and ``code``. Answers, by exchange,
    with the figures of :class:`gateway.delivery.retry.Retried`. Raises ConfigError ``quarantine-nothing-chosen``, ``quarantine-too-many``,
    ``exchange-unknown``, StoreError ``case-missing``.
    """
    found: dict[str, Json] = {}
    for name, cases in sorted((await asyncio.to_thread(_cases, gateway, args)).items()):
        async with gateway.exchange(name) as exchange:
            done = await asyncio.to_thread(_retry, gateway, exchange, cases, args)
        found[name] = {"due": done.due, "source": done.source, "under_way": done.under_way, "gone": done.gone}
    return {"exchanges": found}


def _cases(gateway: Gateway, args: Mapping[str, Any]) -> Mapping[str, list[StoredCase]]:
    numbers: Iterable[int] = [int(number) for number in args.get("cases") or ()]
    exchange, unit, code = (args.get(name) or None for name in ("exchange", "unit", "code"))
    if not numbers and exchange is None:
        raise ConfigError("quarantine-nothing-chosen")
    found: dict[str, list[StoredCase]] = {}
    with gateway.database.read() as conn:
        chosen = (
            (quarantine.find_case(conn, number) for number in numbers)
            if numbers
            else quarantine.cases(conn, exchange=exchange, unit=unit, code=code)
        )
        for count, case in enumerate(chosen, 1):
            if count > _MOST_CASES:
                raise ConfigError("quarantine-too-many", limit=_MOST_CASES)
            # The rows are not looked at, and would be the most of it.
            found.setdefault(case.exchange, []).append(replace(case, row="{}"))
    return found


def _retry(gateway: Gateway, exchange: Exchange, cases: Sequence[StoredCase], args: Mapping[str, Any]) -> Retried:
    with gateway.database.begin() as conn:
        done = retry_cases(conn, exchange, cases)
        numbers = " ".join(str(case.id) for case in cases[:20]) + (" …" if len(cases) > 20 else "")
        note_action(
            conn,
            gateway.node,
            gateway.clock,
            person=str(args["person"]),
            action="quarantine-retry",
            subject=f"{exchange.name} cases={len(cases)}: {numbers}",
            reason=str(args["reason"]),
        )
    return done
