"""Which key was to be believed for what, and up to which size of the ledger: the key entries of one ledger, folded.

A ledger key that was exchanged by the entry with index i signs checkpoints of up to i + 1 entries, and so vouches for its own successor;
the new one signs those of more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from gateway.clock import instant
from gateway.errors import LedgerError
from gateway.ledger.cosignature import CosignerKey
from gateway.ledger.entry import Entry, decode
from gateway.ledger.note import VerifierKey
from gateway.ledger.port import StoredEntry

__all__ = ["KEY_KINDS", "NOBODY", "NO_END", "KeyHistory", "LoggedKey", "key_id_of"]

KEY_KINDS: Final = ("genesis", "key.added", "key.rotated", "key.revoked")
"""The kinds that a history is folded from."""

NO_END: Final = "9999-12-31T23:59:59.999999Z"
"""``valid_to`` of a key without an end (as RFC 5280 §4.1.2.5 writes it)."""


NOBODY: Final = "-"
"""``person`` of an entry that no person ordered, in a field that must not be empty."""


def key_id_of(key: VerifierKey | CosignerKey) -> str:
    """How a ledger's or witness's key is named in entries: SHA-256 over its 32 bytes, 64 hex digits."""
    return sha256(key.public).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedKey:
    """A key as entered. ``index`` is its own entry's, ``replaced`` that of the entry which put another in its place; nothing is
    believed under it from ``revoked_from`` entries on, by the word of ``revoked_by`` (:data:`NOBODY`: it was taken out of the configuration).
    """

    purpose: str
    owner: str
    key_id: str
    key: str
    index: int
    valid_from: str
    valid_to: str
    replaced: int | None = None
    revoked_from: int | None = None
    revoked_by: str = ""

    @property
    def current(self) -> bool:
        """Whether it is neither replaced nor revoked."""
        return self.replaced is None and self.revoked_from is None

    def signs(self, size: int) -> bool:
        """Whether a checkpoint over ``size`` entries under this key (of purpose ``ledger``) is to be believed."""
        began = size > self.index + (0 if self.index == 0 else 1)
        return began and (self.replaced is None or size <= self.replaced + 1) and not self.revoked(size)

    def revoked(self, size: int) -> bool:
        """Whether nothing is believed under it any more in a ledger of ``size`` entries."""
        return self.revoked_from is not None and size >= self.revoked_from


class KeyHistory:
    """The keys of one ledger, in the order of their entries."""

    def __init__(self) -> None:
        self._keys: list[LoggedKey] = []
        self._node = ""

    @classmethod
    def of(cls, entries: Iterable[StoredEntry]) -> KeyHistory:
        """From stored entries; those of other kinds than :data:`KEY_KINDS` are passed over. Raises LedgerError."""
        history = cls()
        for stored in entries:
            if stored.kind in KEY_KINDS:
                history.take(stored.index, decode(stored.leaf))
        return history

    def take(self, index: int, entry: Entry) -> None:
        """One more entry. Raises LedgerError ``key-unknown`` when it speaks of a key that was never entered."""
        match entry.kind:
            case "genesis":
                self._node = entry.text("node")
                key = VerifierKey.parse(entry.text("verifier_key"))
                self._keys.append(
                    LoggedKey(
                        purpose="ledger",
                        owner=self._node,
                        key_id=key_id_of(key),
                        key=str(key),
                        index=index,
                        valid_from=instant(entry.at),
                        valid_to=NO_END,
                    )
                )
            case "key.added" | "key.rotated":
                if entry.kind == "key.rotated":
                    at = self._find(entry, "before_key_id")
                    self._keys[at] = replace(self._keys[at], replaced=index)
                self._keys.append(
                    LoggedKey(
                        purpose=entry.text("purpose"),
                        owner=entry.text("owner"),
                        key_id=entry.text("key_id"),
                        key=entry.text("key"),
                        index=index,
                        valid_from=entry.text("valid_from"),
                        valid_to=entry.text("valid_to"),
                    )
                )
            case "key.revoked":
                at = self._find(entry, "key_id")
                # Whoever learns later that a key was stolen earlier says so in another entry.
                before, size = self._keys[at].revoked_from, entry.number("from_size")
                self._keys[at] = replace(
                    self._keys[at],
                    revoked_from=size if before is None else min(before, size),
                    revoked_by=entry.text("person"),
                )
            case _:
                pass

    @property
    def keys(self) -> tuple[LoggedKey, ...]:
        """Every key that was ever entered."""
        return tuple(self._keys)

    def current(self, purpose: str, owner: str) -> tuple[LoggedKey, ...]:
        """The keys of an owner for a purpose that are neither replaced nor revoked."""
        return tuple(key for key in self._keys if key.current and (key.purpose, key.owner) == (purpose, owner))

    def ledger_keys(self) -> tuple[LoggedKey, ...]:
        """The keys that signed this ledger's own checkpoints, first to last; the first is that of the genesis entry."""
        return tuple(key for key in self._keys if (key.purpose, key.owner) == ("ledger", self._node))

    def _find(self, entry: Entry, field: str) -> int:
        """Where the newest key stands that the entry speaks of."""
        wanted = (entry.text("purpose"), entry.text("owner"), entry.text(field))
        for at in reversed(range(len(self._keys))):
            if (self._keys[at].purpose, self._keys[at].owner, self._keys[at].key_id) == wanted:
                return at
        raise LedgerError("key-unknown", key=entry.text(field), owner=entry.text("owner"))
