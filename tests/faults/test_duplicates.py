"""The same package many times, at once, out of turn, or with other bytes under its id: one effect, one receipt, nothing out of order."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from tests.faults.books import load
from tests.faults.scene import Scene
from tests.faults.sender import Package, Sender, packages


def sealed(scene: Scene) -> list[Package]:
    """Seven batches of one record each, sealed and never sent."""
    scene.configure(batch_size=1)
    scene.line.down()
    bureau = scene.bureau()
    bureau.log.wait_for("run.closed", sealed=7)
    scene.clear()
    scene.line.up()
    return packages(scene.nodes)


def at_the_province(scene: Scene) -> Sender:
    province = scene.province()
    return Sender(scene.nodes, f"https://127.0.0.1:{province.log.events('exchange.listening')[0]['port']}")


@pytest.mark.fault("F27", "S3")
def test_fifty_at_once_have_one_effect_and_one_receipt(scene: Scene) -> None:
    first, *_ = sealed(scene)
    sender = at_the_province(scene)
    with ThreadPoolExecutor(50) as threads:
        answers = [one.result() for one in [threads.submit(sender.put, first.batch_id, first.data) for _ in range(50)]]
    assert {answer.status for answer in answers} == {200, 201}
    assert sum(answer.status == 201 for answer in answers) == 1
    (receipt,) = {answer.body for answer in answers}
    assert sender.receipt(first.batch_id) == (200, receipt)
    scene.check(50)
    world = load(scene.nodes)
    (there,) = [batch for batch in world.received if batch.id == first.batch_id]
    assert there.counts["created"] == 1
    (ledger,) = world.ledgers.values()
    assert [entry.batch_id for entry in ledger.entries].count(first.batch_id) == 1


@pytest.mark.fault("F28")
@pytest.mark.parametrize("seed", range(3))
def test_out_of_turn_nothing_is_taken(scene: Scene, seed: int) -> None:
    """In any order, again and again: each is taken in its turn, and until then told which number is expected."""
    waiting = list(enumerate(sealed(scene), start=1))
    sender = at_the_province(scene)
    chance, expected = Random(seed), 1  # noqa: S311 — a story that can be told again
    while waiting:
        chance.shuffle(waiting)
        for number, package in list(waiting):
            answer = sender.put(package.batch_id, package.data)
            if number == expected:
                assert answer.status == 201
                waiting.remove((number, package))
                expected += 1
            else:
                problem = json.loads(answer.body)
                assert (answer.status, problem["code"], problem["expected"]) == (409, "sequence-gap", expected)
                assert sender.receipt(package.batch_id).status == 404, "what was refused is not there"
    scene.check(7)


@pytest.mark.fault("S3")
def test_the_same_id_again_after_success_after_failure_and_with_other_bytes(scene: Scene) -> None:
    first, second, *_ = sealed(scene)
    sender = at_the_province(scene)
    # after a failure: nothing stays of it, and it is processed like any other
    assert sender.put(first.batch_id, first.data[:-40]).status == 400
    assert sender.put(second.batch_id, second.data).status == 409
    taken = sender.put(first.batch_id, first.data)
    assert taken.status == 201
    # after success: the stored receipt
    assert sender.put(first.batch_id, first.data) == (200, taken.body)
    # other bytes: refused, and both digests are told
    other = sender.put(first.batch_id, second.data)
    assert (other.status, json.loads(other.body)["code"]) == (409, "batch-id-conflict")
    told = scene.province().log.wait_for("batch.id-conflict", batch=first.batch_id)
    assert len({told["held"], told["came"]}) == 2
    assert sender.receipt(first.batch_id) == (200, taken.body)
    scene.check(4)
