"""A bureau whose receiver does not speak our protocol: it takes files in its own format and answers with its own."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from gateway.exchange.file_names import digest_line
from tests.nodes import PROVINCE, Nodes, lay_nodes

__all__ = ["answer", "lay_foreign", "take"]


_CATALOGS = {"permits": "administrative-license", "penalties": "administrative-penalty"}


def lay_foreign(
    tmp_path: Path,
    format_id: str,
    *,
    what: str = "permits",
    url: str = "",
    further: str = "",
) -> Nodes:
    """The nodes, with the province's folders under ``exchange/``; ``url`` and ``further`` lines say how else it is reached.

    The exchange is called after ``what`` is sent: ``permits-to-province``, ``penalties-to-province``.
    """
    nodes = lay_nodes(tmp_path)
    for folder in ("outgoing", "incoming"):
        (tmp_path / "exchange" / folder).mkdir(parents=True)
    nodes.bureau.configure(f"""
[peers.province]
code = "{PROVINCE}"
name = "示例省交通运输厅"
url = "{url or f"file://{tmp_path}/exchange"}"
feedback = "taken-down"
{further}

[sources.{what}]
kind = "sql"
mapping = "credit-2018-{what}"
url = "sqlite:///{nodes.business.file}"
query = "SELECT * FROM permits"

[exchanges.{what}-to-province]
catalog = "{_CATALOGS[what]}"
source = "{what}"
format = "{format_id}"
peer = "province"
""")
    return nodes


def take(place: Path, pattern: str) -> tuple[str, bytes]:
    """The receiver takes its file away: the only one of that name, with its digest."""
    (file,) = (place / "outgoing").glob(pattern)
    data, digest = file.read_bytes(), file.with_name(f"{file.name}.sha256")
    assert digest.read_bytes() == digest_line(file.name, data)
    digest.unlink()
    file.unlink()
    return file.stem, data


def answer(place: Path, stem: str, rows: list[tuple[object, ...]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([("序号", "结果", "代码", "说明"), *rows])
    path = place / "incoming" / f"{stem}_反馈.csv"
    path.write_bytes(text.getvalue().encode())
    path.with_name(f"{path.name}.sha256").write_bytes(digest_line(path.name, path.read_bytes()))
