"""``gateway audit show | export | prove`` and ``gateway-verify``, as their users meet them."""

from __future__ import annotations

import asyncio
import json
import shutil
import stat
import subprocess
import sys
import zipfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway import verifier
from gateway.cli.main import app
from gateway.cli.screen import ExitCode, fail
from gateway.control import ControlServer
from gateway.errors import GatewayError
from gateway.ledger.entry import decode
from gateway.store.entries import DurableLog
from tests.evidence.world import MINISTRY, PERSON, REASON, ROUTES, World
from tests.nodes import BUREAU, permit
from tests.tamper.forge import Evidence

SIGNED = ("--person", PERSON, "--reason", REASON)


def gateway(world: World, *words: str | Path, side: str = "bureau") -> Result:
    config = world.folder(side).path / "config.toml"
    result = CliRunner().invoke(app, [*(str(word) for word in words), "--config", str(config)])
    if isinstance(result.exception, GatewayError):
        result.exit_code = fail(result.exception)  # what main() does with it
    elif result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert "cli-" not in result.output, "a code stands where its sentence is missing"
    return result


def shown(world: World, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(gateway(world, "audit", "show", "--json", *words).stdout)
    return found


def size(world: World, side: str = "bureau") -> int:
    return len(json.loads(gateway(world, "audit", "show", "--json", "--limit", "10000", side=side).stdout))


def test_entries_by_every_condition(world: World) -> None:
    everything = shown(world, "--limit", "1000")
    day = everything[0]["at"][:10]
    batch = next(one for one in everything if one["kind"] == "batch.reconciled")
    cases: dict[tuple[str, ...], list[dict[str, Any]]] = {
        ("--route", ROUTES[1]): [one for one in everything if one.get("route") == ROUTES[1]],
        ("--batch", batch["batch_id"]): [one for one in everything if one.get("batch_id") == batch["batch_id"]],
        ("--person", PERSON): [one for one in everything if one.get("person") == PERSON],
        ("--kind", "run.closed"): [one for one in everything if one["kind"] == "run.closed"],
        ("--unit", BUREAU): [one for one in everything if "route" in one],
        ("--unit", MINISTRY): [],
        ("--from", "2999-01-01"): [],
        ("--to", "2000-01-01"): [],
        ("--index", "5", "--limit", "2"): everything[5:7],
        ("--route", ROUTES[0], "--kind", "batch.abandoned"): [
            one for one in everything if one["kind"] == "batch.abandoned"
        ],
    }
    for words, expected in cases.items():
        assert shown(world, *words) == expected, words
    assert cases["--person", PERSON]
    assert shown(world, "--from", "2020-01-01", "--to", "2999-01-01", "--limit", "1000") == everything
    assert gateway(world, "audit", "show", "--from", day).exit_code == 0
    assert gateway(world, "audit", "show", "--from", "yesterday").exit_code == ExitCode.USAGE


def test_a_unit_is_known_by_its_records(world: World) -> None:
    """The unit that produced the records is the bureau itself here; a batch with its records is found on the receiving side of nothing."""
    unit = permit(1)["XK_LYDWDM"]
    assert {one["kind"] for one in shown(world, "--unit", str(unit))} >= {"batch.reconciled", "batch.abandoned"}


def test_an_export_is_entered_and_printed(world: World, tmp_path: Path) -> None:
    before = size(world)
    target = tmp_path / "evidence.zip"
    result = gateway(world, "audit", "export", "--all", "-o", target, *SIGNED, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["entered"], told["not_entered"], told["absent"]) == (before, "", 1), "one package was erased"
    assert told["sha256"] == sha256(target.read_bytes()).hexdigest()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    whole = Evidence.read(target)
    assert told["verifier_sha256"] == sha256(whole.members["gateway-verify.pyz"]).hexdigest()
    entry = whole.entries[-1]
    assert (entry.kind, entry.text("person"), entry.text("reason")) == ("operator.action", PERSON, REASON)
    assert (entry.text("action"), entry.text("subject")) == ("export", "all")
    assert list(tmp_path.iterdir()) == [target], "no half a file is left"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), ExitCode.USAGE),
        (("--all", "--route", "a/b/c"), ExitCode.USAGE),
        (("--from", "2026-13-01"), ExitCode.USAGE),
        (("--all", "--reason", ""), ExitCode.USAGE),
    ],
)
def test_an_order_that_is_not_clear_writes_nothing(
    world: World, tmp_path: Path, words: tuple[str, ...], code: ExitCode
) -> None:
    before = size(world)
    result = gateway(world, "audit", "export", "-o", tmp_path / "evidence.zip", *SIGNED, *words)
    assert result.exit_code == code
    assert list(tmp_path.iterdir()) == []
    assert size(world) == before


def test_nothing_is_overwritten_and_nothing_entered_for_it(world: World, tmp_path: Path) -> None:
    target, before = tmp_path / "evidence.zip", size(world)
    target.write_bytes(b"precious")
    assert gateway(world, "audit", "export", "--all", "-o", target, *SIGNED).exit_code == ExitCode.FOUND
    assert gateway(world, "audit", "prove", "--record", "x", "-o", target, *SIGNED).exit_code == ExitCode.FOUND
    assert (target.read_bytes(), size(world)) == (b"precious", before)


def test_a_folder_that_is_not_there(world: World, tmp_path: Path) -> None:
    result = gateway(world, "audit", "export", "--all", "-o", tmp_path / "no" / "evidence.zip", *SIGNED)
    assert result.exit_code == ExitCode.FOUND


def test_while_another_process_holds_the_state_the_bundle_says_that_it_is_not_entered(
    world: World, tmp_path: Path
) -> None:
    target = tmp_path / "evidence.zip"
    with world.nodes.bureau.open():
        result = gateway(world, "audit", "export", "--all", "-o", target, *SIGNED, "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["entered"], told["not_entered"]) == (0, None, "state-held")
    assert "state-held" not in result.stdout.replace('"not_entered": "state-held"', "")
    manifest = Evidence.read(target).manifest
    assert (manifest.entry, manifest.not_entered) == (-1, "state-held")


async def test_the_running_daemon_enters_it(world: World, tmp_path: Path) -> None:
    target = tmp_path / "evidence.zip"
    with world.nodes.bureau.open() as daemon:
        server = ControlServer(daemon)
        await server.start()
        try:
            words = ("audit", "export", "--route", ROUTES[0], "-o", target, *SIGNED, "--json")
            result = await asyncio.to_thread(gateway, world, *words)
        finally:
            await server.stop()
        assert json.loads(result.stdout)["entered"] == DurableLog(daemon.database).head().size - 1
    assert Evidence.read(target).entries[-1].text("subject") == f"route={ROUTES[0]}"


def read_only(folder: Path, command: list[str]) -> list[str]:
    """The command with ``folder`` read-only for it, whoever runs it."""
    inner = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
    return ["unshare", "-m", "bash", "-c", inner, "-", str(folder), *command]


@pytest.mark.parametrize("log", ["with the log's index", "without"])
def test_an_auditor_who_may_only_read(world: World, tmp_path: Path, log: str) -> None:
    folder = world.nodes.bureau.path
    if shutil.which("unshare") is None or subprocess.run(read_only(folder, ["true"]), check=False).returncode:
        pytest.skip("no folder can be made read-only here: unshare and mount need the right to do so")
    if log == "without":
        for name in ("gateway.db-wal", "gateway.db-shm"):
            (folder / "var" / name).unlink(missing_ok=True)
    before, target = size(world) if log != "without" else None, tmp_path / "evidence.zip"
    words = ["audit", "export", "--all", "-o", str(target), *SIGNED, "--config", str(folder / "config.toml")]
    done = subprocess.run(
        read_only(folder, [sys.executable, "-m", "gateway", *words]), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "没有记入台账" in done.stderr
    whole = Evidence.read(target)
    assert whole.manifest.not_entered == "state-unwritable"
    assert before in {None, whole.size}
    assert whole.verify(whole.policy, [whole.newest]).by_question["integrity"].findings == ()


def verify(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        verifier.main([str(word) for word in words])
    return int(ended.value.code or 0)


def _size(name: str) -> int:
    return int(name.removeprefix("checkpoints/"))


@pytest.fixture
def desk(world: World, tmp_path: Path) -> Path:
    world.export("bureau", tmp_path / "evidence.zip")
    with zipfile.ZipFile(tmp_path / "evidence.zip") as bundle:
        (tmp_path / "policy.toml").write_bytes(bundle.read("policy.toml"))
        (tmp_path / "held.note").write_bytes(bundle.read("checkpoint"))
        earliest = min((name for name in bundle.namelist() if name.startswith("checkpoints/")), key=_size)
        (tmp_path / "early.note").write_bytes(bundle.read(earliest))
    return tmp_path


def test_the_verifier_tells_by_its_exit_code(
    world: World, desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence, policy = desk / "evidence.zip", ("--policy", desk / "policy.toml")
    assert verify(evidence, *policy, "--expect-checkpoint", desk / "held.note") == 0
    assert "齐全性：得证" in capsys.readouterr().out
    monkeypatch.setenv("GATEWAY_LANG", "en")
    assert verify(evidence, *policy, "--expect-checkpoint", desk / "early.note") == 0
    early = (desk / "early.note").read_text("utf-8").splitlines()[1]
    assert f"From entry {early} on nothing but this node's own signature" in capsys.readouterr().out
    assert verify(evidence) == 2
    assert "The tail is not proven after" in capsys.readouterr().out
    key = world.nodes.bureau.path / "certs" / "ledger.vkey"
    assert verify(evidence, "--key", key, "--json") == 2
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == "not-provable"
    assert told["integrity"]["verdict"] == "proved"
    assert told["authenticity"]["findings"] == [], "the key vouches for the history, and the history for the receivers"
    whole = Evidence.read(evidence)
    bad = whole.changed({"keys.json": b"[]"}).write()
    (desk / "bad.zip").write_bytes(bad)
    assert verify(desk / "bad.zip", *policy) == 1
    (desk / "cut.zip").write_bytes(bad[:-1])
    assert verify(desk / "cut.zip", *policy) == 3
    assert verify(desk / "nothing.zip") == 3
    assert verify(evidence, "--policy", desk / "held.note") == 3
    assert verify(evidence, "--expect-checkpoint", desk / "policy.toml") == 3
    assert verify(evidence, "--key", "nonsense") == 3
    assert verify(world.nodes.bureau.path / "var" / "ledger") == 3, "a folder has no key in it"
    capsys.readouterr()


def test_a_proof_from_the_command_line(world: World, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    proof = desk / "proof.json"
    key = str(permit(2)["XK_WSH"])
    assert gateway(world, "audit", "prove", "--record", key, side="province").exit_code == ExitCode.USAGE, "why?"
    assert gateway(world, "audit", "prove", "--record", key, "-o", proof, *SIGNED, side="province").exit_code == 0
    with world.nodes.province.open() as province:
        (*_, last) = DurableLog(province.database).of_kinds(["operator.action"])
    told = decode(last.leaf)
    assert (told.text("action"), told.text("subject")[:20]) == ("export", "one record of batch=")
    assert key not in last.leaf.decode()
    world.export("province", desk / "province.zip")
    (desk / "province.toml").write_bytes(Evidence.read(desk / "province.zip").members["policy.toml"])
    assert verify(proof, "--policy", desk / "province.toml") == 0
    assert "单项证明不涉及其他条目" in capsys.readouterr().out
    assert verify(proof) == 2
    proof.write_text(proof.read_text().replace(key, key.replace("2", "3", 1)))
    assert verify(proof, "--policy", desk / "province.toml") == 1
    proof.write_text("{")
    assert verify(proof) == 3
    capsys.readouterr()
    printed = gateway(world, "audit", "prove", "--record", key, *SIGNED, side="province")
    assert json.loads(printed.stdout)["record"]["line"]
    assert gateway(world, "audit", "prove").exit_code == ExitCode.USAGE


def test_names_in_evidence_cannot_drive_a_terminal(
    world: World, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = Evidence.read(desk / "evidence.zip")
    manifest = whole.manifest
    odd = replace(manifest, person="a\u202e\x1b[2Jb")
    (desk / "odd.zip").write_bytes(whole.with_manifest(odd).write())
    verify(desk / "odd.zip")
    out = capsys.readouterr().out
    assert "\u202e" not in out
    assert "\x1b" not in out
    assert "a\\u202e\\u001b[2Jb" in out


def test_the_verifier_writes_nothing(world: World, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {file: file.stat().st_mtime_ns for file in desk.rglob("*")}
    verify(desk / "evidence.zip", "--policy", desk / "policy.toml")
    assert {file: file.stat().st_mtime_ns for file in desk.rglob("*")} == before
    capsys.readouterr()
