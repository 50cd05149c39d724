"""The structures of a ZIP archive (APPNOTE.TXT 6.3) as evidence uses them: no option, no extra field but the 64-bit offset, one time.

Who writes (:mod:`gateway.delivery.archive`) and who reads (:mod:`gateway.evidence.archive`) share this file and nothing else.
"""

from __future__ import annotations

import re
import struct
from typing import Final

__all__ = [
    "CENTRAL",
    "CENTRAL_MARK",
    "DEFLATED",
    "END",
    "END64",
    "END64_MARK",
    "END_MARK",
    "EXTRA64",
    "FILE_MODE",
    "LOCAL",
    "LOCAL_MARK",
    "LOCATOR64",
    "LOCATOR64_MARK",
    "MADE_BY",
    "MAX16",
    "MAX32",
    "SAFE_NAME",
    "STORED",
    "VERSION",
    "VERSION64",
    "WHEN",
]

LOCAL: Final = struct.Struct("<4s5H3I2H")
CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
END: Final = struct.Struct("<4s4H2IH")
END64: Final = struct.Struct("<4sQ2H2I4Q")
LOCATOR64: Final = struct.Struct("<4sIQI")
EXTRA64: Final = struct.Struct("<2HQ")
"""Header 1, size 8, the offset: in the central directory, where the offset does not fit into 32 bits."""

LOCAL_MARK: Final = b"PK\x03\x04"
CENTRAL_MARK: Final = b"PK\x01\x02"
END_MARK: Final = b"PK\x05\x06"
END64_MARK: Final = b"PK\x06\x06"
LOCATOR64_MARK: Final = b"PK\x06\x07"

STORED: Final = 0
DEFLATED: Final = 8
VERSION: Final = 20
VERSION64: Final = 45
MADE_BY: Final = (3 << 8) | VERSION64  # Unix
WHEN: Final = (0, (1 << 5) | 1)  # 1980-01-01 00:00:00: the same content gives the same bytes
FILE_MODE: Final = 0o100644 << 16
MAX16: Final = 0xFFFF
MAX32: Final = 0xFFFFFFFF

SAFE_NAME: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*){0,15}")
"""What a member may be called: no file system takes such a name for anything but a plain file below where it is unpacked."""
