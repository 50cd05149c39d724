"""One process holds a state folder, and dies with its lock."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.store.lock import hold
from tests.store.samples import AT, later

ROOT = Path(__file__).parent.parent.parent
HOLDER = """
import sys
from pathlib import Path
from gateway.store.lock import hold
with hold(Path(sys.argv[1]), what="serve", at=sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


def other_holder(folder: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), AT],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def test_the_second_is_refused_and_told_who_holds(tmp_path: Path) -> None:
    with other_holder(tmp_path) as child:
        with pytest.raises(StoreError) as refused, hold(tmp_path, what="run", at=later(1)):
            pass
        facts = refused.value.facts
        assert refused.value.code == "state-held"
        assert (facts["pid"], facts["since"], facts["what"]) == (child.pid, AT, "serve")
        assert str(child.pid) in refused.value.say()
        child.communicate()
    with hold(tmp_path, what="run", at=later(2)):
        pass


def test_a_killed_holder_stops_nobody(tmp_path: Path) -> None:
    with other_holder(tmp_path) as child:
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert json.loads((tmp_path / "lock").read_text())["pid"] == child.pid, "its words stay, its lock does not"
        with hold(tmp_path, what="run", at=later(1)):
            assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()


def test_one_process_does_not_hold_twice(tmp_path: Path) -> None:
    with hold(tmp_path, what="serve", at=AT):
        with pytest.raises(StoreError, match="state-held"), hold(tmp_path, what="run", at=AT):
            pass
        with pytest.raises(StoreError, match="state-held"), hold(tmp_path, what="run", at=AT):
            pass


def test_it_is_given_back_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyError), hold(tmp_path, what="serve", at=AT):
        raise KeyError
    with hold(tmp_path, what="serve", at=AT):
        pass


def test_the_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    with hold(tmp_path / "var", what="serve", at=AT):
        assert stat.S_IMODE((tmp_path / "var").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "var" / "lock").stat().st_mode) == 0o600


@pytest.mark.parametrize("words", ["", "{", "[]", '{"pid": 1}'])
def test_a_holder_without_words_is_refused_all_the_same(tmp_path: Path, words: str) -> None:
    with hold(tmp_path, what="serve", at=AT):
        (tmp_path / "lock").write_text(words)
        with pytest.raises(StoreError) as refused, hold(tmp_path, what="run", at=AT):
            pass
    assert refused.value.facts["since"] == "?"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("words")
    (tmp_path / "lock").symlink_to(target)
    with pytest.raises(StoreError, match="state-unwritable"), hold(tmp_path, what="serve", at=AT):
        pass
    assert target.read_text() == "words"
