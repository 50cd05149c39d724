"""Buckets against their definition, written down once more."""

from __future__ import annotations

import hashlib
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import StoreError
from gateway.store.buckets import Bucket, digest_buckets, key_hash, parse_prefix

HELD = st.dictionaries(st.text(max_size=4), st.integers(1, 2**63 - 1), max_size=40)


def naive(held: dict[str, int], prefix: str) -> list[Bucket]:
    entries: dict[str, list[bytes]] = defaultdict(list)
    for key, version in held.items():
        hashed = hashlib.sha256(key.encode()).hexdigest()
        if hashed[: len(prefix)] == prefix:
            entries[hashed[: len(prefix) + 2]].append(bytes.fromhex(f"{hashed}{version:016x}"))
    return [
        Bucket(prefix=name, count=len(rows), digest=hashlib.sha256(b"".join(sorted(rows))).hexdigest())
        for name, rows in sorted(entries.items())
    ]


@given(held=HELD, order=st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_buckets_are_what_the_protocol_says_in_any_order(held: dict[str, int], order: object) -> None:
    rows = [(key_hash(key), version) for key, version in held.items()]
    order.shuffle(rows)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    assert digest_buckets(rows) == naive(held, "")
    for bucket in naive(held, "")[:3]:
        assert digest_buckets(rows, bytes.fromhex(bucket.prefix)) == naive(held, bucket.prefix)


def test_a_version_more_is_another_digest() -> None:
    first, second = (digest_buckets([(key_hash("a"), version)]) for version in (1, 2))
    assert first[0].digest != second[0].digest
    assert first[0].prefix == second[0].prefix


@pytest.mark.parametrize("prefix", ["", "00", "ff", "a0b1", "ab" * 31])
def test_a_prefix_is_whole_bytes(prefix: str) -> None:
    assert parse_prefix(prefix).hex() == prefix


@pytest.mark.parametrize("prefix", ["0", "abc", "AB", "zz", " ", "a b", "ab ", "０0", "ab" * 32])
def test_any_other_prefix_is_refused(prefix: str) -> None:
    with pytest.raises(StoreError, match="bucket-prefix"):
        parse_prefix(prefix)
