"""The ledger's Ed25519 key in a file: PKCS #8 PEM (RFC 8410), unencrypted, for the service's own user alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from gateway.errors import LedgerError

__all__ = ["SEED_BYTES", "generate_key", "load_key", "write_key"]

SEED_BYTES: Final = 32
_MODE: Final = 0o600
_MAX_FILE_BYTES: Final = 16_384


def generate_key(seed: bytes) -> Ed25519PrivateKey:
    """The key whose RFC 8032 private key is ``seed``: 32 unguessable bytes (``Ids.bytes(SEED_BYTES)``).

    Raises LedgerError ``ledger-key-malformed`` on another length.
    """
    if len(seed) != SEED_BYTES:
        raise LedgerError("ledger-key-malformed", path="")
    return Ed25519PrivateKey.from_private_bytes(seed)


def write_key(path: Path, key: Ed25519PrivateKey) -> None:
    """Write ``key`` to a new file of mode 0600. Raises LedgerError ``ledger-key-unwritable``, also when the file exists."""
    data = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, _MODE)  # whatever the umask says
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        raise LedgerError("ledger-key-unwritable", path=path, reason=error.strerror) from error


def load_key(path: Path) -> Ed25519PrivateKey:
    """The key in ``path``: a regular file, not a link, mode 0600, owned by the user that runs this process.

    Checked on the open file, so that it cannot be exchanged between check and reading.
    Raises LedgerError: ``ledger-key-unreadable``, ``ledger-key-exposed``, ``ledger-key-malformed``.
    """
    try:
        # O_NONBLOCK: opening a named pipe must not wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise LedgerError("ledger-key-unreadable", path=path, reason="not a regular file")
            mode = stat.S_IMODE(found.st_mode)
            if mode != _MODE or found.st_uid != os.geteuid():
                raise LedgerError("ledger-key-exposed", path=path, mode=f"{mode:04o}", owner=found.st_uid)
            data = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise LedgerError("ledger-key-unreadable", path=path, reason=error.strerror) from error
    if len(data) > _MAX_FILE_BYTES:
        raise LedgerError("ledger-key-malformed", path=path)
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError) as error:  # TypeError: the file is encrypted
        raise LedgerError("ledger-key-malformed", path=path) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise LedgerError("ledger-key-malformed", path=path)
    return key
