"""Every catalog in every format by every mode that the folders of ``mappings/formats`` allow: sent, answered, looked at, taken back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest

from gateway.app import Gateway
from gateway.auditor import Wanted, entry_rows
from gateway.orders import ORDERS
from gateway.store import batches
from gateway.store.states import State
from tests.delivery.foreign_stages import at_the_site, by_own_files, by_tables
from tests.delivery.rows_of_catalogs import ROWS
from tests.delivery.stages import Setting, Stage, by_pull, by_service, fields_of, sealed_by_files, write_rows
from tests.exchange.sshd import Account, sshd
from tests.nodes import run_once
from tests.sources.databases import Kind
from tests.ways import FORMATS, catalogs_of, head_of, modes_of

ENGINES: tuple[Kind, ...] = ("postgresql", "mariadb")


def ways() -> Iterator[object]:
    """A case for each format and mode, and for tables each engine; it says of itself what it sends."""
    for folder in sorted(FORMATS.iterdir()):
        for mode in modes_of(folder.name):
            marks = [pytest.mark.sends(catalog=one, format=folder.name, mode=mode) for one in catalogs_of(folder.name)]
            for engine in ENGINES if mode == "database" else ("sqlite",):
                by = engine if mode == "database" else mode
                yield pytest.param(folder.name, mode, engine, marks=marks, id=f"{folder.name}-{by}")


def stage_of(mode: str, setting: Setting) -> AbstractAsyncContextManager[Stage]:
    sealed = head_of(setting.name).get("document", "record") == "record"
    by_files = sealed_by_files if sealed else by_own_files
    made: dict[str, Callable[[Setting], AbstractAsyncContextManager[Stage]]] = {
        "service": by_service,
        "file": partial(by_files, by_sftp=False),
        "sftp": partial(by_files, by_sftp=True),
        "pull": by_pull,
        "database": by_tables,
        "site": at_the_site,
    }
    return made[mode](setting)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Account]]:
    """OpenSSH's server, started once for those who ask."""
    running: list[Account] = []
    started = sshd(tmp_path_factory.mktemp("sshd"))

    def ask() -> Account:
        if not running:
            running.append(started.__enter__())
        return running[0]

    yield ask
    if running:
        started.__exit__(None, None, None)


def settled(bureau: Gateway) -> Counter[str]:
    """How many batches of each catalog are reconciled, all of them by the state and by the ledger."""
    with bureau.database.read() as conn:
        sent = batches.list_batches(conn, limit=999)
    assert [one for one in sent if one.state is not State.RECONCILED] == []
    written = Counter(str(one["batch_id"]) for one in entry_rows(bureau, Wanted(kind="batch.reconciled"), 0))
    assert written == Counter(one.id for one in sent)
    return Counter(one.route.split("/")[1] for one in sent)


async def answered(stage: Stage) -> None:
    """Let the receiver answer, and a person ask at once what would be asked later, until nothing is open or nothing moves."""
    before: list[object] = []
    while True:
        await stage.answer()
        with stage.bureau.database.read() as conn:
            waiting = [(one.id, one.state) for one in batches.open_batches(conn)]
        if not waiting or waiting == before:
            return
        before = [*waiting]
        for one, _ in waiting:
            order = {"batch": one, "person": "tester", "reason": "test"}
            await ORDERS["retry"](stage.bureau, order, lambda _stage, _count: None)


@pytest.mark.parametrize(("name", "mode", "engine"), list(ways()))
async def test_every_catalog_arrives_and_is_taken_back(
    name: str, mode: str, engine: Kind, tmp_path: Path, account: Callable[[], Account]
) -> None:
    catalogs = catalogs_of(name)
    async with stage_of(mode, Setting(name, tmp_path, account, engine)) as stage:
        for catalog in catalogs:
            statement = await run_once(stage.bureau, catalog)
            assert (statement.sealed, statement.quarantined) == (len(ROWS[catalog]), 0), statement.quarantined_by
            if stage.one_by_one:
                await answered(stage)
        await answered(stage)
        stage.check()
        assert settled(stage.bureau) == Counter(catalogs)
        for catalog in catalogs:
            write_rows(stage.nodes.business.file, catalog, [])
            assert (await run_once(stage.bureau, catalog, full=True)).vanished == len(ROWS[catalog])
            if stage.one_by_one:
                await answered(stage)
        await answered(stage)
        assert stage.gone() == sum(len(ROWS[catalog]) for catalog in catalogs)
        assert settled(stage.bureau) == Counter(dict.fromkeys(catalogs, 2))


def test_every_field_of_every_catalog_has_a_row() -> None:
    files = (FORMATS.parent / "catalogs").glob("*.toml")
    assert {file.stem for file in files} == set(ROWS)
    for catalog, rows in ROWS.items():
        assert {name for row in rows for name in row} == set(fields_of(catalog)), catalog
