"""What a site shows is what it was given: written once, removed when taken back, the same however often it comes, and a check that looks."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from gateway.errors import ExchangeError
from gateway.exchange.outcome import Acknowledged, Later, NeverReceived, Refused
from gateway.package.receipt import SentBatch, check_receipt
from gateway.site.check import check_site
from gateway.site.rendering import detail_path, list_path
from gateway.site.shelf import decision_id
from tests.delivery.organisation import SetClock
from tests.package.samples import RECEIVER, draft, ecdsa
from tests.site.shop import CATALOGS, Shop, gone, penalty, shown

MANY = [penalty(number) for number in range(160)]


def page_of(number: int) -> str:
    return detail_path(decision_id(CATALOGS[0], MANY[number]["document_number"]))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, SetClock())


async def test_a_batch_is_published_once_and_its_receipt_is_ours(shop: Shop) -> None:
    transport, outgoing = shop.transport(), shop.outgoing([shown(one) for one in MANY])
    assert isinstance(await transport.receipt(outgoing.batch_id), NeverReceived)
    first = await transport.send(outgoing)
    assert isinstance(first, Acknowledged)
    sent = SentBatch(
        batch_id=outgoing.batch_id,
        route=draft(catalog=CATALOGS[0]).route,
        sequence=1,
        package_sha256=__import__("hashlib").sha256(outgoing.package).hexdigest(),
        total=160,
        checkpoint=draft().checkpoint,
        receiver_code=RECEIVER.code,
        version_of={one["document_number"]: 1 for one in MANY}.get,
        taken_down=True,
    )
    assert check_receipt(first.receipt, sent, [ecdsa().certificate]).receipt.figures.created == 160
    before = shop.files()
    again = await transport.send(outgoing)
    assert isinstance(again, Acknowledged)
    assert (again.receipt, again.stored) == (first.receipt, True)
    assert shop.files() == before
    other = await transport.send(shop.outgoing([shown(one) for one in MANY[:1]]))
    assert isinstance(other, Refused)
    assert other.code == "batch-id-conflict"
    assert (shop.folder / "sites" / "site.db").stat().st_mode & 0o077 == 0


async def test_only_what_changes_is_written(shop: Shop) -> None:
    transport = shop.transport()
    await transport.send(shop.outgoing([shown(one) for one in MANY]))
    before = {path: path.stat().st_mtime_ns for path in shop.root.rglob("*.html")}
    changed = MANY[3] | {"content": "罚款10000元"}
    await transport.send(shop.outgoing([shown(changed, 2)], 2))
    touched = {path.relative_to(shop.root).as_posix() for path in before if path.stat().st_mtime_ns != before[path]}
    assert touched == {page_of(3)}, "lists and the first page say the same as before"
    assert "罚款10000元" in (shop.root / page_of(3)).read_text("utf-8")
    older = MANY[3] | {"content": "旧"}
    await transport.send(shop.outgoing([shown(older, 1)], 3))
    assert "罚款10000元" in (shop.root / page_of(3)).read_text("utf-8"), "an older version changes nothing"


async def test_what_is_taken_back_is_gone_everywhere(shop: Shop) -> None:
    transport = shop.transport()
    await transport.send(shop.outgoing([shown(one) for one in MANY]))
    assert (shop.root / list_path(CATALOGS[0], "2026-11", 2)).is_file()
    november = [one for one in MANY if one["decided_on"].startswith("2026-11")]
    await transport.send(shop.outgoing([gone(one) for one in november[:60]], 2))
    for one in november[:60]:
        name = decision_id(CATALOGS[0], one["document_number"])
        assert not any(name in path or name.encode() in data for path, data in shop.files().items())
        assert not any(one["document_number"].encode() in data for data in shop.files().values())
    assert not (shop.root / list_path(CATALOGS[0], "2026-11", 2)).exists(), "a page too many is removed"
    publisher = shop.publisher()
    assert check_site(publisher.shelf, publisher.folder, "2026-11-22").sound
    await transport.send(shop.outgoing([gone(one) for one in MANY], 3))
    assert list(shop.root.glob("d/*/*.html")) == []
    assert "没有公示中的信息" in (shop.root / "index.html").read_text("utf-8")
    assert check_site(publisher.shelf, publisher.folder, "2026-11-22").sound


async def test_the_check_looks_at_the_files(shop: Shop) -> None:
    await shop.transport().send(shop.outgoing([shown(one) for one in MANY]))
    publisher = shop.publisher()

    def found(today: str = "2026-11-22") -> dict[str, int]:
        checked = check_site(publisher.shelf, publisher.folder, today)
        names = ("missing", "altered", "stray", "lingering", "over", "named")
        return {name: len(getattr(checked, name)) for name in names if getattr(checked, name)}

    assert found() == {}
    assert found("2028-01-01")["over"] == 160
    kept = (shop.root / page_of(0)).read_bytes()
    (shop.root / page_of(0)).unlink()
    assert found() == {"missing": 1}
    (shop.root / page_of(0)).write_bytes(kept.replace(b"20000", b"10"))
    assert found() == {"altered": 1}
    (shop.root / page_of(0)).write_bytes(kept)
    (shop.root / "note.txt").write_text("x")
    assert found() == {"stray": 1}
    (shop.root / "note.txt").unlink()
    with publisher.shelf.open() as conn:
        conn.execute("UPDATE decision SET fields = NULL WHERE key = ?", (MANY[0]["document_number"],))
    wrong = found()
    assert wrong["lingering"] == 1
    assert wrong["named"] >= 2, "its list and the search index name it still"
    with publisher.shelf.open() as conn:
        publisher.rebuild(conn, "2026-11-22")
    assert found() == {"lingering": 1}


async def test_rebuilding_mends_files(shop: Shop) -> None:
    await shop.transport().send(shop.outgoing([shown(one) for one in MANY]))
    before = shop.files()
    for path in ("index.html", page_of(1), "site.css"):
        (shop.root / path).write_text("broken")
    publisher = shop.publisher()
    with publisher.shelf.open() as conn:
        done = publisher.rebuild(conn, SetClock().now().date().isoformat())
    assert sorted(path for path, _, _ in done.written) == sorted(["index.html", page_of(1), "site.css"])
    assert shop.files() == before


async def test_a_folder_that_cannot_be_written_is_tried_later(shop: Shop) -> None:
    shop.root.write_text("a file is in the way")
    outgoing = shop.outgoing([shown(one) for one in MANY[:3]])
    assert await shop.transport().send(outgoing) == Later(why="site-unwritable")
    assert isinstance(await shop.transport().receipt(outgoing.batch_id), NeverReceived)
    shop.root.unlink()
    assert isinstance(await shop.transport().send(outgoing), Acknowledged)


async def test_a_body_of_another_format_is_rejected_and_the_rest_shown(shop: Shop) -> None:
    bad = shown(MANY[0]).replace(b"publication:1", b"publication:2")
    outcome = await shop.transport().send(shop.outgoing([bad, shown(MANY[1])]))
    assert isinstance(outcome, Acknowledged)
    assert not (shop.root / page_of(0)).exists()
    assert (shop.root / page_of(1)).is_file()


async def test_there_are_no_digests(shop: Shop) -> None:
    with pytest.raises(ExchangeError, match="site-not-compared"):
        await shop.transport().digests("a/b/c", "")


class Outline(HTMLParser):
    """What a screen reader finds: language, landmarks, headings, scopes, labels; and what a browser would load."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.scopes = 0
        self.heads = 0
        self.loads: list[str] = []
        self.lang = ""
        self.inline = False
        self.labelled: set[str] = set()
        self.controls: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.lang = given.get("lang") or self.lang
        self.heads += tag == "th"
        self.scopes += tag == "th" and "scope" in given
        self.inline = self.inline or "style" in given or any(name.startswith("on") for name in given)
        self.inline = self.inline or (tag == "script" and "src" not in given) or tag == "style"
        if tag in {"script", "img", "link"}:
            self.loads.append(given.get("src") or given.get("href") or "")
        if tag == "label":
            self.labelled.add(given.get("for") or "")
        if tag in {"input", "select"}:
            self.controls.add(given.get("id") or "")


async def test_pages_are_for_everybody(shop: Shop) -> None:
    markup = MANY[0] | {"subject_name": "<script>alert(1)</script>有限公司", "content": '第一行\n"第二行" & <b>'}
    await shop.transport().send(shop.outgoing([shown(markup), *(shown(one) for one in MANY[1:])]))
    for path, data in shop.files().items():
        if not path.endswith(".html"):
            continue
        outline = Outline()
        outline.feed(data.decode())
        assert outline.lang == "zh-CN", path
        assert [outline.tags.count(tag) for tag in ("h1", "main", "header", "footer")] == [1, 1, 1, 1], path
        assert outline.tags.count("nav") >= 1
        assert outline.heads == outline.scopes, path
        assert outline.tags.count("table") == outline.tags.count("caption")
        assert outline.controls <= outline.labelled, path
        assert not outline.inline, path
        assert not any(one.startswith(("http", "//")) for one in outline.loads), path
        assert b"Content-Security-Policy" in data
        assert b"default-src &#39;none&#39;" in data or b"default-src 'none'" in data
        assert b"<script>alert" not in data
