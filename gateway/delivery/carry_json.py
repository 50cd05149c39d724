"""Sealed batches of JSON formats as the receiver's own documents, each held against its schema again.

As many records in a document as its array takes. What is taken back stands in a document of its own, where the format names a file for it:
an array of objects, an item a record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final
from zoneinfo import ZoneInfo

from gateway.delivery.feedback_file import HEADINGS, read_feedback, taken_back
from gateway.errors import DeliveryError
from gateway.exchange.carrier import Answered, Carried
from gateway.mapping.batch_facts import BatchFacts
from gateway.mapping.json_model import JsonFormat
from gateway.mapping.json_plan import JsonPlan
from gateway.mapping.json_value import json_bytes
from gateway.mapping.sheet_model import SheetFeedback, moment_name
from gateway.package.batch import ParsedBatch
from gateway.package.fields import Fields, read_fields
from gateway.package.header import BatchHeader
from gateway.package.record import BatchRecord, Operation

__all__ = ["JsonCarrier", "facts_of"]

_FIRST: Final = 1  # documents have no headings


class JsonCarrier:
    """``plans_of`` gives the plans of a format (its id) for a catalog (its id), ``format_of`` the format itself; ``zone`` is the one in which
    files are named and batches dated."""

    def __init__(
        self,
        format_of: Callable[[str], JsonFormat],
        plans_of: Callable[[str, str], Sequence[JsonPlan]],
        zone: ZoneInfo,
    ) -> None:
        self._format_of = format_of
        self._plans_of = plans_of
        self._zone = zone

    def files(self, batch: ParsedBatch) -> Sequence[Carried]:
        """The documents of a batch, in the order of the templates.

        Raises PackageError, MappingError ``json-gate-refused``; DeliveryError ``sheets-withdrawal`` when records are taken back and the format
        names no file for that, ``sheets-template-unknown`` when the format has changed since, ``sheets-feedback-unsaid``.
        """
        fmt = self._format_of(batch.header.format.id)
        return tuple(self._files(fmt, _feedback(fmt), batch))

    def read(self, carried: Carried, feedback: bytes) -> Answered:
        """What a feedback file says, record by record, counted from 1 in the order of the document. Raises as
        :func:`gateway.delivery.feedback_file.read_feedback`."""
        return read_feedback(_feedback(self._format_of(carried.form)), carried, feedback, first=_FIRST)

    def _files(self, fmt: JsonFormat, feedback: SheetFeedback, batch: ParsedBatch) -> Iterator[Carried]:
        facts = facts_of(batch.header, self._zone)
        plans = {one.template.id: one for one in self._plans_of(fmt.id, batch.header.catalog)}
        filled: dict[str, list[tuple[str, Fields]]] = {name: [] for name in plans}
        withdrawn: list[BatchRecord] = []
        for record in batch.records:
            if record.op is not Operation.UPSERT:
                withdrawn.append(record)
                continue
            fields = read_fields(record.body or b"")
            if fields.template not in filled or not plans[fields.template].knows(fields):
                raise DeliveryError("sheets-template-unknown", format=fmt.id, template=fields.template)
            filled[fields.template].append((record.key, fields))

        def carried(name: str, data: bytes, keys: Sequence[str]) -> Carried:
            answer = f"{feedback.file.replace('{file}', name.removesuffix('.json'))}.{feedback.type}"
            return Carried(name=name, data=data, keys=tuple(keys), answer=answer, form=fmt.id)

        for plan in plans.values():
            all_of, most = filled[plan.template.id], plan.most or max(1, len(batch.records))
            parts = [all_of[start : start + most] for start in range(0, len(all_of), most)]
            for number, part in enumerate(parts, start=1):
                (document,) = plan.carry([fields for _, fields in part], facts)
                name = plan.template.file_name(facts.created_at, number, len(parts))
                yield carried(name, document, [key for key, _ in part])
        if withdrawn:
            if fmt.withdrawn is None:
                raise DeliveryError("sheets-withdrawal", format=fmt.id, count=len(withdrawn))
            listed = [dict(zip(HEADINGS, taken_back(one), strict=True)) for one in withdrawn]
            name = f"{moment_name(fmt.withdrawn, facts.created_at)}.json"
            yield carried(name, json_bytes(listed), [one.key for one in withdrawn])


def facts_of(header: BatchHeader, zone: ZoneInfo) -> BatchFacts:
    """What a document may tell of the batch with ``header``, in ``zone``."""
    return BatchFacts(
        id=header.batch_id,
        sequence=header.sequence,
        created_at=header.created_at.astimezone(zone),
        sender_code=header.sender.code,
        sender_name=header.sender.name,
        receiver_code=header.receiver.code,
        receiver_name=header.receiver.name,
        catalog=header.catalog,
    )


def _feedback(fmt: JsonFormat) -> SheetFeedback:
    if fmt.feedback is None:
        raise DeliveryError("sheets-feedback-unsaid", format=fmt.id)
    return fmt.feedback
