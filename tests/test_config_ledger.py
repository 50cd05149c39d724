"""``[ledger]`` in the configuration: who vouches for the ledger from outside, and how long payloads are kept."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from gateway.config import Settings, inspect_settings, load_settings
from gateway.errors import Finding
from gateway.ledger.cosignature import Cosigner
from gateway.ledger.keys import generate_key
from gateway.ledger.note import NoteSigner
from tests.test_config import EXAMPLE

WITNESS = str(Cosigner("witness.example/w1", generate_key(b"\x01" * 32)).verifier)
LEDGER = str(NoteSigner("credit-gateway/1", generate_key(b"\x02" * 32)).verifier)
AUTHORITY = 'authorities = [{ name = "national", url = "http://127.0.0.1:3/tsa/", certificates = ["certs/tls.crt"] }]'


def laid(folder: Path, *changes: tuple[str, str]) -> Path:
    """The example with these changes, beside every file that it names."""
    for name in (
        "signing.crt",
        "signing.key",
        "tls.crt",
        "tls.key",
        "ledger.key",
        "province-signing.crt",
        "province-tls.crt",
    ):
        (folder / "certs" / name).parent.mkdir(exist_ok=True)
        (folder / "certs" / name).write_text("x")
    (folder / "mappings").mkdir(exist_ok=True)
    text = EXAMPLE.read_text("utf-8")
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / "config.toml").write_text(text, "utf-8")
    return folder / "config.toml"


def settings(folder: Path, *changes: tuple[str, str]) -> Settings:
    return load_settings(laid(folder, *changes))


def test_what_is_not_said_has_its_default(tmp_path: Path) -> None:
    ledger = settings(tmp_path).document.ledger
    assert (ledger.authorities, ledger.witnesses) == ((), ())
    assert (ledger.anchor_every, ledger.stop_without_anchor_after) == (timedelta(hours=1), timedelta(hours=4))
    assert ledger.retention == timedelta(days=4 * 365)


def test_authorities_witnesses_and_keys_are_read(tmp_path: Path) -> None:
    read = settings(
        tmp_path,
        ("# authorities = []", f"{AUTHORITY} #"),
        (
            "# witnesses = []",
            f'witnesses = [{{ name = "w", url = "http://127.0.0.1:4/", verifier_key = "{WITNESS}" }}] #',
        ),
        ("# ledger_keys = []", f'ledger_keys = ["{LEDGER}"] #'),
    )
    (authority,), (witness,) = read.document.ledger.authorities, read.document.ledger.witnesses
    assert (authority.url, authority.policy) == ("http://127.0.0.1:3/tsa/", None), "its own slash is left"
    assert (witness.url, str(witness.verifier_key)) == ("http://127.0.0.1:4", WITNESS)
    assert [str(key) for key in read.peers["province"].ledger_keys] == [LEDGER]


@pytest.mark.parametrize(
    ("old", "new", "key", "code"),
    [
        ("# retention = ", 'retention = "182d" #', "ledger.retention", "config-retention-short"),
        ("# anchor_every = ", 'anchor_every = "4h" #', "ledger.stop_without_anchor_after", "config-anchor-limit-short"),
        ("# ledger_keys = []", 'ledger_keys = ["x"]', "peers.province.ledger_keys.0", "config-verifier-key-invalid"),
        (
            "# ledger_keys = []",
            f'ledger_keys = ["{WITNESS}"]',
            "peers.province.ledger_keys.0",
            "config-verifier-key-invalid",
        ),
        (
            "# witnesses = []",
            f'witnesses = [{{ name = "w", url = "http://127.0.0.1:4", verifier_key = "{LEDGER}" }}] #',
            "ledger.witnesses.0.verifier_key",
            "config-verifier-key-invalid",
        ),
    ],
)
def test_each_mistake_has_its_finding(tmp_path: Path, old: str, new: str, key: str, code: str) -> None:
    only(tmp_path, (old, new), key, code)


@pytest.mark.parametrize(
    ("old", "new", "key", "code"),
    [
        ("http://127.0.0.1:3/tsa/", "http://tsa.example/", "url", "config-url-not-https"),
        ("http://127.0.0.1:3/tsa/", "https://tsa.example/", "tls_certificates", "config-tls-missing"),
        ('"certs/tls.crt"', "", "certificates", "config-value-invalid"),
        ('"certs/tls.crt"', '"certs/gone.crt"', "certificates", "config-file-missing"),
        ('"national"', '"National TSA"', "name", "config-value-invalid"),
        (" }]", ', policy = "one.two" }]', "policy", "config-value-invalid"),
        (" }]", ", colour = 1 }]", "colour", "config-key-unknown"),
    ],
)
def test_each_mistake_about_an_authority_has_its_finding(
    tmp_path: Path, old: str, new: str, key: str, code: str
) -> None:
    assert old in AUTHORITY
    change = ("# authorities = []", f"{AUTHORITY.replace(old, new)} #")
    only(tmp_path, change, f"ledger.authorities.0.{key}", code)


def test_two_of_one_name_are_one_too_many(tmp_path: Path) -> None:
    twice = AUTHORITY.replace(
        " }]", ' }, { name = "national", url = "http://127.0.0.1:3/b", certificates = ["certs/tls.crt"] }]'
    )
    only(tmp_path, ("# authorities = []", f"{twice} #"), "ledger.authorities.1.name", "config-name-twice")


def only(folder: Path, change: tuple[str, str], key: str, code: str) -> None:
    _, findings = inspect_settings(laid(folder, change))
    found: list[Finding] = list(findings)
    assert [(one.key, one.code) for one in found] == [(key, code)]
    for language in ("zh-CN", "en"):
        assert "{" not in found[0].say(language) + found[0].fix(language)
        assert found[0].fix(language)
