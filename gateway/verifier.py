"""``gateway-verify``: check evidence on a machine that has Python and ``cryptography`` and nothing of the daemon.

    gateway-verify BUNDLE|PROOF [--policy FILE | --key VERIFIER-KEY] [--expect-checkpoint NOTE]… [--json]
    gateway-verify FOLDER --key VERIFIER-KEY [--held NOTE]… [--json]

BUNDLE is what ``gateway audit export`` wrote, PROOF what ``gateway audit prove`` wrote, FOLDER a published log (tlog-tiles: ``checkpoint`` and
``tile/``). FILE names whom the auditor believes (:mod:`gateway.evidence.policy`), VERIFIER-KEY is the ledger's signed-note key as text or in
a file, NOTE a checkpoint of the log that somebody else kept. Exit codes: 0 all proved · 1 contradiction · 2 not provable · 3 bad input.
No network, and nothing is written.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from gateway import __version__
from gateway.errors import EvidenceError, GatewayError, LedgerError
from gateway.evidence.account import report_json, report_lines
from gateway.evidence.judgement import Judgements, judgement_json, judgement_lines
from gateway.evidence.notes import claimed
from gateway.evidence.policy import MAX_POLICY_BYTES, Policy, parse_policy
from gateway.evidence.proof import MAX_PROOF_BYTES, parse_proof
from gateway.evidence.verify import Progress, verify_bundle
from gateway.evidence.verify_proof import verify_proof
from gateway.ledger.checkpoint import open_checkpoint
from gateway.ledger.folder import TileFolder
from gateway.ledger.note import MAX_NOTE_BYTES, VerifierKey
from gateway.ledger.report import Verdict
from gateway.ledger.verify import verify_folder
from gateway.texts import DEFAULT_LANGUAGE, LANGUAGES, say_text

__all__ = ["main"]

_EXITS = {Verdict.PROVED: 0, Verdict.CONTRADICTED: 1, Verdict.NOT_PROVABLE: 2}
_BAD_INPUT = 3


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script."""
    options = _parser().parse_args(arguments)
    try:
        verdict = _verify(Path(options.evidence), options)
    except GatewayError as error:
        sys.stderr.write(f"{error.say(_language())}\n")
        if fix := error.fix(_language()):
            sys.stderr.write(f"→ {fix}\n")
        sys.exit(_BAD_INPUT)
    sys.exit(_EXITS[verdict])


def _verify(path: Path, options: argparse.Namespace) -> Verdict:
    if path.is_dir():
        return _folder(path, options)
    policy = _policy(options)
    held = [claimed(_read(Path(note), MAX_NOTE_BYTES), note) for note in (*options.expect_checkpoint, *options.held)]
    with _opened(path) as file:
        first = file.read(1)
        file.seek(0)
        if first == b"{":
            result = verify_proof(parse_proof(file.read(MAX_PROOF_BYTES + 1)), policy=policy)
        else:
            result = verify_bundle(file, policy=policy, held=held, progress=_progress(options))
    return _tell(result, options)


def _folder(path: Path, options: argparse.Namespace) -> Verdict:
    """A published log, whose checkpoints must be signed by the key given."""
    if options.key is None:
        raise EvidenceError("verify-key-needed")
    key = _key(options.key)
    notes = (*options.held, *options.expect_checkpoint)
    held = [open_checkpoint(_read(Path(note), MAX_NOTE_BYTES), [key], key.name) for note in notes]
    report = verify_folder(TileFolder(path), [key], origin=key.name, held=held)
    _write(options, report_json(report), report_lines(report, _language()))
    return report.verdict


def _tell(result: Judgements, options: argparse.Namespace) -> Verdict:
    _write(options, judgement_json(result), judgement_lines(result, _language()))
    return result.verdict


def _write(options: argparse.Namespace, told: dict[str, object], lines: Iterable[str]) -> None:
    text = json.dumps(told, ensure_ascii=False, indent=2) if options.json else "\n".join(lines)
    sys.stdout.write(text + "\n")


def _progress(options: argparse.Namespace) -> Progress:
    """Percents on a terminal, nothing anywhere else."""
    last = -1

    def tell(done: int, whole: int) -> None:
        nonlocal last
        percent = 100 * done // max(whole, 1)
        if percent != last:
            last = percent
            sys.stderr.write(f"\r{percent:3} %\r")
            sys.stderr.flush()

    return (lambda _done, _whole: None) if options.json or not sys.stderr.isatty() else tell


def _policy(options: argparse.Namespace) -> Policy | None:
    policy = None
    if options.policy is not None:
        policy = parse_policy(_read(Path(options.policy), MAX_POLICY_BYTES))
    if options.key is not None:
        key = _key(options.key)
        policy = replace(policy or Policy(whole=False), ledger_keys=(key,))
    return policy


def _parser() -> argparse.ArgumentParser:
    def said(name: str) -> str:
        return say_text(f"verifier-{name}", _language(), {})

    parser = argparse.ArgumentParser(prog="gateway-verify", description=said("help"), epilog=said("exits"))
    parser.add_argument("evidence", help=said("evidence"))
    parser.add_argument("--policy", metavar="FILE", help=said("policy"))
    parser.add_argument("--key", help=said("key"))
    parser.add_argument("--expect-checkpoint", action="append", default=[], metavar="NOTE", help=said("expect"))
    parser.add_argument("--held", action="append", default=[], metavar="NOTE", help=said("held"))
    parser.add_argument("--json", action="store_true", help=said("json"))
    parser.add_argument("--version", action="version", version=f"gateway-verify {__version__}")
    return parser


def _language() -> str:
    wanted = os.environ.get("GATEWAY_LANG", DEFAULT_LANGUAGE)
    return wanted if wanted in LANGUAGES else DEFAULT_LANGUAGE


def _key(key: str) -> VerifierKey:
    path = Path(key)
    if "+" in key and not path.exists():
        return VerifierKey.parse(key.strip())
    return VerifierKey.parse(_read(path, MAX_NOTE_BYTES).decode("utf-8", "replace").strip())


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise LedgerError("published-folder-missing", path=str(path)) from error


def _read(path: Path, most: int) -> bytes:
    with _opened(path) as file:
        return file.read(most + 1)


if __name__ == "__main__":
    main()
