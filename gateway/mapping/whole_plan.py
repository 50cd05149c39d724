"""A format of whole XML documents in batches: records → texts by place, sealed → the receiver's documents, each held against its schema.

The texts of a record travel in its sealed body; :meth:`WholePlan.carry` makes the receiver's documents of them again, byte for byte. What
a document tells of its batch is the sealed batch's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from gateway.mapping.batch_facts import SOME_BATCH, BatchFacts
from gateway.mapping.document import DocumentPlan, Rendered
from gateway.mapping.explain import Explanation
from gateway.mapping.fields_plan import fields_body
from gateway.mapping.gate import refusal
from gateway.mapping.level_texts import all_placed, element_texts, elements_of
from gateway.package.fields import Fields

__all__ = ["WholePlan"]

_CHUNK: Final = 1_000
_AROUND: Final = Explanation(target="/", code="schema-violation", expected="minOccurs")
"""What stands around the records has to be there, and something that it must hold is missing."""
_Texts = Mapping[str, str]


class WholePlan:
    """The compiled way from one catalog's records to sealed bodies, and from these to documents. Any thread may use it."""

    def __init__(self, document: DocumentPlan, zone: ZoneInfo) -> None:
        """``zone`` is where an instant becomes a calendar day."""
        self._document = document
        self._zone = zone
        self.catalog = document.catalog
        self.digest = document.digest

    def render(self, records: pl.DataFrame, facts: BatchFacts) -> Rendered:
        """The ``Fields`` bodies of ``records``, a canonical frame with ``@key`` and perhaps ``@row``, in their order."""
        # What is not known yet stands in no body; the schema is asked as if it were some batch's.
        some = replace(
            facts,
            id=SOME_BATCH.id,
            sequence=SOME_BATCH.sequence,
            created_at=facts.created_at.astimezone(self._zone),
        )
        written = self._document.written(records, some)
        sound = written.texts.is_not_null()
        taken = records.filter(sound)
        good = [one for one, right in zip(element_texts(self._document.record, written), sound, strict=True) if right]
        keys = taken["@key"].to_list()
        rows = taken["@row"].to_list() if "@row" in taken.columns else [None] * len(keys)
        refused = self._against(good, some)
        bodies = [
            (key, fields_body(self.catalog.id, texts.items()))
            for place, (key, texts) in enumerate(zip(keys, good, strict=True))
            if place not in refused
        ]
        told = [(place, one) for place in sorted(refused) for one in refused[place]]
        frame = pl.DataFrame(bodies, schema={"@key": pl.String, "body": pl.String}, orient="row")
        return Rendered(frame=frame, problems=pl.concat([written.problems, self._document.told(told, (), rows, keys)]))

    def knows(self, body: Fields) -> bool:
        """Whether every text of a sealed body has a place in the documents: nothing gets lost when it is carried."""
        return body.template == self.catalog.id and all_placed(self._document.record, body.texts)

    def carry(self, bodies: Sequence[Fields], facts: BatchFacts) -> tuple[tuple[bytes, int], ...]:
        """The documents of sealed ``bodies``, each with the number of records in it. The same bodies and facts make the same bytes.

        ``facts`` are told in the zone that they carry. Raises MappingError ``gate-refused``.
        """
        made: list[tuple[bytes, int]] = []
        for body, count in self._wholes([body.texts for body in bodies], self._document.most, facts):
            if body is None:
                raise refusal(self._document.format.id, _AROUND)
            made.append((self._document.passed(body), count))
        return tuple(made)

    def _against(self, texts: Sequence[_Texts], facts: BatchFacts) -> Mapping[int, Sequence[Explanation]]:
        """What the schema has against records, by their place: judged is what will be carried."""
        found: dict[int, Sequence[Explanation]] = {}
        start = 0
        for body, count in self._wholes(texts, min(_CHUNK, self._document.most or _CHUNK), facts):
            against = self._refusals(body)
            if against and count == 1:
                found[start] = against
            elif against:
                alone = self._wholes(texts[start : start + count], 1, facts)
                found |= {start + n: told for n, (one, _) in enumerate(alone) if (told := self._refusals(one))}
            start += count
        return found

    def _refusals(self, body: str | None) -> Sequence[Explanation]:
        return (_AROUND,) if body is None else self._document.refusals(body)

    def _wholes(self, texts: Sequence[_Texts], most: int | None, facts: BatchFacts) -> Iterator[tuple[str | None, int]]:
        """The documents of records, ``most`` in each where they stand together, and how many are in each; None where what stands around
        them cannot be written."""
        record = self._document.record
        if not self._document.gathers:
            for text in elements_of(record, texts, facts.frame().row(0, named=True), declared=True):
                yield text, 1
            return
        for start in range(0, len(texts), most or max(1, len(texts))):
            part = texts[start : start + (most or len(texts))]
            elements = elements_of(record, part, facts.frame(len(part)).row(0, named=True), declared=False)
            yield self._document.around(elements, facts)[0], len(part)
