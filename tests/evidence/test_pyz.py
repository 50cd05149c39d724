"""The verifier as one file: the same bytes for the same sources; it needs nothing else, asks for no network and writes nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import cryptography
import pytest

import gateway
from gateway.delivery.pyz import ROOMS, verifier_pyz
from tests.evidence.world import World
from tests.test_architecture import OFFLINE


@pytest.fixture
def desk(world: World, tmp_path: Path) -> Path:
    """A bundle, the verifier and the policy out of it, and a checkpoint that somebody kept."""
    world.export("bureau", tmp_path / "evidence.zip")
    with zipfile.ZipFile(tmp_path / "evidence.zip") as bundle:
        for name in ("gateway-verify.pyz", "policy.toml", "checkpoint"):
            (tmp_path / name).write_bytes(bundle.read(name))
    return tmp_path


WORDS = ("gateway-verify.pyz", "evidence.zip", "--policy", "policy.toml", "--expect-checkpoint", "checkpoint")


def test_the_rooms_are_those_of_the_offline_verifier() -> None:
    assert {room.removesuffix(".py") for room in ROOMS} == {*OFFLINE, "__init__"}


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    """Wherever they lie, and whatever time their files have."""
    here = Path(gateway.__file__).parent
    copy = tmp_path / "gateway"
    for room in (*ROOMS, "delivery"):
        if (here / room).is_dir():
            shutil.copytree(here / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            copy.mkdir(exist_ok=True)
            shutil.copy(here / room, copy / room)
    for file in copy.rglob("*"):
        os.utime(file, (0, 0))
    script = (
        "import hashlib, gateway.delivery.pyz as p; print(p.__file__, hashlib.sha256(p.verifier_pyz()).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(tmp_path), "PYTHONHASHSEED": "7", "PATH": os.environ["PATH"]},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    place, digest = done.stdout.split()
    assert place.startswith(str(tmp_path))
    assert digest == sha256(verifier_pyz()).hexdigest()


def test_it_holds_the_verifier_and_nothing_else() -> None:
    with zipfile.ZipFile(BytesIO(verifier_pyz())) as archive:
        names = archive.namelist()
    assert names == sorted(names)
    assert all(name.endswith((".py", ".toml")) for name in names)
    rooms = {name.split("/")[1].removesuffix(".py") for name in names if name.startswith("gateway/")}
    assert rooms == {*OFFLINE, "__init__"}


def test_it_runs_where_python_and_cryptography_are_alone(desk: Path) -> None:
    bare = (
        "import sys, runpy\n"
        "class Bare:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        top = name.split('.')[0]\n"
        "        if top not in sys.stdlib_module_names | {'__main__', 'gateway', 'cryptography', 'cffi', '_cffi_backend'}:\n"
        "            raise ImportError(name)\n"
        "        if top == 'gateway' and path is not None and not any('.pyz' in str(each) for each in path):\n"
        "            raise ImportError(name + ' from elsewhere')\n"
        "sys.meta_path.insert(0, Bare())\n"
        f"sys.argv = {list(WORDS)!r}\n"
        "sys.path.insert(0, 'gateway-verify.pyz')\n"
        "runpy.run_path('gateway-verify.pyz', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", _with_site(bare)], cwd=desk, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "齐全性：得证" in done.stdout


def _with_site(script: str) -> str:
    """``-S`` leaves site-packages out, and with them whatever is installed in place; cryptography is put back."""
    return f"import sys\nsys.path.append({str(Path(cryptography.__file__).parents[1])!r})\n{script}"


def test_without_cryptography_it_says_so(desk: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "gateway-verify.pyz", "evidence.zip"],
        cwd=desk,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "cryptography" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_asks_for_no_network_and_writes_nothing(desk: Path) -> None:
    if shutil.which("strace") is None or subprocess.run(["strace", "-qq", "true"], check=False).returncode:
        if os.environ.get("CI") == "true":
            pytest.fail("strace cannot trace here")
        pytest.skip("strace cannot trace here: the verifier's calls were not watched")
    calls = "trace=network,open,openat,creat,mkdir,mkdirat,unlink,unlinkat,rename,renameat2,truncate,link,symlink"
    command = ["strace", "-f", "-qq", "-e", calls, "-o", "trace", sys.executable, "-B", *WORDS]
    done = subprocess.run(command, cwd=desk, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = (desk / "trace").read_text().splitlines()
    assert any("evidence.zip" in line for line in lines), "the trace shows what is opened"
    assert [line for line in lines if re.search(r"\b(socket|connect|sendto|bind)\(", line)] == []
    changing = r"O_WRONLY|O_RDWR|O_CREAT|\b(creat|mkdir|mkdirat|unlink|unlinkat|rename|truncate|link|symlink)\("
    written = [line for line in lines if re.search(changing, line) and "/dev/null" not in line and "= -1" not in line]
    assert written == []
