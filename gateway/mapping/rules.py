"""The closed list of rules. A rule is ``(expression, parameters) → (value, problems)``: no expression language, no code in mappings.

A source mapping chains rules from the local value to the catalog's; a format's binding chains them from the catalog's value to the
target's. A refused value becomes null and its problem is told once: the rules after it see an empty value and stay silent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import polars as pl

from gateway.mapping.model import Compiled, ProblemExpr, Rule, RuleContext
from gateway.mapping.rule_kind import Parameters, RuleKind
from gateway.mapping.rules_codes import CODE_RULES
from gateway.mapping.rules_date import DATE_RULES
from gateway.mapping.rules_number import NUMBER_RULES
from gateway.mapping.rules_text import TEXT_RULES

__all__ = ["RULES", "compile_rule", "compile_rules"]

RULES: Final[Mapping[str, RuleKind]] = MappingProxyType(
    {kind.name: kind for kind in (*TEXT_RULES, *CODE_RULES, *DATE_RULES, *NUMBER_RULES)}
)


def compile_rule(rule: Rule, value: pl.Expr, context: RuleContext) -> Compiled:
    """``rule`` over ``value``, which is of ``context.type`` and null where empty.

    The rule was read by :func:`gateway.mapping.rule_reader.read_rules`: a name out of the list raises KeyError, a parameter of the wrong
    type TypeError, a value of a type that the rule does not take ValueError.
    """
    kind = RULES[rule.name]
    if context.type not in kind.takes:
        raise ValueError(f"{rule.name} does not take {context.type}")
    return kind.compile(value, Parameters(rule.parameters), context)


def compile_rules(rules: Sequence[Rule], value: pl.Expr, context: RuleContext) -> Compiled:
    """A chain of rules as one nested expression, with the problems of all of them. Without rules the value itself."""
    compiled = Compiled(value=value, type=context.type)
    problems: list[ProblemExpr] = []
    for rule in rules:
        compiled = compile_rule(rule, compiled.value, replace(context, type=compiled.type))
        problems += compiled.problems
    return replace(compiled, problems=tuple(problems))
