"""Alarms, keys, holds and retention as their users meet them at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.cli.screen import ExitCode
from gateway.store import alarms
from gateway.store.alarms import AlarmCode
from tests.cli.test_cli import gateway
from tests.nodes import PROVINCE, Nodes, lay_nodes

ORDER = ("--person", "值班员", "--reason", "已核对")
AT = "2026-11-22T06:00:00.000000Z"


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    nodes = lay_nodes(tmp_path)
    with nodes.bureau.open():
        pass
    return nodes


@pytest.fixture
def config(nodes: Nodes) -> tuple[str, str]:
    return "--config", str(nodes.bureau.path / "config.toml")


def test_alarms_are_listed_and_closed(nodes: Nodes, config: tuple[str, str]) -> None:
    assert gateway("alarms", "list", *config).exit_code == ExitCode.DONE
    with nodes.bureau.open() as bureau, bureau.database.begin() as conn:
        facts = {"why": "root", "held": 9, "shown": 9, "batch": "b"}
        alarms.raise_alarm(conn, AlarmCode.PEER_LOG_INCONSISTENT, PROVINCE, facts, AT)
    listed = gateway("alarms", "list", *config)
    assert listed.exit_code == ExitCode.FOUND
    assert PROVINCE in listed.stdout
    (alarm,) = json.loads(gateway("alarms", "list", "--json", *config).stdout)
    (told,) = json.loads(gateway("status", "--json", *config).stdout)["alarms"]
    assert (told["alarm"], told["code"]) == (alarm["id"], AlarmCode.PEER_LOG_INCONSISTENT)
    assert f"gateway alarms close {alarm['id']}" in gateway("status", *config).stdout
    assert (alarm["code"], alarm["fix"] != "") == ("peer-log-inconsistent", True)
    assert gateway("alarms", "close", str(alarm["id"]), *config).exit_code == ExitCode.USAGE, "who, and why?"
    assert gateway("alarms", "close", str(alarm["id"]), *ORDER, *config).exit_code == ExitCode.DONE
    assert gateway("alarms", "list", *config).exit_code == ExitCode.DONE
    assert gateway("alarms", "close", str(alarm["id"]), *ORDER, *config).exit_code == ExitCode.FOUND


def test_keys_are_listed_rotated_and_revoked(nodes: Nodes, config: tuple[str, str]) -> None:
    keys = json.loads(gateway("keys", "list", "--json", *config).stdout)
    assert {key["purpose"] for key in keys} == {"ledger", "package", "tls"}
    assert gateway("keys", "list", *config).exit_code == ExitCode.DONE
    new = nodes.bureau.path / "certs" / "ledger-2029.key"
    rotated = gateway("keys", "rotate", "ledger", "--new", new, *ORDER, *config)
    assert rotated.exit_code == ExitCode.DONE
    assert str(new.with_suffix(".vkey")) in rotated.stdout.replace("\n", "")
    assert gateway("keys", "revoke", "0" * 64, *ORDER, *config).exit_code == ExitCode.LEDGER, (
        "the old key starts no more"
    )
    file = nodes.bureau.path / "config.toml"
    file.write_text(file.read_text("utf-8").replace("certs/ledger.key", "certs/ledger-2029.key"), "utf-8")
    (old,) = [key for key in keys if key["purpose"] == "ledger"]
    assert gateway("keys", "revoke", old["key_id"], "--from-size", "3", *ORDER, *config).exit_code == ExitCode.DONE
    keys = json.loads(gateway("keys", "list", "--json", *config).stdout)
    assert [key["state"] for key in keys if key["purpose"] == "ledger"] == ["revoked", "current"]
    assert gateway("audit", "verify", *config).exit_code == ExitCode.DONE


def test_holds_and_retention(config: tuple[str, str]) -> None:
    assert gateway("hold", "add", *ORDER, *config).exit_code == ExitCode.USAGE
    assert gateway("hold", "add", "--batch", "none", *ORDER, *config).exit_code == ExitCode.USAGE
    assert gateway("hold", "add", "--subject", "91230500MA1B3N1N2M", *ORDER, *config).exit_code == ExitCode.DONE
    (hold,) = json.loads(gateway("hold", "list", "--json", *config).stdout)
    assert (hold["scope"], hold["name"]) == ("subject", "91230500MA1B3N1N2M")
    assert "91230500MA1B3N1N2M" in gateway("hold", "list", *config).stdout
    assert gateway("hold", "release", "1", *ORDER, *config).exit_code == ExitCode.DONE
    assert json.loads(gateway("hold", "list", "--json", *config).stdout) == []
    planned = json.loads(gateway("retention", "--dry-run", "--json", *config).stdout)
    assert planned == {"erased": [], "bytes": 0, "kept": []}
    assert gateway("retention", *ORDER, *config).exit_code == ExitCode.DONE
    assert gateway("retention", "--person", "p", *config).exit_code == ExitCode.USAGE, "why?"
