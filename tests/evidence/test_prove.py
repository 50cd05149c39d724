"""Proofs of one batch and of one record: they hold, they show nothing of the neighbours, and nothing else passes for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.app import Gateway
from gateway.auditor import prove
from gateway.clock import RandomIds, SystemClock
from gateway.config import load_settings
from gateway.errors import DeliveryError, EvidenceError
from gateway.evidence.policy import Policy
from gateway.evidence.proof import Proof, parse_proof, proof_bytes
from gateway.evidence.verify_proof import verify_proof
from gateway.ledger.entry import decode
from gateway.ledger.report import Verdict
from gateway.opening import read_gateway
from gateway.package.batch import parse_batch
from gateway.package.container import open_package
from gateway.store import sealed
from gateway.store.entries import DurableLog
from tests.evidence.synthetic import codes
from tests.evidence.world import World
from tests.nodes import permit
from tests.tamper.forge import Evidence


@contextmanager
def reading(world: World, side: str = "bureau") -> Iterator[Gateway]:
    settings = load_settings(world.folder(side).path / "config.toml")
    with read_gateway(settings, clock=SystemClock(), ids=RandomIds()) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def policy(world: World, tmp_path_factory: pytest.TempPathFactory) -> Policy:
    target = tmp_path_factory.mktemp("policy") / "evidence.zip"
    world.export("bureau", target)
    return Evidence.read(target).policy


def largest(gateway: Gateway, kind: str = "batch.reconciled") -> str:
    """A batch with neighbours in it."""
    log = DurableLog(gateway.database)
    found = [decode(one.leaf) for one in log.entries(0, log.head().size) if one.kind == kind]
    return max(found, key=lambda one: one.number("total")).text("batch_id")


def record_keys(gateway: Gateway, batch_id: str, *, received: bool = False) -> list[str]:
    with gateway.database.read() as conn:
        package = sealed.package_of(conn, batch_id, received=received)
    assert package is not None
    return [record.key for record in parse_batch(open_package(package).document).records]


def test_a_batch_is_proved(world: World, policy: Policy) -> None:
    with reading(world) as gateway:
        proof = prove(gateway, batch_id=largest(gateway))
    result = verify_proof(parse_proof(proof_bytes(proof)), policy=policy)
    assert result.verdict is Verdict.PROVED, result
    assert set(result.by_question) == {"integrity", "authenticity", "time"}
    assert {code for code, _ in result.remarks} >= {"evidence-remark-after", "evidence-remark-before"}


@pytest.mark.parametrize("side", ["bureau", "province"])
def test_every_record_of_a_batch_is_proved_alone(world: World, tmp_path: Path, side: str) -> None:
    kind = "batch.received" if side == "province" else "batch.reconciled"
    world.export(side, tmp_path / "evidence.zip")
    own = Evidence.read(tmp_path / "evidence.zip").policy
    with reading(world, side) as gateway:
        batch_id = largest(gateway, kind)
        keys = record_keys(gateway, batch_id, received=side == "province")
        assert len(keys) == 4
        for number, key in enumerate(keys):
            data = proof_bytes(prove(gateway, batch_id=batch_id, key=key))
            proof = parse_proof(data)
            assert proof.record is not None
            assert (proof.record.number, proof.record.count) == (number, 4)
            assert verify_proof(proof, policy=own).verdict is Verdict.PROVED
            for other in set(keys) - {key}:
                assert other not in data.decode("utf-8"), "a neighbour's key"


def test_a_neighbour_cannot_be_confirmed_by_a_guess(world: World) -> None:
    """Everything in a proof that was hashed over a neighbour was hashed with a blind which is not in it."""
    with reading(world) as gateway:
        batch_id = largest(gateway)
        keys = record_keys(gateway, batch_id)
        proof = prove(gateway, batch_id=batch_id, key=keys[0])
        with gateway.database.read() as conn:
            package = sealed.package_of(conn, batch_id, received=False)
    assert package is not None
    assert proof.record is not None
    batch = parse_batch(open_package(package).document)
    neighbour = batch.records[1].line  # the right guess, byte for byte
    for blind in (b"", bytes(32), proof.record.blind):
        guesses = {sha256(mark + blind + neighbour).digest() for mark in (b"", b"\x00", b"\x01")}
        assert guesses.isdisjoint(proof.record.path)
    assert batch.header.salt.hex() not in proof_bytes(proof).decode()


def test_a_record_is_found_by_its_key_alone(world: World) -> None:
    """The bureau sent it on two routes; the province received it on one."""
    key = str(permit(2)["XK_WSH"])
    with reading(world) as gateway, pytest.raises(DeliveryError) as ambiguous:
        prove(gateway, key=key)
    assert ambiguous.value.code == "proof-record-ambiguous"
    with reading(world, "province") as gateway:
        proof = prove(gateway, key=key)
    assert proof.record is not None
    assert key in proof.record.line.decode()


def test_what_is_not_there_cannot_be_proved(world: World) -> None:
    with reading(world) as gateway:
        batch_id = largest(gateway)
        for code, words in {
            "proof-record-unknown": {"key": "no such key"},
            "proof-batch-unknown": {"batch_id": "no such batch"},
        }.items():
            with pytest.raises(DeliveryError) as caught:
                prove(gateway, **words)
            assert caught.value.code == code
        with pytest.raises(DeliveryError) as caught:
            prove(gateway, batch_id=batch_id, key="no such key")
        assert caught.value.code == "proof-record-unknown"


@pytest.fixture(scope="module")
def proof(world: World) -> Proof:
    with reading(world) as gateway:
        batch_id = largest(gateway)
        return prove(gateway, batch_id=batch_id, key=record_keys(gateway, batch_id)[1])


def test_without_a_policy_the_keys_are_the_proofs_own_word(proof: Proof) -> None:
    result = verify_proof(proof)
    assert result.by_question["authenticity"].verdict is Verdict.NOT_PROVABLE
    assert result.by_question["integrity"].verdict is Verdict.PROVED


def test_another_record_in_its_place(proof: Proof, policy: Policy) -> None:
    assert proof.record is not None
    line = proof.record.line.replace(b'version="1"', b'version="2"')
    assert line != proof.record.line
    for record in (
        replace(proof.record, line=line),
        replace(proof.record, number=0),
        replace(proof.record, count=3),
        replace(proof.record, blind=bytes(32)),
        replace(proof.record, path=proof.record.path[:-1]),
        replace(proof.record, line=b"<not a record/>"),
    ):
        result = verify_proof(replace(proof, record=record), policy=policy)
        assert codes(result, "integrity") == [("evidence-record-wrong", proof.entry.index)]


def test_the_key_history_must_begin_at_the_beginning(proof: Proof, policy: Policy) -> None:
    result = verify_proof(replace(proof, around=proof.around[1:]), policy=policy)
    assert ("evidence-proof-without-genesis", -1) in codes(result, "integrity")


def test_without_its_time_stamps_time_is_not_proved(proof: Proof, policy: Policy) -> None:
    bare = replace(proof, around=tuple(one for one in proof.around if decode(one.leaf).kind != "anchor"))
    assert verify_proof(bare, policy=policy).by_question["time"].verdict is Verdict.NOT_PROVABLE


def leaves_of(told: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where every single value of a JSON document stands."""
    if isinstance(told, dict):
        for name, value in told.items():
            yield from leaves_of(value, (*path, name))
    elif isinstance(told, list):
        for at, value in enumerate(told):
            yield from leaves_of(value, (*path, at))
    else:
        yield path


def test_no_changed_value_passes(proof: Proof, policy: Policy) -> None:
    whole = proof_bytes(proof)
    count = 0
    for place in leaves_of(json.loads(whole)):
        told = json.loads(whole)
        parent = told
        for step in place[:-1]:
            parent = parent[step]
        value = parent[place[-1]]
        if isinstance(value, int):
            parent[place[-1]] = value + 1
        elif value:
            at = len(value) // 2
            parent[place[-1]] = value[:at] + ("0" if value[at] != "0" else "1") + value[at + 1 :]
        else:
            parent[place[-1]] = "00"
        count += 1
        try:
            changed = parse_proof((json.dumps(told, ensure_ascii=False, indent=1) + "\n").encode())
        except EvidenceError:
            continue
        assert verify_proof(changed, policy=policy).verdict is not Verdict.PROVED, place
    assert count > 40


@given(st.data())
def test_no_damage_passes(proof: Proof, data: st.DataObject) -> None:
    whole = bytearray(proof_bytes(proof))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        result = verify_proof(parse_proof(bytes(whole)))
    except EvidenceError:
        return
    assert result.verdict is not Verdict.PROVED


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"{}", b"null", b'{"format": 1}', b"[" * 100_000, b"\xff", b"x" * 17_000_000]
)
def test_what_is_no_proof_is_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError) as caught:
        parse_proof(data)
    assert caught.value.code == "proof-malformed"
