"""The document that a binding makes, in schema order: the part of the schema's tree that is written, with its leaves bound.

Schema and binding meet here once. Whoever renders, checks or reads a record walks this outline and needs neither of
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.mapping.format_model import BoundLeaf
from gateway.mapping.schema import Attribute, Element, Group, Model
from gateway.mapping.xsd_types import SimpleType

__all__ = ["Cluster", "Node", "Slot", "Standing", "outline_of", "standings_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A leaf in its place. ``index`` is its position in the binding; ``name`` that of the attribute, "" for an element's text.

    ``required`` is the schema's demand: wherever the parent element stands, the leaf must stand.
    """

    index: int
    leaf: BoundLeaf
    name: str
    type: SimpleType
    required: bool
    fixed: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An element that is written. ``required`` says that it stands wherever its parent does, bound or not."""

    name: str
    required: bool
    attributes: tuple[Slot, ...]
    text: Slot | None
    members: tuple[Node | Cluster, ...]

    def own(self) -> Iterator[Slot]:
        """The attributes and the text of the element itself."""
        yield from self.attributes
        if self.text is not None:
            yield self.text

    def slots(self) -> Iterator[Slot]:
        """Every leaf in and below the element, in document order."""
        yield from self.own()
        for member in self.members:
            yield from member.slots()

    def elements(self) -> Iterator[Node]:
        """Every element directly in this one, from whatever cluster."""
        for member in self.members:
            yield from (member,) if isinstance(member, Node) else member.elements()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A group of the schema inside an element: all of its members, or (``CHOICE``) one of them."""

    model: Model
    required: bool
    members: tuple[Node | Cluster, ...]

    def slots(self) -> Iterator[Slot]:
        """Every leaf in and below the group, in document order."""
        for member in self.members:
            yield from member.slots()

    def elements(self) -> Iterator[Node]:
        """Every element directly in the group."""
        for member in self.members:
            yield from (member,) if isinstance(member, Node) else member.elements()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a leaf stands in the document. ``scope`` is the nearest part around it, itself included, that may be left
    out (None: it is the record's own); ``demanded`` says that the schema wants the leaf wherever the scope stands.
    """

    scope: Node | Cluster | None
    demanded: bool


def standings_of(outline: Node) -> Mapping[int, Standing]:
    """The standing of every leaf, by its position in the binding."""
    return dict(_standings(outline, None))


def _standings(part: Node | Cluster, scope: Node | Cluster | None) -> Iterator[tuple[int, Standing]]:
    if isinstance(part, Node):
        # The text of an optional element is what makes it stand, unless a field in an attribute does so too.
        beside = any(slot.leaf.field is not None for slot in part.attributes)
        for slot in part.own():
            demanded = part.required or (beside and slot.required) if slot is part.text else slot.required
            yield slot.index, Standing(scope=scope, demanded=demanded)
    choice = isinstance(part, Cluster) and part.model is Model.CHOICE
    for member in part.members:
        yield from _standings(member, scope if member.required and not choice else member)


_Bound = Sequence[tuple[int, tuple[str, ...], BoundLeaf]]


def outline_of(root: Element, leaves: Sequence[BoundLeaf]) -> Node:
    """The outline of a record under ``root``. Steps that the schema does not know are left out: the loader has named them."""
    return _node(root, [(index, leaf.steps, leaf) for index, leaf in enumerate(leaves)], required=True)


def _node(element: Element, bound: _Bound, *, required: bool) -> Node:
    own = {steps[0]: (index, leaf) for index, steps, leaf in bound if len(steps) == 1 and steps[0].startswith("@")}
    attributes = tuple(
        _attribute(attribute, *own[f"@{attribute.name}"])
        for attribute in element.attributes
        if f"@{attribute.name}" in own
    )
    text = next((_text(element, index, leaf) for index, steps, leaf in bound if not steps), None)
    group = element.content
    members = _members(group, [item for item in bound if item[1] and not item[1][0].startswith("@")]) if group else ()
    if group is not None and (group.model is not Model.SEQUENCE or not group.min_occurs):
        members = (Cluster(model=group.model, required=group.min_occurs > 0, members=members),) if members else ()
    return Node(name=element.name, required=required, attributes=attributes, text=text, members=members)


def _members(group: Group, bound: _Bound) -> tuple[Node | Cluster, ...]:
    members: list[Node | Cluster] = []
    taken: set[str] = set()
    for member in group.members:
        if isinstance(member, Element):
            # An element of one name may stand at two places of a sequence; the first is the one that a path means.
            below = [] if member.name in taken else [(i, s[1:], leaf) for i, s, leaf in bound if s[0] == member.name]
            taken.add(member.name)
            needed = member.min_occurs > 0 and group.model is not Model.CHOICE
            if below or needed:
                members.append(_node(member, below, required=needed))
        elif isinstance(member, Group):
            inner = _members(member, bound)
            if any(True for item in inner for _ in item.slots()) or (member.min_occurs and inner):
                needed = member.min_occurs > 0 and group.model is not Model.CHOICE
                members.append(Cluster(model=member.model, required=needed, members=inner))
    return tuple(members)


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
    )
