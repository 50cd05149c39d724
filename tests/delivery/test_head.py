"""The head memory (T4, T5, F21, F22): what a node does when it is ahead, behind, gone, and how a person brings it back."""

from __future__ import annotations

import hashlib
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import Result

from gateway.cli.screen import ExitCode
from gateway.clock import RandomIds, SystemClock
from gateway.config import Settings, load_settings
from gateway.errors import LedgerError
from gateway.head import head_status, recover_head
from gateway.ledger.entry import decode
from gateway.ledger.memory import FileHeadMemory
from gateway.opening import open_gateway, read_gateway
from gateway.store.entries import DurableLog
from gateway.store.pauses import Scope
from tests.cli.test_cli import gateway
from tests.delivery.own_ledger import SetClock
from tests.nodes import Nodes, lay_nodes

ORDER = ("--person", "台账管理员", "--reason", "存放首部记忆的盘坏了")


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    nodes = lay_nodes(tmp_path)
    grow(nodes)
    return nodes


def settings(nodes: Nodes) -> Settings:
    return load_settings(nodes.bureau.path / "config.toml")


def grow(nodes: Nodes) -> bytes:
    """One order more in the bureau's ledger; the newest checkpoint, as a peer would keep it."""
    with nodes.bureau.open() as bureau:
        for order in (bureau.decisions.pause, bureau.decisions.resume):
            order(Scope.EXCHANGE, "any", person="p", reason="r")
        bureau.notary.publish(final=True)
        newest = DurableLog(bureau.database).newest_checkpoint()
    assert newest is not None
    return newest.note


def refused(nodes: Nodes, code: str) -> None:
    """The node does not start, and says what is to be done; the command shows the same without touching anything."""
    with pytest.raises(LedgerError) as caught, nodes.bureau.open():
        pass
    assert caught.value.code == code
    for language in ("zh-CN", "en"):
        assert len(caught.value.fix(language)) > 10
    with read_gateway(settings(nodes), clock=SystemClock(), ids=RandomIds()) as bureau:
        status = head_status(bureau)
    assert status["problem"] == code
    assert status["fix"]


def run(nodes: Nodes, *words: object) -> Result:
    config = ("--config", nodes.bureau.path / "config.toml")
    return gateway("audit", "head", *map(str, words), *config)


def test_all_is_well(nodes: Nodes) -> None:
    result = run(nodes, "status")
    assert result.exit_code == ExitCode.DONE
    assert "已签名" in result.stdout


def test_a_database_that_was_put_back_does_not_start(nodes: Nodes) -> None:
    state = nodes.bureau.path / "var"
    backup = nodes.bureau.path / "backup.db"
    shutil.copy(state / "gateway.db", backup)
    grow(nodes)
    for name in ("gateway.db-wal", "gateway.db-shm"):
        (state / name).unlink(missing_ok=True)
    shutil.copy(backup, state / "gateway.db")
    refused(nodes, "ledger-rolled-back")
    assert run(nodes, "status").exit_code == ExitCode.LEDGER


def test_a_database_that_was_rewritten_does_not_start(nodes: Nodes, tmp_path: Path) -> None:
    other = lay_nodes(tmp_path / "other")
    shutil.copy(nodes.bureau.path / "certs" / "ledger.key", other.bureau.path / "certs" / "ledger.key")
    for _ in range(3):
        grow(other)
    for name in ("gateway.db-wal", "gateway.db-shm"):
        (nodes.bureau.path / "var" / name).unlink(missing_ok=True)
    shutil.copy(other.bureau.path / "var" / "gateway.db", nodes.bureau.path / "var" / "gateway.db")
    refused(nodes, "ledger-forked")


def test_a_clock_that_went_back_does_not_start(nodes: Nodes) -> None:
    clock = SetClock()
    clock.moment = SystemClock().now() - timedelta(hours=1)
    with (
        pytest.raises(LedgerError, match="clock-regressed"),
        open_gateway(settings(nodes), what="test", clock=clock, ids=RandomIds()),
    ):
        pass
    clock.moment = SystemClock().now() + timedelta(hours=1)
    with open_gateway(settings(nodes), what="test", clock=clock, ids=RandomIds()):
        pass


def test_an_older_memory_in_its_place_is_found(nodes: Nodes) -> None:
    file = settings(nodes).head_memory
    old = file.read_bytes()
    grow(nodes)
    file.write_bytes(old)
    refused(nodes, "head-memory-behind")


def test_a_lost_memory_is_laid_down_again_from_what_a_peer_holds(nodes: Nodes, tmp_path: Path) -> None:
    note = grow(nodes)
    kept = tmp_path / "kept-by-the-peer.txt"
    kept.write_bytes(note)
    settings(nodes).head_memory.unlink()
    refused(nodes, "head-memory-lost")
    result = run(nodes, "recover", kept, *ORDER)
    assert result.exit_code == ExitCode.DONE, result.output
    with nodes.bureau.open() as bureau:
        (stored,) = list(DurableLog(bureau.database).of_kinds(["recovery"]))
        entry = decode(stored.leaf)
    assert (entry.text("person"), entry.text("reason"), entry.text("source")) == (ORDER[1], ORDER[3], str(kept))
    assert entry.text("note_sha256") == hashlib.sha256(note).hexdigest()
    assert entry.number("found_size") == stored.index
    assert run(nodes, "status").exit_code == ExitCode.DONE
    assert run(nodes, "recover", kept, *ORDER).exit_code == ExitCode.LEDGER, "there is nothing to recover"


def test_an_older_checkpoint_is_not_enough(nodes: Nodes, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes(grow(nodes))
    grow(nodes)
    settings(nodes).head_memory.unlink()
    result = run(nodes, "recover", kept, *ORDER)
    assert result.exit_code == ExitCode.LEDGER
    assert isinstance(result.exception, LedgerError)
    assert result.exception.code == "recovery-note-old"
    refused(nodes, "head-memory-lost")
    with read_gateway(settings(nodes), clock=SystemClock(), ids=RandomIds()) as bureau:
        assert list(DurableLog(bureau.database).of_kinds(["recovery"])) == [], "nothing is said before it can be done"


def test_from_the_database_only_when_that_is_said(nodes: Nodes) -> None:
    grow(nodes)
    settings(nodes).head_memory.unlink()
    assert run(nodes, "recover", *ORDER).exit_code == ExitCode.USAGE
    assert run(nodes, "recover", "--from-database", "--person", "p").exit_code == ExitCode.USAGE, "why?"
    assert run(nodes, "recover", "--from-database", *ORDER).exit_code == ExitCode.DONE
    with nodes.bureau.open() as bureau:
        (entry,) = [decode(one.leaf) for one in DurableLog(bureau.database).of_kinds(["recovery"])]
    assert entry.text("source") == "database"


def test_a_recovery_that_was_cut_off_is_ordered_again(nodes: Nodes, tmp_path: Path) -> None:
    """The entry is committed, the memory not laid down: still lost, still refused, and a second order works."""
    note = grow(nodes)
    memory = settings(nodes).head_memory
    memory.unlink()
    memory.with_name(f"{memory.name}.lock").unlink()
    memory.with_name(
        f"{memory.name}.lock"
    ).mkdir()  # the memory cannot be written: the first order dies between the two
    with pytest.raises(LedgerError, match="ledger-file-failed"):
        recover(nodes, note)
    memory.with_name(f"{memory.name}.lock").rmdir()
    refused(nodes, "head-memory-lost")
    recover(nodes, note)
    with nodes.bureau.open() as bureau:
        assert len(list(DurableLog(bureau.database).of_kinds(["recovery"]))) == 2


def recover(nodes: Nodes, note: bytes) -> None:
    recover_head(settings(nodes), note, source="test", person="p", reason="r", clock=SystemClock(), ids=RandomIds())


def test_the_memory_of_a_new_ledger_lies_where_it_is_wanted(tmp_path: Path) -> None:
    nodes = lay_nodes(tmp_path)
    volume = tmp_path / "volume" / "gateway"
    file = nodes.bureau.path / "config.toml"
    text = file.read_text("utf-8").replace('# head_memory = "var/head-memory"', f'head_memory = "{volume}/head" #')
    file.write_text(text, "utf-8")
    with pytest.raises(LedgerError, match="ledger-file-failed"), nodes.bureau.open():
        pass
    assert run(nodes, "init").exit_code == ExitCode.DONE
    assert run(nodes, "init").exit_code == ExitCode.LEDGER, "once"
    grow(nodes)
    memory = FileHeadMemory(volume / "head").read()
    assert memory is not None
    assert memory.size > 1
    (volume / "head").unlink()
    assert run(nodes, "init").exit_code == ExitCode.LEDGER, "a ledger that has begun has lost its memory"
    refused(nodes, "head-memory-lost")
