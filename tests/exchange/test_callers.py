"""Who a caller is."""

from __future__ import annotations

import hashlib

import pytest

from gateway.errors import ExchangeError
from gateway.exchange.callers import CallerDirectory


def digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


DIRECTORY = CallerDirectory(
    certificates={digest(b"der-old"): "a", digest(b"der-new"): "a", digest(b"der-b"): "b"},
    tokens={digest(b"token-a"): "a", digest(b"token-b"): "b"},
)


@pytest.mark.parametrize(
    ("certificate", "authorization", "caller"),
    [
        (b"der-old", None, "a"),
        (b"der-new", None, "a"),
        (None, "Bearer token-b", "b"),
        (None, "bearer  token-b ", "b"),
        (b"der-b", "Bearer token-b", "b"),
        (b"der-a", None, None),
        (None, None, None),
        (None, "Basic token-b", None),
        (None, "Bearer", None),
        (None, "token-b", None),
        (None, f"Bearer {digest(b'token-b')}", None),
        (None, "Bearer \udcff", None),
        (b"der-b", "Bearer token-a", None),
        (b"der-b", "Bearer wrong", None),
        (b"der-x", "Bearer token-b", None),
    ],
)
def test_identify(certificate: bytes | None, authorization: str | None, caller: str | None) -> None:
    assert DIRECTORY.identify(certificate, authorization) == caller


@pytest.mark.parametrize("wrong", ["", "abc", "g" * 64, "A" * 64, "a" * 65])
def test_a_digest_of_another_shape_is_refused(wrong: str) -> None:
    for directory in ({"certificates": {wrong: "n"}}, {"tokens": {wrong: "n"}}):
        with pytest.raises(ExchangeError) as caught:
            CallerDirectory(**directory)
        assert caught.value.code == "caller-digest-malformed"


def test_token_digests_are_not_shown() -> None:
    assert digest(b"token-a") not in repr(DIRECTORY)
