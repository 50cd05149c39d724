"""What an XSD demands, as plain values: elements, attributes, the groups that order them, and the simple types at the leaves.

xmlschema (XSD 1.0, which libxml2 knows too) reads the schema from a local folder; nothing outside that folder is
opened. The tree is read step by step, so that a schema with recursive types is no trouble: only what is bound or
required is ever walked.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from xml.etree.ElementTree import ParseError

import xmlschema
from xmlschema import XMLSchema10, XMLSchemaException, normalize_url
from xmlschema.exceptions import XMLSchemaWarning
from xmlschema.validators import XsdAnyElement, XsdComplexType, XsdElement, XsdGroup, XsdType

from gateway.errors import MappingError
from gateway.mapping.schema_files import reachable, readable
from gateway.mapping.schema_paths import XML_SCHEMA
from gateway.mapping.xsd_types import FREE_TEXT, SimpleType, read_simple_type

__all__ = [
    "XSI",
    "Attribute",
    "Element",
    "Group",
    "Model",
    "Schema",
    "Wildcard",
    "load_schema",
    "local_name",
    "meant",
    "most_of",
    "namespace_of",
    "repeats_whole",
]

XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
_Typed = Collection[tuple[str, str]]
"""Local names of elements and of the derived types as which they are to stand."""

# Warnings are caught process-wide; two schemas are not read at once.
_loading = threading.Lock()
_OWN_SCHEMAS: Final = Path(xmlschema.__file__).parent.as_uri()
"""What xmlschema knows by itself: XML Schema's own namespace, ``xml``, ``xsi``."""


class Model(StrEnum):
    """How the members of a group stand together."""

    SEQUENCE = "sequence"
    CHOICE = "choice"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """An attribute. ``name`` is ``local`` or ``{namespace}local``; ``fixed`` is the only value it may have, if there is one."""

    name: str
    type: SimpleType
    required: bool
    fixed: str | None
    note: str


@dataclass(frozen=True, kw_only=True)  # without slots: what was read of its content is kept beside it
class Element:
    """An element where it stands. ``max_occurs`` None means without limit; ``type`` None means that it holds elements, not text.

    ``note`` is the schema's own documentation of it. ``content`` is read on demand. An element that stands as a derived type of the one
    declared has that type's name in ``as_type`` and, in brackets, behind its own; ``derived`` are the types of which one must be chosen
    because the declared one is abstract. ``nillable`` lets it stand without content by ``xsi:nil``.
    """

    name: str
    min_occurs: int
    max_occurs: int | None
    abstract: bool
    fixed: str | None
    type: SimpleType | None
    attributes: tuple[Attribute, ...]
    note: str
    as_type: str = ""
    derived: tuple[str, ...] = ()
    nillable: bool = False
    _kind: Any = field(repr=False, compare=False)
    _typed: _Typed = field(repr=False, compare=False)

    @cached_property
    def content(self) -> Group | None:
        """The group of child elements; None for an element that holds text or nothing."""
        content = getattr(self._kind, "content", None)
        return _group(content, self._typed) if isinstance(content, XsdGroup) else None

    def children(self) -> Iterator[Element]:
        """Every element that may stand directly in this one, in schema order, from whatever group."""
        if self.content is not None:
            yield from self.content.elements()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Members in order, with the number of times that the whole may stand."""

    model: Model
    min_occurs: int
    max_occurs: int | None
    members: tuple[Element | Group | Wildcard, ...]

    def elements(self) -> Iterator[Element]:
        """The elements of this group and of the groups in it."""
        for member in self.members:
            if isinstance(member, Element):
                yield member
            elif isinstance(member, Group):
                yield from member.elements()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wildcard:
    """A place for elements that the schema does not name; the gateway never writes there."""

    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """A schema. ``roots`` are its global elements by ``{namespace}local``; ``source`` is xmlschema's object, which explains refusals."""

    namespace: str
    roots: Mapping[str, Element]
    source: XMLSchema10 = field(repr=False, compare=False)

    def stand_ins(self, name: str) -> list[str]:
        """The elements that may stand in place of the global element ``name``, by ``{namespace}local``."""
        return _stand_ins(self.source.maps, name)


def load_schema(folder: Path, file: str, typed: _Typed = ()) -> Schema:
    """The schema in ``folder / file`` with all it includes and imports from there.

    ``typed`` are local names of elements that stand as a derived type (``xsi:type``), with that type's: beside the element itself there is
    then one called ``Element(Type)``, in whose place it may stand.

    Raises MappingError ``schema-unusable`` when it is no valid XSD 1.0, ``schema-file-missing`` when something it needs is missing or
    lies outside the folder.
    """
    home = folder.resolve()
    try:
        raw = {path.relative_to(home).as_posix(): path.read_bytes() for path in home.rglob("*.xsd")}
        if file not in raw:
            raise MappingError("schema-unusable", schema=file, detail=file)
        texts = readable(raw)
        files = reachable(file, texts)
        with _readable(home, {name: texts[name] for name in files}, raw) as place:
            source = _read(place, file, files)
    except (XMLSchemaException, XMLSchemaWarning, ParseError, OSError, ValueError) as error:
        raise MappingError("schema-unusable", schema=file, detail=_first_line(error)) from error
    except MappingError as error:
        if error.code in {"schema-unusable", "schema-file-missing"}:
            raise
        raise MappingError("schema-unusable", schema=file, detail=error.code) from error
    elements = (
        _element(element, typed) for element in source.maps.elements.values() if isinstance(element, XsdElement)
    )
    return Schema(
        namespace=source.target_namespace, roots={element.name: element for element in elements}, source=source
    )


@contextmanager
def _readable(home: Path, texts: Mapping[str, bytes], raw: Mapping[str, bytes]) -> Iterator[Path]:
    """Where xmlschema, which reads files, finds ``texts``: in the folder itself, or in a copy when one had to be changed to be read."""
    if all(texts[name] == raw[name] for name in texts):
        yield home
        return
    with TemporaryDirectory() as folder:
        copy = Path(folder).resolve()
        for name, data in texts.items():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes(data)
        yield copy


def _read(home: Path, file: str, files: Mapping[str, Mapping[str, str]]) -> XMLSchema10:
    with _loading, warnings.catch_warnings():
        # A failed import is only a warning to xmlschema; to us it means that part of the document would go unchecked.
        warnings.simplefilter("error", XMLSchemaWarning)
        return XMLSchema10(
            str(home / file),
            defuse="always",
            allow="local",
            base_url=str(home),
            use_fallback=False,
            uri_mapper=_Mapper(home, files),
        )


def meant(group: Group, bound: Collection[str]) -> Mapping[int, Collection[str]]:
    """For each member of a group, by its place: the names of ``bound`` elements that mean something in it.

    Branches of a choice may share names. A shared one belongs to the first branch of which a name of its own is bound.
    """
    known = [_names(member) for member in group.members]
    found = [names & set(bound) for names in known]
    if group.model is not Model.CHOICE:
        # A name may stand at two places of a sequence; the first is the one that a path means.
        return {place: names - set().union(*found[:place]) for place, names in enumerate(found)}
    if not found:
        return {}
    own = [
        names - set().union(*(other for at, other in enumerate(known) if at != place))
        for place, names in enumerate(found)
    ]
    chosen = [place for place, names in enumerate(own) if names] or [
        next((at for at, names in enumerate(found) if names), 0)
    ]
    taken: set[str] = set()
    result: dict[int, Collection[str]] = dict.fromkeys(range(len(found)), frozenset())
    for place in chosen:
        result[place] = found[place] - taken
        taken |= found[place]
    return result


def _names(member: Element | Group | Wildcard) -> frozenset[str]:
    match member:
        case Element():
            return frozenset([member.name])
        case Group():
            return frozenset(element.name for element in member.elements())
        case _:
            return frozenset()


class _Mapper:
    """Leads xmlschema to the files of the folder, wherever a schema says that they are, and to nothing outside of it."""

    def __init__(self, home: Path, files: Mapping[str, Mapping[str, str]]) -> None:
        self._home = home.as_uri()
        self._known = {normalize_url(str(home / file)) for file in files}
        self._moved = {
            normalize_url(location, (home / file).parent.as_uri()): normalize_url(str(home / target))
            for file, found in files.items()
            for location, target in found.items()
        }
        self._named: dict[str, set[str]] = {}
        for found in files.values():
            for location, target in found.items():
                self._named.setdefault(location, set()).add(normalize_url(str(home / target)))

    def __call__(self, uri: str) -> str:
        """Where ``uri`` is to be read."""
        # An include comes as it is written, an import with the address of the file around it.
        if len(named := self._named.get(uri, ())) == 1:
            return next(iter(named))
        here = normalize_url(uri, self._home)
        if here in self._moved or here in self._known or here.startswith(_OWN_SCHEMAS):
            return self._moved.get(here, here)
        return XML_SCHEMA.as_uri() if here.endswith("/xml.xsd") else f"{self._home}/:not-there:"


def most_of(element: Element, group: Group) -> int | None:
    """How many elements of one name may stand next to each other; None without limit.

    A repeated choice lets each of its branches be repeated, a repeated sequence only what stands alone in it.
    """
    if group.model is Model.SEQUENCE and len(group.members) > 1:
        return element.max_occurs
    if element.max_occurs is None or group.max_occurs is None:
        return None
    return element.max_occurs * group.max_occurs


def repeats_whole(group: Group) -> bool:
    """Whether a group may stand several times as a whole: a sequence of several elements."""
    return group.model is Model.SEQUENCE and group.max_occurs != 1 and len({one.name for one in group.elements()}) > 1


def local_name(name: str) -> str:
    """``local`` of ``{namespace}local``."""
    return name.rpartition("}")[2]


def namespace_of(name: str) -> str:
    """``namespace`` of ``{namespace}local``; ``""`` for a name in no namespace."""
    return name[1:].partition("}")[0] if name.startswith("{") else ""


def _element(source: XsdElement, typed: _Typed, as_type: XsdType | None = None) -> Element:
    kind: Any = as_type or source.type
    text = kind.is_simple() or (kind.has_simple_content() and not kind.has_mixed_content())
    free = not text and kind.has_mixed_content() and kind.is_emptiable()
    abstract = bool(getattr(kind, "abstract", False))
    return Element(
        name=f"{source.name}({as_type.local_name})" if as_type is not None else str(source.name),
        min_occurs=source.min_occurs,
        max_occurs=source.max_occurs,
        abstract=source.abstract,
        fixed=source.fixed,
        type=read_simple_type(kind) if text else FREE_TEXT if free else None,
        attributes=tuple(_attributes(kind)),
        note=_note(source) or _note(kind),
        as_type=str(as_type.name) if as_type is not None else "",
        derived=tuple(str(one.local_name) for one in _derived(kind)) if abstract else (),
        nillable=source.nillable,
        _kind=kind,
        _typed=typed,
    )


def _derived(kind: XsdType) -> list[XsdType]:
    """The global types derived from ``kind`` that may stand in its place, in order of name."""
    found = [
        one
        for one in kind.maps.types.values()
        if one is not kind and not getattr(one, "abstract", False) and isinstance(one, XsdComplexType)
    ]
    return sorted((one for one in found if one.is_derived(kind)), key=lambda one: str(one.name))


def _alternatives(source: XsdElement, typed: _Typed) -> list[Element]:
    """What may stand where ``source`` may: the element itself, and as each derived type that is asked for."""
    wanted = [name for element, name in typed if element == source.local_name]
    own = [] if source.abstract or (wanted and getattr(source.type, "abstract", False)) else [_element(source, typed)]
    types = [one for one in _derived(source.type) if one.local_name in wanted] if wanted else []
    return [*own, *(_element(source, typed, one) for one in types)]


def _element_or_substitutes(source: XsdElement, typed: _Typed) -> Element | Group:
    """An element, or the choice that it is when others may stand in its place (XML Schema Part 1 §2.2.2.2), or itself as other types."""
    maps = source.maps
    names = [] if source.ref is None else _stand_ins(maps, source.name)
    own = _alternatives(source, typed)
    others = [one for name in names for one in _alternatives(maps.elements[name], typed)]
    if not others and (len(own) == 1 or not own):
        alone = own[0] if own else _element(source, typed)
        return replace(alone, min_occurs=source.min_occurs, max_occurs=source.max_occurs)
    members = (*(replace(element, min_occurs=1, max_occurs=1) for element in own), *others)
    return Group(model=Model.CHOICE, min_occurs=source.min_occurs, max_occurs=source.max_occurs, members=members)


def _stand_ins(maps: Any, head: str) -> list[str]:
    """The names of the elements that may stand in place of ``head``, stand-ins of stand-ins included."""
    heads, names = [head], list[str]()
    while heads:
        found = sorted(element.name for element in maps.substitution_groups.get(heads.pop(), ()) if element.name)
        names += [name for name in found if name not in names]
        heads += [name for name in found if name not in heads and name in maps.substitution_groups]
    return names


def _attributes(kind: XsdType) -> Iterator[Attribute]:
    for name, attribute in getattr(kind, "attributes", {}).items():
        if name is None or attribute.use == "prohibited":  # None is xs:anyAttribute
            continue
        yield Attribute(
            name=name,
            type=read_simple_type(attribute.type),
            required=attribute.use == "required",
            fixed=attribute.fixed,
            note=_note(attribute) or _note(attribute.type),
        )


def _group(source: XsdGroup, typed: _Typed) -> Group:
    members: list[Element | Group | Wildcard] = []
    for member in source:
        if isinstance(member, XsdElement):
            members.append(_element_or_substitutes(member, typed))
        elif isinstance(member, XsdGroup):
            members.append(_group(member, typed))
        elif isinstance(member, XsdAnyElement):
            members.append(Wildcard(required=member.min_occurs > 0))
    model = Model(source.model)
    # A choice is met by nothing where one of its branches is (Part 1 §3.9.6, effective total range).
    least = 0 if model is Model.CHOICE and any(map(_may_be_nothing, members)) else source.min_occurs
    return Group(model=model, min_occurs=least, max_occurs=source.max_occurs, members=tuple(members))


def _may_be_nothing(member: Element | Group | Wildcard) -> bool:
    if isinstance(member, Wildcard):
        return not member.required
    if member.min_occurs == 0 or isinstance(member, Element):
        return member.min_occurs == 0
    return member.model is not Model.CHOICE and all(map(_may_be_nothing, member.members))


def _note(source: Any) -> str:
    """The documentation, all languages, on one line."""
    annotation = source.annotation
    texts = [element.text or "" for element in annotation.documentation] if annotation is not None else []
    return " ".join(" ".join(text.split()) for text in texts).strip()


def _first_line(error: BaseException) -> str:
    """The heart of an explanation; xmlschema adds the component and its path below it."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]
