"""SFTP as OpenSSH speaks it: whose server it is, whose key, and what a line that is cut leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import ExchangeError, PackageError
from gateway.exchange.outcome import Later, NotReady, Outcome, Taken, Unknown
from gateway.exchange.sftp_place import SftpAddress, SftpPlace
from tests.exchange.peer import closed_port
from tests.exchange.post import FailingPlace, Post
from tests.exchange.sshd import Account, line_to, make_key, sshd


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


def post_at(root: Path, address: SftpAddress) -> Post:
    for folder in ("outgoing", "incoming"):
        (root / folder).mkdir(exist_ok=True)
    return Post(root, FailingPlace(SftpPlace(address, peer="province", connect=5.0)))


async def sent(post: Post) -> Outcome:
    _, outcome = await post.send()
    await post.way.close()
    return outcome  # type: ignore[return-value]


async def test_another_host_key_is_never_accepted(account: Account, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other")
    post = post_at(tmp_path, account.address(tmp_path, host_keys=[other]))
    assert await sent(post) == Later(why="sftp-host-key-other")
    assert post.files("outgoing") == []
    with pytest.raises(ExchangeError) as raised:
        await post.way.node()
    assert raised.value.facts["why"] == "sftp-host-key-other"


async def test_two_host_keys_during_a_change(account: Account, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other")
    post = post_at(tmp_path, account.address(tmp_path, host_keys=[other, account.host_key]))
    assert await sent(post) == Taken()


async def test_a_key_that_nobody_registered(account: Account, tmp_path: Path) -> None:
    make_key(tmp_path / "ours")
    post = post_at(tmp_path, account.address(tmp_path, private_key=tmp_path / "ours"))
    assert await sent(post) == Later(why="sftp-key-refused")
    assert post.files("outgoing") == []


def test_a_key_that_others_may_read_is_not_used(account: Account, tmp_path: Path) -> None:
    make_key(tmp_path / "open")
    (tmp_path / "open").chmod(0o644)
    with pytest.raises(PackageError) as raised:
        SftpPlace(account.address(tmp_path, private_key=tmp_path / "open"), peer="province")
    assert raised.value.code == "key-mode"


def test_a_key_that_is_none(account: Account, tmp_path: Path) -> None:
    (tmp_path / "none").write_text("no key")
    (tmp_path / "none").chmod(0o600)
    with pytest.raises(ExchangeError) as raised:
        SftpPlace(account.address(tmp_path, private_key=tmp_path / "none"), peer="province")
    assert raised.value.code == "sftp-key-unusable"


async def test_a_server_that_is_not_there(account: Account, tmp_path: Path) -> None:
    post = post_at(tmp_path, account.address(tmp_path, port=closed_port()))
    assert await sent(post) == Later(why="sftp-unreachable")


async def test_an_account_that_may_not_write(account: Account, tmp_path: Path) -> None:
    """The folder is missing on the server; no right is asked for that was not given."""
    post = post_at(tmp_path, account.address(tmp_path / "elsewhere"))
    assert await sent(post) == Later(why="folder-missing")


@pytest.mark.parametrize("after", [500, 3000, 4500, 6000])
async def test_a_line_that_is_cut_is_taken_up_again(account: Account, tmp_path: Path, after: int) -> None:
    """Wherever it is cut: nothing half is seen, no outcome claims more than is known, and the same bytes go again."""
    async with line_to(account.port, cut_after=after) as port:
        post = post_at(tmp_path, account.address(tmp_path, port=port))
        batch_id, outcome = await post.send()
        assert isinstance(outcome, Later | Unknown | Taken)
        if outcome != Taken():
            assert getattr(outcome, "why", "") in {"sftp-cut", "sftp-unreachable"}
            assert (await post.look()).taken == [] or isinstance(outcome, Unknown)
            assert await post.send() == (batch_id, Taken()), "the next call makes a new connection"
        await post.look()
        assert await post.way.receipt(batch_id) != NotReady()
        assert len(post.shelf.kept) == 1
        await post.way.close()


async def test_a_connection_that_was_closed_is_made_again(account: Account, tmp_path: Path) -> None:
    post = post_at(tmp_path, account.address(tmp_path))
    assert (await post.send())[1] == Taken()
    await post.way.close()
    assert (await post.send(2))[1] == Taken()
    await post.way.close()
