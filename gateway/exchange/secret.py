"""A secret that is not shown by accident: not by ``repr``, not by ``str``, not in a traceback of a dataclass that holds it."""

from __future__ import annotations

__all__ = ["Secret"]


class Secret:
    """Wraps a bearer token. :meth:`reveal` is the one way to its text, and easy to search for."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")
