"""The rows of the fault table: what may go wrong, in a few words. A test says which of them it tries: ``@pytest.mark.fault("F1")``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["ROWS"]

ROWS: Final[Mapping[str, str]] = {
    "F1": "killed while reading the source",
    "F2": "killed after the records are stored, before they are sealed",
    "F3": "killed after sealing, before sending",
    "F4": "killed, or the line cut, in the middle of a package",
    "F5": "the receiver has stored it, its answer is lost",
    "F6": "killed when the receipt was read and not stored",
    "F7": "killed when the receipt is stored and not settled",
    "F8": "killed inside the closing transaction",
    "F9": "killed when the ledger is committed and not signed",
    "F10": "killed when the head is remembered and the files are not published",
    "F13": "an I/O error on a write or a sync",
    "F14": "the disk is full",
    "F15": "no file descriptors left",
    "F16": "the disk has become read-only",
    "F19": "two daemons on one state",
    "F20": "a worker wakes after its lease",
    "F21": "an old copy of the database is put back",
    "F23": "the clock jumps",
    "F24": "the clock is far off at the start",
    "F25": "connection refused, cut, timed out",
    "F26": "an answer that drips, or never ends",
    "F27": "the same package many times, at once",
    "F28": "batches in another order",
    "F29": "a receipt for another batch, other bytes, by another key",
    "F30": "some records of a batch are rejected",
    "F32": "the source's columns change while it is read",
    "F33": "the source's rows change while they are read",
    "F34": "one record that cannot be read",
    "F35": "keys are changed while a batch waits",
    "F39": "told to stop in the middle of work",
    "F40": "an upgrade is interrupted",
    "F41": "memory runs out",
    "F42": "nobody reads the log",
    "F45": "two records that say the same",
    "S1": "killed after the bytes left, before the receipt was stored",
    "S2": "a receipt that is lost, or comes late",
    "S3": "the same batch again, with the same and with other bytes",
    "S4": "refused for good, refused for now, tries used up",
    "S5": "killed between taking a batch up and writing down when it is due next",
    "S6": "paused while hundreds are due",
    "S7": "the peer is away for long, and comes back",
    "S10": "the clock is wrong, or set back",
    "S11": "clocks that are changed in spring and autumn; missed runs",
    "S12": "rows that come late under an old cursor, ties, empty cursors",
    "S13": "sent, and its state not written; and the other way round",
    "S15": "one bad record among many",
    "S16": "a source that is emptied, or cut off",
    "S17": "the receiver holds other records than it said",
    "S18": "two orders, or an order and a schedule, at the same moment",
}
"""F: faults of the parts. S: stories that other gateways' users have told. Numbers are left out where other suites hold the row."""
