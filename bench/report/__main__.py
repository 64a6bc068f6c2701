"""``python -m bench.report``: see ``--help``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.errors import BenchError, ConfigError
from bench.report import arguments
from bench.report.arguments import Request


def report(request: Request, expected: Sequence[Mapping[str, Any]] | None) -> list[str]:
    """Read the runs, and write the report.

    Args:
        request: What is asked for.
        expected: Resolved options of an experiment's cells; None for whatever is there.

    Returns:
        Lines that say what was done.

    Raises:
        BenchError: There is no such folder.
    """
    from bench.report.build import build, title_of
    from bench.report.cells import cells
    from bench.report.reading import read
    from bench.report.write import write

    runs_dir = Path(request.runs_dir)
    if expected is None and not runs_dir.is_dir():
        raise ConfigError("runs_dir", request.runs_dir, "a folder with runs")
    found = read(runs_dir)
    kept = [cell for cell in cells(found, request.runs_dir, expected) if request.passes(cell.config)]
    fill = ""
    if request.experiment:
        place = "" if request.runs_dir == Request.runs_dir else f" runs_dir={request.runs_dir}"
        fill = f"python -m bench -m experiment={request.experiment}{place} rerun=failed"
    made = build(kept, found.left_out, title_of(request.experiment, request.filters), fill)
    write(made, request.out)
    return [*made.lines, f"written: {request.out / 'index.html'}, report.md, data/, tables/ and figures/ beside it"]


def expected_cells(experiment: str) -> list[Mapping[str, Any]]:
    """Resolved options of all cells of ``conf/experiment/NAME.yaml``."""
    from bench.sweep import cells  # Hydra's composition, only where an experiment is named

    return list(cells([f"experiment={experiment}"]))


def main() -> None:
    """``python -m bench.report``."""
    given = sys.argv[1:]
    if any(argument in ("-h", "--help") for argument in given):
        print(arguments.HELP, end="")
        return
    try:
        request = arguments.parse(given)
        expected = expected_cells(request.experiment) if request.experiment else None
        lines = report(request, expected)
    except BenchError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped; nothing is half-written")
    for line in lines:
        print(line)


if __name__ == "__main__":
    main()
