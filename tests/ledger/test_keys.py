"""The key file: readable by its owner alone, or not read at all."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from gateway.errors import LedgerError
from gateway.ledger.keys import generate_key, load_key, write_key

SEED = bytes(range(32))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.key"
    write_key(path, generate_key(SEED))
    return path


def refusal(action: Callable[[], object]) -> str:
    with pytest.raises(LedgerError) as caught:
        action()
    return caught.value.code


def test_a_key_comes_back_as_it_was_written(path: Path) -> None:
    assert load_key(path).private_bytes_raw() == SEED
    assert path.stat().st_mode & 0o7777 == 0o600


def test_a_key_is_written_0600_whatever_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o277)
    try:
        write_key(tmp_path / "key", generate_key(SEED))
    finally:
        os.umask(before)
    assert load_key(tmp_path / "key").private_bytes_raw() == SEED


def test_openssl_reads_it(path: Path) -> None:
    done = subprocess.run(
        ["openssl", "pkey", "-in", path, "-noout", "-text"], capture_output=True, text=True, check=True
    )
    assert "ED25519 Private-Key" in done.stdout


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o400, 0o700, 0o601, 0o4600])
def test_any_other_mode_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    assert refusal(lambda: load_key(path)) == "ledger-key-exposed"


def test_a_link_is_refused(path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to(path)
    assert refusal(lambda: load_key(link)) == "ledger-key-unreadable"


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    for other in (fifo, tmp_path, Path("/dev/null"), tmp_path / "missing"):
        assert refusal(lambda other=other: load_key(other)) == "ledger-key-unreadable"  # type: ignore[misc]  # a default binds early


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_somebody_elses_file_is_refused(path: Path) -> None:
    os.chown(path, 12_345, -1)
    assert refusal(lambda: load_key(path)) == "ledger-key-exposed"


def test_what_is_no_ed25519_key_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    locked = generate_key(SEED).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    for data in (b"", b"rubbish", whole[:40], other, locked, whole + b"\n" * 20_000):
        path.write_bytes(data)
        assert refusal(lambda: load_key(path)) == "ledger-key-malformed"


def test_an_existing_file_is_never_overwritten(path: Path, tmp_path: Path) -> None:
    assert refusal(lambda: write_key(path, generate_key(b"\x01" * 32))) == "ledger-key-unwritable"
    assert load_key(path).private_bytes_raw() == SEED
    target = tmp_path / "target"
    (tmp_path / "dangling").symlink_to(target)
    assert refusal(lambda: write_key(tmp_path / "dangling", generate_key(SEED))) == "ledger-key-unwritable"
    assert not target.exists()


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_seed_has_32_bytes(length: int) -> None:
    assert refusal(lambda: generate_key(b"\x01" * length)) == "ledger-key-malformed"
