"""Rules as people write them: ``"trim"`` or ``{ rule = "date", shapes = ["yyyyMMdd"] }``, read strictly, every mistake a finding.

Used for source mappings and for the bindings of formats alike.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from gateway.catalog.model import FieldType
from gateway.errors import Finding
from gateway.mapping.model import Rule
from gateway.mapping.rule_kind import Columns, RuleKind
from gateway.mapping.rules import RULES

__all__ = ["ReadRules", "read_rules"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRules:
    """The rules that could be read, the type that their chain ends in (None when a mistake hides it), and what is wrong."""

    rules: tuple[Rule, ...]
    type: FieldType | None
    findings: tuple[Finding, ...]


def read_rules(
    raw: object, *, file: str, key: str, start: FieldType, columns: int, crosswalks: Collection[str]
) -> ReadRules:
    """Read a list of rules that begins with ``columns`` values of the type ``start``.

    ``key`` is the list's own place in ``file``; findings name the rule in it (``fields.decided_on.rules[2].shapes``, counted from 1).
    """
    if not isinstance(raw, list):
        return ReadRules(rules=(), type=None, findings=(_finding("mapping-rules-not-list", file, key),))
    findings: list[Finding] = []
    rules: list[Rule] = []
    type_: FieldType | None = start
    for number, item in enumerate(raw, start=1):
        place = f"{key}[{number}]"
        kind, parameters = _kind_of(item, file, place, findings)
        if kind is None:
            type_ = None
            continue
        findings += _parameter_findings(kind, parameters, file, place, crosswalks)
        findings += _place_findings(kind, number, columns, file, place)
        if type_ is not None and type_ not in kind.takes:
            facts = {"rule": kind.name, "takes": "、".join(sorted(kind.takes)), "got": type_}
            findings.append(_finding("mapping-rule-type", file, place, **facts))
        type_ = kind.gives
        rules.append(Rule(name=kind.name, parameters=parameters))
    if columns != 1 and not _begins(raw, columns):
        findings.append(_finding("mapping-rules-begin", file, key, columns=columns, first=_first_names(columns)))
    return ReadRules(rules=tuple(rules), type=type_, findings=tuple(findings))


def _kind_of(
    item: object, file: str, place: str, findings: list[Finding]
) -> tuple[RuleKind | None, Mapping[str, object]]:
    """The rule that ``item`` names and its parameters; None, with a finding, when it names none."""
    parameters: Mapping[str, object] = {}
    name: object = item
    if isinstance(item, dict):
        name = item.get("rule")
        parameters = {parameter: value for parameter, value in item.items() if parameter != "rule"}
    if not isinstance(name, str):
        findings.append(_finding("mapping-rule-shape", file, place))
        return None, parameters
    if name not in RULES:
        close = get_close_matches(name, RULES, n=1)
        facts = {"rule": name, "known": "、".join(RULES), "close": close[0] if close else "-"}
        findings.append(_finding("mapping-rule-unknown", file, place, **facts))
        return None, parameters
    return RULES[name], parameters


def _parameter_findings(
    kind: RuleKind, given: Mapping[str, object], file: str, place: str, crosswalks: Collection[str]
) -> list[Finding]:
    findings: list[Finding] = []
    for name, value in given.items():
        parameter = kind.parameters.get(name)
        if parameter is None:
            facts = {"rule": kind.name, "parameter": name, "known": "、".join(kind.parameters) or "-"}
            findings.append(_finding("mapping-parameter-unknown", file, f"{place}.{name}", **facts))
        elif not parameter.accepts(value):
            facts = {"rule": kind.name, "parameter": name, "choices": "、".join(parameter.choices) or parameter.kind}
            findings.append(_finding("mapping-parameter-wrong", file, f"{place}.{name}", **facts))
        elif name == "crosswalk" and value not in crosswalks:
            facts = {"crosswalk": str(value), "known": "、".join(sorted(crosswalks)) or "-"}
            findings.append(_finding("mapping-crosswalk-unknown", file, f"{place}.{name}", **facts))
    for name, parameter in kind.parameters.items():
        if parameter.required and name not in given:
            findings.append(_finding("mapping-parameter-missing", file, place, rule=kind.name, parameter=name))
    if kind.one_of and sum(name in given for name in kind.one_of) != 1:
        facts = {"rule": kind.name, "parameters": "、".join(kind.one_of)}
        findings.append(_finding("mapping-parameter-either", file, place, **facts))
    return findings


def _place_findings(kind: RuleKind, number: int, columns: int, file: str, place: str) -> list[Finding]:
    """Rules that make a value, or bring several together, stand first and only with as many columns as they use."""
    wrong = (kind.columns is Columns.SEVERAL and columns < 2) or (kind.columns is Columns.NONE and columns != 0)
    if wrong or (kind.columns is not Columns.ONE and number != 1):
        return [_finding("mapping-rule-place", file, place, rule=kind.name, columns=columns)]
    return []


def _begins(raw: list[object], columns: int) -> bool:
    """Whether the first rule, if it can be told, suits the number of columns."""
    if not raw:
        return False
    first = raw[0].get("rule") if isinstance(raw[0], dict) else raw[0]
    kind = RULES.get(first) if isinstance(first, str) else None
    return kind is None or kind.columns is (Columns.NONE if columns == 0 else Columns.SEVERAL)


def _first_names(columns: int) -> str:
    wanted = Columns.NONE if columns == 0 else Columns.SEVERAL
    return "、".join(kind.name for kind in RULES.values() if kind.columns is wanted)


def _finding(code: str, file: str, key: str, **facts: object) -> Finding:
    return Finding(code=code, file=file, key=key, facts=facts)
