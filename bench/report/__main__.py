"""``python -m bench.report``: see ``--help``."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.cli import guarded
from bench.core.errors import BenchError, ConfigError, require_choice
from bench.core.places import known
from bench.logger import log_report
from bench.report.read.arguments import HELP, Request, parse
from bench.report.read.folder import cells, read
from bench.report.views.document import build, make_views
from bench.report.write.files import write
from bench.run.cell import Cell

PAUSE = 20.0
"""Seconds that a report may take without a word."""


def report(request: Request, expected: Sequence[Cell] | None = None) -> list[str]:
    """Read the runs, or those of an experiment's ``expected`` cells, and write the report; lines say what was done.

    Raises:
        BenchError: There is no such folder, or what is asked for is not there.
    """
    made = make_views(request.views)
    for folder in (request.runs_dir, *request.others):
        if not Path(folder).is_dir() and (expected is None or request.others):
            raise ConfigError("runs_dir", folder, "a folder with runs")
    found = read(request.runs_dir, *request.others)
    kept = request.chosen(cells(found, expected))
    if not any(cell.record for cell in kept) and (request.out / "report.md").exists():
        raise BenchError(f"out={request.out}: no run is done, and a report is there already; it is left as it is")
    document = build(request, made, kept, found.left_out)
    write(document, request.out, Patience())
    log_report(request.out, {"logger": request.logger, "runs_dir": request.runs_dir})
    return [*document.lines, f"written: {request.out / 'index.html'}, report.md, data/, tables/ and figures/ beside it"]


class Patience:
    """Says on standard error what has been made, now and then, if making it takes long."""

    def __init__(self) -> None:
        self.spoken = time.monotonic()

    def __call__(self, name: str) -> None:
        """This has been made."""
        if time.monotonic() - self.spoken > PAUSE:
            self.spoken = time.monotonic()
            print(f"made so far: {name}", file=sys.stderr, flush=True)


def expected_cells(request: Request) -> list[Cell] | None:
    """All cells of ``conf/experiment/NAME.yaml``; None where no experiment is named.

    Raises:
        ConfigError: There is no such file.
    """
    if request.experiment is None:
        return None
    from bench import grid  # Hydra's composition, only where an experiment is named

    require_choice("experiment", request.experiment, known("experiment"))
    return grid.cells(request.sweep)


def _command() -> None:
    request = parse(sys.argv[1:])
    print("\n".join(report(request, expected_cells(request))))


def main() -> None:
    """``python -m bench.report``."""
    guarded(_command, sys.argv[1:], about=HELP.rstrip())


if __name__ == "__main__":
    main()
