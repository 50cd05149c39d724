"""What a binding writes, a receiver must be able to read: for every rule a binding may use, the rule that undoes it.

Cleaning belongs to source mappings. A rule that loses something (``upper``, ``remove``, a lookup that sends two codes
to one) has no place in a format, because the receiver could not tell what the sender held.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.catalog.model import Field, FieldType
from gateway.mapping.model import Rule

__all__ = ["OneWayError", "reading_rules"]


class OneWayError(Exception):
    """A rule that cannot be undone; ``number`` is its place in the chain, counted from 1."""

    def __init__(self, rule: Rule, number: int) -> None:
        super().__init__(rule.name)
        self.rule = rule
        self.number = number


def reading_rules(rules: Sequence[Rule], field: Field, crosswalks: Mapping[str, Mapping[str, str]]) -> tuple[Rule, ...]:
    """The chain from the text in a document back to the catalog's value. Raises OneWayError."""
    chain: list[Rule] = []
    for number, rule in reversed(list(enumerate(rules, start=1))):
        back = _undone(rule, field, crosswalks)
        if back is None:
            raise OneWayError(rule, number)
        chain.append(back)
    if not any(rule.name in {"write-date", "write-decimal"} for rule in rules):
        chain += _canonical(field)
    return tuple(chain)


def _undone(rule: Rule, field: Field, crosswalks: Mapping[str, Mapping[str, str]]) -> Rule | None:
    match rule.name:
        case "write-date":
            shape = "date-time" if "T" in str(rule.parameters["shape"]) else rule.parameters["shape"]
            return Rule(name="date", parameters={"shapes": [shape]})
        case "write-decimal":
            return Rule(name="decimal")
        case "split-join" if field.separator is not None:
            return Rule(name="split-join", parameters={"separators": rule.parameters["to"], "to": field.separator})
        case "lookup":
            return _lookup_back(rule, crosswalks)
        case _:
            return None


def _lookup_back(rule: Rule, crosswalks: Mapping[str, Mapping[str, str]]) -> Rule | None:
    """The table turned round; None where two codes lead to one, or where a code may pass that the table does not know."""
    given = rule.parameters.get("table")
    table = given if isinstance(given, Mapping) else crosswalks.get(str(rule.parameters.get("crosswalk")), {})
    exact = rule.parameters["unmapped"] == "reject" and rule.parameters.get("match", "whole") == "whole"
    if not exact or len(set(table.values())) != len(table):
        return None
    kept = {name: value for name, value in rule.parameters.items() if name == "separator"}
    return Rule(
        name="lookup",
        parameters={**kept, "table": {to: code for code, to in table.items()}, "unmapped": "reject"},
    )


def _canonical(field: Field) -> tuple[Rule, ...]:
    """How the canonical text of a field is read, which is what is written without rules."""
    match field.type:
        case FieldType.TEXT:
            return ()
        case FieldType.DATE:
            return (Rule(name="date", parameters={"shapes": ["yyyy-MM-dd"]}),)
        case FieldType.DECIMAL:
            return (Rule(name="decimal"),)
        case FieldType.INTEGER:
            return (Rule(name="integer"),)
