"""No personal identifier reaches the site: whatever a record says and wherever it says it, no file of the site has it."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.catalog.model import Disclosure
from gateway.mapping.canonical import decode
from gateway.mapping.disclosure import Sight
from gateway.mapping.document import DocumentPlan
from gateway.mapping.format_loader import load_format
from gateway.package.batch import build_batch, parse_batch
from gateway.package.record import Operation, record_line
from gateway.site.folder import SiteFolder
from gateway.site.publisher import Publisher
from gateway.site.rendering import Pages
from gateway.site.shelf import Shelf
from tests.mapping.record_samples import MAPPINGS, catalog, library
from tests.mapping.test_disclosure import COMPANY_KIND, records
from tests.package.samples import draft


@pytest.mark.parametrize("name", ["administrative-license", "administrative-penalty"])
@settings(max_examples=3, deadline=None)
@given(data=st.data())
def test_no_file_of_the_site_names_a_person(name: str, data: st.DataObject) -> None:
    of = catalog(name)
    drawn = data.draw(st.lists(records(of), min_size=6, max_size=10, unique_by=lambda one: one["document_number"]))
    keys = [one["document_number"] for one in drawn]
    frame = decode([json.dumps(one, ensure_ascii=False) for one in drawn], of).with_columns(pl.Series("@key", keys))
    plan = DocumentPlan(load_format(MAPPINGS / "formats" / "publication", library()), of, library())
    rendered = plan.render(Sight(catalog=of, clearance=Disclosure.PUBLIC).apply(frame))
    assert rendered.frame.height == len(drawn), rendered.problems
    lines = [
        record_line(key, 1, Operation.UPSERT, body) for key, body in rendered.frame.select("@key", "body").iter_rows()
    ]
    batch = parse_batch(build_batch(draft(catalog=name), lines).xml)
    with TemporaryDirectory() as home:
        pages = Pages(title="双公示", owner="示例", catalogs=library().catalogs, shown=(name,))
        folder = Path(home) / "public"
        publisher = Publisher(shelf=Shelf(Path(home) / "site.db"), folder=SiteFolder(folder), pages=pages)
        with publisher.shelf.open() as conn:
            done = publisher.publish(conn, batch, "2026-11-22")
        assert not done.refused
        texts = [path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()]
        held = (Path(home) / "site.db").read_bytes()
    for record in drawn:
        person = record["subject_kind"] != COMPANY_KIND
        for field in of.fields:
            secret = record[field.name]
            if field.personal and (field.name != "subject_name" or person):
                # Another record of the draw may be about an organisation of that name; a name in these is a person's.
                assert not any(secret in text for text in texts), field.name
                assert secret.encode() not in held, field.name
            if field.disclosure is not Disclosure.PUBLIC and field.name == "remarks":
                assert not any(secret in text for text in texts)
