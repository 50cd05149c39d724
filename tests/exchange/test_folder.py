"""File mode on a folder of this machine and behind OpenSSH's own SFTP server: what is put, taken, answered, refused and never read."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.errors import ExchangeError
from gateway.exchange.file_names import read_name
from gateway.exchange.folder_place import FolderPlace
from gateway.exchange.intake import ProblemAnswer
from gateway.exchange.outcome import (
    Acknowledged,
    Later,
    NeverReceived,
    NotReady,
    Refused,
    Taken,
    Unknown,
)
from gateway.exchange.place import Place
from gateway.exchange.problem import Problem
from gateway.exchange.sftp_place import SftpPlace
from gateway.exchange.shown import Shown
from tests.exchange.post import FailingPlace, Post
from tests.exchange.shelf import receipt_for
from tests.exchange.sshd import Account, sshd


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture(params=["folder", "sftp"])
async def post(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Post]:
    for folder in ("outgoing", "incoming"):
        (tmp_path / folder).mkdir()
    place: Place = FolderPlace(tmp_path, peer="province")
    if request.param == "sftp":
        place = SftpPlace(request.getfixturevalue("account").address(tmp_path), peer="province")
    made = Post(tmp_path, FailingPlace(place))
    yield made
    await made.way.close()


def checks_by_hand(digest: Path) -> bool:
    """Whether the digest is one that anybody can check."""
    done = subprocess.run(["sha256sum", "-c", digest.name], cwd=digest.parent, capture_output=True, check=False)
    return done.returncode == 0


async def test_a_package_is_put_taken_and_answered(post: Post) -> None:
    batch_id, outcome = await post.send()
    assert outcome == Taken()
    name = post.name()
    assert post.files("outgoing") == [name, f"{name}.sha256"]
    assert checks_by_hand(post.root / "outgoing" / f"{name}.sha256")
    assert await post.way.receipt(batch_id) == NotReady()

    looked = await post.look()
    assert looked.taken == [name]
    assert post.shelf.calls == [(read_name(name).sender, batch_id, post.sent[batch_id])]  # type: ignore[union-attr]
    assert post.files("outgoing") == []
    assert post.files("outgoing/taken") == [name, f"{name}.sha256"]

    receipt = receipt_for(post.sent[batch_id])
    first = await post.way.receipt(batch_id)
    assert first == Acknowledged(receipt=receipt, status=200, stored=True)
    assert post.files("incoming") == []
    # A crash before it was written down: it is found again where it was moved to.
    assert await post.way.receipt(batch_id) == first


async def test_the_group_may_read_whatever_the_umask(post: Post) -> None:
    """A service runs with 0077, and the other node is another user."""
    before = os.umask(0o077)
    try:
        await post.send()
        await post.look()
    finally:
        os.umask(before)
    for folder in (post.root / "outgoing" / "taken", post.root / "incoming"):
        for path in folder.iterdir():
            assert path.stat().st_mode & 0o777 == 0o640, path.name
    assert (post.root / "outgoing" / "taken").stat().st_mode & 0o7777 == 0o2770


async def test_the_same_package_again_brings_the_stored_receipt_again(post: Post) -> None:
    batch_id, _ = await post.send()
    await post.look()
    first = await post.way.receipt(batch_id)
    (post.root / "incoming" / "taken").rename(post.root / "lost")
    assert await post.way.receipt(batch_id) == NotReady()
    assert await post.send() == (batch_id, Taken())
    assert (await post.look()).taken == [post.name()]
    assert await post.way.receipt(batch_id) == first
    assert len(post.shelf.kept) == 1
    assert post.name() in post.files("outgoing/taken")
    assert f"{post.name()}~1" in post.files("outgoing/taken"), "nothing is overwritten or deleted"


async def test_a_refusal_comes_as_a_file_and_counts_until_the_package_is_put_again(post: Post) -> None:
    post.shelf.says = ProblemAnswer(problem=Problem(code="signature-invalid", detail="cms-signer"))
    batch_id, _ = await post.send()
    looked = await post.look()
    assert looked.refused == {post.name(): "signature-invalid"}
    assert post.files("outgoing/refused") == [post.name(), f"{post.name()}.sha256"]
    for _ in range(2):  # a process that ended before it wrote it down asks again
        assert await post.way.receipt(batch_id) == Refused(status=422, code="signature-invalid", detail="cms-signer")
    # After a person's word the same bytes go again.
    post.shelf.says = None
    assert await post.send() == (batch_id, Taken())
    assert await post.way.receipt(batch_id) == NotReady()
    await post.look()
    assert isinstance(await post.way.receipt(batch_id), Acknowledged)


async def test_what_waits_is_taken_in_the_order_of_numbers(post: Post) -> None:
    for sequence in (2, 1, 3):
        await post.send(sequence)
    looked = await post.look()
    assert looked.taken == [post.name(sequence) for sequence in (1, 2, 3)]


async def test_a_package_before_its_turn_stays(post: Post) -> None:
    await post.send(2)
    post.shelf.says = ProblemAnswer(problem=Problem(code="sequence-gap", expected=1))
    assert (await post.look()).waiting == {post.name(2): "sequence-gap"}
    assert (await post.look()).waiting == {post.name(2): "file-rests"}, "it is not opened again at once"
    assert len(post.shelf.calls) == 1
    await post.clock.sleep(16)
    post.shelf.says = None
    assert (await post.look()).taken == [post.name(2)]


async def test_a_number_that_is_past_is_refused(post: Post) -> None:
    batch_id, _ = await post.send(2)
    post.shelf.says = ProblemAnswer(problem=Problem(code="sequence-gap", expected=3))
    assert (await post.look()).refused == {post.name(2): "sequence-gap"}
    answer = await post.way.receipt(batch_id)
    assert isinstance(answer, Refused)
    assert (answer.status, answer.code) == (409, "sequence-gap")


async def test_a_proof_that_is_wanted_is_asked_for_and_put_beside(post: Post) -> None:
    key, proof = "node+01234567+" + "A" * 44, (bytes(32),)
    batch_id, _ = await post.send(shown=Shown(key=key))
    assert post.shelf.shown == []
    post.shelf.says = ProblemAnswer(problem=Problem(code="log-proof-wanted", expected=7))
    assert post.name() in (await post.look()).waiting
    answer = await post.way.receipt(batch_id)
    assert isinstance(answer, Later)
    assert (answer.code, answer.expected) == ("log-proof-wanted", 7)
    assert await post.send(shown=Shown(key=key, since=7, proof=proof)) == (batch_id, Taken())
    post.shelf.says = None
    assert (await post.look()).taken == [post.name()], "with something new beside it, it does not rest"
    assert post.shelf.shown[-1] == Shown(key=key, since=7, proof=proof)
    assert isinstance(await post.way.receipt(batch_id), Acknowledged)


async def test_what_is_not_whole_is_not_read(post: Post) -> None:
    batch_id, data = "", b""
    await post.send()
    batch_id, data = next((key, value) for key, value in post.sent.items() if not key.startswith("#"))
    name = post.name()
    for path in (post.root / "outgoing").iterdir():
        path.unlink()
    # Half of it, without and with a digest; whole under a passing name; whole without a digest.
    half = post.put(name, data[: len(data) // 2], digest=False)
    assert (await post.look()).waiting == {name: "file-incomplete"}
    (post.root / "outgoing" / f"{name}.sha256").write_text(f"{hashlib.sha256(data).hexdigest()}  {name}\n")
    assert (await post.look()).waiting == {name: "file-incomplete"}
    half.rename(half.with_name(f".{name}.part"))
    assert (await post.look()).waiting == {}
    (post.root / "outgoing" / f".{name}.part").rename(half)
    half.write_bytes(data)
    (post.root / "outgoing" / f"{name}.sha256").unlink()
    assert (await post.look()).waiting == {name: "file-incomplete"}
    assert post.shelf.calls == []
    post.put(name, data)
    assert (await post.look()).taken == [name]
    assert isinstance(await post.way.receipt(batch_id), Acknowledged)


async def test_an_outage_costs_no_certainty(post: Post) -> None:
    (post.root / "outgoing").rename(post.root / "unmounted")
    batch_id, outcome = await post.send()
    assert outcome == Later(why="folder-missing")
    with pytest.raises(ExchangeError) as raised:
        await post.way.node()
    assert (raised.value.code, raised.value.facts["why"]) == ("node-question-failed", "folder-missing")
    (post.root / "unmounted").rename(post.root / "outgoing")
    assert (await post.way.node()).code
    assert await post.send() == (batch_id, Taken())


@pytest.mark.parametrize("persists", [True, False], ids=["half-written", "nothing-written"])
async def test_what_fails_before_the_name_is_given_comes_later(post: Post, persists: bool) -> None:
    post.place.fails, post.place.persists = "write", persists
    batch_id, outcome = await post.send()
    assert outcome == Later(why="folder-full")
    assert (await post.look()).taken == []
    post.place.fails = ""
    assert await post.send() == (batch_id, Taken())
    assert (await post.look()).taken == [post.name()]


@pytest.mark.parametrize("of", [".asice.sha256", ".asice"], ids=["digest", "package"])
@pytest.mark.parametrize("persists", [True, False], ids=["happened", "did-not"])
async def test_what_fails_while_the_name_is_given_is_unknown(post: Post, of: str, persists: bool) -> None:
    """Both meanings of a failure: afterwards the folder itself says which it was, and the same bytes go again where they must."""
    post.place.fails, post.place.persists, post.place.of = "rename", persists, of
    batch_id, outcome = await post.send()
    assert outcome == Unknown(why="folder-failing")
    post.place.fails = ""
    there = await post.way.receipt(batch_id)
    assert there == (NotReady() if persists and of == ".asice" else NeverReceived())
    if there == NeverReceived():
        assert await post.send() == (batch_id, Taken())
    assert (await post.look()).taken == [post.name()]
    assert [call[2] for call in post.shelf.calls] == [post.sent[batch_id]]


async def test_other_bytes_under_the_name_are_never_overwritten(post: Post) -> None:
    post.put(post.name(), b"somebody else's")
    _, outcome = await post.send()
    assert outcome == Refused(status=409, code="file-name-taken")
    assert (post.root / "outgoing" / post.name()).read_bytes() == b"somebody else's"


async def test_a_receipt_that_is_damaged_on_the_way_is_waited_for(post: Post) -> None:
    batch_id, _ = await post.send()
    await post.look()
    (file,) = (post.root / "incoming").glob("*.receipt.asice")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert await post.way.receipt(batch_id) == NotReady()
    file.write_bytes(whole)
    assert isinstance(await post.way.receipt(batch_id), Acknowledged)


async def test_where_files_are_taken_away_their_absence_says_nothing(post: Post) -> None:
    post.taken_away = True
    batch_id, _ = await post.send()
    for path in (post.root / "outgoing").iterdir():
        path.unlink()
    assert await post.way.receipt(batch_id) == NotReady()


async def test_without_a_receiver_that_takes_away_a_missing_file_goes_again(post: Post) -> None:
    batch_id, _ = await post.send()
    (post.root / "outgoing" / post.name()).unlink()
    assert await post.way.receipt(batch_id) == NeverReceived()
    assert await post.send() == (batch_id, Taken())
    assert (await post.look()).taken == [post.name()]


async def test_a_batch_that_nobody_knows_was_never_received(post: Post) -> None:
    assert await post.way.receipt("0193ffff-0000-7abc-8def-0123456789ab") == NeverReceived()


async def test_receipts_are_found_without_being_asked_for(post: Post) -> None:
    batch_id, _ = await post.send()
    assert await post.way.arrived() == []
    await post.look()
    (found,) = await post.way.arrived()
    assert found.batch_id == batch_id
    await post.way.set_aside(batch_id)
    assert await post.way.arrived() == []
    assert str(found) in post.files("incoming/aside")


async def test_files_cannot_be_asked_what_they_hold(post: Post) -> None:
    with pytest.raises(ExchangeError) as raised:
        await post.way.digests("A/b/C", "")
    assert raised.value.code == "digests-not-by-file"


class TestTheReceivingSide:
    """What may lie in a folder that others write to."""

    @pytest.fixture
    def local(self, tmp_path: Path) -> Post:
        for folder in ("outgoing", "incoming"):
            (tmp_path / folder).mkdir()
        return Post(tmp_path, FailingPlace(FolderPlace(tmp_path, peer="province")))

    async def test_what_is_none_of_ours_goes_aside_once_it_settles(self, local: Post) -> None:
        folder = local.root / "outgoing"
        foreign = [
            b"readme.txt",
            "处罚信息.xls".encode("gb18030"),
            "处罚信息.xls".encode(),
            b"x\n[31mred",
            b"..asice",
            local.name().replace(".asice", ".ASICE").encode(),
            local.name().replace("_", "__", 1).encode(),
            f"{local.name()}.asice".encode(),
        ]
        passing = [b".hidden", b"big.xls.filepart", b"upload.tmp"]
        for name in (*foreign, *passing):
            (folder / os.fsdecode(name)).write_bytes(b"x")
        (local.root / "outgoing" / "folder").mkdir()
        assert (await local.look()).aside == [], "it may still be growing"
        local.settle(os.fsdecode(name) for name in (*foreign, *passing))
        looked = await local.look()
        kept = {os.fsencode(path.name) for path in (local.root / "outgoing" / "aside").iterdir()}
        assert kept == set(foreign) - {b"..asice"}
        assert all(name.isascii() and name.isprintable() for name in looked.aside)
        assert local.shelf.calls == []
        assert (await local.look()).aside == [], "told once"

    async def test_what_cannot_be_moved_is_in_nobodys_way(self, local: Post) -> None:
        (local.root / "outgoing" / "readme.txt").write_bytes(b"x")
        (local.root / "outgoing" / "aside").write_bytes(b"a file where a folder should be")
        local.settle(["readme.txt", "aside"])
        await local.send()
        looked = await local.look()
        assert looked.taken == [local.name()]
        assert looked.waiting == {"readme.txt": "file-foreign", "aside": "file-foreign"}

    async def test_links_are_never_followed(self, local: Post, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_bytes(b"not for you")
        (local.root / "outgoing" / local.name()).symlink_to(secret)
        digest = f"{hashlib.sha256(b'not for you').hexdigest()}  {local.name()}\n"
        (local.root / "outgoing" / f"{local.name()}.sha256").write_text(digest)
        looked = await local.look()
        assert looked.aside == [local.name()]
        assert (local.root / "outgoing" / "aside" / local.name()).is_symlink()
        assert local.shelf.calls == []
        assert secret.read_bytes() == b"not for you"

    async def test_a_pipe_or_a_folder_with_a_packages_name_stops_nothing(self, local: Post) -> None:
        os.mkfifo(local.root / "outgoing" / local.name(1))
        (local.root / "outgoing" / local.name(2)).mkdir()
        os.mkfifo(local.root / "outgoing" / f"{local.name(3)}.sha256")
        local.put(local.name(3), b"x", digest=False)
        await local.send(4)
        looked = await local.look()
        assert looked.taken == [local.name(4)]
        assert sorted(looked.aside) == sorted(local.name(number) for number in (1, 2, 3))

    async def test_a_package_beyond_the_budget_is_refused_unread(self, local: Post) -> None:
        local.package_bytes = 100
        batch_id, _ = await local.send()
        assert (await local.look()).refused == {local.name(): "package-too-large"}
        answer = await local.way.receipt(batch_id)
        assert isinstance(answer, Refused)
        assert (answer.status, answer.code) == (413, "package-too-large")
        assert local.shelf.calls == []

    async def test_a_link_in_place_of_a_part_is_not_written_through(self, local: Post, tmp_path: Path) -> None:
        victim = tmp_path / "victim"
        victim.write_bytes(b"whole")
        (local.root / "outgoing" / f".{local.name()}.part").symlink_to(victim)
        assert (await local.send())[1] == Taken()
        assert victim.read_bytes() == b"whole"

    async def test_a_receipt_that_somebody_forged_makes_room(self, local: Post) -> None:
        batch_id, _ = await local.send()
        forged = local.root / "incoming" / local.name().replace(".asice", ".receipt.asice")
        forged.write_bytes(b"forged")
        await local.look()
        answer = await local.way.receipt(batch_id)
        assert isinstance(answer, Acknowledged)
        assert answer.receipt == receipt_for(local.sent[batch_id])
        assert local.files("incoming/aside") == [forged.name]

    async def test_a_fault_of_the_work_leaves_the_file(self, local: Post) -> None:
        local.shelf.fault = RuntimeError("the disk broke")
        await local.send()
        with pytest.raises(RuntimeError):
            await local.look()
        local.shelf.fault = None
        assert (await local.look()).taken == [local.name()]
