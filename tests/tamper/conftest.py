"""The nodes that the evidence comes from are the same as in :mod:`tests.evidence`."""

from tests.evidence.conftest import world

__all__ = ["world"]
