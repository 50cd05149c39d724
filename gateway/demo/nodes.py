"""The two nodes of the demonstration as working folders: a bureau that sends, a province that receives and asks for more."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.clock import Clock, Ids
from gateway.demo.bureau import BUREAU
from gateway.demo.business import TABLES, Table
from gateway.workfolder import lay_out

__all__ = ["PROVINCE", "Province", "lay_out_nodes", "tighten"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Province:
    """The receiving organisation."""

    name: str
    code: str


PROVINCE: Final = Province(name="示例省交通运输厅", code="11230000000000019J")

# What the bureau only reports, the province refuses: one word in its own catalog, no Python.
_STRICTER: Final = {
    "catalogs/administrative-license.toml": ("[rules.name-is-not-number]", 'weight = "notice"', 'weight = "reject"')
}


def lay_out_nodes(folder: Path, business: Path, *, clock: Clock, ids: Ids) -> None:
    """Both working folders below ``folder``, with each other's certificates; the bureau learns the province's port when it listens."""
    bureau, province = folder / "bureau", folder / "province"
    for path, node in ((bureau, BUREAU), (province, PROVINCE)):
        lay_out(path, code=node.code, name=node.name, hosts=["127.0.0.1"], clock=clock, ids=ids)
    for path, other, name in ((bureau, province, "province"), (province, bureau, "bureau")):
        for purpose in ("signing", "tls"):
            certificate = (other / "certs" / f"{purpose}.crt").read_bytes()
            (path / "certs" / f"{name}-{purpose}.crt").write_bytes(certificate)
    _configure(
        bureau, _peer("province", PROVINCE.code, PROVINCE.name, url="https://127.0.0.1:0") + _exchanges(business)
    )
    catalogs = ", ".join(f'"{table.catalog}"' for table in TABLES.values())
    receive = f'\n[receive]\nlisten = "127.0.0.1:0"\nallow = {{ bureau = [{catalogs}] }}\n'
    _configure(province, _peer("bureau", BUREAU.code, BUREAU.name) + receive)
    for place, (section, old, new) in _STRICTER.items():
        tighten(province / "mappings" / place, section, old, new)


def _configure(folder: Path, text: str) -> None:
    """Everything after the example's own keys in place of the example's peers, sources and exchanges."""
    file = folder / "config.toml"
    kept = file.read_text("utf-8").split("[peers.")[0]
    file.write_text(kept + text, "utf-8")


def _peer(name: str, code: str, words: str, *, url: str = "") -> str:
    address = f'url = "{url}"\n' if url else ""
    return (
        f'[peers.{name}]\ncode = "{code}"\nname = "{words}"\n{address}'
        f'certificates = ["certs/{name}-signing.crt"]\ntls_certificates = ["certs/{name}-tls.crt"]\n'
    )


def _exchanges(business: Path) -> str:
    return "".join(
        _exchange(name, table, business) for name, table in zip(("permits", "penalties"), TABLES.values(), strict=True)
    )


def _exchange(name: str, table: Table, business: Path) -> str:
    query = f"SELECT * FROM {table.name} ORDER BY ID"  # noqa: S608 — the demonstration's own table
    return (
        f'\n[sources.{name}]\nkind = "sql"\nmapping = "{table.mapping}"\nurl = "sqlite:///{business.resolve()}"\n'
        f'query = "{query}"\n'
        f'\n[exchanges.{name}-to-province]\ncatalog = "{table.catalog}"\nsource = "{name}"\nformat = "credit-2018"\n'
        f'peer = "province"\nbatch_size = 500\n'
    )


def tighten(file: Path, section: str, old: str, new: str) -> None:
    """Change one word in one section of a text."""
    before, mark, after = file.read_text("utf-8").partition(section)
    if not mark or old not in after:
        raise ValueError(f"{file} has no {old} in {section}")
    file.write_text(before + mark + after.replace(old, new, 1), "utf-8")
