"""How much of a stranger's bytes is read before they are refused."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]

_KIB = 1024
_MIB = 1024 * _KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Budgets for one package; sizes in bytes.

    The defaults take a batch of 100,000 records of about 1.2 KB. ``receipt_bytes`` and ``record_bytes`` also bound the longest
    single XML token: expat before 2.6.0 works quadratically on tokens that span its 1 MiB slices (CVE-2023-52425).
    """

    package_bytes: int = 64 * _MIB
    document_bytes: int = 128 * _MIB  # batch.xml
    receipt_bytes: int = 32 * _MIB  # receipt.xml
    manifest_bytes: int = 16 * _KIB
    signature_bytes: int = 64 * _KIB
    ratio: int = 200  # inflated : compressed, of each entry
    records: int = 100_000
    record_bytes: int = _MIB
    header_bytes: int = 64 * _KIB
