"""A rejection at the top finds its way down to the unit that owns the record, and so does the word that it was taken after all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from gateway.app import Gateway
from gateway.delivery.exchange import route_of
from gateway.delivery.feedback import FeedbackDesk, FeedbackTaker, Found
from gateway.delivery.further import Said, pass_down
from gateway.errors import PackageError
from gateway.fetching import ask_feedback
from gateway.ledger.report import Verdict
from gateway.ledger.verify import verify_log
from gateway.mapping.batch_facts import BatchFacts
from gateway.mapping.document import DocumentPlan, Rendered
from gateway.mapping.problems import PROBLEMS
from gateway.orders import ORDERS
from gateway.store import feedback, quarantine
from gateway.store.entries import DurableLog, TransactionLog
from gateway.store.quarantine import Stage
from tests.levels.chain import CATALOG, NAMES, Chain, lay_chain
from tests.nodes import BUREAU, permit, run_once

STRICT = ("[rules.name-is-not-number]", 'weight = "notice"', 'weight = "reject"')


def tighten(chain: Chain, name: str) -> None:
    """What the others only report, this node refuses."""
    section, old, new = STRICT
    file = chain.folders[name].path / "mappings" / "catalogs" / f"{CATALOG}.toml"
    before, mark, after = file.read_text("utf-8").partition(section)
    assert mark
    assert old in after
    file.write_text(before + mark + after.replace(old, new, 1), "utf-8")


def waiting(gateway: Gateway) -> list[tuple[str | None, str | None, str, str]]:
    """Key, unit, code and level of what the receiver, or a node behind it, rejected."""
    with gateway.database.read() as conn:
        return [
            (case.key, case.unit, case.reasons[0].code, case.reasons[0].level)
            for case in quarantine.cases(conn, exchange="up", stage=Stage.RECEIVER)
        ]


async def ask_down(chain: Chain, nodes: Mapping[str, Gateway]) -> list[Found]:
    """Each node asks the one above, the highest first."""
    found = []
    for name in reversed(chain.names[:-1]):
        above = chain.above(name)
        assert above is not None
        found.append(await ask_feedback(nodes[name], above))
    return found


async def test_a_rejection_at_the_top_comes_down_to_the_owner_and_is_taken_back_when_mended(tmp_path: Path) -> None:
    chain = lay_chain(tmp_path, ("bureau", "head", "province", "ministry"))
    tighten(chain, "ministry")
    bad = permit(2, XK_XKWS="黑森交许〔2026〕2号")
    key = str(bad["XK_WSH"])
    chain.business.write([permit(1), bad, permit(3)])
    level = f"{NAMES['ministry'][1]} {NAMES['ministry'][0]}"
    async with chain.open() as nodes:
        up = await chain.up(nodes)
        assert [one["answered"]["rejected"] for one in up] == [0, 0, 1]
        assert waiting(nodes["bureau"]) == waiting(nodes["head"]) == []
        ((_, _, code, said),) = waiting(nodes["province"])
        assert said == ""  # its own receiver said so
        # The province knows by its receipt; each further down has to ask the next one up.
        assert await ask_down(chain, nodes) == [Found(), Found(rejected=1), Found(rejected=1)]
        for name in ("head", "bureau"):
            assert waiting(nodes[name]) == [(key, BUREAU, code, level)]
        assert await ask_down(chain, nodes) == [Found()] * 3
        with nodes["bureau"].database.read() as conn:
            kinds = [one.kind for one in TransactionLog(conn).entries(0, 100)]
            (case,) = quarantine.cases(conn, exchange="up", stage=Stage.RECEIVER)
        assert kinds.count("feedback.taken") == 1
        assert case.reasons[0].expected != ""
        # The owner mends it: each level's receipt closes its own case, and the word of the top follows.
        chain.business.write([permit(1), permit(2), permit(3)])
        await chain.up(nodes)
        assert waiting(nodes["bureau"]) == waiting(nodes["head"]) == waiting(nodes["province"]) == []
        assert await ask_down(chain, nodes) == [Found(), Found(accepted=1), Found(accepted=1)]
        for gateway in nodes.values():
            gateway.notary.publish(final=True)
            log = DurableLog(gateway.database)
            assert verify_log(log, [gateway.note_signer.verifier], origin=gateway.origin).verdict is Verdict.PROVED


async def test_one_receivers_word_does_not_take_back_anothers(tmp_path: Path) -> None:
    """A node with two receivers above it: accepted after all is told when none of them rejects the record any more."""
    chain = lay_chain(tmp_path, ("bureau", "head", "province"))
    tighten(chain, "province")
    chain.business.write([permit(1, XK_XKWS="黑森交许〔2026〕1号")])
    async with chain.open() as nodes:
        await chain.up(nodes)
        head = nodes["head"]
        route = route_of(BUREAU, CATALOG, head.node.code)
        with head.database.begin() as conn:
            conn.exec_driver_sql(
                "INSERT INTO share (exchange, record_id, version, accepted, batch_id, outcome, code) "
                "SELECT 'beside', record_id, version, 0, NULL, 'rejected', 'E12' FROM share WHERE exchange = 'up'"
            )
            ((record_id, version),) = conn.exec_driver_sql(
                "SELECT record_id, version FROM share WHERE exchange = 'up'"
            ).all()

        def accepted(exchange: str) -> list[str]:
            """What the bureau is told by then, when ``exchange`` has taken it after all."""
            said = Said(
                record_id=record_id,
                version=version,
                result="accepted",
                code="accepted",
                field="",
                message="",
                level=nodes["province"].node,
            )
            with head.database.begin() as conn:
                conn.exec_driver_sql("UPDATE share SET outcome = 'accepted' WHERE exchange = ?", (exchange,))
                pass_down(conn, [said], at="2026-11-22T00:00:00.000000Z")
                return [told.result for _, told in feedback.after(conn, route, 0, limit=9)]

        assert accepted("up") == ["rejected"]
        assert accepted("beside") == ["rejected", "accepted"]


async def test_a_peer_is_believed_only_about_what_was_asked(tmp_path: Path) -> None:
    chain = lay_chain(tmp_path, ("bureau", "head", "province"))
    tighten(chain, "province")
    rows = [permit(1, XK_XKWS="黑森交许〔2026〕1号"), permit(2)]
    chain.business.write(rows)
    async with chain.open() as nodes:
        await chain.up(nodes)
        bureau, head = nodes["bureau"], nodes["head"]
        desk = FeedbackDesk(database=head.database, node=head.node, signer=head.signer, clock=head.clock)
        route = route_of(BUREAU, CATALOG, head.node.code)
        genuine = await desk.feedback(BUREAU, CATALOG, 0)
        assert genuine is not None
        assert await desk.feedback(BUREAU, CATALOG, 1) is None
        province = nodes["province"]
        forged = FeedbackDesk(database=head.database, node=head.node, signer=province.signer, clock=head.clock)
        taker = FeedbackTaker(database=bureau.database, node=bureau.node, clock=bureau.clock)

        class Says:
            def __init__(self, *answers: bytes | None) -> None:
                self.answers = list(answers)

            async def feedback(self, _route: str, _after: int) -> bytes | None:
                return self.answers.pop(0)

        async with bureau.peer("head") as peer:

            async def refused(data: bytes | None, code: str) -> None:
                with pytest.raises(PackageError) as found:
                    await taker.take(Says(data), peer, CATALOG, {"up": "from-below"})
                assert found.value.code == code

            await refused(await forged.feedback(BUREAU, CATALOG, 0), "signer-unknown")
            await refused(genuine[:-1], "package-trailing-data")
            with head.database.begin() as conn:
                ((_, told),) = feedback.after(conn, route, 0, limit=9)
                feedback.add(conn, route, [told], at="2026-11-22T00:00:00.000000Z")
            await refused(await desk.feedback(BUREAU, CATALOG, 1), "feedback-gap")
            other = FeedbackDesk(database=head.database, node=province.node, signer=head.signer, clock=head.clock)
            with head.database.begin() as conn:
                feedback.add(
                    conn, route_of(BUREAU, CATALOG, province.node.code), [told], at="2026-11-22T00:00:00.000000Z"
                )
            await refused(await other.feedback(BUREAU, CATALOG, 0), "feedback-other-route")
            with bureau.database.read() as conn:
                assert feedback.last_taken(conn, route) == 0
            # What is said of a version that was changed meanwhile is kept, and changes nothing.
            chain.business.write([permit(1), permit(2)])
            await run_once(bureau, "up")
            assert await taker.take(Says(genuine, None), peer, CATALOG, {"up": "from-below"}) == Found(stale=1)
            # An answer that was taken before does not count again.
            await refused(genuine, "feedback-gap")
        assert waiting(bureau) == []
        done = await ORDERS["feedback"](bureau, {"peers": []}, lambda _stage, _count: None)
        assert done == {"done": {"head": {"rejected": 0, "accepted": 0, "stale": 1}}, "failed": {}}


async def test_what_a_level_cannot_pass_on_is_told_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A format further up that cannot carry a record: the level before it says so, once, and that it went on after all."""
    chain = lay_chain(tmp_path, ("bureau", "head", "province"))
    chain.business.write([permit(1), permit(2)])
    key = str(permit(2)["XK_WSH"])
    render = DocumentPlan.render

    def refuse(plan: DocumentPlan, frame: pl.DataFrame, facts: BatchFacts | None = None) -> Rendered:
        rendered = render(plan, frame, facts)
        problem = [(key, key, "", "XK_NR", "too-long", "reject", "", "10")]
        return replace(
            rendered,
            frame=rendered.frame.filter(pl.col("@key") != key),
            problems=pl.DataFrame(problem, schema=PROBLEMS, orient="row"),
        )

    async with chain.open() as nodes:
        await run_once(nodes["bureau"], "up")
        with monkeypatch.context() as patch:
            patch.setattr(DocumentPlan, "render", refuse)
            for _ in range(2):
                await run_once(nodes["head"], "up")
        assert await ask_feedback(nodes["bureau"], "head") == Found(rejected=1)
        level = f"{NAMES['head'][1]} {NAMES['head'][0]}"
        assert waiting(nodes["bureau"]) == [(key, BUREAU, "too-long", level)]
        assert (await run_once(nodes["head"], "up")).answered.created == 1
        assert await ask_feedback(nodes["bureau"], "head") == Found(accepted=1)
        assert waiting(nodes["bureau"]) == []
