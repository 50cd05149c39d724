"""Ways that do not go together are told by the check and never start: a format that its peer cannot get, a peer in two places."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.checkup import check_node
from gateway.clock import RandomIds, SystemClock
from gateway.config import load_settings
from gateway.errors import Finding, Findings
from gateway.texts import LANGUAGES
from tests.nodes import PROVINCE, Nodes, lay_nodes

HTTP, FILES, SFTP, SITE = "https://127.0.0.1:1", "file:exchange", "sftp://us@127.0.0.1/exchange", "site:public"
SIGNED = 'certificates = ["certs/province-signing.crt"]\ntls_certificates = ["certs/province-tls.crt"]\n'
TAKEN_DOWN = 'feedback = "taken-down"\n'
DATABASE = '[peers.province.database]\nurl = "sqlite:///front.db"\n'


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    return lay_nodes(tmp_path)


def configure(nodes: Nodes, url: str, form: str, peer: str, below: str = "") -> Path:
    """One exchange of permits with a peer at ``url``."""
    at = f'url = "{url}"\n' if url else ""
    sftp = "sftp = { host_keys = ['SHA256:" + "A" * 43 + "'], private_key = 'file:certs/signing.key' }\n"
    nodes.bureau.configure(f"""
[peers.province]
code = "{PROVINCE}"
name = "示例省交通运输厅"
{at}{peer}{sftp if url.startswith("sftp") else ""}{below}
[sources.permits]
kind = "sql"
mapping = "credit-2018-permits"
url = "sqlite:///{nodes.business.file}"
query = "SELECT * FROM permits"

[exchanges.permits]
catalog = "administrative-license"
source = "permits"
format = "{form}"
peer = "province"
""")
    return nodes.bureau.path / "config.toml"


def told(file: Path) -> set[tuple[str, str]]:
    """What keeps the configuration from starting; the check tells the same, each in both languages."""
    try:
        load_settings(file)
    except Findings as error:
        found = error.findings
    else:
        return set()
    checked = check_node(file, SystemClock(), RandomIds())
    for one in found:
        assert one in checked
        _in_words(one)
    return {(one.code, one.key) for one in found}


def _in_words(finding: Finding) -> None:
    sentences = {finding.say(language) + finding.fix(language) for language in LANGUAGES}
    assert len(sentences) == len(LANGUAGES)
    assert all(finding.fix(language) for language in LANGUAGES)


@pytest.mark.parametrize(
    ("url", "peer", "below"),
    [
        (FILES, SIGNED, ""),
        (FILES, TAKEN_DOWN, ""),
        (SFTP, SIGNED, ""),
        ("", TAKEN_DOWN, DATABASE),
    ],
)
def test_who_fetches_has_no_folder_and_no_database(nodes: Nodes, url: str, peer: str, below: str) -> None:
    pull = 'delivery = "pull"\n'
    assert ("config-pull-elsewhere", "peers.province.delivery") in told(
        configure(nodes, url, "credit-2018", peer + pull, below)
    )
    assert "config-pull-elsewhere" not in {code for code, _ in told(configure(nodes, url, "credit-2018", peer, below))}


def test_who_fetches_may_be_asked_over_http(nodes: Nodes) -> None:
    receive = '[receive]\nlisten = "127.0.0.1:0"\nallow = {}\n'
    for url in ("", HTTP):
        file = configure(nodes, url, "credit-2018", SIGNED + 'delivery = "pull"\n', receive)
        assert told(file) == set()


@pytest.mark.parametrize("form", ["credit-2018", "mot-sheets"])
def test_over_http_there_is_no_feedback_to_take_down(nodes: Nodes, form: str) -> None:
    codes = {code for code, _ in told(configure(nodes, HTTP, form, TAKEN_DOWN))}
    assert "config-service-unsigned" in codes
    pulled = 'delivery = "pull"\n[receive]\nlisten = "127.0.0.1:0"\nallow = {}\n'
    assert ("config-service-unsigned", "peers.province.feedback") in told(
        configure(nodes, "", form, TAKEN_DOWN + pulled)
    )


@pytest.mark.parametrize("form", ["mot-sheets", "message-json", "message-fields"])
@pytest.mark.parametrize("url", [HTTP, FILES, SFTP])
def test_a_receiver_s_own_files_do_not_go_in_packages(nodes: Nodes, form: str, url: str) -> None:
    assert told(configure(nodes, url, form, SIGNED)) == {("config-format-not-in-packages", "exchanges.permits.format")}


@pytest.mark.parametrize("form", ["mot-sheets", "message-json", "message-fields"])
@pytest.mark.parametrize("url", [FILES, SFTP])
def test_they_go_by_files(nodes: Nodes, form: str, url: str) -> None:
    assert told(configure(nodes, url, form, TAKEN_DOWN)) == set()


@pytest.mark.parametrize("form", ["credit-2018", "publication"])
@pytest.mark.parametrize("url", [FILES, SFTP])
def test_no_carrier_writes_single_records(nodes: Nodes, form: str, url: str) -> None:
    assert told(configure(nodes, url, form, TAKEN_DOWN)) == {("check-format-no-files", "exchanges.permits.format")}
    assert told(configure(nodes, url, form, SIGNED)) == set()


@pytest.mark.parametrize(("url", "peer"), [(HTTP, SIGNED), (FILES, SIGNED), (FILES, TAKEN_DOWN)])
def test_tables_need_a_database(nodes: Nodes, url: str, peer: str) -> None:
    assert told(configure(nodes, url, "front-tables", peer)) == {
        ("config-table-without-database", "exchanges.permits.format")
    }


@pytest.mark.parametrize("form", ["credit-2018", "mot-sheets", "message-json", "message-fields"])
def test_a_database_takes_tables_alone(nodes: Nodes, form: str) -> None:
    assert told(configure(nodes, "", form, TAKEN_DOWN, DATABASE)) == {
        ("front-without-table", "exchanges.permits.format")
    }
    assert told(configure(nodes, "", "front-tables", TAKEN_DOWN, DATABASE)) == set()


@pytest.mark.parametrize("form", ["mot-sheets", "message-json", "message-fields"])
def test_a_format_that_says_nothing_of_answers_is_sent_to_nobody(nodes: Nodes, form: str) -> None:
    file = nodes.bureau.path / "mappings" / "formats" / form / "format.toml"
    text = file.read_text("utf-8")
    start = text.index("[feedback]")
    end = text.index("[facts.", start)
    file.write_text(text[:start] + text[end:], "utf-8")
    assert told(configure(nodes, FILES, form, TAKEN_DOWN)) == {("sheets-feedback-unsaid", "exchanges.permits.format")}
