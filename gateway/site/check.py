"""A site held against what it should show, by looking at its files."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha256

from gateway.site.folder import SiteFolder
from gateway.site.rendering import detail_path
from gateway.site.shelf import Shelf

__all__ = ["Checked", "check_site"]

_UNTIL = re.compile(rb'<time id="until" datetime="([0-9]{4}-[0-9]{2}-[0-9]{2})">')
_DETAIL = re.compile(r"d/[0-9a-f]{2}/([0-9a-f]{24})\.html")


@dataclass(slots=True, kw_only=True)
class Checked:
    """``shown`` decisions; paths of files that are ``missing``, ``altered`` (other bytes than were written), ``stray`` (nobody wrote them);
    pages of decisions that were taken back (``lingering``) or whose last day is over (``over``); lists and indexes that still name one of
    them (``named``)."""

    shown: int = 0
    files: int = 0
    missing: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)
    lingering: list[str] = field(default_factory=list)
    over: list[str] = field(default_factory=list)
    named: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether everything is as it should be."""
        return not any((self.missing, self.altered, self.stray, self.lingering, self.over, self.named))


def check_site(shelf: Shelf, folder: SiteFolder, today: str) -> Checked:
    """Read every file of the site once. ``today`` is ``YYYY-MM-DD``."""
    found = Checked()
    with shelf.open() as conn:
        expected = Shelf.pages(conn)
        shown = dict(Shelf.shown(conn))
    found.shown = len(shown)
    known = {detail_path(name) for name in shown}
    ended = {name for name, until in shown.items() if until is not None and until < today}
    links = re.compile(rb"[0-9a-f]{24}")
    there = folder.files()
    found.files = len(there)
    found.missing = sorted(set(expected) - set(there))
    for path in there:
        data = folder.read(path) or b""
        match = _DETAIL.fullmatch(path)
        if match is not None and path not in known:
            found.lingering.append(path)
        elif path not in expected:
            found.stray.append(path)
        elif sha256(data).digest() != expected[path][1]:
            found.altered.append(path)
        if match is not None:
            until = _UNTIL.search(data)
            if until is not None and until[1].decode() < today:
                found.over.append(path)
        elif path.endswith((".html", ".json")):
            names = {name.decode() for name in links.findall(data)}
            if any(name not in shown or name in ended for name in names):
                found.named.append(path)
    return found
