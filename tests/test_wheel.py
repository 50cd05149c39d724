"""What is installed has everything that ``gateway init`` lays out; the verifier needs ``cryptography`` alone."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
VERIFIER_ROOMS = ("__init__.py", "errors.py", "clock.py", "verifier.py", "texts/", "ledger/", "package/", "evidence/")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    built = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[-2000:]
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        for name in file.namelist():
            assert not name.startswith(("/", "..")), name
        file.extractall(folder / "site")
    return folder / "site"


def run(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}
    return subprocess.run(
        [sys.executable, *words], env=environment, cwd=site, capture_output=True, text=True, check=False
    )


def test_the_defaults_travel_in_the_wheel(installed: Path, tmp_path: Path) -> None:
    done = run(installed, "-m", "gateway", "init", str(tmp_path / "node"))
    assert done.returncode == 0, done.stderr
    for file in (
        "config.toml",
        "mappings/catalogs/administrative-license.toml",
        "mappings/README.md",
        "certs/README.md",
        "credit-gateway.service",
    ):
        assert (tmp_path / "node" / file).is_file(), file
    checked = run(installed, "-m", "gateway", "mapping", "check", "--mappings", str(tmp_path / "node" / "mappings"))
    assert checked.returncode == 0, checked.stdout


def test_migrations_texts_and_schemas_travel_in_the_wheel(installed: Path) -> None:
    for pattern in (
        "gateway/store/migrations/versions/*.py",
        "gateway/texts/zh-CN/*.toml",
        "gateway/package/schemas/*.xsd",
    ):
        assert list(installed.glob(pattern)), pattern
    assert (installed / "gateway" / "py.typed").is_file()


def test_the_verifier_runs_where_nothing_else_is_installed(installed: Path, tmp_path: Path) -> None:
    """The rooms of the verifier copied out, and every other package of ours and of others out of reach but cryptography."""
    for path in (installed / "gateway").rglob("*"):
        inside = path.relative_to(installed / "gateway").as_posix()
        if path.is_file() and inside.startswith(VERIFIER_ROOMS):
            target = tmp_path / "gateway" / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    refuse = (
        "import sys\n"
        "class Bare:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        top = name.split('.')[0]\n"
        "        if top not in sys.stdlib_module_names | {'gateway', 'cryptography', 'cffi', '_cffi_backend'}:\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Bare())\n"
        "from gateway.verifier import main\n"
        "main(['--help'])\n"
    )
    done = run(tmp_path, "-c", refuse)
    assert done.returncode == 0, done.stderr
    assert "gateway-verify" in done.stdout
