"""Entries: one set of bytes for one meaning, and nothing but what the catalogue declares."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import LedgerError
from gateway.ledger.entry import MAX_ENTRY_BYTES, decode, encode
from gateway.ledger.kinds import KINDS, FieldType
from tests.ledger.samples import START, all_fields, own_fields

KIND_NAMES = {
    "genesis",
    "batch.reconciled",
    "batch.disputed",
    "batch.abandoned",
    "batch.received",
    "run.closed",
    "feedback.taken",
    "operator.action",
    "config.changed",
    "key.added",
    "key.rotated",
    "key.revoked",
    "anchor",
    "erasure",
    "recovery",
}


def refusal(data: bytes) -> str:
    with pytest.raises(LedgerError) as caught:
        decode(data)
    return caught.value.code


def test_the_catalogue() -> None:
    assert set(KINDS) == KIND_NAMES
    for name, kind in KINDS.items():
        assert kind.name == name
        assert {"node", "software"} <= set(kind.fields)
        assert not {"kind", "at"} & set(kind.fields)
        assert kind.routed == name.startswith("batch.")


@pytest.mark.parametrize("kind", sorted(KIND_NAMES))
def test_every_kind_round_trips(kind: str) -> None:
    fields = all_fields(kind)
    data = encode(kind, fields, START)
    entry = decode(data)
    assert (entry.kind, entry.at, dict(entry.fields)) == (kind, START, fields)
    assert encode(entry.kind, entry.fields, entry.at) == data


def test_the_bytes_are_canonical_json() -> None:
    fields = own_fields("operator.action", subject='引号" 反斜\\ 换行\n 增补\U00020000', reason="")
    assert encode("operator.action", fields, START).decode() == (
        '{"action":"name","at":"2026-11-22T06:00:00.000000Z","kind":"operator.action","node":"name","person":"name",'
        '"reason":"","software":"name","subject":"引号\\" 反斜\\\\ 换行\\n 增补\U00020000"}'
    )


def test_times_are_written_in_utc() -> None:
    local = datetime(2026, 11, 22, 14, 0, tzinfo=timezone(timedelta(hours=8)))
    assert encode("operator.action", own_fields("operator.action"), local) == encode(
        "operator.action", own_fields("operator.action"), START
    )
    with pytest.raises(LedgerError, match="entry-time-naive"):
        encode("operator.action", own_fields("operator.action"), START.replace(tzinfo=None))


@pytest.mark.parametrize("kind", sorted(KIND_NAMES))
def test_unknown_missing_and_wrongly_typed_fields_are_refused(kind: str) -> None:
    with pytest.raises(LedgerError, match="entry-field-unknown"):
        encode(kind, all_fields(kind, surprise="x"), START)
    for name, declared in KINDS[kind].fields.items():
        fields = all_fields(kind)
        del fields[name]
        with pytest.raises(LedgerError, match="entry-field-missing"):
            encode(kind, fields, START)
        number = declared in {FieldType.COUNT, FieldType.INDEX, FieldType.SEQUENCE}
        with pytest.raises(LedgerError, match="entry-field-wrong"):
            encode(kind, all_fields(kind, **{name: "text" if number else 7}), START)


def test_kinds_that_nobody_declared_are_refused() -> None:
    with pytest.raises(LedgerError, match="entry-kind-unknown"):
        encode("batch.invented", {}, START)
    for reserved in ("kind", "at"):
        with pytest.raises(LedgerError, match="entry-field-unknown"):
            encode("operator.action", {**all_fields("operator.action"), reserved: "x"}, START)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("total", -1),
        ("total", 2**53),
        ("total", True),
        ("total", 1.0),
        ("total", None),
        ("route_seq", 0),
        ("previous", -2),
        ("route", ""),
        ("route", "x" * 513),
        ("route", "two\nlines"),
        ("route", "escape \x1b[2J"),
        ("route", "c1 \x9b2J"),
        ("run_id", "x" * 4097),
        ("run_id", "bell\x07"),
        ("record_root", ""),
        ("record_root", "AB" * 32),
        ("record_root", "ab" * 31),
        ("peer_root", "ab"),
        ("claimed_at", "2026-11-22T06:02:37Z"),
        ("claimed_at", "2026-11-22 06:02:37.000000Z"),
        ("claimed_at", "2026-11-22T06:02:37.000000+00:00"),
        ("claimed_at", "2026-02-30T06:02:37.000000Z"),
    ],
)
def test_values_outside_their_type_are_refused(field: str, value: object) -> None:
    fields: dict[str, object] = {**all_fields("batch.reconciled"), field: value}
    with pytest.raises(LedgerError, match="entry-field-wrong"):
        encode("batch.reconciled", fields, START)  # type: ignore[arg-type]  # the wrong types are the point


@pytest.mark.parametrize("key", ["x" * 16_385, "two\nlines", "bell\x07"])
def test_a_key_is_one_line_of_bounded_length(key: str) -> None:
    encode("key.added", all_fields("key.added", key="x" * 16_384), START)
    with pytest.raises(LedgerError, match="entry-field-wrong"):
        encode("key.added", all_fields("key.added", key=key), START)


@pytest.mark.parametrize("token", ["", "AAE", "AAF=", "A A=", "AA==\n"])
def test_base64_has_one_form(token: str) -> None:
    with pytest.raises(LedgerError, match="entry-field-wrong"):
        encode("anchor", all_fields("anchor", token=token), START)


def test_an_entry_fits_a_bundle() -> None:
    base = len(encode("anchor", all_fields("anchor", token="AAAA"), START)) - 4
    room = (MAX_ENTRY_BYTES - base) // 4 * 4
    assert len(encode("anchor", all_fields("anchor", token="A" * room), START)) <= MAX_ENTRY_BYTES
    with pytest.raises(LedgerError, match="entry-too-large"):
        encode("anchor", all_fields("anchor", token="A" * (room + 4)), START)
    assert refusal(b" " * (MAX_ENTRY_BYTES + 1)) == "entry-too-large"


CANONICAL = encode("operator.action", own_fields("operator.action"), START)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"{}",
        b"null",
        b"[" * 60_000,
        b"9" * 60_000,
        CANONICAL + b"\n",
        b"\xef\xbb\xbf" + CANONICAL,
        CANONICAL.replace(b":", b": ", 1),
        CANONICAL.replace(b'"person":"name"', b'"person":"name","person":"name"'),
        CANONICAL.replace(b'"node":"name"', b'"node":"n\\u0061me"'),
        CANONICAL.replace(b'"node":"name"', b'"node":"n\xffme"'),
        CANONICAL.replace(b'"node":"name"', b'"node":"\\ud800"'),
        CANONICAL.replace(b"06:00:00.000000Z", b"06:00:00Z"),
        CANONICAL.replace(b'"kind":"operator.action",', b""),
        CANONICAL.replace(b'"kind":"operator.action"', b'"kind":["operator.action"]'),
        json.dumps(json.loads(CANONICAL)).encode(),
        json.dumps(json.loads(CANONICAL), sort_keys=False, separators=(",", ":"), ensure_ascii=True).encode(),
        CANONICAL.decode().encode("utf-16"),
    ],
)
def test_other_bytes_for_an_entry_are_refused(data: bytes) -> None:
    assert refusal(data) == "entry-not-canonical"


def test_other_numbers_for_an_entry_are_refused() -> None:
    data = encode("batch.reconciled", all_fields("batch.reconciled", total=10), START)
    for other in (b"1e1", b"10.0", b"+10", b"010", b"NaN", b"-0", b"null", b"true"):
        assert refusal(data.replace(b'"total":10', b'"total":' + other)).startswith("entry-")
    assert decode(data).number("total") == 10


@given(st.data())
@settings(max_examples=200)
def test_a_flipped_bit_gives_another_entry_or_none(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(CANONICAL) * 8 - 1))
    broken = bytearray(CANONICAL)
    broken[at // 8] ^= 1 << at % 8
    try:
        entry = decode(bytes(broken))
    except LedgerError:
        return
    assert encode(entry.kind, entry.fields, entry.at) == bytes(broken) != CANONICAL


@given(
    st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=40),
    st.datetimes(datetime(2000, 1, 1)),  # noqa: DTZ001  # bounds of a strategy have no zone
)
def test_any_text_and_time_round_trip(text: str, moment: datetime) -> None:
    fields = own_fields("operator.action", person=text)
    entry = decode(encode("operator.action", fields, moment.replace(tzinfo=UTC)))
    assert entry.text("person") == text
    assert entry.at == moment.replace(tzinfo=UTC)


def test_fields_are_asked_for_by_their_type() -> None:
    entry = decode(encode("batch.reconciled", all_fields("batch.reconciled", total=3), START))
    assert (entry.number("total"), entry.text("batch_id")) == (3, "name")
    with pytest.raises(LedgerError, match="entry-field-wrong"):
        entry.text("total")
    with pytest.raises(LedgerError, match="entry-field-wrong"):
        entry.number("batch_id")
