"""A working folder as ``gateway init`` lays it out: configuration, mappings, fresh keys and certificates, a service for systemd."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from gateway.app import ledger_origin
from gateway.catalog.identifiers import is_uscc
from gateway.clock import Clock, Ids
from gateway.errors import ConfigError
from gateway.ledger.keys import generate_key, write_key
from gateway.ledger.note import NoteSigner
from gateway.package.certificates import generate_identity, store_private_key

__all__ = ["EXAMPLE_CODE", "EXAMPLE_NAME", "SERVICE", "defaults", "lay_out", "service"]

EXAMPLE_CODE = "11230700001001013H"
EXAMPLE_NAME = "示例林业局交通运输局"
SERVICE = "credit-gateway.service"
_OWN_USER = "credit-gateway"
_HOMES = ("/home", "/root", "/run/user")
_VALID_DAYS = 3 * 365
_SERIAL_BYTES = 20


def defaults() -> Path:
    """The folder with the default configuration and mappings: inside the installed package, or the checkout that we run from."""
    installed = Path(str(resources.files("gateway"))) / "defaults"
    return installed if installed.is_dir() else Path(str(resources.files("gateway"))).parent


def lay_out(folder: Path, *, code: str, name: str, hosts: Sequence[str], clock: Clock, ids: Ids) -> None:
    """Make ``folder`` (mode 0700) with config.toml, mappings/ and certs/ of the node ``code``, and a unit of systemd that serves it.

    ``hosts`` are the names and addresses under which peers will reach this node; they go into the TLS certificate. Keys have mode 0600.
    Raises ConfigError ``workfolder-not-empty`` or ``workfolder-code-invalid``; nothing is written then.
    """
    if not is_uscc(code):
        raise ConfigError("workfolder-code-invalid")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError("workfolder-not-empty", folder=str(folder))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    source = defaults()
    shutil.copytree(source / "mappings", folder / "mappings")
    text = (source / "config.example.toml").read_text("utf-8")
    text = text.replace(f'"{EXAMPLE_CODE}"', f'"{code}"', 1).replace(f'"{EXAMPLE_NAME}"', f'"{_toml(name)}"', 1)
    (folder / "config.toml").write_text(text, "utf-8")
    (folder / SERVICE).write_text(service(folder.resolve(), user=_user(), python=Path(sys.executable)), "utf-8")
    certs = folder / "certs"
    certs.mkdir(mode=0o700)
    shutil.copyfile(source / "certs" / "README.md", certs / "README.md")
    # The folder of the head memory must exist: the ledger takes a missing one for a volume that is not mounted.
    (folder / "var").mkdir(mode=0o700)
    now = clock.now()
    for purpose, san in (("signing", ()), ("tls", tuple(hosts))):
        key, certificate = generate_identity(
            common_name=f"{name} {purpose}"[:64],
            code=code,
            san_hosts=san,
            at=now,
            days=_VALID_DAYS,
            serial=ids.bytes(_SERIAL_BYTES),
        )
        store_private_key(certs / f"{purpose}.key", key)
        (certs / f"{purpose}.crt").write_bytes(certificate)
    ledger_key = generate_key(ids.bytes(32))
    write_key(certs / "ledger.key", ledger_key)
    # What auditors verify checkpoints with; give it away together with the certificates.
    verifier = NoteSigner(ledger_origin(code), ledger_key).verifier
    (certs / "ledger.vkey").write_text(f"{verifier}\n", "utf-8")


def service(folder: Path, *, user: str, python: Path) -> str:
    """The unit file that serves the working folder ``folder`` (absolute) as ``user``, with the interpreter ``python``."""
    # ProtectHome= would hide what the service needs where folder or installation lie in somebody's home.
    needed = (folder, python, python.resolve())  # a virtual environment links to the interpreter that made it
    hidden = any(path.is_relative_to(home) for path in needed for home in _HOMES)
    facts = {
        "USER": user,
        "FOLDER": str(folder).replace("%", "%%"),
        "PYTHON": _argument(python),
        "CONFIG": _argument(folder / "config.toml"),
        "DATA": _quoted(folder / "var"),
        "HOME": "read-only" if hidden else "yes",
    }
    template = (resources.files("gateway") / f"{SERVICE}.template").read_text("utf-8")
    return re.sub("@([A-Z]+)@", lambda found: facts[found[1]], template)


def _quoted(path: Path) -> str:
    """A path as one word of a unit file: quoted (systemd.syntax(7)), and without meaning as a specifier (systemd.unit(5))."""
    return '"{}"'.format(str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%"))


def _argument(path: Path) -> str:
    """A path as one word of a command line, where ``$`` would name a variable (systemd.service(5))."""
    return _quoted(path).replace("$", "$$")


def _user() -> str:
    """Whose keys these are; root should not serve, and makes the folder for a user of its own."""
    return _OWN_USER if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name


def _toml(text: str) -> str:
    """Text inside a basic string of TOML."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
