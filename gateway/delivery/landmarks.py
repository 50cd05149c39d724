"""The entries that everything else in a ledger leans on: those about keys and those with time-stamps, and the checkpoints they need."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from gateway.errors import LedgerError
from gateway.evidence.trust import certificate_in
from gateway.ledger.cosignature import CosignerKey
from gateway.ledger.encoding import from_base64
from gateway.ledger.entry import Entry
from gateway.ledger.history import KEY_KINDS, KeyHistory
from gateway.ledger.note import VerifierKey
from gateway.package.certificates import Certificate

__all__ = ["Landmarks", "Stamped", "certificates", "verifier_keys", "witness_keys"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamped:
    """An anchor entry: its index, the size of the checkpoint that it stamps, its token."""

    index: int
    size: int
    token: bytes


@dataclass(slots=True)
class Landmarks:
    """Filled entry by entry, in the order of their indices."""

    keys: list[tuple[int, Entry]] = field(default_factory=list)
    anchors: list[Stamped] = field(default_factory=list)

    def take(self, index: int, entry: Entry) -> None:
        """One entry; most are none of these."""
        if entry.kind in KEY_KINDS:
            self.keys.append((index, entry))
        elif entry.kind == "anchor":
            token = from_base64(entry.text("token")) or b""
            self.anchors.append(Stamped(index=index, size=entry.number("checkpoint_size"), token=token))

    def history(self) -> KeyHistory:
        """The keys, as far as their entries make sense; those that do not are for the verifier to tell."""
        history = KeyHistory()
        for index, entry in self.keys:
            with suppress(LedgerError):
                history.take(index, entry)
        return history

    def around(self, index: int) -> list[Stamped]:
        """The newest time-stamp entered up to ``index``, and the one over the smallest tree that holds the entry ``index``."""
        before = bisect_right(self.anchors, index, key=lambda one: one.index)
        by_size = sorted(self.anchors, key=lambda one: one.size)
        after = bisect_left(by_size, index + 1, key=lambda one: one.size)
        return [*self.anchors[max(before - 1, 0) : before], *by_size[after : after + 1]]

    def leaned_on(self, stamped: Iterable[int], sizes: Sequence[int]) -> list[int]:
        """Which of the checkpoints there are (``sizes``): those that were ``stamped``, and the two around each change of the ledger's key."""
        wanted = set(stamped)
        for index, entry in self.keys:
            if entry.fields.get("purpose") == "ledger" and entry.fields.get("owner") == entry.fields["node"]:
                after = bisect_right(sizes, index + 1)
                wanted.update(sizes[max(after - 1, 0) : after + 1])
        return sorted(wanted.intersection(sizes))


def verifier_keys(history: KeyHistory) -> list[VerifierKey]:
    """The ledger's own keys, as far as they are any."""
    found = []
    for key in history.ledger_keys():
        with suppress(LedgerError):
            found.append(VerifierKey.parse(key.key))
    return found


def witness_keys(history: KeyHistory) -> list[CosignerKey]:
    """The keys of the witnesses that the ledger names, each once."""
    found = []
    for key in history.keys:
        if key.purpose == "witness":
            with suppress(LedgerError):
                found.append(CosignerKey.parse(key.key))
    return list(dict.fromkeys(found))


def certificates(history: KeyHistory) -> dict[str, Certificate]:
    """The certificates of the key history, by key id."""
    return {key.key_id: found for key in history.keys if (found := certificate_in(key)) is not None}
