"""What the set starts from: bundles of a sender and of a receiver in which everything is proved."""

from __future__ import annotations

from pathlib import Path

from gateway.ledger.keys import generate_key
from gateway.ledger.note import NoteSigner
from tests.evidence.world import World
from tests.tamper.cases import Given
from tests.tamper.forge import Evidence


def given(world: World, side: str, folder: Path) -> Given:
    """One side's bundle, with its ledger's key."""
    target = folder / f"{side}.zip"
    if not target.exists():
        world.export(side, target)
    with world.folder(side).open() as gateway:
        signer = gateway.note_signer
    stranger = NoteSigner(signer.verifier.name, generate_key(b"\x05" * 32))
    return Given(side=side, evidence=Evidence.read(target), signer=signer, stranger=stranger, authority=world.authority)
