"""The growing edge and the root, against published vectors and the recursive definition."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import LedgerError
from gateway.ledger.tree import EMPTY_ROOT, Edge, leaf_hash, node_hash, root_of
from tests.ledger import naive
from tests.ledger.vectors import LEAVES, NODES, ROOTS


def grown(leaves: list[bytes]) -> Edge:
    edge = Edge()
    for leaf in leaves:
        edge = edge.append(leaf_hash(leaf))
    return edge


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size: int) -> None:
    assert root_of([leaf_hash(leaf) for leaf in LEAVES[:size]]) == ROOTS[size]
    assert grown(LEAVES[:size]).root() == ROOTS[size]


def test_published_nodes() -> None:
    for (height, index), expected in NODES.items():
        leaves = LEAVES[index << height : (index + 1) << height]
        assert root_of([leaf_hash(leaf) for leaf in leaves]) == expected
    assert node_hash(NODES[2, 0], NODES[2, 1]) == ROOTS[8]
    assert grown(LEAVES[:7]).hashes == (NODES[2, 0], NODES[1, 2], leaf_hash(LEAVES[6]))


def test_a_leaf_is_no_node() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != node_hash(left, right)


@given(st.lists(st.binary(max_size=4), max_size=130))
@settings(max_examples=60)
def test_edge_and_root_follow_the_recursive_definition(leaves: list[bytes]) -> None:
    expected = naive.root(leaves)
    edge = grown(leaves)
    assert edge.root() == expected
    assert root_of([leaf_hash(leaf) for leaf in leaves]) == expected
    assert (edge.size, len(edge.hashes)) == (len(leaves), len(leaves).bit_count())


def test_the_empty_tree() -> None:
    assert Edge().root() == EMPTY_ROOT == root_of([])


@pytest.mark.parametrize(("size", "count"), [(0, 1), (1, 0), (3, 1), (4, 2), (-1, 0)])
def test_an_edge_that_does_not_fit_its_size_is_refused(size: int, count: int) -> None:
    with pytest.raises(LedgerError, match="ledger-edge-invalid"):
        Edge(size=size, hashes=(b"\x00" * 32,) * count)
