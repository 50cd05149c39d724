"""Sealed batches whose records are texts by place, as the receiver's own files: what sheets, JSON and XML do alike.

Each template fills files with its records, named as the template says; what is taken back stands in a list of its own, where the format
names a file for it. Everything stands in the package already: nothing is worked out anew.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar, Generic, Protocol, TypeVar
from zoneinfo import ZoneInfo

from gateway.delivery.feedback_file import read_feedback, taken_back
from gateway.errors import DeliveryError
from gateway.exchange.carrier import Answered, Carried
from gateway.mapping.batch_facts import BatchFacts
from gateway.mapping.file_shape import FileFeedback, file_name, numbered_name
from gateway.package.batch import ParsedBatch
from gateway.package.fields import Fields, read_fields
from gateway.package.header import BatchHeader
from gateway.package.record import BatchRecord, Operation

__all__ = ["FieldsCarrier", "Filling"]


class _Format(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def withdrawn(self) -> str | None: ...
    @property
    def feedback(self) -> FileFeedback | None: ...


_F = TypeVar("_F", bound=_Format)


class Filling(Protocol):
    """One template of a format."""

    @property
    def file(self) -> str:
        """The name of its files without the ending, as the format writes it."""
        ...

    def knows(self, body: Fields) -> bool:
        """Whether every text of a body has a place: one without means that the format has changed since it was sealed."""
        ...

    def documents(self, bodies: Sequence[Fields], facts: BatchFacts) -> Sequence[tuple[bytes, int]]:
        """The files of ``bodies``, at least one of them, in their order, each with the number of records in it. Raises GatewayError."""
        ...


class FieldsCarrier(ABC, Generic[_F]):
    """``format_of`` gives a format of its kind by its id; ``zone`` is the one in which files are named and batches dated.

    ``first`` is the number by which feedback calls the first record of a file.
    """

    first: ClassVar[int]

    def __init__(self, format_of: Callable[[str], _F], zone: ZoneInfo) -> None:
        self._format_of = format_of
        self._zone = zone

    def files(self, batch: ParsedBatch) -> Sequence[Carried]:
        """The files of a batch, in the order of the templates.

        Raises PackageError, MappingError as the kind of format has it; DeliveryError ``sheets-withdrawal`` when records are taken back and
        the format names no file for that, ``sheets-template-unknown`` when the format has changed since, ``sheets-feedback-unsaid``.
        """
        fmt = self._format_of(batch.header.format.id)
        return tuple(self._files(fmt, _feedback(fmt), batch))

    def read(self, carried: Carried, feedback: bytes) -> Answered:
        """What a feedback file says, record by record. Raises as :func:`gateway.delivery.feedback_file.read_feedback`."""
        return read_feedback(_feedback(self._format_of(carried.form)), carried, feedback, first=self.first)

    @abstractmethod
    def _fillings(self, fmt: _F, catalog: str) -> Mapping[str, Filling]:
        """The templates of a catalog (its id), by their ids. Raises GatewayError."""

    @abstractmethod
    def _ending(self, fmt: _F) -> str:
        """What the names of files end in, with the dot."""

    @abstractmethod
    def _list(self, fmt: _F, rows: Sequence[Sequence[str | None]]) -> bytes:
        """The file that lists what is taken back: ``rows`` as :func:`gateway.delivery.feedback_file.taken_back` gives them."""

    def _files(self, fmt: _F, feedback: FileFeedback, batch: ParsedBatch) -> Iterator[Carried]:
        facts = _facts_of(batch.header, self._zone)
        fillings = self._fillings(fmt, batch.header.catalog)
        filled: dict[str, list[tuple[str, Fields]]] = {name: [] for name in fillings}
        withdrawn: list[BatchRecord] = []
        for record in batch.records:
            if record.op is not Operation.UPSERT:
                withdrawn.append(record)
                continue
            fields = read_fields(record.body or b"")
            if fields.template not in filled or not fillings[fields.template].knows(fields):
                raise DeliveryError("sheets-template-unknown", format=fmt.id, template=fields.template)
            filled[fields.template].append((record.key, fields))

        def carried(name: str, data: bytes, keys: Sequence[str]) -> Carried:
            return Carried(
                name=f"{name}{self._ending(fmt)}",
                data=data,
                keys=tuple(keys),
                answer=f"{feedback.file.replace('{file}', name)}.{feedback.type}",
                form=fmt.id,
            )

        for template, filling in fillings.items():
            keys = [key for key, _ in filled[template]]
            bodies = [fields for _, fields in filled[template]]
            documents = filling.documents(bodies, facts) if bodies else ()
            name = file_name(filling.file, facts.created_at, facts.sequence)
            start = 0
            for number, (data, count) in enumerate(documents, start=1):
                yield carried(numbered_name(name, number, len(documents)), data, keys[start : start + count])
                start += count
        if withdrawn:
            if fmt.withdrawn is None:
                raise DeliveryError("sheets-withdrawal", format=fmt.id, count=len(withdrawn))
            name = file_name(fmt.withdrawn, facts.created_at, facts.sequence)
            yield carried(name, self._list(fmt, [taken_back(one) for one in withdrawn]), [one.key for one in withdrawn])


def _facts_of(header: BatchHeader, zone: ZoneInfo) -> BatchFacts:
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


def _feedback(fmt: _Format) -> FileFeedback:
    if fmt.feedback is None:
        raise DeliveryError("sheets-feedback-unsaid", format=fmt.id)
    return fmt.feedback
