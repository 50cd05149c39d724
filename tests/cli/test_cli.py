"""The command line as its users meet it: what it prints, in which language, and how it ends."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.main import app
from gateway.cli.screen import ExitCode, fail
from gateway.errors import GatewayError
from tests.nodes import Nodes, lay_nodes, permit, run_once


def gateway(*words: str | Path) -> Result:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(result.exception, GatewayError):
        # What main() does with it.
        result.exit_code = fail(result.exception)
    elif result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert "cli-" not in result.output, "a code stands where its sentence is missing"
    return result


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    nodes = lay_nodes(tmp_path)
    nodes.business.write([permit(1), permit(2, XK_JDRQ="not a day"), permit(3)])
    return nodes


def test_init_lays_out_a_folder_that_its_owner_alone_can_read(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    assert gateway("init", folder, "--host", "gateway.example").exit_code == 0
    for key in ("signing.key", "tls.key", "ledger.key"):
        assert stat.S_IMODE((folder / "certs" / key).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / "mappings" / "formats" / "credit-2018" / "format.toml").is_file()
    again = gateway("init", folder)
    assert again.exit_code == ExitCode.USAGE


def test_init_refuses_a_code_that_fails_its_check(tmp_path: Path) -> None:
    assert gateway("init", tmp_path / "node", "--code", "11230700001001013X").exit_code == ExitCode.USAGE
    assert not (tmp_path / "node").exists()


def test_check_tells_everything_that_is_still_to_do(tmp_path: Path) -> None:
    gateway("init", tmp_path / "node")
    result = gateway("check", "--config", tmp_path / "node" / "config.toml", "--json")
    assert result.exit_code == ExitCode.FOUND
    found = {(finding["key"], finding["code"]) for finding in json.loads(result.stdout)}
    assert found == {
        ("peers.province.certificates", "config-file-missing"),
        ("peers.province.tls_certificates", "config-file-missing"),
        ("sources.permits", "secret-missing"),
        ("sources.penalties", "source-files-missing"),
    }


async def test_check_of_a_node_that_is_ready_finds_nothing(nodes: Nodes) -> None:
    words = ("check", "--config", nodes.bureau.path / "config.toml", "--json")
    async with nodes.province_listening():
        ready = await asyncio.to_thread(gateway, *words)
        assert (ready.exit_code, json.loads(ready.stdout)) == (0, [])
    down = await asyncio.to_thread(gateway, *words)
    assert [finding["code"] for finding in json.loads(down.stdout)] == ["node-question-failed"]


def test_check_finds_what_is_wrong_in_every_part_at_once(nodes: Nodes) -> None:
    folder = nodes.bureau.path
    (folder / "certs" / "signing.key").chmod(0o644)
    (folder / "certs" / "tls.crt").write_bytes(b"nonsense")
    (folder / "var").chmod(0o755)
    catalog = folder / "mappings" / "catalogs" / "administrative-penalty.toml"
    catalog.write_text(catalog.read_text("utf-8") + '\ncolour = "red"\n', "utf-8")
    nodes.business.file.unlink()
    result = gateway("check", "--config", folder / "config.toml", "--json")
    codes = {finding["code"] for finding in json.loads(result.stdout)}
    assert {"key-mode", "certificate-unreadable", "check-folder-open", "catalog-key-unknown"} <= codes
    for finding in json.loads(result.stdout):
        assert finding["zh-CN"] != finding["code"]
        assert finding["en"]


def test_mapping_check_names_file_and_place(tmp_path: Path) -> None:
    gateway("init", tmp_path / "node")
    mappings = tmp_path / "node" / "mappings"
    assert gateway("mapping", "check", "--mappings", mappings).exit_code == 0
    source = mappings / "sources" / "permits-local.toml"
    source.write_text(
        source.read_text("utf-8").replace('column = "XDR_NAME"', 'column = "XDR_NAME"\nmood = 1', 1), "utf-8"
    )
    result = gateway("mapping", "check", "--mappings", mappings, "--json")
    assert result.exit_code == ExitCode.FOUND
    (finding,) = json.loads(result.stdout)
    assert finding["file"].endswith("permits-local.toml")
    assert "subject_name" in finding["key"]


def test_mapping_explain_shows_every_place_of_the_document(nodes: Nodes) -> None:
    result = gateway("mapping", "explain", "credit-2018", "--config", nodes.bureau.path / "config.toml", "--json")
    tables = json.loads(result.stdout)
    targets = [row["target"] for row in tables["administrative-license"]]
    assert targets[0] == "XK_XDR_MC"
    assert {"XK_YXQZ", "XK_YXQZI", "BZ"} <= set(targets)
    assert gateway("mapping", "explain", "credit-2018", "--config", nodes.bureau.path / "config.toml").exit_code == 0


def test_mapping_try_tells_the_story_of_a_row_and_shows_no_person(nodes: Nodes, tmp_path: Path) -> None:
    row = tmp_path / "row.json"
    person = {
        "XK_XDR_LB": "自然人",
        "XK_XDR_SHXYM": None,
        "XK_FRDB": None,
        "XK_XDR_MC": "某某",
        "XK_XDR_ZJLX": "身份证",
    }
    row.write_text(
        json.dumps({**permit(1), **person, "XK_XDR_ZJHM": "11010519491231002X"}, ensure_ascii=False), "utf-8"
    )
    config = nodes.bureau.path / "config.toml"
    good = gateway("mapping", "try", "credit-2018-permits", "--row", row, "--config", config, "--format", "credit-2018")
    assert good.exit_code == 0, good.stdout
    row.write_text(
        json.dumps({**permit(1), **person, "XK_XDR_ZJHM": "110105194912310021"}, ensure_ascii=False), "utf-8"
    )
    bad = gateway("mapping", "try", "credit-2018-permits", "--row", row, "--config", config)
    assert bad.exit_code == ExitCode.FOUND
    assert "identifier-invalid" in bad.stdout
    for result in (good, bad):
        assert "1949" not in result.stdout
        assert "某某" not in result.stdout


def test_a_dry_run_tells_and_writes_nothing(nodes: Nodes) -> None:
    config = nodes.bureau.path / "config.toml"
    (told,) = json.loads(gateway("run", "--all", "--dry-run", "--config", config, "--json").stdout)
    assert (told["rows"], told["new"], told["quarantined_by"]) == (3, 2, {"date-invalid": 1})
    assert not (nodes.bureau.path / "var" / "gateway.db").exists()


def test_a_run_without_a_peer_keeps_everything_and_says_later(nodes: Nodes) -> None:
    config = nodes.bureau.path / "config.toml"
    result = gateway("run", "permits-to-province", "--config", config, "--json", "--person", "tester")
    assert result.exit_code == ExitCode.LATER
    (statement,) = json.loads(result.stdout)
    assert (statement["sealed"], statement["open"], statement["quarantined"]) == (2, 2, 1)
    state = json.loads(gateway("status", "--config", config, "--json").stdout)
    assert [batch["state"] for batch in state["waiting"]] == ["waiting"]
    batch_id = state["waiting"][0]["batch"]
    shown = json.loads(gateway("batches", "show", batch_id, "--config", config, "--json").stdout)
    assert [one["outcome"] for one in shown["tries"]] == ["later"]
    listed = json.loads(gateway("quarantine", "--config", config, "--json").stdout)
    assert [one["code"] for one in listed["by_reason"]] == ["date-invalid"]
    assert gateway("audit", "verify", "--config", config).exit_code == 0
    entries = json.loads(gateway("audit", "show", "--config", config, "--json").stdout)
    kinds = [entry["kind"] for entry in entries]
    assert kinds == ["genesis", "key.added", "key.added", "config.changed", "run.closed"], "ours, then the peer's"


def test_an_unknown_exchange_is_named_with_those_that_exist(nodes: Nodes) -> None:
    config = nodes.bureau.path / "config.toml"
    for words in (("run", "nothing"), ("run",)):
        assert gateway(*words, "--config", config).exit_code == ExitCode.USAGE


@pytest.mark.parametrize("words", [(), ("mapping",), ("audit",)])
def test_help_is_there(words: tuple[str, ...]) -> None:
    result = gateway(*words, "--help")
    assert result.exit_code == 0
    assert "cli-" not in result.stdout, "a sentence is missing"


async def test_the_published_ledger_verifies_without_the_node(
    nodes: Nodes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from gateway import verifier

    async with nodes.province_listening():
        with nodes.bureau.open() as bureau:
            await run_once(bureau)
    published, key = nodes.bureau.path / "var" / "ledger", nodes.bureau.path / "certs" / "ledger.vkey"

    def verify(*words: str | Path) -> int:
        with pytest.raises(SystemExit) as ended:
            verifier.main([str(word) for word in words])
        return int(ended.value.code or 0)

    assert verify(published, "--key", key) == 0
    held = tmp_path / "held.note"
    held.write_bytes((published / "checkpoint").read_bytes())
    assert verify(published, "--key", key, "--held", held, "--json") == 0
    # Bundles of smaller logs stay beside the newest one, which is the largest.
    bundles = [file for file in (published / "tile" / "entries").rglob("*") if file.is_file()]
    bundle = max(bundles, key=lambda file: file.stat().st_size)
    data = bytearray(bundle.read_bytes())
    data[40] ^= 1
    bundle.chmod(0o600)
    bundle.write_bytes(data)
    assert verify(published, "--key", key) == 1
    assert verify(tmp_path / "nowhere", "--key", key) == 3
    assert verify(published, "--key", "nonsense+00000000+AAAA") == 3
    capsys.readouterr()
