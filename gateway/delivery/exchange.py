"""What an exchange is while it runs: its catalog, source and compiled plans, and the node it sends to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NewType, Protocol

import polars as pl

from gateway.catalog.model import Catalog
from gateway.delivery.core import Retry
from gateway.delivery.guard import Guard
from gateway.exchange.port import Transport
from gateway.mapping.batch_facts import BatchFacts
from gateway.mapping.disclosure import Sight
from gateway.mapping.document import Rendered
from gateway.mapping.gate import Gate
from gateway.mapping.plan import RecordPlan
from gateway.package.certificates import Certificate
from gateway.package.forms import Node
from gateway.sources.port import Source

__all__ = ["Bodies", "Exchange", "Peer", "Progress", "Route", "receiver_of", "route_of", "sender_of"]

Route = NewType("Route", str)
Progress = Callable[[str, int], None]
"""Told after each unit of work: the stage (``read``, ``sealed``, ``reconciled``) and how many records it did."""


def route_of(sender: str, catalog: str, receiver: str) -> Route:
    """``sender/catalog/receiver``: the two nodes' codes and the catalog's id."""
    return Route(f"{sender}/{catalog}/{receiver}")


def receiver_of(route: Route) -> str:
    """The code of the node that a route leads to."""
    return route.rsplit("/", 1)[-1]


def sender_of(route: str) -> str:
    """The code of the node that sends on a route."""
    return route.partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The node at the other end: what it signs receipts with, how it is reached, and how long we try.

    ``name`` is the configuration's; ``drain_rate`` is how many batches a minute leave for it after it was out of reach. ``taken_down`` says
    that it gives unsigned feedback, which our side takes down in receipts of its own: then ``trusted`` are our own certificates.
    """

    name: str
    node: Node
    trusted: Sequence[Certificate]
    transport: Transport
    retry: Retry
    drain_rate: int = 60
    taken_down: bool = False


class Bodies(Protocol):
    """How records become bodies in a batch, whatever the format is. ``digest`` is over everything that decides it."""

    @property
    def digest(self) -> str:
        """SHA-256, hex."""
        ...

    def render(self, records: pl.DataFrame, facts: BatchFacts) -> Rendered:
        """The bodies of ``records``, a canonical frame with ``@key`` and ``@row``; ``facts`` are what they may tell of their batch."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One exchange (交换任务), ready to run. ``mapping_digest`` is SHA-256 (hex) over everything that decides what goes out,
    ``sight`` what its receiver may see."""

    name: str
    catalog: Catalog
    source: Source
    plan: RecordPlan
    document: Bodies
    gate: Gate
    format_id: str
    format_version: str
    peer: Peer
    route: Route
    batch_size: int
    mapping_digest: str
    guard: Guard
    sight: Sight
