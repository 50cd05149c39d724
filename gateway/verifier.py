"""``gateway-verify``: check a published ledger on a machine that has Python and ``cryptography`` and nothing of the daemon.

    gateway-verify FOLDER --key VERIFIER-KEY [--held NOTE]… [--json]

FOLDER is the log as published (tlog-tiles: ``checkpoint`` and ``tile/``), VERIFIER-KEY its signed-note key as text or in a file, NOTE a
checkpoint of the log that somebody else kept. Exit codes: 0 proved · 1 contradiction · 2 not provable · 3 bad input. No network.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from gateway import __version__
from gateway.errors import LedgerError
from gateway.evidence.account import report_json, report_lines
from gateway.ledger.checkpoint import Checkpoint, open_checkpoint
from gateway.ledger.folder import TileFolder
from gateway.ledger.note import VerifierKey
from gateway.ledger.report import Verdict
from gateway.ledger.verify import verify_folder
from gateway.texts import DEFAULT_LANGUAGE, LANGUAGES, say_text

__all__ = ["main"]

_EXITS = {Verdict.PROVED: 0, Verdict.CONTRADICTED: 1, Verdict.NOT_PROVABLE: 2}
_BAD_INPUT = 3
_LARGEST_NOTE = 64 * 1024


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script."""
    options = _parser().parse_args(arguments)
    try:
        key = VerifierKey.parse(_text_or_file(options.key))
        held = [_held(Path(path), key) for path in options.held]
        if not Path(options.folder).is_dir():
            raise LedgerError("published-folder-missing", path=options.folder)
        report = verify_folder(TileFolder(Path(options.folder)), [key], origin=key.name, held=held)
    except LedgerError as error:
        sys.stderr.write(f"{error.say(_language())}\n")
        sys.exit(_BAD_INPUT)
    if options.json:
        sys.stdout.write(json.dumps(report_json(report), ensure_ascii=False, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(report_lines(report, _language())) + "\n")
    sys.exit(_EXITS[report.verdict])


def _parser() -> argparse.ArgumentParser:
    def said(name: str) -> str:
        return say_text(f"verifier-{name}", _language(), {})

    parser = argparse.ArgumentParser(prog="gateway-verify", description=said("help"), epilog=said("exits"))
    parser.add_argument("folder", help=said("folder"))
    parser.add_argument("--key", required=True, help=said("key"))
    parser.add_argument("--held", action="append", default=[], metavar="NOTE", help=said("held"))
    parser.add_argument("--json", action="store_true", help=said("json"))
    parser.add_argument("--version", action="version", version=f"gateway-verify {__version__}")
    return parser


def _language() -> str:
    wanted = os.environ.get("GATEWAY_LANG", DEFAULT_LANGUAGE)
    return wanted if wanted in LANGUAGES else DEFAULT_LANGUAGE


def _text_or_file(key: str) -> str:
    path = Path(key)
    if "+" in key and not path.exists():
        return key.strip()
    return _read(path).decode("utf-8", "replace").strip()


def _held(path: Path, key: VerifierKey) -> Checkpoint:
    return open_checkpoint(_read(path), [key], key.name)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_NOTE)
    except OSError as error:
        raise LedgerError("published-folder-missing", path=str(path)) from error
