"""A receiver's JSON Schema: what it says of each place, and its verdict on documents in our words, without a value.

jsonschema reads every draft from 4 to 2020-12. Schemas that refer to each other lie in one folder, found by their address or by their
name; nothing is fetched. Fractions are exact decimals throughout.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from jsonschema.validators import validator_for
from referencing import Registry, Resource
from referencing.exceptions import NoSuchResource, Unresolvable
from referencing.jsonschema import DRAFT202012

from gateway.errors import MappingError

__all__ = ["JsonRefusal", "JsonSchema", "Place", "load_json_schema"]

_HOME: Final = "http://format.invalid/"
"""Where the folder stands for relative references; the name cannot exist (RFC 2606)."""
_DEEPEST: Final = 64
_ALSO: Final = ("anyOf", "oneOf")
_CODES: Final[Mapping[str, str]] = {
    "required": "required-missing",
    "dependentRequired": "required-missing",
    "maxLength": "too-long",
    "minLength": "too-short",
    "pattern": "pattern-mismatch",
    "enum": "code-unknown",
    "const": "code-unknown",
    "minimum": "decimal-out-of-range",
    "maximum": "decimal-out-of-range",
    "exclusiveMinimum": "decimal-out-of-range",
    "exclusiveMaximum": "decimal-out-of-range",
    "multipleOf": "decimal-too-precise",
    "minItems": "rows-few",
    "maxItems": "rows-many",
    "additionalProperties": "element-unexpected",
    "unevaluatedProperties": "element-unexpected",
    "propertyNames": "element-unexpected",
}
_KINDS: Final[Mapping[str, str]] = {"integer": "integer-invalid", "number": "decimal-invalid"}
_FORMATS: Final[Mapping[str, str]] = {"date": "date-invalid", "date-time": "date-invalid"}


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonRefusal:
    """One thing that the schema has against a document: where (names and positions from 0), by which of our codes, what it wants."""

    path: tuple[str | int, ...]
    code: str
    expected: str
    value: object


@dataclass(frozen=True, slots=True)
class _Saying:
    """One subschema that speaks of a place, with what resolves its references. ``surely`` is false for one alternative of several."""

    schema: Mapping[str, Any]
    resolver: Any
    surely: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Everything that a schema says of one place; nothing where it lets anything stand."""

    sayings: tuple[_Saying, ...]

    def names(self) -> tuple[str, ...]:
        """The properties that are named for an object here, in the schema's order."""
        return tuple(dict.fromkeys(name for one in self.sayings for name in one.schema.get("properties", {})))

    def required(self) -> tuple[str, ...]:
        """The properties that every object here must have."""
        found = (name for one in self.sayings if one.surely for name in one.schema.get("required", ()))
        return tuple(dict.fromkeys(str(name) for name in found))

    def child(self, name: str) -> Place | None:
        """What is said of the property ``name``; None where no other than the named ones may stand."""
        found: list[_Saying] = []
        closed = False
        for one in self.sayings:
            known = [one.schema["properties"][name]] if name in one.schema.get("properties", {}) else []
            patterns = one.schema.get("patternProperties", {})
            known += [inner for pattern, inner in patterns.items() if re.search(pattern, name)]
            others = one.schema.get("additionalProperties", True)
            if not known and others is False:
                closed = closed or one.surely
            if not known and isinstance(others, Mapping):
                known = [others]
            found += (saying for inner in known for saying in _expanded(inner, one.resolver, one.surely))
        unevaluated = any(one.surely and one.schema.get("unevaluatedProperties") is False for one in self.sayings)
        return None if closed or (unevaluated and not found) else Place(tuple(found))

    def items(self) -> Place:
        """What is said of each member of an array here."""
        found = []
        for one in self.sayings:
            inner = one.schema.get("items", True)
            if isinstance(inner, Mapping):
                found += list(_expanded(inner, one.resolver, one.surely))
        return Place(tuple(found))

    def types(self) -> frozenset[str]:
        """The JSON types that may stand here; empty when nothing is said."""
        found: set[str] | None = None
        for one in self.sayings:
            said = one.schema.get("type")
            named = {said} if isinstance(said, str) else set(said or ())
            if not named and "const" in one.schema:
                named = {_type_of(one.schema["const"])}
            if not named and "enum" in one.schema:
                named = {_type_of(value) for value in one.schema["enum"]}
            if named and one.surely:
                found = named if found is None else found & named
            elif named and found is None:
                found = named
        return frozenset(found or ())

    def most(self) -> int | None:
        """How many members an array here may have at the most."""
        found = [int(one.schema["maxItems"]) for one in self.sayings if one.surely and "maxItems" in one.schema]
        return min(found) if found else None

    def note(self) -> str:
        """The schema's own words about the place."""
        words = (one.schema.get("title") or one.schema.get("description") for one in self.sayings)
        return next((" ".join(str(word).split()) for word in words if word), "")


class JsonSchema:
    """A schema with all that it refers to. Any thread may use it."""

    def __init__(self, file: str, documents: Mapping[str, Any]) -> None:
        """Raises MappingError ``json-schema-unusable``."""
        main = documents[file]
        kind: Any = validator_for(main, default=Draft202012Validator)
        resources = {
            f"{_HOME}{name}": Resource.from_contents(text, default_specification=DRAFT202012)
            for name, text in documents.items()
            if isinstance(text, Mapping | bool)
        }
        # Its attributes are declared in a way that type checkers do not see.
        no_such: Any = NoSuchResource
        names = {PurePosixPath(name).name: f"{_HOME}{name}" for name in documents}

        def found(uri: str) -> Any:
            """A schema of the folder by the last part of its address."""
            name = PurePosixPath(uri.partition("#")[0]).name
            if names.get(name) not in resources:
                raise no_such(ref=uri)
            return resources[names[name]]

        # The library's own registry knows the meta-schemas; ours is asked first.
        registry: Any = Registry(retrieve=found).with_resources(resources.items()).crawl()  # type: ignore[call-arg]  # attrs takes it without its underscore
        try:
            kind.check_schema(main)
        except SchemaError as error:
            raise MappingError("json-schema-unusable", schema=file, detail=_place(error.absolute_path)) from error
        resolver = registry.resolver_with_root(resources[f"{_HOME}{file}"])
        self._resolver = registry.resolver(f"{_HOME}{file}") if "$id" not in main else resolver
        self._main = main
        self._validator: Any = kind(
            main, registry=registry, _resolver=self._resolver, format_checker=kind.FORMAT_CHECKER
        )
        try:
            self.root = Place(tuple(_expanded(main, self._resolver, surely=True)))
            self._touch(main, self._resolver, set())
        except Unresolvable as error:
            raise MappingError("json-schema-unusable", schema=file, detail=str(error.ref)) from error

    def at(self, steps: Sequence[str], arrays: Set[tuple[str, ...]]) -> Place:
        """What is said at the end of ``steps``, seen through the ``arrays`` on the way and at the end; nothing where it goes too far."""
        here = self.root.items() if () in arrays else self.root
        for length, step in enumerate(steps, start=1):
            here = here.child(step) or Place(())
            here = here.items() if tuple(steps[:length]) in arrays else here
        return here

    def refusals(self, document: object) -> Iterator[JsonRefusal]:
        """What the schema has against ``document``, whose numbers are int or Decimal."""
        return (_refusal(error) for error in self._validator.iter_errors(document))

    def fits(self, place: Place, value: object) -> Iterator[JsonRefusal]:
        """What is said at ``place`` against ``value``."""
        for one in place.sayings:
            if one.surely:
                for error in self._validator.descend(value, one.schema, resolver=one.resolver):
                    yield _refusal(error)

    def _touch(self, schema: object, resolver: Any, seen: set[int]) -> None:
        """Every reference leads somewhere: a missing file is told now and not in the night. Raises Unresolvable."""
        if id(schema) in seen:
            return
        seen.add(id(schema))
        if isinstance(schema, Mapping):
            if isinstance(ref := schema.get("$ref"), str):
                there = resolver.lookup(ref)
                self._touch(there.contents, there.resolver, seen)
            for key, inner in schema.items():
                if key not in {"enum", "const", "default", "examples"}:
                    self._touch(inner, resolver, seen)
        elif isinstance(schema, list):
            for inner in schema:
                self._touch(inner, resolver, seen)


def load_json_schema(file: str, texts: Mapping[str, bytes]) -> JsonSchema:
    """The schema in ``file`` of ``texts``, which hold what it refers to. Raises MappingError ``json-schema-unusable``."""
    documents: dict[str, Any] = {}
    for name, data in texts.items():
        try:
            documents[name] = json.loads(data.decode("utf-8-sig"), parse_float=Decimal)
        except (ValueError, RecursionError) as error:
            raise MappingError("json-schema-unusable", schema=name, detail="JSON, UTF-8") from error
    if not isinstance(documents.get(file), dict):
        raise MappingError("json-schema-unusable", schema=file, detail=file)
    return JsonSchema(file, documents)


def _expanded(schema: object, resolver: Any, surely: bool, deep: int = 0) -> Iterator[_Saying]:
    """A subschema and all that it stands for: references, all of several, any of several. Raises Unresolvable."""
    if not isinstance(schema, Mapping) or deep > _DEEPEST:
        return
    yield _Saying(schema, resolver, surely)
    for key in ("$ref", "$dynamicRef", "$recursiveRef"):
        if isinstance(ref := schema.get(key), str):
            there = resolver.lookup(ref)
            yield from _expanded(there.contents, there.resolver, surely, deep + 1)
    for inner in schema.get("allOf", ()):
        yield from _expanded(inner, resolver, surely, deep + 1)
    for inner in (*(one for key in _ALSO for one in schema.get(key, ())), schema.get("then"), schema.get("else")):
        yield from _expanded(inner, resolver, surely=False, deep=deep + 1)


def _refusal(error: ValidationError) -> JsonRefusal:
    """An error of the library; of alternatives, what is wrong with the one that is nearest."""
    while error.context and (nearer := best_match(error.context)) is not None:
        error = nearer
    path: list[str | int] = list(error.absolute_path)
    rule, wanted = str(error.validator), error.validator_value
    code = _CODES.get(rule, "schema-violation")
    if rule == "required" and isinstance(wanted, list) and isinstance(error.instance, Mapping):
        missing = [str(name) for name in wanted if name not in error.instance]
        named = next((name for name in missing if repr(name) in error.message), missing[0] if missing else "")
        return JsonRefusal(path=(*path, named), code=code, expected="", value=None)
    if rule == "additionalProperties" and isinstance(error.instance, Mapping):
        return JsonRefusal(path=tuple(path), code=code, expected="", value=None)
    if rule == "type":
        code = _KINDS.get(str(wanted), code)
    if rule == "format":
        code = _FORMATS.get(str(wanted), "pattern-mismatch")
    simple = isinstance(wanted, str | int | Decimal) and not isinstance(wanted, bool)
    expected = _listed(wanted) if isinstance(wanted, list) else str(wanted) if simple else rule
    return JsonRefusal(path=tuple(path), code=code, expected=expected, value=error.instance)


def _listed(values: Iterable[object]) -> str:
    shown = [str(value) for value in values]
    return "、".join(shown[:20]) + ("…" if len(shown) > 20 else "")


def _type_of(value: object) -> str:
    kinds: dict[type, str] = {bool: "boolean", int: "integer", Decimal: "number", str: "string", list: "array"}
    return "null" if value is None else kinds.get(type(value), "object")


def _place(path: Iterable[object]) -> str:
    return "/".join(map(str, path)) or "/"
