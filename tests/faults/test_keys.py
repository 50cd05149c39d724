"""Keys are changed while batches wait: the old signature holds as long as both certificates are listed, and no longer."""

from __future__ import annotations

import pytest

from gateway.clock import RandomIds, SystemClock
from gateway.package.certificates import generate_identity, store_private_key
from tests.faults.books import load
from tests.faults.scene import Scene
from tests.faults.test_restored import gateway
from tests.nodes import BUREAU, PROVINCE, Folder


def change_key(node: Folder, code: str) -> bytes:
    """A new signing key in place of the old one; its certificate, to be given to the peer."""
    key, certificate = generate_identity(
        common_name="new signing",
        code=code,
        san_hosts=(),
        at=SystemClock().now(),
        days=30,
        serial=RandomIds().bytes(20),
    )
    certs = node.path / "certs"
    (certs / "signing.key").unlink()
    store_private_key(certs / "signing.key", key)
    (certs / "signing.crt").write_bytes(certificate)
    return certificate


def sealed_and_waiting(scene: Scene) -> None:
    """Two batches under the old key."""
    scene.line.down()
    scene.bureau().log.wait_for("run.closed", sealed=7)
    scene.clear()
    scene.line.up()


@pytest.mark.fault("F35")
def test_a_sender_changes_its_key_between_two_tries(scene: Scene) -> None:
    sealed_and_waiting(scene)
    new = change_key(scene.nodes.bureau, BUREAU)
    listed = scene.nodes.province.path / "certs" / "bureau-signing.crt"
    listed.write_bytes(listed.read_bytes() + new)
    scene.check()
    listed.write_bytes(new)
    scene.clear()
    scene.set_rows(scene.rows | {60: "新增许可"})
    scene.check()
    assert [batch.state for batch in load(scene.nodes).sent] == ["reconciled"] * 3


@pytest.mark.fault("F35")
@pytest.mark.slow
def test_a_receiver_changes_its_key_after_it_has_answered(scene: Scene) -> None:
    """Its stored receipts are under the old key, its new ones under the new; both are believed while both are listed."""
    sealed_and_waiting(scene)
    new = change_key(scene.nodes.province, PROVINCE)
    listed = scene.nodes.bureau.path / "certs" / "province-signing.crt"
    listed.write_bytes(listed.read_bytes() + new)
    scene.check()


@pytest.mark.fault("F35", "S4")
def test_a_key_that_is_no_longer_listed_makes_a_batch_anew(scene: Scene) -> None:
    """The receiver refuses the old signature; a person gives the batch up, and its records go out under the new key, none lost or doubled."""
    scene.configure(batch_size=100)
    sealed_and_waiting(scene)
    new = change_key(scene.nodes.bureau, BUREAU)
    (scene.nodes.province.path / "certs" / "bureau-signing.crt").write_bytes(new)
    scene.province()
    refused = scene.bureau().log.wait_for("batch.moved", state="refused", code="signature-invalid")
    words = ("batches", "abandon", refused["batch"], "--person", "值班员", "--reason", "更换密钥")
    assert gateway(scene.nodes.bureau.path, *words).returncode == 0
    scene.check()
    states = [batch.state for batch in load(scene.nodes).sent]
    assert states == ["abandoned", "reconciled", "reconciled"], "the old one, a void one in its place, the new one"
