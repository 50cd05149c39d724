"""A ZIP writer that writes whatever it is told, contradictions included."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Part:
    """One entry. ``local`` and ``central`` override header fields by name on one side, ``both`` on both."""

    name: str
    content: bytes
    method: int = 8
    both: dict[str, int] = field(default_factory=dict)
    local: dict[str, int] = field(default_factory=dict)
    central: dict[str, int] = field(default_factory=dict)
    local_name: str | None = None
    local_extra: bytes = b""
    central_extra: bytes = b""
    comment: bytes = b""
    data: bytes | None = None  # the compressed bytes, when they are to be others
    gap: bytes = b""  # before the local header


def deflate(content: bytes) -> bytes:
    press = zlib.compressobj(9, zlib.DEFLATED, -15)
    return press.compress(content) + press.flush()


def zipped(
    parts: list[Part],
    *,
    before: bytes = b"",
    after: bytes = b"",
    comment: bytes = b"",
    before_directory: bytes = b"",
    before_end: bytes = b"",
    end: dict[str, int] | None = None,
) -> bytes:
    body, directory = bytearray(before), bytearray()
    for part in parts:
        body += part.gap
        data = part.data
        if data is None:
            data = part.content if part.method == 0 else deflate(part.content)
        name = part.name.encode("utf-8")
        local_name = (part.local_name or part.name).encode("utf-8")
        said = {
            "made_by": 0x0314,
            "version": 20,
            "flags": 0,
            "method": part.method,
            "time": 0,
            "date": 0x21,
            "crc": zlib.crc32(part.content),
            "compressed": len(data),
            "inflated": len(part.content),
            "disk": 0,
            "internal": 0,
            "external": 0o100644 << 16,
            "offset": len(body),
            **part.both,
        }
        here, there = {**said, **part.local}, {**said, **part.central}
        shared = ("version", "flags", "method", "time", "date", "crc", "compressed", "inflated")
        body += struct.pack("<4s5H3I", b"PK\3\4", *(here[key] for key in shared))
        body += struct.pack("<2H", len(local_name), len(part.local_extra)) + local_name + part.local_extra + data
        directory += struct.pack("<4sH5H3I", b"PK\1\2", there["made_by"], *(there[key] for key in shared))
        directory += struct.pack("<3H", len(name), len(part.central_extra), len(part.comment))
        directory += struct.pack("<2H2I", there["disk"], there["internal"], there["external"], there["offset"])
        directory += name + part.central_extra + part.comment
    body += before_directory
    closing = {
        "disk": 0,
        "first": 0,
        "here": len(parts),
        "count": len(parts),
        "length": len(directory) + len(before_end),
        "start": len(body),
        "comment": len(comment),
        **(end or {}),
    }
    tail = struct.pack("<4s4H2IH", b"PK\5\6", *closing.values())
    return bytes(body + directory + before_end + tail + comment + after)
