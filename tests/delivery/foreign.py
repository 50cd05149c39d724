"""A bureau whose receiver does not speak our protocol: it takes files in its own format and answers with its own."""

from __future__ import annotations

from pathlib import Path

from tests.nodes import PROVINCE, Nodes, lay_nodes

__all__ = ["lay_foreign"]


def lay_foreign(tmp_path: Path, format_id: str) -> Nodes:
    """The nodes, with the province's folders under ``exchange/``."""
    nodes = lay_nodes(tmp_path)
    for folder in ("outgoing", "incoming"):
        (tmp_path / "exchange" / folder).mkdir(parents=True)
    nodes.bureau.configure(f"""
[peers.province]
code = "{PROVINCE}"
name = "示例省交通运输厅"
url = "file://{tmp_path}/exchange"
feedback = "taken-down"

[sources.permits]
kind = "sql"
mapping = "credit-2018-permits"
url = "sqlite:///{nodes.business.file}"
query = "SELECT * FROM permits"

[exchanges.permits-to-province]
catalog = "administrative-license"
source = "permits"
format = "{format_id}"
peer = "province"
""")
    return nodes
