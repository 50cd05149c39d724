"""A receiver that takes JSON, from the source to the ledger: documents by its own schema go out, its answers come back record by record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource

from gateway.store import batches, quarantine
from gateway.store.states import State
from tests.delivery.foreign import answer, lay_foreign, take
from tests.delivery.test_by_files import collect
from tests.nodes import MAPPINGS, Nodes, permit, run_once

FORMAT = MAPPINGS / "formats" / "message-json"


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    return lay_foreign(tmp_path, FORMAT.name)


def validate(document: object) -> None:
    """By another processor of JSON Schema than ours."""
    schema = json.loads((FORMAT / "permits.schema.json").read_bytes())
    common = Resource.from_contents(json.loads((FORMAT / "common.schema.json").read_bytes()))
    registry: Registry[Any] = Registry().with_resource("common.schema.json", common)
    jsonschema.Draft202012Validator(schema, registry=registry).validate(document)


@pytest.mark.sends(catalog="administrative-license", format="message-json", mode="file")
async def test_documents_go_out_and_answers_come_back(nodes: Nodes, tmp_path: Path) -> None:
    place = tmp_path / "exchange"
    rows = [permit(number) for number in range(1, 5)]
    nodes.business.write(rows)
    with nodes.bureau.open() as bureau:
        await run_once(bureau)
        stem, data = take(place, "xzxk_*.json")
        document = json.loads(data)
        validate(document)
        with bureau.database.read() as conn:
            (batch,) = batches.list_batches(conn, limit=10)
        assert document["head"]["flow"] == batch.id
        assert document["head"]["count"] == 4
        assert [one["document"]["number"] for one in document["body"]["list"]] == [row["XK_WSH"] for row in rows]
        answer(place, stem, [(1, "成功", "", ""), (2, "失败", "E1", "重复"), (3, "成功", "", ""), (4, "成功", "", "")])
        assert len((await collect(bureau))["receipts"]) == 1
        with bureau.database.read() as conn:
            (batch,) = batches.list_batches(conn, limit=10)
            (case,) = quarantine.cases(conn)
        assert batch.state is State.RECONCILED
        assert case.key == rows[1]["XK_WSH"]
        assert case.reasons[0].expected == "E1 重复"
        # What vanished at the source is told by a list of its own.
        nodes.business.write(rows[:1])
        assert (await run_once(bureau)).vanished == 3
        stem, data = take(place, "cxqd_*.json")
        gone = json.loads(data)
        assert sorted(one["记录编号"] for one in gone) == sorted(str(row["XK_WSH"]) for row in rows[1:])
        assert {one["操作"] for one in gone} == {"撤销"}
        answer(place, stem, [(row, "成功", "", "") for row in (1, 2, 3)])
        assert len((await collect(bureau))["receipts"]) == 1


async def test_what_is_no_answer_to_the_document_closes_nothing(nodes: Nodes, tmp_path: Path) -> None:
    place = tmp_path / "exchange"
    nodes.business.write([permit(1)])
    with nodes.bureau.open() as bureau:
        await run_once(bureau)
        stem, _ = take(place, "xzxk_*.json")
        answer(place, stem, [(0, "成功", "", "")])
        assert (await collect(bureau))["receipts"] == []
        assert (place / "incoming" / "aside" / f"{stem}_反馈.csv").exists()
        answer(place, stem, [(1, "成功", "", "")])
        assert len((await collect(bureau))["receipts"]) == 1
