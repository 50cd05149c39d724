"""A chain of nodes in working folders of their own: a forest bureau, the general bureau, the province, the ministry, on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from gateway.app import Gateway
from gateway.clock import RandomIds, SystemClock
from gateway.receiving import open_listener
from gateway.workfolder import lay_out
from tests.nodes import BUREAU, PROVINCE, Business, Folder, run_once

CATALOG = "administrative-license"
NAMES: Mapping[str, tuple[str, str]] = {
    "bureau": (BUREAU, "示例林业局交通运输局"),
    "head": ("11239900700100105T", "示例森工总局"),
    "province": (PROVINCE, "示例省交通运输厅"),
    "ministry": ("11100000000000101B", "示例部"),
}


@dataclass(frozen=True, slots=True)
class Chain:
    """The nodes by name, from the lowest to the highest; the lowest reads ``business``."""

    folders: Mapping[str, Folder]
    business: Business

    @property
    def names(self) -> list[str]:
        return list(self.folders)

    def below(self, name: str) -> str | None:
        place = self.names.index(name)
        return self.names[place - 1] if place else None

    def above(self, name: str) -> str | None:
        place = self.names.index(name) + 1
        return self.names[place] if place < len(self.names) else None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Mapping[str, Gateway]]:
        """Every node at work, the highest first: each learns the port of the next."""
        async with AsyncExitStack() as stack:
            found: dict[str, Gateway] = {}
            url = ""
            for name in reversed(self.names):
                self._configure(name, url)
                found[name] = gateway = stack.enter_context(self.folders[name].open())
                if self.below(name) is not None:
                    listener = open_listener(gateway)
                    await listener.start()
                    stack.push_async_callback(listener.stop)
                    url = listener.url
            yield found

    async def up(self, nodes: Mapping[str, Gateway]) -> list[Mapping[str, Any]]:
        """One run of each, from the lowest up; the statements."""
        return [(await run_once(nodes[name], "up")).to_json() for name in self.names[:-1]]

    def _configure(self, name: str, url: str) -> None:
        text = ""
        below, above = self.below(name), self.above(name)
        for other, address in ((below, ""), (above, url)):
            if other is not None:
                code, words = NAMES[other]
                where = f'url = "{address}"\n' if address else ""
                text += (
                    f'\n[peers.{other}]\ncode = "{code}"\nname = "{words}"\n{where}'
                    f'certificates = ["certs/{other}-signing.crt"]\ntls_certificates = ["certs/{other}-tls.crt"]\n'
                )
        if below is not None:
            text += f'\n[receive]\nlisten = "127.0.0.1:0"\nallow = {{ {below} = ["{CATALOG}"] }}\n'
            text += f'\n[sources.from-below]\nkind = "records"\ncatalog = "{CATALOG}"\npeers = ["{below}"]\n'
        else:
            text += (
                '\n[sources.from-below]\nkind = "sql"\nmapping = "credit-2018-permits"\n'
                f'url = "sqlite:///{self.business.file}"\nquery = "SELECT * FROM permits"\n'
            )
        if above is not None:
            text += (
                f'\n[exchanges.up]\ncatalog = "{CATALOG}"\nsource = "from-below"\nformat = "credit-2018"\npeer = "{above}"\n'
                "batch_size = 4\n"
            )
        self.folders[name].configure(text)


def lay_chain(folder: Path, names: Sequence[str]) -> Chain:
    """Working folders for the nodes called ``names``, each with the certificates of its neighbours."""
    clock, ids = SystemClock(), RandomIds()
    chain = Chain({name: Folder(folder / name) for name in names}, Business(folder / "business.db"))
    for name, one in chain.folders.items():
        code, words = NAMES[name]
        lay_out(one.path, code=code, name=words, hosts=["127.0.0.1"], clock=clock, ids=ids)
    for lower, upper in pairwise(names):
        chain.folders[lower].trust(chain.folders[upper], upper)
        chain.folders[upper].trust(chain.folders[lower], lower)
    return chain
