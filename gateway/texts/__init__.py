"""Sentences for people, in Chinese (default) and English, kept apart from the code that raises them.

``texts/<language>/<room>.toml`` holds tables ``[code]`` with ``say`` and, where a person can act, ``fix``; both are ``str.format``
templates. A code stands in exactly one room's file, in both languages, with the same placeholders: a test holds that.
Standard library only: the offline verifier reads these too.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources

__all__ = ["DEFAULT_LANGUAGE", "LANGUAGES", "fix_text", "say_text", "template"]

DEFAULT_LANGUAGE = "zh-CN"
LANGUAGES = ("zh-CN", "en")


@cache
def _templates(language: str) -> Mapping[str, Mapping[str, str]]:
    """All templates of one language: code → {say, fix}."""
    merged: dict[str, Mapping[str, str]] = {}
    folder = resources.files("gateway.texts") / language
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".toml"):
            merged.update(tomllib.loads(file.read_text("utf-8")))
    return merged


def template(code: str, language: str, part: str) -> str | None:
    """The raw template of ``code`` in ``language``, or None when it has none."""
    return _templates(language).get(code, {}).get(part)


class _Kept(dict[str, object]):
    """A missing fact stays visible as ``{name}``: a sentence about an error must never raise another one."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


def say_text(code: str, language: str, facts: Mapping[str, object]) -> str:
    """The sentence for ``code``; the code and its facts themselves when no sentence is known."""
    text = template(code, language, "say")
    if text is None:
        return " ".join([code, *(f"{name}={value}" for name, value in facts.items())])
    return text.format_map(_Kept(facts))


def fix_text(code: str, language: str, facts: Mapping[str, object]) -> str:
    """What to do about ``code``; empty when nothing is to be done."""
    return (template(code, language, "fix") or "").format_map(_Kept(facts))
