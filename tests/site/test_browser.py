"""The site in a real browser: search, pages, a decision, by keyboard alone, without an error on the console or a breach of its policy."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, Request, async_playwright, expect

from gateway.site.rendering import Pages
from tests.delivery.organisation import SetClock
from tests.site.shop import Shop, penalty, shown

BROWSER = Path("/usr/bin/chromium")
PICTURES = os.environ.get("SITE_PICTURES")  # a folder to leave pictures in, for a person to look at
PER_MONTH = 150


class Quiet(SimpleHTTPRequestHandler):
    """A web server like any other."""

    def log_message(self, *_args: Any) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Shop, str]]:
    shop = Shop(tmp_path, SetClock())
    shop.root.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(shop.root)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield shop, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def failed(request: Request) -> list[str]:
    """What the browser could not get; what it gave up itself, because a visitor went on, is no failure."""
    return [] if request.failure == "net::ERR_ABORTED" else [f"failed: {request.url}"]


async def picture(page: Page, name: str) -> None:
    if PICTURES:
        await page.screenshot(path=f"{PICTURES}/{name}.png", full_page=True)


@pytest.mark.skipif(not BROWSER.exists(), reason="Debian's chromium is not installed")
async def test_a_visitor_finds_reads_and_turns_pages(served: tuple[Shop, str]) -> None:
    shop, url = served
    decisions = [penalty(number) for number in range(300)]
    decisions[7]["subject_name"] = "牡丹江林区冷链运输有限责任公司"
    await shop.transport().send(shop.outgoing([shown(one) for one in decisions]))
    said: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(BROWSER), args=["--no-sandbox"])
        for width, height, device in ((1280, 900, "desktop"), (390, 844, "phone")):
            page = await browser.new_page(viewport={"width": width, "height": height})
            page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("requestfailed", lambda request: said.extend(failed(request)))
            page.on("request", lambda request: said.extend([] if request.url.startswith(url) else [request.url]))

            await page.goto(url)
            await picture(page, f"index-{device}")
            # By keyboard: the first stop skips the navigation, the search field takes words and Enter.
            await page.keyboard.press("Tab")
            assert await page.evaluate("document.activeElement.textContent") == "跳到正文"
            await page.keyboard.press("Enter")
            assert await page.evaluate("document.activeElement.id") == "main"
            await page.focus("#q")
            await page.keyboard.type("冷链　运输")
            await page.keyboard.press("Enter")
            await page.wait_for_url("**/search.html?**")
            await expect(page.locator("#status")).to_have_text("查到 1 条。")
            await picture(page, f"search-{device}")
            await page.focus("#results a")
            await page.keyboard.press("Enter")
            await page.wait_for_url("**/d/**")
            assert await page.inner_text("h1") == "牡丹江林区冷链运输有限责任公司"
            assert "《中华人民共和国道路运输条例》第六十三条" in await page.inner_text("main")
            assert await page.get_attribute("#until", "datetime") == decisions[7]["publicity_until"]
            await picture(page, f"detail-{device}")

            await page.goto(url + "search.html")
            await page.fill("#q", "2026")
            await page.select_option("#year", "2026")
            await page.click("button[type=submit]")
            await expect(page.locator("#status")).to_have_text("查到 300 条。")
            assert await page.locator("#results tbody tr").count() == 50
            await page.click("#more")
            assert await page.locator("#results tbody tr").count() == 100
            assert await page.evaluate("document.activeElement.closest('tr').rowIndex") == 51
            await page.fill("#q", "没有这一家")
            await page.keyboard.press("Enter")
            await expect(page.locator("#status")).to_have_text("没有查到公示中的信息。")

            await page.goto(url + "c/administrative-penalty/index.html")
            await picture(page, f"months-{device}")
            await page.click("text=10月")
            first = await page.inner_text("tbody th")
            await picture(page, f"list-{device}")
            await page.focus("a[rel=next]")
            await page.keyboard.press("Enter")
            await page.wait_for_url("**/2.html")
            assert await page.inner_text("tbody tr:first-child td") != first
            assert await page.get_attribute(".pages [aria-current]", "aria-label") == "第2页"
            wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, f"{device}: a page must not be wider than the window"
            await page.close()
        await browser.close()
    assert said == []


def test_the_policy_allows_nothing_from_elsewhere() -> None:
    head = Pages(title="甲", owner="乙", catalogs={}, shown=()).fronts([], [], "2026-01-01")
    for path, data in head:
        if path.endswith(".html"):
            policy = data.decode().partition('Content-Security-Policy" content="')[2].partition('"')[0]
            assert policy.startswith(("default-src &#39;none&#39;", "default-src 'none'"))
            assert "http" not in policy
            assert "unsafe" not in policy
