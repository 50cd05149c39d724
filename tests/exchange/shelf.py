"""An intake that keeps packages on a shelf: the least work that can stand behind the receiver."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping

from gateway.exchange.intake import Facts, Pending, ProblemAnswer, ReceiptTaken
from gateway.exchange.port import NodeInfo
from gateway.exchange.problem import Problem
from gateway.exchange.shown import NOTHING, Shown


class Shelf:
    """Takes whatever comes once, and answers with a receipt that names the bytes. ``calls`` are (caller, batch id, package)."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, bytes]] = []
        self.kept: dict[str, bytes] = {}
        self.shown: list[Shown] = []
        self.asked: list[tuple[str, ...]] = []
        self.entered = asyncio.Event()
        self.gate: asyncio.Event | None = None  # when set, the work waits here
        self.fault: Exception | None = None
        self.says: ReceiptTaken | Pending | ProblemAnswer | None = None

    async def take(
        self, caller: str, batch_id: str, package: bytes, shown: Shown = NOTHING
    ) -> ReceiptTaken | Pending | ProblemAnswer:
        self.calls.append((caller, batch_id, package))
        self.shown.append(shown)
        self.entered.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        if self.says is not None:
            return self.says
        if batch_id in self.kept and self.kept[batch_id] != package:
            return ProblemAnswer(problem=Problem(code="batch-id-conflict"))
        new = batch_id not in self.kept
        self.kept[batch_id] = package
        return ReceiptTaken(receipt=receipt_for(package), new=new)

    async def receipt(self, caller: str, batch_id: str) -> ReceiptTaken | Pending | ProblemAnswer:
        if self.says is not None:
            return self.says
        if batch_id not in self.kept:
            return ProblemAnswer(problem=Problem(code="unknown-batch"))
        return ReceiptTaken(receipt=receipt_for(self.kept[batch_id]), new=True)

    async def node(self, caller: str) -> Mapping[str, object]:
        return NodeInfo(
            code="11230000MB1234567X", name="省结点", versions=(1,), catalogs=("administrative-license",)
        ).to_json()

    async def digests(
        self, caller: str, sender: str, catalog: str, receiver: str, prefix: str
    ) -> Facts | ProblemAnswer:
        self.asked.append((caller, sender, catalog, receiver, prefix))
        return Facts(body={"prefix": prefix, "buckets": {}})


def receipt_for(package: bytes) -> bytes:
    return b"receipt of " + hashlib.sha256(package).hexdigest().encode()
