"""Every outgoing document passes libxml2, and every bad record in it is found and named."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest

from gateway.errors import MappingError
from gateway.mapping.document import DocumentPlan
from gateway.mapping.format_loader import load_format
from gateway.mapping.gate import Gate
from tests.mapping import licence_format as other
from tests.mapping.document_samples import LICENSE, batch, bodies, credit_format


@cache
def gate() -> Gate:
    return Gate(credit_format())


def good() -> str:
    return bodies(LICENSE, {})[0]


def test_what_our_renderer_and_envelope_make_passes() -> None:
    assert gate().check(batch([good()] * 20)) == ()
    assert gate().check(batch([])) == ()


def test_records_of_another_schema_pass_their_own_gate(tmp_path: Path) -> None:
    plan = other.other_plan(tmp_path)
    body = plan.render(other.records({})).frame["body"][0]
    assert Gate(plan.format).check(batch([body])) == ()


def test_every_bad_record_far_down_a_long_document_is_found() -> None:
    # libxml2 keeps line numbers in 16 bits, and lxml's global log keeps 100 entries: neither may hide a record.
    small = good().replace("测试甲", "")
    small = small.replace("<XK_FRDB></XK_FRDB>", "")
    wrong = small.replace("<XK_ZT>1", "<XK_ZT>9")
    missing = small.replace("<XK_ZT>1</XK_ZT>", "")
    total, step = 70_500, 640
    records = [small] * total
    bad = list(range(5, total, step))
    for place, index in enumerate(bad):
        records[index] = (wrong, missing)[place % 2]
    assert len(bad) > 100
    assert bad[-1] > 65_535
    errors = gate().check(batch(records))
    assert [error.record for error in errors] == bad
    assert {(error.code, error.target) for error in errors} == {
        ("code-unknown", "XK_ZT"),
        ("required-missing", "XK_ZT"),
    }
    assert errors[-1].line > 65_535


def test_several_things_wrong_in_one_record_are_all_told() -> None:
    body = (
        good().replace("<XK_ZT>1", "<XK_ZT>9").replace("2019/09/01", "昨天").replace("双环许可2019<", f"{'长' * 65}<")
    )
    errors = gate().check(batch([good(), body]))
    assert {(error.record, error.target, error.code) for error in errors} == {
        (1, "XK_ZT", "code-unknown"),
        (1, "XK_JDRQ", "pattern-mismatch"),
        (1, "XK_WSH", "too-long"),
    }


def test_an_error_is_a_sentence_without_the_value() -> None:
    body = good().replace("<XK_ZT>1", "<XK_ZT>机密")
    (error,) = gate().check(batch([body]))
    assert error.say() == "“XK_ZT”（来源栏：XK_ZT）的取值不在代码表中（现为 2 个字，汉字）。"
    assert "XK_ZT" in error.say("en")
    assert "机密" not in error.say("en") + error.say() + repr(error)


def test_an_element_of_an_unknown_namespace_is_an_error_of_its_record() -> None:
    errors = gate().check(batch([good(), '<Permit xmlns="urn:unknown"/>', good()]))
    assert [(error.record, error.code) for error in errors] == [(1, "schema-violation")]


def test_an_envelope_s_element_inside_a_record_is_an_error_of_the_record() -> None:
    nested = good().replace("<XK_ZT>1</XK_ZT>", '<Record xmlns="urn:credit-exchange:batch:1"/>')
    assert {error.record for error in gate().check(batch([good(), nested]))} == {1}


@pytest.mark.parametrize(
    ("old", "new", "target"),
    [
        (b"<Sequence>1</Sequence>", b"<Sequence>0</Sequence>", "Sequence"),
        (b"<Sequence>1</Sequence>\n", b"", "PreviousBatchId"),
        (b'<Record key="k0" ', b"<Record ", "Record"),
        (b"</Body>", b"</Body><Extra/>", "Extra"),
    ],
)
def test_what_is_wrong_with_the_envelope_is_told_apart(old: bytes, new: bytes, target: str) -> None:
    document = batch([good()])
    assert old in document
    errors = gate().check(document.replace(old, new))
    assert [(error.record, error.code, error.target) for error in errors] == [(None, "envelope-invalid", target)]
    assert str(errors[0].line) in errors[0].say()


def test_all_that_is_wrong_with_the_envelope_is_told() -> None:
    document = batch([good()]).replace(b"<Sequence>1<", b"<Sequence>x<").replace(b'version="1" op=', b'version="x" op=')
    assert [error.target for error in gate().check(document)] == ["Sequence", "Record"]


def test_a_withdrawal_s_reason_is_the_record_s_own_matter() -> None:
    document = batch([good(), good()]).replace(
        b'op="upsert"><Permit',
        b'op="withdraw"><Reason code="BAD">x</Reason></Record>\n<Record key="k9" version="1" op="upsert"><Permit',
        1,
    )
    assert [(error.record, error.target) for error in gate().check(document)] == [(0, "Reason")]


def test_records_that_do_not_go_together_are_named(tmp_path: Path) -> None:
    edits = {"licence": ('name="number" type="xs:token"', 'name="number" type="xs:ID"')}
    fmt = load_format(other.write_format(tmp_path, edits=edits), other.LIBRARY)
    plan = DocumentPlan(fmt, other.CATALOG, other.LIBRARY)
    same = plan.render(other.records({"number": "A"}, {"number": "B"}, {"number": "A"})).frame["body"].to_list()
    assert [(error.record, error.code) for error in Gate(fmt).check(batch(same))] == [(2, "schema-violation")]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (batch([]).replace(b"<Batch", b'<!DOCTYPE Batch [<!ENTITY x "y">]><Batch', 1), "document-doctype"),
        (batch([]).decode().replace("UTF-8", "UTF-16").encode("utf-16"), "document-encoding"),
        (batch([])[:-9], "document-malformed"),
    ],
)
def test_what_is_no_safe_document_is_refused(document: bytes, code: str) -> None:
    with pytest.raises(MappingError) as refused:
        gate().check(document)
    assert refused.value.code == code


def test_threads_do_not_mix_their_errors_up() -> None:
    # Long enough for libxml2 to be at work in several threads at once, each with an error of its own.
    whole = batch([good()] * 1500)
    edits = {
        "Sequence": (b"<Sequence>1<", b"<Sequence>x<"),
        "Catalog": (b"<Catalog>", b"<Catalog>X "),
        "Salt": (b"<Salt>0", b"<Salt>x"),
        "MappingDigest": (b"<MappingDigest>0", b"<MappingDigest>x"),
    }
    documents = [whole.replace(old, new) for old, new in edits.values()] * 4
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(gate().check, documents))
    assert [[error.target for error in errors] for errors in found] == [[target] for target in edits] * 4
