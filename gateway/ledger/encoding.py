"""Base64 with exactly one written form for the same bytes."""

from __future__ import annotations

import base64

__all__ = ["from_base64", "to_base64"]


def to_base64(data: bytes) -> str:
    """RFC 4648 §4, padded, on one line."""
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str) -> bytes | None:
    """The bytes that ``text`` is the canonical form of, or None when it is the form of none (stray bits, blanks, missing padding)."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return data if to_base64(data) == text else None
