"""Two whole nodes in working folders of their own: a forestry bureau that sends, a province that receives, on loopback."""

from __future__ import annotations

import sqlite3
import tomllib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.app import Gateway
from gateway.clock import RandomIds, SystemClock
from gateway.config import load_settings
from gateway.delivery.guard import MassChange
from gateway.delivery.run import Order
from gateway.delivery.statement import Statement
from gateway.opening import open_gateway
from gateway.receiving import open_listener
from gateway.workfolder import lay_out

MAPPINGS = Path(__file__).parent.parent / "mappings"
COLUMNS: tuple[str, ...] = tuple(
    tomllib.loads((MAPPINGS / "sources" / "credit-2018-permits.toml").read_text("utf-8"))["headings"]
)
BUREAU = "11230700001001013H"
PROVINCE = "11230000000000019J"

PERMIT: Mapping[str, object] = {
    "XK_XDR_MC": "双鸭山智慧城市运营有限公司",
    "XK_XDR_LB": "法人及非法人组织",
    "XK_XDR_SHXYM": "91230500MA1B3N1N2M",
    "XK_FRDB": "测试甲",
    "XK_XKWS": "道路旅客运输经营许可决定书",
    "XK_WSH": "黑森交许〔2026〕1号",
    "XK_XKLB": "普通",
    "XK_NR": "许可从事县内道路旅客运输",
    "XK_JDRQ": "2026-09-01",
    "XK_YXQZ": "2026-09-05",
    "XK_YXQZI": "2029-09-04",
    "XK_XKJG": "示例林业局交通运输局",
    "XK_XKJGDM": BUREAU,
    "XK_ZT": "1",
    "XK_LYDW": "示例林业局交通运输局",
    "XK_LYDWDM": BUREAU,
}


def permit(number: int, **changes: object) -> dict[str, object]:
    """A sound permit with its own document number."""
    return {**PERMIT, "XK_WSH": f"黑森交许〔2026〕{number}号", **changes}


@dataclass(frozen=True, slots=True)
class Folder:
    """One node's working folder."""

    path: Path

    @contextmanager
    def open(self) -> Iterator[Gateway]:
        """The node's gateway, as a process of its own would open it."""
        settings = load_settings(self.path / "config.toml")
        with open_gateway(settings, what="test", clock=SystemClock(), ids=RandomIds()) as gateway:
            yield gateway

    def configure(self, text: str) -> None:
        """Replace the configuration from ``[peers…]`` on."""
        file = self.path / "config.toml"
        kept = file.read_text("utf-8").split("[peers.")[0]
        file.write_text(kept + text, "utf-8")

    def certificate(self, name: str) -> bytes:
        """One of the node's certificates, as it is given to peers."""
        return (self.path / "certs" / f"{name}.crt").read_bytes()

    def trust(self, other: Folder, name: str) -> None:
        """Keep another node's certificates as those of the peer ``name``."""
        for purpose in ("signing", "tls"):
            (self.path / "certs" / f"{name}-{purpose}.crt").write_bytes(other.certificate(purpose))


class Business:
    """The bureau's own database: one table of permits, whatever columns the rows have."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def write(self, rows: Sequence[Mapping[str, object]], columns: Sequence[str] = COLUMNS) -> None:
        """Put ``rows`` in place of everything."""
        with sqlite3.connect(self.file) as conn:
            conn.execute("DROP TABLE IF EXISTS permits")
            conn.execute(f"CREATE TABLE permits ({', '.join(columns)})")
            marks = ", ".join("?" for _ in columns)
            conn.executemany(
                f"INSERT INTO permits VALUES ({marks})", [[row.get(name) for name in columns] for row in rows]
            )
        conn.close()


@dataclass(frozen=True, slots=True)
class Nodes:
    """Both nodes, wired to each other but not running."""

    bureau: Folder
    province: Folder
    business: Business
    source: str = ""  # another [sources.permits] than the business database

    @asynccontextmanager
    async def province_listening(self) -> AsyncIterator[Gateway]:
        """The province's node serves; the bureau's configuration learns its port."""
        with self.province.open() as gateway:
            listener = open_listener(gateway)
            await listener.start()
            try:
                self.point_bureau_at(listener.url)
                yield gateway
            finally:
                await listener.stop()

    def point_bureau_at(self, url: str) -> None:
        """Write the bureau's peers, sources and exchanges."""
        source = self.source or (
            f'kind = "sql"\nmapping = "credit-2018-permits"\nurl = "sqlite:///{self.business.file}"\n'
            'query = "SELECT * FROM permits"\n'
        )
        self.bureau.configure(f"""
[peers.province]
code = "{PROVINCE}"
name = "示例省交通运输厅"
url = "{url}"
certificates = ["certs/province-signing.crt"]
tls_certificates = ["certs/province-tls.crt"]
timeout = "60s"

[sources.permits]
{source}
[exchanges.permits-to-province]
catalog = "administrative-license"
source = "permits"
format = "credit-2018"
peer = "province"
batch_size = 4
""")


def lay_nodes(folder: Path, source: str = "") -> Nodes:
    """Both working folders below ``folder``, each with the other's certificates; ``source`` instead of the business database."""
    clock, ids = SystemClock(), RandomIds()
    nodes = Nodes(Folder(folder / "bureau"), Folder(folder / "province"), Business(folder / "business.db"), source)
    lay_out(nodes.bureau.path, code=BUREAU, name="示例林业局交通运输局", hosts=["127.0.0.1"], clock=clock, ids=ids)
    lay_out(nodes.province.path, code=PROVINCE, name="示例省交通运输厅", hosts=["127.0.0.1"], clock=clock, ids=ids)
    nodes.bureau.trust(nodes.province, "province")
    nodes.province.trust(nodes.bureau, "bureau")
    nodes.province.configure(f'''
[peers.bureau]
code = "{BUREAU}"
name = "示例林业局交通运输局"
certificates = ["certs/bureau-signing.crt"]
tls_certificates = ["certs/bureau-tls.crt"]

[receive]
listen = "127.0.0.1:0"
allow = {{ bureau = ["administrative-license"] }}
''')
    nodes.point_bureau_at("https://127.0.0.1:1")
    return nodes


async def run_once(
    gateway: Gateway,
    exchange: str = "permits-to-province",
    *,
    full: bool = False,
    approved: MassChange | None = None,
) -> Statement:
    """One manual run."""
    async with gateway.exchange(exchange) as opened:
        statement = await gateway.runner.run(
            opened,
            Order(person="tester", reason="test", full=full, approved=approved),
            lambda _stage, _count: None,
        )
    assert statement is not None
    return statement
