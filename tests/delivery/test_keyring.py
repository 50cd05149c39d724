"""Keys told to the ledger: what is used and trusted is entered, what is not any more is revoked, and the ledger's own changes under itself."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
import structlog

from gateway.app import Gateway
from gateway.clock import RandomIds, SystemClock
from gateway.config import load_settings
from gateway.custody import list_keys, revoke, rotate_ledger
from gateway.delivery.expiry import WARN_AT, ExpiryWatch, Named, stage
from gateway.delivery.keyring import read_history
from gateway.delivery.notary import Notary
from gateway.errors import ConfigError, LedgerError
from gateway.ledger.checkpoint import open_checkpoint
from gateway.ledger.entry import Entry, decode
from gateway.ledger.folder import TileFolder
from gateway.ledger.history import NOBODY, key_id_of
from gateway.ledger.keys import generate_key, load_key, write_key
from gateway.ledger.memory import FileHeadMemory, Remembered
from gateway.ledger.note import NoteSigner, VerifierKey
from gateway.ledger.publish import Publisher
from gateway.ledger.report import Verdict
from gateway.ledger.verify import verify_log
from gateway.package.certificates import fingerprint, generate_identity, load_certificates, store_private_key
from gateway.store.entries import DurableLog, TransactionLog
from tests.delivery.own_ledger import SetClock
from tests.nodes import BUREAU, PROVINCE, Nodes, lay_nodes

ORDER = {"person": "密钥管理员", "reason": "到期更换"}


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    return lay_nodes(tmp_path)


def entered(gateway: Gateway, *kinds: str) -> list[Entry]:
    return [decode(stored.leaf) for stored in DurableLog(gateway.database).of_kinds(kinds)]


def opened(nodes: Nodes, *kinds: str) -> list[Entry]:
    with nodes.bureau.open() as bureau:
        return entered(bureau, *kinds)


def replace(nodes: Nodes, old: str, new: str) -> None:
    file = nodes.bureau.path / "config.toml"
    text = file.read_text("utf-8")
    assert text.count(old) == 1, old
    file.write_text(text.replace(old, new), "utf-8")


def new_identity(folder: Path, name: str, code: str = BUREAU, days: int = 900) -> str:
    """A signing key and certificate under this name; the certificate's fingerprint."""
    ids, clock = RandomIds(), SystemClock()
    key, certificate = generate_identity(
        common_name=name, code=code, san_hosts=[], at=clock.now(), days=days, serial=ids.bytes(20)
    )
    store_private_key(folder / f"{name}.key", key)
    (folder / f"{name}.crt").write_bytes(certificate)
    return fingerprint(load_certificates(folder / f"{name}.crt")[0])


def test_the_first_start_enters_every_key_once(nodes: Nodes) -> None:
    first = [(entry.text("purpose"), entry.text("owner"), entry.text("person")) for entry in opened(nodes, "key.added")]
    assert first == [("package", BUREAU, ""), ("package", PROVINCE, "")]
    for _ in range(3):
        assert len(opened(nodes, "key.added", "key.rotated", "key.revoked")) == 2


def test_another_signing_certificate_takes_the_place_of_the_first(nodes: Nodes) -> None:
    (old, _) = opened(nodes, "key.added")
    new = new_identity(nodes.bureau.path / "certs", "signing-2029")
    replace(nodes, "certs/signing.crt", "certs/signing-2029.crt")
    replace(nodes, "certs/signing.key", "certs/signing-2029.key")
    (rotated,) = opened(nodes, "key.rotated")
    assert (rotated.text("key_id"), rotated.text("before_key_id")) == (new, old.text("key_id"))
    replace(nodes, "certs/signing-2029.crt", "certs/signing.crt")
    replace(nodes, "certs/signing-2029.key", "certs/signing.key")
    assert [entry.text("key_id") for entry in opened(nodes, "key.rotated")] == [new, old.text("key_id")]


def test_a_peers_certificates_are_entered_and_revoked_as_they_come_and_go(nodes: Nodes) -> None:
    (_, old) = opened(nodes, "key.added")
    certs = nodes.bureau.path / "certs"
    new = new_identity(certs, "province-2029", PROVINCE)
    both = '["certs/province-signing.crt", "certs/province-2029.crt"]'
    replace(nodes, '["certs/province-signing.crt"]', both)
    assert [entry.text("key_id") for entry in opened(nodes, "key.added")][2:] == [new]
    replace(nodes, both, '["certs/province-2029.crt"]')
    with nodes.bureau.open() as bureau:
        (revoked,) = entered(bureau, "key.revoked")
        index = next(iter(DurableLog(bureau.database).of_kinds(["key.revoked"]))).index
        history = read_history(bureau.database)
    assert (revoked.text("key_id"), revoked.text("owner")) == (old.text("key_id"), PROVINCE)
    assert (revoked.number("from_size"), revoked.text("person")) == (index, NOBODY)
    assert [key.key_id for key in history.current("package", PROVINCE)] == [new]
    replace(nodes, '["certs/province-2029.crt"]', both)
    assert opened(nodes, "key.added")[-1].text("key_id") == old.text("key_id"), "nobody had revoked it for cause"


def test_a_peer_that_is_gone_is_trusted_no_more(nodes: Nodes) -> None:
    opened(nodes)
    file = nodes.bureau.path / "config.toml"
    file.write_text(file.read_text("utf-8").split("[peers.")[0], "utf-8")
    assert [entry.text("owner") for entry in opened(nodes, "key.revoked")] == [PROVINCE]


def test_ledger_keys_of_peers_and_keys_of_services_are_entered_too(nodes: Nodes) -> None:
    vkey = (nodes.province.path / "certs" / "ledger.vkey").read_text().strip()
    replace(nodes, "timeout = ", f'ledger_keys = ["{vkey}"]\ntimeout = ')
    shutil.copy(nodes.bureau.path / "certs" / "tls.crt", nodes.bureau.path / "certs" / "tsa.crt")
    service = '{ name = "national", url = "http://127.0.0.1:1/", certificates = ["certs/tsa.crt"] }'
    replace(nodes, "# authorities = []", f"authorities = [{service}] #")
    found = {(entry.text("purpose"), entry.text("owner")) for entry in opened(nodes, "key.added")}
    assert found == {("package", BUREAU), ("package", PROVINCE), ("ledger", PROVINCE), ("anchor", "national")}
    replace(nodes, f'ledger_keys = ["{vkey}"]\n', "")
    assert [entry for entry in opened(nodes, "key.revoked") if entry.text("purpose") == "ledger"] == [], (
        "a peer whose keys are not configured is believed by those that it showed first"
    )


async def test_a_person_revokes_a_key_that_is_not_in_use(nodes: Nodes) -> None:
    (_, old) = opened(nodes, "key.added")
    key_id = old.text("key_id")
    with nodes.bureau.open() as bureau:
        with pytest.raises(ConfigError, match="key-in-use"):
            await revoke(bureau, {"key": key_id, **ORDER}, lambda _stage, _count: None)
        with pytest.raises(LedgerError, match="key-unknown"):
            await revoke(bureau, {"key": "0" * 64, **ORDER}, lambda _stage, _count: None)
    new_identity(nodes.bureau.path / "certs", "province-2029", PROVINCE)
    replace(nodes, '"certs/province-signing.crt"', '"certs/province-2029.crt"')
    with nodes.bureau.open() as bureau:
        done = await revoke(bureau, {"key": key_id, "from_size": 1, **ORDER}, lambda _stage, _count: None)
        assert done["from_size"] == 1
        known = next(key for key in read_history(bureau.database).keys if key.key_id == key_id)
        assert (known.revoked_from, known.revoked_by) == (1, ORDER["person"])
    replace(nodes, '"certs/province-2029.crt"', '"certs/province-signing.crt"')
    with pytest.raises(ConfigError, match="key-revoked-in-use"):
        opened(nodes)


# The ledger's own key


def rotate(nodes: Nodes, name: str = "ledger-2029") -> VerifierKey:
    file = nodes.bureau.path / "certs" / f"{name}.key"
    with nodes.bureau.open() as bureau:
        rotate_ledger(bureau, file, **ORDER)
    return NoteSigner(bureau.origin, load_key(file)).verifier


def configure_key(nodes: Nodes, old: str, new: str) -> None:
    replace(nodes, f'"file:certs/{old}.key"', f'"file:certs/{new}.key"')


def refused(nodes: Nodes, code: str) -> None:
    with pytest.raises(LedgerError) as caught, nodes.bureau.open():
        pass
    assert caught.value.code == code
    for language in ("zh-CN", "en"):
        assert caught.value.fix(language)


def test_the_old_key_signs_its_successor_in_and_the_new_one_signs_on(nodes: Nodes) -> None:
    with nodes.bureau.open() as bureau:
        old, origin = bureau.note_signer.verifier, bureau.origin
    new = rotate(nodes)
    refused(nodes, "ledger-key-retired")
    configure_key(nodes, "ledger", "ledger-2029")
    with nodes.bureau.open() as bureau:
        log = DurableLog(bureau.database)
        (rotation,) = [stored.index for stored in log.of_kinds(["key.rotated"])]
        history = read_history(bureau.database)
    with nodes.bureau.open() as bureau:
        log = DurableLog(bureau.database)
        checkpoints = _all_checkpoints(bureau)
        assert rotation + 1 in {one for one, _ in checkpoints}
        for size, note in checkpoints:
            (signing,) = [key for key in history.ledger_keys() if key.signs(size)]
            open_checkpoint(note, [VerifierKey.parse(signing.key)], origin)
        assert {key_id_of(old), key_id_of(new)} == {key.key_id for key in history.ledger_keys()}
        report = verify_log(log, [old, new], origin=origin)
        assert report.verdict is Verdict.PROVED
    action = opened(nodes, "operator.action")[-1]
    assert (action.text("action"), action.text("reason")) == ("key.rotate", ORDER["reason"])
    assert (nodes.bureau.path / "certs" / "ledger-2029.vkey").read_text() == f"{new}\n"


def _all_checkpoints(bureau: Gateway) -> list[tuple[int, bytes]]:
    with bureau.database.read() as conn:
        return [(one.size, one.note) for one in TransactionLog(conn).checkpoints()]


def test_a_key_that_nobody_announced_signs_nothing(nodes: Nodes) -> None:
    opened(nodes)
    key = nodes.bureau.path / "certs" / "ledger.key"
    shutil.move(key, key.with_name("kept.key"))
    lay = nodes.province.path / "certs" / "ledger.key"
    shutil.copy(lay, key)
    refused(nodes, "ledger-key-unannounced")


def test_the_ledgers_key_may_change_again_and_again(nodes: Nodes) -> None:
    last = "ledger"
    for year in (2029, 2030, 2031):
        rotate(nodes, f"ledger-{year}")
        configure_key(nodes, last, f"ledger-{year}")
        last = f"ledger-{year}"
    with nodes.bureau.open() as bureau:
        assert len(read_history(bureau.database).ledger_keys()) == 4
        with pytest.raises(ConfigError, match="key-known"):
            rotate_ledger(bureau, nodes.bureau.path / "certs" / "ledger-2029.key", **ORDER)


class _Cut(BaseException):
    """The process dies here."""


class DyingMemory(FileHeadMemory):
    """The head memory of a process that dies when it is about to promise the next head."""

    def swap(self, expected: Remembered | None, new: Remembered) -> None:
        raise _Cut


def test_a_change_that_was_cut_off_is_finished_by_the_old_key(nodes: Nodes) -> None:
    """The entry is committed, nothing signed it: neither key may sign anything else first."""
    opened(nodes)
    file = nodes.bureau.path / "certs" / "ledger-2029.key"
    write_key(file, generate_key(b"\x29" * 32))
    settings = load_settings(nodes.bureau.path / "config.toml")
    with ExitStack() as process:
        bureau = process.enter_context(nodes.bureau.open())
        publisher = Publisher(
            origin=bureau.origin,
            signer=bureau.note_signer,
            memory=DyingMemory(settings.head_memory),
            folder=TileFolder(settings.publish_dir),
        )
        bureau.notary = Notary(database=bureau.database, publisher=publisher, holds=bureau.holds, clock=bureau.clock)
        with pytest.raises(_Cut):
            rotate_ledger(bureau, file, **ORDER)
        process.pop_all()  # no orderly end
    bureau.database.close()
    configure_key(nodes, "ledger", "ledger-2029")
    refused(nodes, "ledger-rotation-unsigned")
    configure_key(nodes, "ledger-2029", "ledger")
    refused(nodes, "ledger-key-retired")
    configure_key(nodes, "ledger", "ledger-2029")
    with nodes.bureau.open() as bureau:
        keys = read_history(bureau.database).ledger_keys()
        for size, note in _all_checkpoints(bureau):
            (signing,) = [key for key in keys if key.signs(size)]
            open_checkpoint(note, [VerifierKey.parse(signing.key)], bureau.origin)


def test_a_thief_of_the_retired_key_forges_no_checkpoint_that_counts(nodes: Nodes) -> None:
    """T10: by size, whatever was signed under it later is not to be believed."""
    with nodes.bureau.open() as bureau:
        stolen = bureau.note_signer
    rotate(nodes)
    configure_key(nodes, "ledger", "ledger-2029")
    with nodes.bureau.open() as bureau:
        (old, new) = read_history(bureau.database).ledger_keys()
        size = DurableLog(bureau.database).head().size
    assert key_id_of(stolen.verifier) == old.key_id
    assert not old.signs(size + 1)
    assert new.signs(size + 1)


# Lists and warnings


def test_the_list_shows_each_key_with_what_is_left(nodes: Nodes) -> None:
    opened(nodes)
    new_identity(nodes.bureau.path / "certs", "short", PROVINCE, days=20)
    replace(nodes, '"certs/province-signing.crt"', '"certs/short.crt"')
    with nodes.bureau.open() as bureau:
        keys = {(key["purpose"], key["state"], key["owner"]): key for key in list_keys(bureau)}
    assert keys["package", "current", PROVINCE]["warning"] == 30
    assert keys["package", "revoked", PROVINCE]["warning"] is None
    assert keys["package", "current", BUREAU]["warning"] is None
    assert keys["ledger", "current", BUREAU]["days"] is None
    assert {owner for purpose, _, owner in keys if purpose == "tls"} == {
        "keys.tls.certificate",
        "peers.province.tls_certificates",
    }


def test_each_warning_is_given_once(tmp_path: Path) -> None:
    new_identity(tmp_path, "soon", days=65)
    (certificate,) = load_certificates(tmp_path / "soon.crt")
    clock = SetClock()
    clock.moment = SystemClock().now()
    watch = ExpiryWatch(certificates=lambda: [Named(place="here", certificate=certificate)], clock=clock)
    with structlog.testing.capture_logs() as lines:
        for _ in range(70 * 4):
            watch.look()
            clock.pass_(hours=6)
    told = [(line["event"], line["days"], line["log_level"]) for line in lines]
    assert [event for event, _, _ in told] == ["key.expires"] * 5 + ["key.expired"]
    assert [days for _, days, _ in told] == [60, 30, 14, 7, 1, 0]
    assert [level for _, _, level in told] == ["warning"] * 4 + ["error"] * 2


def test_stages(tmp_path: Path) -> None:
    new_identity(tmp_path, "soon", days=100)
    (certificate,) = load_certificates(tmp_path / "soon.crt")
    end = certificate.not_valid_after_utc
    assert [stage(certificate, end - timedelta(days=days)) for days in (61, 60, 30, 14, 7, 1, 0)] == [None, *WARN_AT, 1]
    assert stage(certificate, end + timedelta(seconds=1)) == 0
