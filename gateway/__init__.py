"""A data-sharing gateway for public credit information.

Rooms, from the ground up: ``ledger``, ``package`` and ``catalog``, ``evidence``, then ``sources``, ``exchange``,
``mapping`` and ``store``, then ``delivery``, then ``app``, then ``cli``. Arrows point down, and
``tests/test_architecture.py`` holds them.
"""

__version__ = "0.1.0"
