"""Proofs, made and checked, against the recursive definitions; every way of breaking one is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import LedgerError
from gateway.ledger.proof import (
    LeafNodes,
    LogNodes,
    check_consistency,
    check_inclusion,
    consistency_proof,
    edge_at,
    inclusion_proof,
)
from gateway.ledger.tree import leaf_hash, node_hash
from tests.ledger import naive
from tests.ledger.memory_log import MemoryLog
from tests.ledger.samples import fill
from tests.ledger.vectors import LEAVES, ROOTS

SIZES = range(1, 35)
DATA = [f"leaf {number}".encode() for number in range(max(SIZES))]
HASHES = [leaf_hash(data) for data in DATA]
ROOT = {size: naive.root(DATA[:size]) for size in (0, *SIZES)}


def is_included(index: int, size: int, proof: Sequence[bytes], root: bytes, leaf: bytes) -> bool:
    return refused_with(lambda: check_inclusion(leaf, index, size, proof, root)) != "inclusion-proof-invalid"


def is_consistent(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    return refused_with(lambda: check_consistency(old, old_root, new, new_root, proof)) != "consistency-proof-invalid"


def refused_with(check: Callable[[], None]) -> str | None:
    try:
        check()
    except LedgerError as error:
        return error.code
    return None


@pytest.mark.parametrize("size", SIZES)
def test_inclusion_of_every_leaf(size: int) -> None:
    for index in range(size):
        proof = inclusion_proof(LeafNodes(HASHES[:size]), index, size)
        assert list(proof) == naive.path(index, DATA[:size])
        check_inclusion(HASHES[index], index, size, proof, ROOT[size])


@pytest.mark.parametrize("new", SIZES)
def test_consistency_of_every_pair(new: int) -> None:
    for old in range(1, new + 1):
        proof = consistency_proof(LeafNodes(HASHES[:new]), old, new)
        assert list(proof) == naive.proof(old, DATA[:new])
        check_consistency(old, ROOT[old], new, ROOT[new], proof)


def test_published_trees_are_consistent() -> None:
    hashes = [leaf_hash(leaf) for leaf in LEAVES]
    for new in range(1, 9):
        for old in range(1, new + 1):
            check_consistency(old, ROOTS[old], new, ROOTS[new], consistency_proof(LeafNodes(hashes[:new]), old, new))


@given(st.data())
@settings(max_examples=200)
def test_a_changed_inclusion_proof_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.sampled_from(SIZES))
    index = data.draw(st.integers(0, size - 1))
    proof = list(inclusion_proof(LeafNodes(HASHES), index, size))
    for broken in broken_proofs(data, proof, ROOT[size]):
        assert not is_included(index, size, broken, ROOT[size], HASHES[index])
    assert not is_included(index, size, proof, ROOT[size], leaf_hash(b"another"))
    assert not is_included(index, size, proof, leaf_hash(b"another"), HASHES[index])
    for other in {0, index - 1, index + 1, size - 1, size, -1} - {index}:
        assert not is_included(other, size, proof, ROOT[size], HASHES[index])


def test_a_path_too_short_for_the_tree_is_refused_though_its_hashes_fit() -> None:
    """An honest proof out of a small tree, passed off as one out of a larger tree."""
    for size in SIZES:
        for index in range(size):
            proof = naive.path(index, DATA[:size])
            for claimed in range(size + 1, 2 * max(SIZES)):
                if len(naive.path(index, [b""] * claimed)) != len(proof):
                    assert not is_included(index, claimed, proof, ROOT[size], HASHES[index])


def test_a_path_too_long_for_the_tree_is_refused_though_its_hashes_fit() -> None:
    """A leaf that hangs below the leaves: a root is made up over an honest root and a further hash."""
    extra = leaf_hash(b"extra")
    for size in SIZES:
        for index in range(size):
            proof = [*naive.path(index, DATA[:size]), extra]
            assert not is_included(index, size, proof, node_hash(extra, ROOT[size]), HASHES[index])
            assert not is_included(index, size, proof, node_hash(ROOT[size], extra), HASHES[index])


@given(st.data())
@settings(max_examples=200)
def test_a_changed_consistency_proof_is_refused(data: st.DataObject) -> None:
    new = data.draw(st.sampled_from(SIZES))
    old = data.draw(st.integers(1, new))
    proof = list(consistency_proof(LeafNodes(HASHES), old, new))
    for broken in broken_proofs(data, proof, ROOT[new]):
        assert not is_consistent(old, ROOT[old], new, ROOT[new], broken)
    assert not is_consistent(old, leaf_hash(b"another"), new, ROOT[new], proof)
    assert not is_consistent(old, ROOT[old], new, leaf_hash(b"another"), proof)
    if old != new:
        assert not is_consistent(new, ROOT[new], old, ROOT[old], proof)
        for other in range(1, new + 1):
            if other != old:
                assert not is_consistent(other, ROOT[old], new, ROOT[new], proof)


def broken_proofs(data: st.DataObject, proof: list[bytes], root: bytes) -> list[list[bytes]]:
    """The proof with a hash more, fewer, exchanged, flipped, shortened, lengthened."""
    broken = [[*proof, root], [*proof, b""], [root, *proof], [*proof, *proof, root]]
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        bit = data.draw(st.integers(0, 255))
        flipped = bytearray(proof[at])
        flipped[bit // 8] ^= 1 << bit % 8
        for changed in (bytes(flipped), proof[at][:-1], proof[at] + b"\x00", b""):
            broken.append([*proof[:at], changed, *proof[at + 1 :]])
        broken.append(proof[:at] + proof[at + 1 :])
        broken.append([*proof[:at], proof[at], *proof[at:]])
    return broken


@pytest.mark.parametrize("length", [0, 31, 33])
def test_hashes_of_a_wrong_length_are_refused(length: int) -> None:
    wrong = b"\x00" * length
    assert not is_included(0, 1, (), wrong, wrong)
    assert not is_included(0, 1, (), HASHES[0], wrong)
    assert not is_consistent(1, wrong, 1, wrong, ())


def test_a_consistency_path_of_another_length_is_refused_though_its_hashes_fit() -> None:
    extra = leaf_hash(b"extra")
    for new in SIZES:
        for old in range(1, new):
            proof = [*naive.proof(old, DATA[:new]), extra]
            for old_root in (ROOT[old], node_hash(extra, ROOT[old])):
                for new_root in (node_hash(extra, ROOT[new]), node_hash(ROOT[new], extra)):
                    assert not is_consistent(old, old_root, new, new_root, proof)
            for claimed in range(new + 1, 2 * max(SIZES)):
                if len(naive.proof(old, [b""] * claimed)) != len(proof) - 1:
                    assert not is_consistent(old, ROOT[old], claimed, ROOT[new], proof[:-1])


def test_the_empty_tree_has_no_proof() -> None:
    assert not is_consistent(0, ROOT[0], 0, ROOT[0], ())
    assert not is_consistent(0, ROOT[0], 5, ROOT[5], ())
    assert not is_included(0, 0, (), ROOT[0], HASHES[0])
    for first, second in [(0, 0), (0, 5), (6, 5), (-1, 5)]:
        with pytest.raises(LedgerError, match="proof-out-of-range"):
            consistency_proof(LeafNodes(HASHES), first, second)
    for index, size in [(0, 0), (5, 5), (-1, 5)]:
        with pytest.raises(LedgerError, match="proof-out-of-range"):
            inclusion_proof(LeafNodes(HASHES), index, size)


def test_equal_sizes_take_no_hash_and_no_other_root() -> None:
    assert is_consistent(5, ROOT[5], 5, ROOT[5], ())
    assert not is_consistent(5, ROOT[5], 5, ROOT[5], (ROOT[5],))
    assert not is_consistent(5, ROOT[5], 5, ROOT[4], ())


def test_proofs_out_of_storage_across_tile_boundaries() -> None:
    log = MemoryLog()
    fill(log, 520)
    leaves = [entry.leaf for entry in log.entries(0, 520)]
    for size in (255, 256, 257, 512, 513, 520):
        root = naive.root(leaves[:size])
        assert edge_at(LogNodes(log), size).root() == root
        for index in (0, 255, size - 1):
            proof = inclusion_proof(LogNodes(log), index, size) if index < size else ()
            if index < size:
                check_inclusion(leaf_hash(leaves[index]), index, size, proof, root)
        for old in (1, 255, 256, 511, size):
            if old <= size:
                proof = consistency_proof(LogNodes(log), old, size)
                check_consistency(old, naive.root(leaves[:old]), size, root, proof)


def test_missing_hashes_are_told() -> None:
    log = MemoryLog()
    fill(log, 300)
    del log.rows[290]
    with pytest.raises(LedgerError, match="ledger-hash-missing"):
        edge_at(LogNodes(log), 300)
