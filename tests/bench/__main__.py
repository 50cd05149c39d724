"""``python -m tests.bench``: the whole exchange, then stage by stage. Exit code 1 when memory or figures are not what they must be."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tests.bench.figures import Deadline, Figure, OutOfTimeError, Progress
from tests.bench.process import NodeError
from tests.bench.report import show_figures, show_transfer
from tests.bench.scene import Scene, build_business
from tests.bench.stages import measure_stages
from tests.bench.transfer import Transfer, transfer

__all__ = ["main"]

_ROWS: Final = 1_000_000
_STAGE_ROWS: Final = 100_000
_MINUTES: Final = 90.0
_BYTES_PER_ROW: Final = 12_000  # of disk: the business database, two journals with their packages, their logs
_FOLDER: Final = Path("bench-data")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and return the exit code."""
    chosen = _parser().parse_args(arguments)
    _FOLDER.mkdir(exist_ok=True)
    needed, free = max(chosen.rows, chosen.stage_rows) * _BYTES_PER_ROW, shutil.disk_usage(_FOLDER).free
    if free < needed:
        sys.stderr.write(
            f"{needed / 1e9:.1f} GB of disk are needed here, {free / 1e9:.1f} GB are free: take fewer --rows\n"
        )
        return 1
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=_FOLDER)).resolve()
    try:
        return _measure(folder, chosen)
    except OutOfTimeError:
        sys.stderr.write(f"stopped: not done within {chosen.minutes:g} minutes (--minutes)\n")
    except NodeError as error:
        sys.stderr.write(f"stopped: {error}\n")
    finally:
        if chosen.keep:
            sys.stderr.write(f"kept: {folder}\n")
        else:
            shutil.rmtree(folder)
            with suppress(OSError):  # another run is still in it
                _FOLDER.rmdir()
    return 1


def _measure(folder: Path, chosen: argparse.Namespace) -> int:
    deadline, progress = Deadline(chosen.minutes * 60), Progress()
    business = folder / "business.db"
    build_business(business, max(chosen.rows, chosen.stage_rows), progress=progress, deadline=deadline)
    moved: Transfer | None = None
    if chosen.rows:
        scene = Scene.laid_out(folder / "exchange", business, chosen.rows)
        moved = transfer(scene, progress=progress, deadline=deadline)
        show_transfer(moved)
    figures: list[Figure] = []
    if chosen.stage_rows:
        scene = Scene.laid_out(folder / "stages", business, chosen.stage_rows)
        figures = measure_stages(scene, progress=progress, deadline=deadline)
        show_figures(figures, chosen.stage_rows)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(_document(moved, figures), ensure_ascii=False, indent=2) + "\n", "utf-8")
    return 0 if moved is None or (moved.right and moved.within_budget) else 1


def _document(moved: Transfer | None, figures: Sequence[Figure]) -> dict[str, Any]:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "transfer": None if moved is None else moved.to_json(),
        "stages": [figure.to_json() for figure in figures],
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--rows",
        type=int,
        default=int(os.environ.get("BENCH_ROWS", _ROWS)),
        help="rows of the exchange between two nodes; 0 leaves it out (default: $BENCH_ROWS, else 1,000,000)",
    )
    parser.add_argument(
        "--stage-rows", type=int, default=_STAGE_ROWS, help="rows for the stages; 0 leaves them out (default: 100,000)"
    )
    parser.add_argument("--minutes", type=float, default=_MINUTES, help="stop after this long (default: 90)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--keep", action="store_true", help="leave the scratch folder below bench-data/ for inspection")
    return parser


if __name__ == "__main__":
    sys.exit(main())
