"""Every code that is raised has its sentence in both languages, with the same facts."""

from __future__ import annotations

import ast
import re
import string
import tomllib
from collections import Counter
from pathlib import Path

import gateway
from gateway.texts import LANGUAGES, fix_text, say_text

PACKAGE = Path(gateway.__file__).parent


def texts(language: str) -> dict[str, dict[str, str]]:
    merged: dict[str, dict[str, str]] = {}
    for file in sorted((PACKAGE / "texts" / language).glob("*.toml")):
        merged.update(tomllib.loads(file.read_text("utf-8")))
    return merged


def placeholders(text: str) -> set[str]:
    # A fact that comes in both languages has a name in each.
    return {name for _, name, _, _ in string.Formatter().parse(text) if name} - {"zh", "en"}


def raised_codes() -> dict[str, str]:
    """Literal codes given to an error class or a finding, each with a place where it stands."""
    found: dict[str, str] = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            place = f"{file.relative_to(PACKAGE)}:{node.lineno}"
            if name.endswith("Error") and name not in {"ValueError", "TypeError", "KeyError"} and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str) and "-" in first.value:
                    found[first.value] = place
            if name in {"Finding", "_refuse"}:
                values = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
                values += node.args[:1] if name == "_refuse" else []
                for value in values:
                    if isinstance(value, ast.Constant) and isinstance(value.value, str):
                        found[value.value] = place
    return found


def test_every_raised_code_has_a_sentence() -> None:
    codes = raised_codes()
    assert len(codes) > 50
    for language in LANGUAGES:
        known = texts(language)
        missing = {code: place for code, place in codes.items() if code not in known}
        assert not missing, f"{language}: codes without a sentence: {missing}"


def said(node: ast.expr) -> set[str]:
    """The codes that the first argument of ``say`` may be; of one that is put together only its beginning, with a star."""
    match node:
        case ast.Constant(value=str(code)):
            return {code}
        case ast.IfExp(body=body, orelse=other):
            return said(body) | said(other)
        case ast.JoinedStr(values=[ast.Constant(value=str(begun)), *_]):
            return {f"{begun}*"}
        case _:
            return set()


def test_everything_that_the_command_line_says_has_a_sentence() -> None:
    found: dict[str, str] = {}
    for file in sorted((PACKAGE / "cli").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say" and node.args:
                found |= dict.fromkeys(said(node.args[0]), f"{file.name}:{node.lineno}")
    assert len(found) > 200
    known = {code.removeprefix("cli-") for code in texts("zh-CN") if code.startswith("cli-")}
    missing = {
        code: place
        for code, place in found.items()
        if (code not in known if not code.endswith("*") else not any(one.startswith(code[:-1]) for one in known))
    }
    assert not missing


def test_both_languages_say_the_same() -> None:
    chinese, english = texts("zh-CN"), texts("en")
    assert set(chinese) == set(english)
    for code, parts in chinese.items():
        assert set(parts) == set(english[code]) <= {"say", "fix"}, code
        for part, text in parts.items():
            assert placeholders(text) == placeholders(english[code][part]), f"{code}.{part}"


def test_a_code_stands_in_one_file() -> None:
    for language in LANGUAGES:
        files = sorted((PACKAGE / "texts" / language).glob("*.toml"))
        counted = Counter(code for file in files for code in tomllib.loads(file.read_text("utf-8")))
        assert [code for code, count in counted.items() if count > 1] == []


def test_a_missing_fact_or_sentence_never_raises() -> None:
    assert say_text("no-such-code", "en", {"a": 1}) == "no-such-code a=1"
    assert fix_text("no-such-code", "en", {}) == ""
    assert "{reference}" in say_text("secret-missing", "zh-CN", {})


def test_sentences_name_commands_that_exist() -> None:
    from gateway.cli.main import app

    groups = {
        group.name: {one.name for one in group.typer_instance.registered_commands}
        | {one.name for one in group.typer_instance.registered_groups}
        for group in app.registered_groups
        if group.typer_instance
    }
    verbs = {command.name for command in app.registered_commands} | set(groups)
    for language in LANGUAGES:
        for code, parts in texts(language).items():
            for text in parts.values():
                for verb, second in re.findall(r"`gateway ([a-z-]+)(?: ([a-z-]+))?", text):
                    assert verb in verbs, f"{language}: {code}: gateway {verb}"
                    assert not second or verb not in groups or second in groups[verb], (
                        f"{language}: {code}: gateway {verb} {second}"
                    )
