"""The process's first lines: allocators and the collector are set before anything large is imported."""

from __future__ import annotations

from gateway.memory import be_frugal, importing

__all__ = ["main"]


def main() -> None:
    """The console script ``gateway``."""
    be_frugal()
    with importing():
        from gateway.cli.main import main as command_line  # noqa: PLC0415 — polars reads the environment when it is imported

    command_line()


if __name__ == "__main__":
    main()
