"""What a node says it holds of a route (exchange protocol, README), so that two nodes can compare without sending: 256 buckets by the
SHA-256 of the key; a prefix opens one, into 256 smaller buckets or, when it is small enough for one answer, into its records."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from gateway.errors import ExchangeError

__all__ = ["RouteBucket", "RouteDigests", "RouteRecord"]

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_OPS: Final = frozenset({"upsert", "withdraw", "stop-share"})
_LARGEST: Final = 10**18  # a version has at most 18 digits
_LONGEST_KEY: Final = 1024
_DEEPEST: Final = 62  # hex digits: a bucket of the last byte would be a single hash


class RouteRecord(NamedTuple):
    """A record as its receiver holds it. ``digest`` is the SHA-256 (hex) of the body's bytes, of nothing when it was taken back."""

    key: str
    version: int
    op: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteBucket:
    """``count`` records whose key's SHA-256 begins with ``prefix`` (lower-case hex); ``digest`` (hex) is over all of them."""

    prefix: str
    count: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteDigests:
    """One answer. ``records`` is None when the bucket was too large for one answer: then ``buckets`` are the smaller ones in it."""

    route: str
    prefix: str
    buckets: tuple[RouteBucket, ...] = ()
    records: tuple[RouteRecord, ...] | None = None

    def to_json(self) -> dict[str, object]:
        """The answer's JSON object."""
        found: dict[str, object] = {"route": self.route, "prefix": self.prefix}
        if self.records is None:
            found["buckets"] = [
                {"prefix": one.prefix, "count": one.count, "digest": one.digest} for one in self.buckets
            ]
        else:
            found["records"] = [record._asdict() for record in self.records]
        return found

    @classmethod
    def from_json(cls, document: object, *, route: str, prefix: str) -> RouteDigests:
        """Read what a peer answered for ``prefix`` of ``route``; members of later versions are passed over.

        Raises ExchangeError ``digests-malformed`` for anything that cannot be such an answer: another route or prefix, a bucket or a
        record that does not belong there or comes twice, both kinds at once or none.
        """
        match document:
            case {"route": str(found), "prefix": str(asked), **rest} if (found, asked) == (route, prefix):
                buckets, records = rest.get("buckets"), rest.get("records")
            case _:
                raise _malformed("route")
        if isinstance(buckets, list) and records is None:
            return cls(route=route, prefix=prefix, buckets=_buckets(buckets, prefix))
        if isinstance(records, list) and buckets is None:
            return cls(route=route, prefix=prefix, records=_records(records, prefix))
        raise _malformed("buckets")


def _malformed(what: str) -> ExchangeError:
    return ExchangeError("digests-malformed", what=what)


def _buckets(listed: list[object], prefix: str) -> tuple[RouteBucket, ...]:
    if len(prefix) >= _DEEPEST:
        raise _malformed("depth")
    found: dict[str, RouteBucket] = {}
    shape = re.compile(prefix + "[0-9a-f]{2}")
    for one in listed:
        match one:
            case {"prefix": str(name), "count": int(count), "digest": str(digest)} if (
                shape.fullmatch(name) and _ordinal(count) and _SHA256.fullmatch(digest) and name not in found
            ):
                found[name] = RouteBucket(prefix=name, count=count, digest=digest)
            case _:
                raise _malformed("bucket")
    return tuple(found.values())


def _records(listed: list[object], prefix: str) -> tuple[RouteRecord, ...]:
    found: dict[str, RouteRecord] = {}
    for one in listed:
        if not isinstance(one, Mapping):
            raise _malformed("record")
        record = _record(one)
        if record.key in found or not _hash(record.key).startswith(prefix):
            raise _malformed("record")
        found[record.key] = record
    return tuple(found.values())


def _record(one: Mapping[str, object]) -> RouteRecord:
    match one:
        case {"key": str(key), "version": int(version), "op": str(op), "digest": str(digest)} if (
            0 < len(key) <= _LONGEST_KEY and _ordinal(version) and op in _OPS and _SHA256.fullmatch(digest)
        ):
            return RouteRecord(key, version, op, digest)
        case _:
            raise _malformed("record")


def _ordinal(number: int) -> bool:
    return type(number) is int and 0 < number < _LARGEST  # a JSON true is an int to isinstance


def _hash(key: str) -> str:
    try:
        return hashlib.sha256(key.encode()).hexdigest()
    except UnicodeEncodeError as error:  # half a surrogate pair: no key of ours is written so
        raise _malformed("record") from error
