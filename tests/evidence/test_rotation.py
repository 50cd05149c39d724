"""Every key of two nodes is changed as the manual says, batches go on, and what both export afterwards holds across the changes."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path

from gateway.clock import RandomIds, SystemClock
from gateway.evidence.judgement import judgement_lines
from gateway.evidence.notes import claimed
from gateway.ledger.keys import load_key
from gateway.ledger.note import NoteSigner
from gateway.ledger.report import Verdict
from gateway.store import batches
from gateway.workfolder import lay_out
from tests.cli.test_cli import gateway
from tests.evidence.world import stamp
from tests.nodes import BUREAU, PROVINCE, Folder, Nodes, lay_nodes, permit, run_once
from tests.package.stamping import Authority
from tests.tamper.forge import Evidence

ORDER = ("--person", "密钥管理员", "--reason", "定期更换")


def edit(folder: Folder, *changes: tuple[str, str]) -> None:
    file = folder.path / "config.toml"
    text = file.read_text("utf-8")
    for before, after in changes:
        assert before in text, before
        text = text.replace(before, after)
    file.write_text(text, "utf-8")


def new_signing_key(node: Folder, code: str, spare: Path) -> None:
    """Steps 1 and 3 of the manual: a pair made in an empty folder, put beside the old one, configured."""
    lay_out(spare, code=code, name="示例", hosts=["127.0.0.1"], clock=SystemClock(), ids=RandomIds())
    for kind in ("key", "crt"):
        shutil.copy2(spare / "certs" / f"signing.{kind}", node.path / "certs" / f"signing-2029.{kind}")
    edit(node, ("certs/signing.key", "certs/signing-2029.key"), ("certs/signing.crt", "certs/signing-2029.crt"))


def pin_both(node: Folder, other: Folder, name: str) -> None:
    """Step 2: the peer names the old certificate and the new one."""
    new = (other.path / "certs" / "signing-2029.crt").read_bytes()
    (node.path / "certs" / f"{name}-signing-2029.crt").write_bytes(new)
    old = f'"certs/{name}-signing.crt"'
    edit(node, (f"certificates = [{old}]\ntls", f'certificates = [{old}, "certs/{name}-signing-2029.crt"]\ntls'))


def name_ledger_keys(node: Folder, other: Folder, name: str) -> None:
    """The peer names the old verifier key of the other's ledger and the new one."""
    keys = [(other.path / "certs" / f"{file}.vkey").read_text("utf-8").strip() for file in ("ledger", "ledger-2029")]
    at = f"[peers.{name}]\n"
    edit(node, (at, f"{at}ledger_keys = {json.dumps(keys, ensure_ascii=False)}\n"))


async def exchange(nodes: Nodes, authority: Authority, *, rotated: bool = False, pinned: bool = False) -> None:
    """Everything that is due is taken. Pointing the bureau at a new port writes its peer anew."""
    async with nodes.province_listening() as province:
        if rotated:
            name_ledger_keys(nodes.bureau, nodes.province, "province")
        if pinned:
            pin_both(nodes.bureau, nodes.province, "province")
        stamp(province, authority)
        with nodes.bureau.open() as bureau:
            stamp(bureau, authority)
            await run_once(bureau)
            with bureau.database.read() as conn:
                assert batches.open_batches(conn) == [], "everything was taken"
            stamp(bureau, authority)
        stamp(province, authority)


def test_every_key_is_changed_and_the_evidence_holds(tmp_path: Path) -> None:
    nodes, authority = lay_nodes(tmp_path), Authority()
    nodes.business.write([permit(1), permit(2)])
    asyncio.run(exchange(nodes, authority))
    # The ledgers' keys, by the command.
    for folder in (nodes.bureau, nodes.province):
        config = ("--config", folder.path / "config.toml")
        done = gateway("keys", "rotate", "ledger", "--new", folder.path / "certs" / "ledger-2029.key", *ORDER, *config)
        assert done.exit_code == 0, done.output
        edit(folder, ("certs/ledger.key", "certs/ledger-2029.key"))
    name_ledger_keys(nodes.province, nodes.bureau, "bureau")
    nodes.business.write([permit(1), permit(2), permit(3)])
    asyncio.run(exchange(nodes, authority, rotated=True))
    # The keys that seal, each pinned by the other side before it is used.
    new_signing_key(nodes.bureau, BUREAU, tmp_path / "spare-bureau")
    new_signing_key(nodes.province, PROVINCE, tmp_path / "spare-province")
    pin_both(nodes.province, nodes.bureau, "bureau")
    nodes.business.write([permit(1), permit(2), permit(3), permit(4)])
    asyncio.run(exchange(nodes, authority, rotated=True, pinned=True))
    for folder in (nodes.bureau, nodes.province):
        check(folder, tmp_path / f"{folder.path.name}.zip", authority)


def check(folder: Folder, target: Path, authority: Authority) -> None:
    done = gateway("audit", "export", "--all", "-o", target, *ORDER, "--config", folder.path / "config.toml")
    assert done.exit_code == 0, done.output
    evidence = Evidence.read(target)
    kinds = [entry.kind for entry in evidence.entries]
    assert kinds.count("key.rotated") >= 2, "its ledger's key and the one that seals"
    told = evidence.policy
    assert len(told.ledger_keys) == 2
    # Whoever knew the first ledger key and nothing else of this ledger follows the other one from it.
    policy = replace(told, ledger_keys=told.ledger_keys[:1], authorities=(authority.root.certificate,))
    result = evidence.verify(policy, [claimed(evidence.members["checkpoint"], "kept")])
    assert result.verdict is Verdict.PROVED, list(judgement_lines(result, "en"))
    signed = {entry.text("signer_key_id") for entry in evidence.entries if "signer_key_id" in entry.fields}
    assert len(signed) == 2, "sealed with the old key and with the new one"
    # Going on under the first key is found out.
    with folder.open() as node:
        now = node.note_signer
    old = NoteSigner(now.verifier.name, load_key(folder.path / "certs" / "ledger.key"))
    assert old.verifier == told.ledger_keys[0]
    forged = evidence.with_log(evidence.leaves, old).verify(policy, [claimed(evidence.members["checkpoint"], "kept")])
    assert forged.by_question["authenticity"].verdict is Verdict.CONTRADICTED
