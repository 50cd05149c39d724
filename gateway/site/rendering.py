"""The pages of a publication site as bytes: pure functions of what is shown. Every text of a record is escaped by the template.

Nothing is loaded from elsewhere and no script stands in a page: the policy in each head says so to the browser.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from gateway.catalog.model import Catalog
from gateway.site.shelf import Decision

__all__ = ["ASSETS", "PER_PAGE", "PER_SHARD", "Pages", "detail_path", "list_path", "shard_path"]

PER_PAGE: Final = 50
PER_SHARD: Final = 2_000
ASSETS: Final = ("site.css", "search.js", "icon.svg")
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'self'"
)
# What a list shows of a decision, by the first of these fields that a catalog has.
_TITLE = ("subject_name", "person_name", "title", "measure", "qualification", "project_name", "certificate_name")
_NUMBER = ("document_number", "case_number", "certificate_number")
_UNIT = (
    "authority_name",
    "identified_by",
    "evaluated_by",
    "decided_by",
    "issued_by",
    "published_by",
    "source_unit_name",
)
_MATTER = ("violation_kind", "document_name", "license_kind", "content")
_SECTIONS: Final = (
    ("相对人", ("subject_", "person_", "legal_representative", "former_", "short_")),
    (
        "机关和来源",
        ("authority_", "source_unit_", "identified_by", "evaluated_by", "decided_by", "issued_by", "published_by"),
    ),
)


def detail_path(decision_id: str) -> str:
    """Where a decision's page is."""
    return f"d/{decision_id[:2]}/{decision_id}.html"


def list_path(catalog: str, month: str, number: int) -> str:
    """Where the page ``number`` (from 1) of a month is."""
    return f"c/{catalog}/{month}/{number}.html"


def shard_path(catalog: str, month: str, number: int) -> str:
    """Where the part ``number`` (from 1) of a month's search index is."""
    return f"search/{catalog}-{month}-{number}.json"


@dataclass(frozen=True)
class Pages:
    """Renders for the site called ``title`` of the organisation ``owner``. ``shown`` are the ids of the catalogs that it shows, in the order
    of its navigation."""

    title: str
    owner: str
    catalogs: Mapping[str, Catalog]
    shown: Sequence[str]
    contact: str = ""

    @cached_property
    def _templates(self) -> Environment:
        made = Environment(
            loader=PackageLoader("gateway.site", "pages"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        nav = [(name, self.catalogs[name].zh) for name in self.shown]
        made.globals.update(site=self.title, owner=self.owner, contact=self.contact, policy=POLICY, nav=nav)
        return made

    def detail(self, decision: Decision) -> bytes:
        """The page of one decision."""
        catalog = self.catalogs[decision.catalog]
        return self._render(
            "detail.html",
            root="../../",
            current=decision.catalog,
            catalog=catalog,
            line=self._line(decision),
            sections=self._sections(catalog, decision.fields or {}),
            day=decision.day,
            until=decision.until,
            back=list_path(decision.catalog, decision.month, 1),
        )

    def lists(self, catalog: str, month: str, decisions: Sequence[Decision]) -> Iterator[tuple[str, bytes]]:
        """The pages of one month."""
        count = (len(decisions) + PER_PAGE - 1) // PER_PAGE
        for number in range(1, count + 1):
            shown = decisions[(number - 1) * PER_PAGE : number * PER_PAGE]
            numbers = sorted({1, count, *(n for n in range(number - 2, number + 3) if 1 <= n <= count)})
            yield (
                list_path(catalog, month, number),
                self._render(
                    "list.html",
                    root="../../../",
                    current=catalog,
                    catalog=self.catalogs[catalog],
                    month=month,
                    lines=[self._line(one) for one in shown],
                    number=number,
                    numbers=numbers,
                    count=count,
                    total=len(decisions),
                ),
            )

    def shards(self, catalog: str, month: str, decisions: Sequence[Decision]) -> Iterator[tuple[str, bytes]]:
        """The search index of one month: arrays of id, name, number, code, day, unit."""
        for start in range(0, len(decisions), PER_SHARD):
            rows = []
            for one in decisions[start : start + PER_SHARD]:
                line = self._line(one)
                code = (one.fields or {}).get("subject_code", "")
                rows.append([one.id, line["title"], line["number"], code, one.day, line["unit"]])
            text = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
            yield shard_path(catalog, month, start // PER_SHARD + 1), text.encode()

    def fronts(
        self, months: Sequence[tuple[str, str, int]], newest: Sequence[Decision], updated: str
    ) -> Iterator[tuple[str, bytes]]:
        """The pages that lead to the others: the first page, one for each catalog, search and its table of contents."""
        found: dict[str, list[tuple[str, int]]] = {}
        for name, month, count in months:
            found.setdefault(name, []).append((month, count))
        shown = [self.catalogs[name] for name in self.shown]
        total = {catalog.id: sum(count for _, count in found.get(catalog.id, ())) for catalog in shown}
        lines = [self._line(one) for one in newest]
        yield (
            "index.html",
            self._render(
                "index.html", root="", current="index", shown=shown, total=total, lines=lines, updated=updated
            ),
        )
        for catalog in shown:
            years: dict[str, list[tuple[str, int]]] = {}
            for month, count in found.get(catalog.id, ()):
                years.setdefault(month[:4], []).append((month, count))
            yield (
                f"c/{catalog.id}/index.html",
                self._render(
                    "months.html",
                    root="../../",
                    current=catalog.id,
                    catalog=catalog,
                    years=years,
                    total=total[catalog.id],
                ),
            )
        contents = [
            {
                "catalog": name,
                "label": self.catalogs[name].zh,
                "month": month,
                "count": count,
                "shards": (count + PER_SHARD - 1) // PER_SHARD,
            }
            for name, month, count in months
        ]
        yield "search/contents.json", json.dumps(contents, ensure_ascii=False).encode()
        every = sorted({month[:4] for _, month, _ in months}, reverse=True)
        yield "search.html", self._render("search.html", root="", current="search", shown=shown, years=every)
        yield "about.html", self._render("about.html", root="", current="about")
        for asset in ASSETS:
            yield asset, resources.files("gateway.site").joinpath("pages", asset).read_bytes()

    def _render(self, template: str, **facts: object) -> bytes:
        return self._templates.get_template(template).render(**facts).encode()

    def _line(self, decision: Decision) -> dict[str, str]:
        fields = decision.fields or {}
        return {
            "title": _first(fields, _TITLE) or decision.key,
            "number": _first(fields, _NUMBER) or decision.key,
            "unit": _first(fields, _UNIT),
            "matter": _first(fields, _MATTER),
            "day": decision.day,
            "until": decision.until or "",
            "path": detail_path(decision.id),
            "catalog": self.catalogs[decision.catalog].zh,
        }

    @staticmethod
    def _sections(catalog: Catalog, fields: Mapping[str, str]) -> list[tuple[str, list[tuple[str, str]]]]:
        """Labels and texts in the catalog's order, in three groups."""
        rest: list[tuple[str, str]] = []
        grouped: dict[str, list[tuple[str, str]]] = {name: [] for name, _ in _SECTIONS}
        for field in catalog.fields:
            if field.name not in fields:
                continue
            home = next((name for name, starts in _SECTIONS if field.name.startswith(starts)), None)
            (rest if home is None else grouped[home]).append((field.zh.split("_")[0], fields[field.name]))
        about, unit = grouped[_SECTIONS[0][0]], grouped[_SECTIONS[1][0]]
        sections = [(_SECTIONS[0][0], about), ("决定内容", rest), (_SECTIONS[1][0], unit)]
        return [(name, rows) for name, rows in sections if rows]


def _first(fields: Mapping[str, str], names: Sequence[str]) -> str:
    return next((fields[name] for name in names if fields.get(name)), "")
