"""Sign the head and publish it, in an order that leaves nothing wrong behind wherever it stops.

Every step may be the last one before a crash; the next call of :meth:`Publisher.publish` runs the same code and finishes the work.
How often that is (at most once a second, at least once a minute when there is something new) is the caller's to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from gateway.clock import Clock, instant
from gateway.errors import LedgerError
from gateway.ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from gateway.ledger.folder import Folder
from gateway.ledger.memory import HeadMemory, Remembered
from gateway.ledger.note import NoteSigner, VerifierKey
from gateway.ledger.port import Head, Log, StoredCheckpoint
from gateway.ledger.proof import LogNodes, edge_at
from gateway.ledger.publication import publish_files
from gateway.ledger.tiles import CHECKPOINT_PATH
from gateway.ledger.tree import EMPTY_ROOT, Edge, leaf_hash

__all__ = ["Publisher"]

_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)  # the time of a head memory that has remembered nothing yet


class Publisher:
    """Signs the log ``origin`` with ``signer`` and publishes it in ``folder``.

    ``retired`` are the verifier keys that signed this log's checkpoints before. The signer's name is the origin (tlog-checkpoint
    asks for that). One publisher at a time should work on a log: the head memory keeps a second one from signing a fork, but the slower of
    the two may put an older checkpoint into the folder for a while.
    """

    def __init__(
        self,
        *,
        origin: str,
        signer: NoteSigner,
        memory: HeadMemory,
        folder: Folder,
        retired: Sequence[VerifierKey] = (),
    ) -> None:
        if signer.verifier.name != origin:
            raise LedgerError("signer-of-other-log", origin=origin, signer=signer.verifier.name)
        self._origin = origin
        self._signer = signer
        self._memory = memory
        self._folder = folder
        self._known = (signer.verifier, *(key for key in retired if key != signer.verifier))
        # The edge at the remembered size, once its root was held against the head memory: what new leaves are hashed onto.
        self._edge: Edge | None = None

    def start(self, log: Log, *, now: datetime | None = None) -> None:
        """Hold storage and published files against the head memory, before anything is appended or signed; and the clock, if ``now`` is given.

        Raises LedgerError: ``head-memory-lost``, ``head-memory-behind``, ``head-memory-of-other-log``, ``ledger-rolled-back``,
        ``ledger-forked``, ``ledger-hash-missing``, ``clock-regressed`` and the codes of
        :func:`gateway.ledger.checkpoint.open_checkpoint`.
        """
        remembered, _ = self._check(log)
        if now is not None and now < remembered.at:
            raise LedgerError("clock-regressed", now=instant(now), last=instant(remembered.at))

    def publish(self, log: Log, clock: Clock) -> StoredCheckpoint | None:
        """Sign and publish what is new since the last time, and what an interrupted earlier call left undone.

        Returns the checkpoint that was published, or None when everything had been published before.

        Raises LedgerError: the codes of :meth:`start`, ``ledger-entry-missing``, ``stored-leaf-differs``, ``ledger-root-differs``,
        ``clock-regressed``, ``head-memory-moved``, the codes of :func:`gateway.ledger.publication.publish_files` and of the folder.
        Nothing is signed when it raises before the head memory moved.
        """
        # 1. What the transactions of the business committed. A crash before here: they are committed, the next call signs them.
        remembered, edge = self._memory.read(), self._edge
        if remembered is None or edge is None or (edge.size, edge.root()) != (remembered.size, remembered.root):
            remembered, edge = self._check(log)
        head = log.head()
        if head.size < remembered.size:
            raise LedgerError("ledger-rolled-back", remembered=remembered.size, found=head.size)
        if head.size > remembered.size:
            # 2. Hash the new leaves a second time, from the bytes that storage gives back. A crash here: nothing happened.
            edge = self._rehash(log, edge, head)
            # 3. Size did advance; so must time.
            now = clock.now()
            if now <= remembered.at:
                raise LedgerError("clock-regressed", now=instant(now), last=instant(remembered.at))
            # 4. Promise this head before signing it. A crash after this: no signature exists yet, and none but one over this head or a
            #    later one of the same log can come to exist; the next call signs it.
            new = Remembered(origin=self._origin, size=head.size, root=head.root, at=now)
            self._memory.swap(remembered, new)
            self._edge, remembered = edge, new
        if remembered.size == 0:
            return None
        # 5. Sign, and store what was signed. A crash between the two loses a signature that the next call makes again, byte for byte.
        newest = log.newest_checkpoint()
        if newest is None or newest.size < remembered.size:
            checkpoint = Checkpoint(origin=self._origin, size=remembered.size, root=remembered.root)
            newest = StoredCheckpoint(
                size=checkpoint.size, root=checkpoint.root, note=sign_checkpoint(checkpoint, self._signer)
            )
            log.put_checkpoint(newest)
        elif self._opened(newest) != Checkpoint(origin=self._origin, size=remembered.size, root=remembered.root):
            raise LedgerError("stored-checkpoint-differs", size=newest.size)
        # 6. The files. A crash from here on: the next call finds the published checkpoint behind the stored one and goes on.
        if (self._folder.read(CHECKPOINT_PATH) or b"").startswith(newest.note):  # what witnesses signed may follow
            return None
        published = self._published()
        publish_files(log, self._folder, newest, since=0 if published is None else published.size)
        # 7. The checkpoint, last: whoever reads it finds every tile that it speaks for.
        self._folder.replace(CHECKPOINT_PATH, newest.note)
        return newest

    def cosign(self, note: bytes, lines: Sequence[str]) -> bool:
        """Publish the checkpoint ``note`` with the signature lines of witnesses after our own; False when another one is published by now.

        ``lines`` were verified by the caller. Raises LedgerError ``ledger-file-failed``.
        """
        published = self._folder.read(CHECKPOINT_PATH)
        if published is None or not published.startswith(note):
            return False
        cosigned = note + "".join(lines).encode("utf-8")
        if cosigned != published:
            self._folder.replace(CHECKPOINT_PATH, cosigned)
        return True

    def recover(self, log: Log, note: bytes, clock: Clock) -> Checkpoint:
        """Lay the head memory down again after it was lost, from ``note``: our own newest checkpoint as a peer or witness holds it; or
        after the clock had been ahead while it was written, so that nothing could be signed until that time.

        The caller appends a ``recovery`` entry that names the person, after :meth:`examine` and before this: whatever happens in between,
        there is no recovery that the ledger does not tell of. Returns the checkpoint in ``note``.
        Raises LedgerError as :meth:`examine`, and the codes of :meth:`start`.
        """
        now = clock.now()
        checkpoint = self.examine(log, note, now=now)
        new = Remembered(origin=self._origin, size=checkpoint.size, root=checkpoint.root, at=now)
        self._memory.swap(self._memory.read(), new)
        self.start(log)
        return checkpoint

    def examine(self, log: Log, note: bytes, *, now: datetime) -> Checkpoint:
        """Whether :meth:`recover` could lay the head memory down from ``note`` at ``now``: the checkpoint in it. Changes nothing.

        A memory that is there stays, unless it was written at a time still to come. Raises LedgerError: ``head-memory-present``,
        ``recovery-note-old``, ``ledger-rolled-back``, ``ledger-forked`` and the codes of
        :func:`gateway.ledger.checkpoint.open_checkpoint`.
        """
        remembered = self._memory.read()
        if remembered is not None and remembered.at <= now:
            raise LedgerError("head-memory-present")
        checkpoint = open_checkpoint(note, self._known, self._origin)
        if remembered is not None and remembered.size > checkpoint.size:
            raise LedgerError("recovery-note-old", size=checkpoint.size, signed=remembered.size)
        self._held(log, log.head(), checkpoint)
        for signed in (self._stored(log), self._published()):
            if signed is not None and signed.size > checkpoint.size:
                raise LedgerError("recovery-note-old", size=checkpoint.size, signed=signed.size)
        return checkpoint

    def lay_down(self, log: Log) -> None:
        """Lay down the memory of a ledger that has not begun, before its first start. Raises LedgerError ``head-memory-present``, or
        ``head-memory-lost`` when the ledger has begun.
        """
        if self._memory.read() is not None:
            raise LedgerError("head-memory-present")
        if log.head().size:
            raise LedgerError("head-memory-lost", size=log.head().size)
        self._memory.swap(None, Remembered(origin=self._origin, size=0, root=EMPTY_ROOT, at=_NEVER))

    def _check(self, log: Log) -> tuple[Remembered, Edge]:
        """What is remembered, and the edge that it proves."""
        # Read backwards, what is written last first: then another process at work cannot look like a contradiction.
        published = self._published()
        stored = self._stored(log)
        remembered = self._memory.read()
        head = log.head()
        if remembered is None:
            # 1. no memory: well only where nothing was ever signed and nothing but the first entry written
            if stored is not None or published is not None or head.size > 1:
                raise LedgerError("head-memory-lost", size=head.size)
            remembered = Remembered(origin=self._origin, size=0, root=EMPTY_ROOT, at=_NEVER)
            self._memory.swap(None, remembered)
        # 2. it is this log's memory
        if remembered.origin != self._origin:
            raise LedgerError("head-memory-of-other-log", expected=self._origin, found=remembered.origin)
        # 3. storage still holds everything that is remembered, unchanged
        edge = self._held(log, head, Checkpoint(origin=self._origin, size=remembered.size, root=remembered.root))
        # 4. nothing was signed that the memory does not know: it was not put back either
        for checkpoint in (stored, published):
            if checkpoint is None:
                continue
            if checkpoint.size > remembered.size:
                raise LedgerError("head-memory-behind", remembered=remembered.size, signed=checkpoint.size)
            self._held(log, head, checkpoint)
        self._edge = edge
        return remembered, edge

    def _stored(self, log: Log) -> Checkpoint | None:
        newest = log.newest_checkpoint()
        return None if newest is None else self._opened(newest)

    def _opened(self, stored: StoredCheckpoint) -> Checkpoint:
        checkpoint = open_checkpoint(stored.note, self._known, self._origin)
        if (checkpoint.size, checkpoint.root) != (stored.size, stored.root):
            raise LedgerError("stored-checkpoint-differs", size=stored.size)
        return checkpoint

    def _published(self) -> Checkpoint | None:
        note = self._folder.read(CHECKPOINT_PATH)
        return None if note is None else open_checkpoint(note, self._known, self._origin)

    @staticmethod
    def _held(log: Log, head: Head, checkpoint: Checkpoint) -> Edge:
        """The edge at ``checkpoint``; its root proves it, wherever the hashes came from."""
        if head.size < checkpoint.size:
            raise LedgerError("ledger-rolled-back", remembered=checkpoint.size, found=head.size)
        edge = edge_at(LogNodes(log), checkpoint.size)
        if edge.root() != checkpoint.root:
            raise LedgerError("ledger-forked", size=checkpoint.size)
        return edge

    @staticmethod
    def _rehash(log: Log, edge: Edge, head: Head) -> Edge:
        for entry in log.entries(edge.size, head.size):
            if entry.index != edge.size:
                raise LedgerError("ledger-entry-missing", index=edge.size)
            computed = leaf_hash(entry.leaf)
            if computed != entry.leaf_hash:
                raise LedgerError("stored-leaf-differs", index=entry.index)
            edge = edge.append(computed)
        if edge.size != head.size:
            raise LedgerError("ledger-entry-missing", index=edge.size)
        if edge.root() != head.root or edge.hashes != head.edge:
            raise LedgerError("ledger-root-differs", size=head.size)
        return edge
