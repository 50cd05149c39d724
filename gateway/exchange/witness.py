"""A witness asked for its cosignature (C2SP tlog-witness, ``add-checkpoint``): somebody else who remembers how far our ledger was.

A witness signs a checkpoint only when it continues the last one that it signed, so that nobody is shown two histories under its signature.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from gateway.errors import ExchangeError, LedgerError
from gateway.exchange.fetch import Fetched, FetchLimits, check_address, post
from gateway.ledger.cosignature import Cosignature, CosignerKey, find_cosignature
from gateway.ledger.encoding import to_base64

__all__ = ["Inconsistent", "Stands", "Witness", "WitnessAnswer"]

_SIZE_TYPE: Final = "text/x.tlog.size"
_SIZE: Final = re.compile(rb"(0|[1-9][0-9]{0,15})\n")
_MAX_HASHES: Final = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Stands:
    """409: the witness has cosigned another size than the one that the proof began at; ask again with a proof from ``size``."""

    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inconsistent:
    """The witness holds a checkpoint of ours that this one does not continue: 422, or 409 over two roots of one size."""


WitnessAnswer = Cosignature | Stands | Inconsistent


class Witness:
    """A witness called ``name``; ``url`` is its submission prefix, ``key`` verifies its cosignatures. ``tls`` is needed for an https address.

    Raises ExchangeError ``service-address``.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        key: CosignerKey,
        tls: ssl.SSLContext | None = None,
        limits: FetchLimits | None = None,
    ) -> None:
        check_address(url, tls)
        self.name = name
        self._url = f"{url}/add-checkpoint"
        self._key = key
        self._tls = tls
        self._limits = limits or FetchLimits()

    async def add_checkpoint(self, note: bytes, old: int, proof: Sequence[bytes]) -> WitnessAnswer:
        """Ask for a cosignature on the checkpoint ``note``, with the consistency proof from ``old`` entries (0 has none).

        Raises ExchangeError: ``service-silent``, ``service-answer-too-large``, ``witness-unknown-log``, ``witness-refuses``,
        ``witness-answer-malformed``.
        """
        if len(proof) > _MAX_HASHES:
            raise ValueError("more hashes than any tree has levels")
        lines = [f"old {old}", *map(to_base64, proof), ""]
        body = "".join(f"{line}\n" for line in lines).encode() + note
        headers = {"Content-Type": "text/plain; charset=utf-8", "Accept": f"text/plain, {_SIZE_TYPE}"}
        answer = await post(self._url, body, headers=headers, tls=self._tls, limits=self._limits)
        match answer.status:
            case HTTPStatus.OK:
                return self._cosigned(note, answer.body)
            case HTTPStatus.CONFLICT:
                size = self._size(answer)
                return Inconsistent() if size == old else Stands(size=size)
            case HTTPStatus.UNPROCESSABLE_ENTITY:
                return Inconsistent()
            case HTTPStatus.NOT_FOUND | HTTPStatus.FORBIDDEN:
                raise ExchangeError("witness-unknown-log", witness=self.name, status=answer.status)
            case status:
                raise ExchangeError("witness-refuses", witness=self.name, status=status)

    def _cosigned(self, note: bytes, body: bytes) -> Cosignature:
        text = note.decode("utf-8").rpartition("\n\n")[0] + "\n"
        try:
            return find_cosignature(text, body.decode("utf-8"), self._key)
        except (LedgerError, UnicodeDecodeError) as error:
            code = error.code if isinstance(error, LedgerError) else "encoding"
            raise ExchangeError("witness-answer-malformed", witness=self.name, why=code) from error

    def _size(self, answer: Fetched) -> int:
        found = _SIZE.fullmatch(answer.body)
        if answer.media_type != _SIZE_TYPE or found is None:
            raise ExchangeError("witness-answer-malformed", witness=self.name, why="size")
        return int(found[1])
