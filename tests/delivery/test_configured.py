"""``config.changed``: a node that was told something else says so, key by key, and never a value."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from gateway.clock import SystemClock
from gateway.config import load_settings
from gateway.config_digest import configured_values
from gateway.delivery.configured import digest_of, enter_configuration
from gateway.ledger.entry import Entry, decode
from gateway.package.forms import Node
from gateway.store.database import Database
from gateway.store.entries import DurableLog, TransactionLog
from tests.ledger.samples import add_genesis
from tests.nodes import Nodes, lay_nodes


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    return lay_nodes(tmp_path)


def entered(nodes: Nodes) -> list[Entry]:
    """What a start of the bureau has told the ledger so far."""
    with nodes.bureau.open() as bureau:
        return [decode(stored.leaf) for stored in DurableLog(bureau.database).of_kinds(["config.changed"])]


def edit(nodes: Nodes, old: str, new: str) -> None:
    file = nodes.bureau.path / "config.toml"
    text = file.read_text("utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), "utf-8")


def test_a_start_with_nothing_new_says_nothing(nodes: Nodes) -> None:
    (first,) = entered(nodes)
    assert (first.text("before_sha256"), first.text("summary")) == ("", "")
    edit(nodes, "batch_size = 4", "batch_size   =  4  # as before")
    edit(nodes, 'timeout = "60s"', 'timeout = "1m"')
    assert len(entered(nodes)) == 1, "another way of writing the same"


def test_each_changed_key_is_named_and_no_value(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    (first,) = entered(nodes)
    edit(nodes, "batch_size = 4", "batch_size = 7")
    edit(nodes, 'timeout = "60s"', 'timeout = "61s"\ntoken = "env:CANARY_VARIABLE"')
    monkeypatch.setenv("CANARY_VARIABLE", "canary-secret")
    (nodes.bureau.path / "mappings" / "codelists" / "working-days.csv").write_text("day,working\n2027-01-02,true\n")
    (nodes.bureau.path / "mappings" / "codelists" / "new.txt").write_text("x")
    (_, second) = entered(nodes)
    assert second.text("before_sha256") == first.text("config_sha256") != second.text("config_sha256")
    assert second.text("summary").splitlines() == [
        "~ exchanges.permits-to-province.batch_size",
        "+ mappings/codelists/new.txt",
        "~ mappings/codelists/working-days.csv",
        "~ peers.province.timeout",
        "~ peers.province.token",
    ]
    edit(nodes, '\ntoken = "env:CANARY_VARIABLE"', "")
    (nodes.bureau.path / "mappings" / "codelists" / "new.txt").unlink()
    third = entered(nodes)[-1]
    assert third.text("summary").splitlines() == ["- mappings/codelists/new.txt", "~ peers.province.token"]
    journal = (nodes.bureau.path / "var" / "gateway.db").read_bytes()
    assert b"canary" not in journal.lower()


def test_the_digest_can_be_computed_by_hand(nodes: Nodes) -> None:
    values = configured_values(load_settings(nodes.bureau.path / "config.toml"))
    lines = sorted(f"{key} {digest.hex()}\n" for key, digest in values.items())
    assert entered(nodes)[0].text("config_sha256") == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert values["exchanges.permits-to-province.batch_size"] == hashlib.sha256(b"4").digest()
    catalog = nodes.bureau.path / "mappings" / "catalogs" / "administrative-license.toml"
    expected = hashlib.sha256(catalog.read_bytes()).digest()
    assert values["mappings/catalogs/administrative-license.toml"] == expected
    assert not [key for key in values if key.endswith(".md")]


def test_a_change_of_everything_still_fits_into_an_entry(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/gateway.db")
    database.migrate()
    with database.begin() as conn:
        add_genesis(TransactionLog(conn))
    node = Node(code="11230700001001013H", name="n")
    for salt in (b"a", b"b"):
        values = {f"mappings/{number:05}/{'x' * 40}": hashlib.sha256(salt).digest() for number in range(5000)}
        with database.begin() as conn:
            enter_configuration(conn, node=node, values=values, clock=SystemClock())
    last = decode(list(DurableLog(database).of_kinds(["config.changed"]))[-1].leaf)
    lines = last.text("summary").splitlines()
    assert len(last.text("summary")) < 4096
    assert lines[0].startswith("~ mappings/00000/")
    assert lines[-1] == f"… {5000 - len(lines) + 1}"
    assert last.text("config_sha256") == digest_of(values)
    database.close()
