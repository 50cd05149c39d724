"""A partner that is away for long: one alarm at either end, nobody else held up, and its backlog in order and at a limited rate."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import pytest

from gateway.clock import RandomIds, SystemClock
from gateway.workfolder import lay_out
from tests.faults.books import at_rest, audit, journal, open_read
from tests.faults.children import Child, ready
from tests.faults.scene import Scene
from tests.nodes import BUREAU, Folder

CITY = "11100000000013039Y"

OTHER = """
[peers.city]
code = "{code}"
name = "示例市交通运输局"
url = "{url}"
certificates = ["certs/city-signing.crt"]
tls_certificates = ["certs/city-tls.crt"]
timeout = "3s"

[exchanges.permits-to-city]
catalog = "administrative-license"
source = "permits"
format = "credit-2018"
peer = "city"
batch_size = 2
schedule = "* * * * * *"
"""


@pytest.fixture
def city(scene: Scene, tmp_path: Path) -> Folder:
    """Another receiver of the same rows."""
    folder = Folder(tmp_path / "city")
    lay_out(folder.path, code=CITY, name="示例市交通运输局", hosts=["127.0.0.1"], clock=SystemClock(), ids=RandomIds())
    folder.trust(scene.nodes.bureau, "bureau")
    scene.nodes.bureau.trust(folder, "city")
    folder.configure(f'''
[peers.bureau]
code = "{BUREAU}"
name = "示例林业局交通运输局"
certificates = ["certs/bureau-signing.crt"]
tls_certificates = ["certs/bureau-tls.crt"]

[receive]
listen = "127.0.0.1:0"
allow = {{ bureau = ["administrative-license"] }}
''')
    return folder


@pytest.mark.fault("F25", "S7")
def test_a_partner_is_away_and_comes_back(scene: Scene, city: Folder) -> None:
    there = Child(city.path)
    scene.running[city.path] = there
    scene.configure(batch_size=1, more=OTHER.format(code=CITY, url=ready(there)))
    config = scene.nodes.bureau.path / "config.toml"
    config.write_text(config.read_text("utf-8").replace("drain_rate = 6000", "drain_rate = 120"), "utf-8")
    scene.line.down()
    bureau = scene.bureau()
    bureau.log.wait_for("peer.out-of-reach", peer="province")
    scene.set_rows(scene.rows | {60: "新增许可"})

    def city_has_all() -> bool:
        with closing(open_read(journal(city))) as conn:
            return bool(conn.execute("SELECT count(*) FROM inbox_record").fetchone() == (8,))

    scene.wait_until(city_has_all)
    with closing(open_read(journal(scene.nodes.bureau))) as conn:
        (attempts,) = conn.execute("SELECT max(attempts) FROM batch").fetchone()
    assert attempts <= 3, "an outage costs no tries"
    scene.line.up()
    scene.province()
    began = time.monotonic()
    bureau.log.wait_for("peer.back", peer="province")
    scene.wait_until(lambda: at_rest(scene.nodes, city))
    assert time.monotonic() - began > 2.5, "eight batches at two a second"
    scene.tally.note(audit(scene.nodes, city))
    told = [line["event"] for line in bureau.log.seen if line["event"] in {"peer.out-of-reach", "peer.back"}]
    assert told == ["peer.out-of-reach", "peer.back"]


@pytest.mark.fault("F25")
def test_a_name_that_nobody_knows(scene: Scene) -> None:
    """The name service does not know the partner; when it does, everything goes on."""
    config = scene.nodes.bureau.path / "config.toml"
    text = config.read_text("utf-8")
    config.write_text(text.replace(scene.line.url, "https://province.invalid:8443"), "utf-8")
    scene.bureau().log.wait_for("batch.moved", state="waiting", code="peer-name-unknown")
    scene.clear()
    config.write_text(text, "utf-8")
    scene.check()
