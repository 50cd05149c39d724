"""A sender that is none of ours: packages out of the bureau's journal, put to a receiver as a caller of no manners would."""

from __future__ import annotations

import http.client
import ssl
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.faults.books import open_read
from tests.nodes import Nodes

__all__ = ["Answer", "Package", "Sender", "packages"]

_TYPE = "application/vnd.etsi.asic-e+zip"


class Package(NamedTuple):
    """A sealed batch."""

    batch_id: str
    data: bytes


class Answer(NamedTuple):
    """What the receiver said."""

    status: int
    body: bytes


def packages(nodes: Nodes) -> list[Package]:
    """What the bureau has sealed, by sequence."""
    with closing(open_read(nodes.bureau.path / "var" / "gateway.db")) as conn:
        rows = conn.execute("SELECT id, data FROM batch JOIN package ON batch_id = id ORDER BY sequence")
        return [Package(batch_id, bytes(data)) for batch_id, data in rows]


@dataclass(frozen=True, slots=True)
class Sender:
    """Speaks for the bureau to the receiver at ``url``. May be used by many threads at once."""

    nodes: Nodes
    url: str

    def put(self, batch_id: str, data: bytes) -> Answer:
        """One package, on a connection of its own. Whoever has too much to do is asked again."""
        while True:
            answer = self._ask("PUT", f"/exchange/v1/batches/{batch_id}", data)
            if answer.status != 429:
                return answer

    def receipt(self, batch_id: str) -> Answer:
        """The stored receipt."""
        return self._ask("GET", f"/exchange/v1/batches/{batch_id}/receipt", None)

    def _ask(self, method: str, path: str, data: bytes | None) -> Answer:
        host, port = self.url.removeprefix("https://").split(":")
        connection = http.client.HTTPSConnection(host, int(port), context=self._tls(), timeout=60)
        try:
            connection.request(method, path, data, {"Content-Type": _TYPE})
            response = connection.getresponse()
            return Answer(response.status, response.read())
        finally:
            connection.close()

    def _tls(self) -> ssl.SSLContext:
        certs: Path = self.nodes.bureau.path / "certs"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(certs / "province-tls.crt")
        context.load_cert_chain(certs / "tls.crt", certs / "tls.key")
        return context
