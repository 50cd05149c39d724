"""The document that a binding makes, in schema order: the part of the schema's tree that is written, with its leaves bound.

Schema and binding meet here once. Whoever renders, checks or reads a record walks this outline and needs neither of
them. What stands once for each row of a part hangs below a :class:`Rows`: its leaves are another frame's columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from gateway.mapping.format_model import BoundLeaf, WhenEmpty, name_of, place_of
from gateway.mapping.schema import Attribute, Element, Group, Model, Wildcard, meant, most_of, repeats_whole
from gateway.mapping.xsd_types import SimpleType

__all__ = [
    "DEEPEST",
    "Cluster",
    "Node",
    "Rows",
    "Slot",
    "Standing",
    "constants_differ",
    "constants_of",
    "outline_of",
    "standings_of",
]


DEEPEST: Final = 32
"""So many elements that must stand in each other, and in which nothing is bound, are followed: an element may demand itself without end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A leaf in its place. ``index`` is its position in the binding; ``name`` that of the attribute, "" for an element's text.

    ``required`` is the schema's demand: wherever the parent element stands, the leaf must stand. ``nil`` says that the element may stand
    without its text by ``xsi:nil`` and in no other way.
    """

    index: int
    leaf: BoundLeaf
    name: str
    type: SimpleType
    required: bool
    fixed: str | None
    nil: bool = False

    @property
    def blank_is_nil(self) -> bool:
        """Whether it is written as ``xsi:nil`` when there is nothing to write."""
        return self.nil and self.leaf.when_empty is WhenEmpty.BLANK


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An element that is written. ``required`` says that it stands wherever its parent does, bound or not.

    ``place`` counts the elements of one name in one parent, from 1. ``as_type`` is the derived type that it stands as, if it does.
    """

    name: str
    required: bool
    attributes: tuple[Slot, ...]
    text: Slot | None
    members: tuple[Node | Cluster | Rows, ...]
    place: int = 1
    as_type: str = ""

    @property
    def tag(self) -> str:
        """The element's name in a document."""
        return self.name.rpartition("(")[0] if self.as_type else self.name

    def own(self) -> Iterator[Slot]:
        """The attributes and the text of the element itself."""
        yield from self.attributes
        if self.text is not None:
            yield self.text

    def slots(self) -> Iterator[Slot]:
        """Every leaf in and below the element that stands once where it does, in document order."""
        yield from self.own()
        for member in self.members:
            yield from member.slots()

    def leaves(self) -> Iterator[Slot]:
        """Every leaf in and below the element, in document order."""
        yield from self.own()
        for member in self.members:
            yield from member.leaves()

    def rows(self) -> Iterator[Rows]:
        """What is repeated in and below the element, without what is repeated in that again."""
        for member in self.members:
            yield from member.rows()

    def elements(self) -> Iterator[Node]:
        """Every element directly in this one, from whatever cluster."""
        for member in self.members:
            yield from (member,) if isinstance(member, Node) else member.elements()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A group of the schema inside an element: all of its members, or (``CHOICE``) ``least`` to ``most`` of them."""

    model: Model
    required: bool
    members: tuple[Node | Cluster | Rows, ...]
    most: int | None = 1
    least: int = 1

    def slots(self) -> Iterator[Slot]:
        """Every leaf in and below the group that stands once where it does, in document order."""
        for member in self.members:
            yield from member.slots()

    def leaves(self) -> Iterator[Slot]:
        """Every leaf in and below the group, in document order."""
        for member in self.members:
            yield from member.leaves()

    def rows(self) -> Iterator[Rows]:
        """What is repeated in and below the group, without what is repeated in that again."""
        for member in self.members:
            yield from member.rows()

    def elements(self) -> Iterator[Node]:
        """Every element directly in the group."""
        for member in self.members:
            yield from (member,) if isinstance(member, Node) else member.elements()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """An element, or a group of elements, that stands once for each row of ``part``, ``least`` to ``most`` times (None: without limit).

    A group's ``node`` has no name, only members.
    """

    part: str
    least: int
    most: int | None
    node: Node

    @property
    def required(self) -> bool:
        """Whether the schema wants a row wherever the parent stands."""
        return self.least > 0

    def slots(self) -> Iterator[Slot]:
        """None: its leaves are the rows' own."""
        return iter(())

    def leaves(self) -> Iterator[Slot]:
        """Every leaf of a row."""
        yield from self.node.leaves()

    def rows(self) -> Iterator[Rows]:
        """Itself."""
        yield self

    def elements(self) -> Iterator[Node]:
        """The elements of a row."""
        if self.node.name:
            yield self.node
        else:
            yield from self.node.elements()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a leaf stands in the document. ``scope`` is the nearest part around it, itself included, that may be left
    out (None: it is the record's own); ``demanded`` says that the schema wants the leaf wherever the scope stands.
    """

    scope: Node | Cluster | Rows | None
    demanded: bool


def constants_of(node: Node) -> Mapping[tuple[str, ...], str]:
    """The constants in and below an element, by the names that lead to them (an attribute's begins with ``@``)."""
    found: dict[tuple[str, ...], str] = {}
    for slot in node.own():
        rule = slot.leaf.rules[0] if slot.leaf.field is None and slot.leaf.batch is None and slot.leaf.rules else None
        if rule is not None and len(slot.leaf.rules) == 1 and rule.name == "constant":
            found[(f"@{slot.name}",) if slot.name else ()] = str(rule.parameters["value"])
    for child in node.elements():
        if child.place == 1:
            found |= {(child.name, *steps): value for steps, value in constants_of(child).items()}
    return found


def constants_differ(one: Node, other: Node) -> bool:
    """Whether two elements of one name are told apart by a constant that both have and each another."""
    first, second = constants_of(one), constants_of(other)
    return any(first[steps] != second[steps] for steps in first.keys() & second.keys())


def standings_of(outline: Node) -> Mapping[int, Standing]:
    """The standing of every leaf, by its position in the binding."""
    return dict(_standings(outline, None))


def _standings(part: Node | Cluster, scope: Node | Cluster | Rows | None) -> Iterator[tuple[int, Standing]]:
    if isinstance(part, Node):
        # The text of an optional element is what makes it stand, unless a field in an attribute does so too.
        beside = any(slot.leaf.field is not None for slot in part.attributes)
        for slot in part.own():
            demanded = part.required or (beside and slot.required) if slot is part.text else slot.required
            yield slot.index, Standing(scope=scope, demanded=demanded)
    choice = isinstance(part, Cluster) and part.model is Model.CHOICE
    for member in part.members:
        if isinstance(member, Rows):
            yield from _standings(member.node, member)
        else:
            yield from _standings(member, scope if member.required and not choice else member)


_Bound = Sequence[tuple[int, tuple[str, ...], BoundLeaf]]


def outline_of(
    root: Element, leaves: Sequence[BoundLeaf], repeat: Mapping[tuple[str, ...], str] = MappingProxyType({})
) -> Node:
    """The outline of a record under ``root``; ``repeat`` tells the part whose rows make the element at a path.

    Steps that the schema does not know are left out: the loader has named them.
    """
    bound = [(index, leaf.steps, leaf) for index, leaf in enumerate(leaves)]
    return _Outliner(repeat).node(root, bound, required=True, path=())


class _Outliner:
    def __init__(self, repeat: Mapping[tuple[str, ...], str]) -> None:
        self._repeat = repeat
        # Parts whose rows are groups: several places of them.
        parts = list(repeat.values())
        self._within = {part for part in parts if parts.count(part) > 1}

    def node(self, element: Element, bound: _Bound, *, required: bool, path: tuple[str, ...], place: int = 1) -> Node:
        own = {steps[0]: (index, leaf) for index, steps, leaf in bound if len(steps) == 1 and steps[0].startswith("@")}
        attributes = tuple(
            _attribute(attribute, *own[f"@{attribute.name}"])
            for attribute in element.attributes
            if f"@{attribute.name}" in own
        )
        text = next((_text(element, index, leaf) for index, steps, leaf in bound if not steps), None)
        group = element.content
        below = [item for item in bound if item[1] and not item[1][0].startswith("@")]
        # An optional group in which nothing is bound is left out.
        ended = not below and len(path) > DEEPEST
        members = self._members(group, below, path) if group and not ended and (below or group.min_occurs) else ()
        part = self._part_of(group, path)
        if group is not None and members and part is not None:
            members = (_group_rows(part, group, members, needed=group.min_occurs > 0),)
        elif group is not None and members and (group.model is not Model.SEQUENCE or not group.min_occurs):
            required_group = group.min_occurs > 0
            cluster = Cluster(
                model=group.model,
                required=required_group,
                members=members,
                most=group.max_occurs,
                least=group.min_occurs,
            )
            members = (cluster,)
        return Node(
            name=element.name,
            required=required,
            attributes=attributes,
            text=text,
            members=members,
            place=place,
            as_type=element.as_type,
        )

    def _members(self, group: Group, bound: _Bound, path: tuple[str, ...]) -> tuple[Node | Cluster | Rows, ...]:
        members: list[Node | Cluster | Rows] = []
        taken: set[str] = set()
        names = meant(group, {name_of(steps[0]) for _, steps, _ in bound})
        for place, member in enumerate(group.members):
            here = [item for item in bound if name_of(item[1][0]) in names[place]]
            needed = not isinstance(member, Wildcard) and member.min_occurs > 0 and group.model is not Model.CHOICE
            if isinstance(member, Element):
                # An element of one name may stand at two places of a sequence; the first is the one that a path means.
                below = [] if member.name in taken else here
                taken.add(member.name)
                members += self._places(member, below, path, needed=needed, group=group)
            elif isinstance(member, Group):
                inner = self._members(member, here, path)
                part = self._part_of(member, path)
                if part is not None and inner:
                    members.append(_group_rows(part, member, inner, needed=needed))
                elif any(True for item in inner for _ in item.leaves()) or (needed and inner):
                    cluster = Cluster(
                        model=member.model,
                        required=needed,
                        members=inner,
                        most=member.max_occurs,
                        least=member.min_occurs,
                    )
                    members.append(cluster)
        return tuple(members)

    def _part_of(self, group: Group | None, path: tuple[str, ...]) -> str | None:
        """The part for whose rows the whole group is repeated: that of all its elements."""
        if group is None or not repeats_whole(group):
            return None
        parts = {self._repeat.get((*path, element.name)) for element in group.elements()}
        return next(iter(parts)) if len(parts) == 1 else None

    def _places(
        self, element: Element, bound: _Bound, path: tuple[str, ...], *, needed: bool, group: Group
    ) -> Iterator[Node | Rows]:
        """The element as often as it is bound, or once where the schema wants it all the same."""
        places = sorted({place_of(steps[0]) for _, steps, _ in bound}) or ([1] if needed else [])
        for place in places:
            below = [(index, steps[1:], leaf) for index, steps, leaf in bound if place_of(steps[0]) == place]
            here = (*path, next((steps[0] for _, steps, _ in bound if place_of(steps[0]) == place), element.name))
            part = self._repeat.get(here)
            if part is None or part in self._within:
                required = needed and place <= element.min_occurs
                yield self.node(element, below, required=required, path=here, place=place)
            else:
                node = self.node(element, below, required=True, path=here, place=place)
                most = most_of(element, group)
                # A branch of a choice that is taken has as many as it must have.
                least = element.min_occurs if needed or group.model is Model.CHOICE else 0
                yield Rows(part=part, least=least, most=most, node=node)


def _group_rows(part: str, group: Group, members: tuple[Node | Cluster | Rows, ...], *, needed: bool) -> Rows:
    row = Node(name="", required=True, attributes=(), text=None, members=members)
    return Rows(part=part, least=group.min_occurs if needed else 0, most=group.max_occurs, node=row)


def _attribute(attribute: Attribute, index: int, leaf: BoundLeaf) -> Slot:
    return Slot(
        index=index,
        leaf=leaf,
        name=attribute.name,
        type=attribute.type,
        required=attribute.required,
        fixed=attribute.fixed,
    )


def _text(element: Element, index: int, leaf: BoundLeaf) -> Slot | None:
    if element.type is None:
        return None
    return Slot(
        index=index,
        leaf=leaf,
        name="",
        type=element.type,
        # An element whose type admits nothing in it may stand there without its text.
        required=not element.type.may_be_empty,
        fixed=element.fixed,
        nil=element.nillable and not element.type.may_be_empty,
    )
