"""``python -m bench.report``: see ``--help``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from bench.cli import guarded
from bench.core.errors import BenchError, ConfigError, require_choice
from bench.core.options import CONF
from bench.logger import log_report
from bench.report.read import arguments
from bench.report.read.arguments import Request
from bench.report.read.folder import cells, read
from bench.report.views.document import build, make_views
from bench.report.write.files import write
from bench.run.cell import Cell


def report(request: Request, expected: Sequence[Cell] | None = None) -> list[str]:
    """Read the runs, and write the report.

    Args:
        request: What is asked for.
        expected: An experiment's cells; None for whatever is there.

    Returns:
        Lines that say what was done.

    Raises:
        BenchError: There is no such folder, or what is asked for is not there.
    """
    made = make_views(request.views)
    if expected is None and not Path(request.runs_dir).is_dir():
        raise ConfigError("runs_dir", request.runs_dir, "a folder with runs")
    found = read(request.runs_dir)
    kept = request.chosen(cells(found, expected))
    if not any(cell.record for cell in kept) and (request.out / "report.md").exists():
        raise BenchError(f"out={request.out}: no run is done, and a report is there already; it is left as it is")
    document = build(request, made, kept, found.left_out)
    write(document, request.out)
    log_report(request.out, {"logger": request.logger, "runs_dir": request.runs_dir})
    return [*document.lines, f"written: {request.out / 'index.html'}, report.md, data/, tables/ and figures/ beside it"]


def expected_cells(request: Request) -> list[Cell]:
    """All cells of ``conf/experiment/NAME.yaml``.

    Raises:
        ConfigError: There is no such file.
    """
    from bench import sweep  # Hydra's composition, only where an experiment is named

    known = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
    require_choice("experiment", str(request.experiment), tuple(known))
    return sweep.cells(request.sweep)


def main() -> None:
    """``python -m bench.report``."""
    given = sys.argv[1:]
    if any(argument in ("-h", "--help") for argument in given):
        print(arguments.HELP, end="")
        return

    def command() -> None:
        request = arguments.parse(given)
        for line in report(request, expected_cells(request) if request.experiment else None):
            print(line)

    guarded(command, given)


if __name__ == "__main__":
    main()
