"""The walls of the house: who may look into whom, where each third-party package lives, how long a file may grow.

Every rule carries its reason; a failing test prints it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "gateway"

# From the ground up. A room imports only rooms of lower floors; rooms on one floor do not import each other.
FLOORS: list[tuple[str, ...]] = [
    ("texts",),
    ("errors", "clock", "memory"),
    ("ledger",),
    ("package", "catalog"),
    ("evidence",),
    ("sources", "exchange", "mapping", "store"),
    ("site",),
    ("delivery",),
    ("config_values", "logs", "mappings", "notify"),
    ("config_ledger", "config_files", "config_levels", "config_site", "config_ways"),
    ("config",),
    ("source_settings", "config_digest", "config_keys", "front_database", "planning", "publishing", "ways"),
    ("app", "verifier"),
    ("opening",),
    ("receiving",),
    ("again", "auditor", "custody", "fetching", "head", "sites", "withdrawal"),
    ("collect",),
    ("orders",),
    ("control", "checkup", "workfolder"),
    ("daemon",),
    ("demo",),
    ("cli",),
    ("__main__",),
]

# One home (or two) for every third-party package.
HOMES: dict[str, tuple[set[str], str]] = {
    "aiohttp": ({"exchange"}, "HTTP is the rim of the house"),
    "lxml": ({"mapping"}, "documents are rendered, gated and read in one room"),
    "xmlschema": ({"mapping"}, "schemas are known in one room"),
    "jsonschema": ({"mapping"}, "schemas are known in one room"),
    "referencing": ({"mapping"}, "jsonschema finds the schemas of a folder by it"),
    "cryptography": ({"ledger", "package"}, "keys and signatures stay where an auditor looks for them"),
    "rfc3161_client": (
        {"exchange"},
        "time-stamps are asked for where HTTP is; the offline verifier reads them by itself",
    ),
    "sqlalchemy": (
        {"store", "sources", "exchange"},
        "databases are read as sources, kept as the journal, or written where a receiver reads",
    ),
    "alembic": ({"store"}, "migrations belong to the journal"),
    "fastexcel": ({"sources"}, "workbooks are sources"),
    "polars": (
        {"sources", "mapping", "delivery", "cli"},
        "rows are frames from the source to the document, and one row on trial",
    ),
    "xlsxwriter": (
        {"delivery", "mapping"},
        "workbooks for units and those in a receiver's format are written in one file each, where no cell can be anything but text",
    ),
    "stdnum": ({"catalog"}, "identifiers are catalog knowledge"),
    "chinese_calendar": ({"catalog"}, "working days are catalog knowledge"),
    "pydantic": (
        {"config", "config_files", "config_ledger", "config_levels", "config_site", "config_values", "catalog"},
        "texts that people edit are validated with it",
    ),
    "jinja2": ({"site"}, "pages for everybody are made in one room, where every text is escaped"),
    "apscheduler": ({"delivery"}, "it finds due times and wakes us; the journal knows what ran"),
    "tenacity": ({"exchange", "delivery"}, "retries stand beside the network calls"),
    "asyncssh": (set(), "loaded by name where it is used: SFTP is an extra"),
    "typer": ({"cli"}, "the command line is a rim"),
    "rich": ({"cli", "demo"}, "tables and progress are for terminals"),
    "structlog": (
        {"logs", "exchange", "site", "delivery", "control", "daemon", "fetching"},
        "pure rooms take no logger",
    ),
    "psycopg": (set(), "SQLAlchemy loads its drivers by URL"),
    "pymysql": (set(), "SQLAlchemy loads its drivers by URL"),
}

OFFLINE = ("ledger", "package", "evidence", "texts", "errors", "clock", "verifier")
LONGEST = 500


def floor_of(room: str) -> int:
    return next(index for index, rooms in enumerate(FLOORS) if room in rooms)


def room_of(file: Path) -> str:
    first = file.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


@cache
def files() -> tuple[Path, ...]:
    found = sorted(PACKAGE.rglob("*.py"))
    return tuple(file for file in found if file != PACKAGE / "__init__.py" and "defaults" not in file.parts)


@cache
def imports(file: Path) -> tuple[tuple[str, int], ...]:
    """Every module name that ``file`` imports, wherever the import stands."""
    tree = ast.parse(file.read_text("utf-8"))
    found: list[tuple[str, int]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: write absolute imports, so that a reader sees the room"
            if node.module == "gateway":
                found += [(f"gateway.{alias.name}", node.lineno) for alias in node.names]
            else:
                found.append((node.module or "", node.lineno))
    return tuple(found)


def edges() -> Iterator[tuple[Path, int, str, str]]:
    for file in files():
        for name, line in imports(file):
            parts = name.split(".")
            if parts[0] == "gateway" and len(parts) > 1 and parts[1] != "__version__":
                yield file, line, room_of(file), parts[1]


def test_every_room_has_a_floor() -> None:
    known = {room for rooms in FLOORS for room in rooms}
    assert {room_of(file) for file in files()} <= known, "a new room or file at the top level needs a floor here"


def test_arrows_point_down() -> None:
    wrong = [
        f"{file.relative_to(ROOT)}:{line}: {here} → {there}"
        for file, line, here, there in edges()
        if here != there and floor_of(there) >= floor_of(here)
    ]
    assert not wrong, "a room may look only into lower floors, or changes spread upwards:\n" + "\n".join(wrong)


def test_no_circle_between_files() -> None:
    graph = {
        "gateway." + ".".join(file.relative_to(PACKAGE).with_suffix("").parts): {name for name, _ in imports(file)}
        for file in files()
    }
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, "files that need each other are one file: " + " → ".join((*path, name))
        if name in done or name not in graph:
            return
        for other in graph[name]:
            visit(other, (*path, name))
        done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("package", sorted(HOMES))
def test_third_party_packages_live_at_home(package: str) -> None:
    homes, reason = HOMES[package]
    strays = [
        f"{file.relative_to(ROOT)}:{line}"
        for file in files()
        for name, line in imports(file)
        if name.split(".")[0] == package and room_of(file) not in homes
    ]
    assert not strays, f"{package} lives in {sorted(homes)}: {reason}\n" + "\n".join(strays)


def test_no_package_without_a_home() -> None:
    known = set(HOMES) | set(sys.stdlib_module_names) | {"gateway", "pydantic_core"}
    strays = [
        f"{file.relative_to(ROOT)}:{line}: {name}"
        for file in files()
        for name, line in imports(file)
        if name.split(".")[0] not in known
    ]
    assert not strays, "a new dependency names its home in this file first:\n" + "\n".join(strays)


def test_the_offline_verifier_needs_python_and_cryptography_alone() -> None:
    allowed = set(sys.stdlib_module_names) | {"gateway", "cryptography"}
    strays = [
        f"{file.relative_to(ROOT)}:{line}: {name}"
        for file in files()
        if room_of(file) in OFFLINE
        for name, line in imports(file)
        if name.split(".")[0] not in allowed
        or (name.startswith("gateway.") and name.split(".")[1] not in {*OFFLINE, "__version__"})
    ]
    assert not strays, "an auditor's machine has nothing else:\n" + "\n".join(strays)


def test_only_the_clock_asks_for_time_and_chance() -> None:
    forbidden = {("datetime", "now"), ("datetime", "utcnow"), ("date", "today"), ("time", "time"), ("time", "sleep")}
    modules = {"random", "secrets", "uuid"}
    strays: list[str] = []
    for file in files():
        if room_of(file) in {"clock", "demo"}:
            continue
        strays += [
            f"{file.relative_to(ROOT)}:{line}: {name}" for name, line in imports(file) if name.split(".")[0] in modules
        ]
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and (node.value.id, node.attr) in forbidden
            ):
                strays.append(f"{file.relative_to(ROOT)}:{node.lineno}: {node.value.id}.{node.attr}")
    assert not strays, "time and chance come in as arguments, so that every test is repeatable:\n" + "\n".join(strays)


def test_no_file_grows_beyond_reading() -> None:
    long = [
        f"{file.relative_to(ROOT)}: {length}"
        for file in (*files(), *sorted((ROOT / "tests").rglob("*.py")))
        if (length := len(file.read_text("utf-8").splitlines())) > LONGEST
    ]
    assert not long, f"one noun a file; stop at {LONGEST} lines:\n" + "\n".join(long)


def test_the_project_speaks_of_itself_alone() -> None:
    top = {"gateway", "mappings", "certs", "tests", "config.example.toml", "pyproject.toml"}
    top |= {"README.md", "README.zh-CN.md", "LICENSE", "CHANGELOG.md", "Makefile", "demo", "bench-data"}
    extra = {entry.name for entry in ROOT.iterdir() if not entry.name.startswith(".")} - top
    assert not extra, f"nothing else stands at the top level: {sorted(extra)}"


def test_polars_format_is_not_used() -> None:
    strays = [
        f"{file.relative_to(ROOT)}"
        for file in files()
        if any(
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and (node.value.id, node.attr) == ("pl", "format")
            for node in ast.walk(ast.parse(file.read_text("utf-8")))
        )
    ]
    assert not strays, (
        f"pl.format of polars 2.1 panics on a column whose first chunk is empty; pl.concat_str does not: {strays}"
    )
