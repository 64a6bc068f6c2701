"""``python -m bench.reproduce FOLDER``: runs of a committed folder done again, and compared."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from bench.cli import application
from bench.core.errors import BenchError, require
from bench.core.files import require_writable
from bench.core.loading import load_torch
from bench.core.numbers import plural
from bench.core.options import Options, as_typed, typed
from bench.core.output import note
from bench.core.table import Folding, screen
from bench.reproduce.again import cell_of, done_again, require_data
from bench.reproduce.compare import OTHER, SAME, Verdict, compare, failed
from bench.reproduce.stored import Stored, stored
from bench.run.cell import Cell

HELP = """\
Runs of a committed folder, drawn at random, done again by their commands and compared with the folder's tables stage by
stage: on the same kind of machine sizes exactly, accuracies and losses to rounding; on another, within a stated band.

  python -m bench.reproduce results/study                       five runs of any question
  python -m bench.reproduce results/study/sign_digits cells=2 seed=1
  python -m bench.reproduce results/mnist data.root=DIR         a folder of bench.report
  python -m bench.reproduce results/study runs_dir=DIR          the runs stay in DIR, an empty folder

It fails if a run is not what the folder says."""


@dataclass(frozen=True)
class ReproduceConfig:
    """Options of the command.

    Attributes:
        folder: With tables of runs and stages, in it or below.
        cells: Runs to draw; more than there are means all.
        seed: Of the draw.
        runs_dir: Where the runs stay; None for nowhere.
        root: Where data sets lie.
    """

    folder: str = "results/study"
    cells: int = 5
    seed: int = 0
    runs_dir: str | None = None
    root: str = "data"

    def __post_init__(self) -> None:
        require(Path(self.folder).is_dir(), "folder", self.folder, "a folder by bench.study or bench.report")
        require(self.cells > 0, "cells", self.cells, "a number of at least 1")
        require(self.seed >= 0, "seed", self.seed, "a number of at least 0")
        if self.runs_dir is not None:
            path = Path(self.runs_dir)
            is_empty = path.is_dir() and not any(path.iterdir())
            require(is_empty or not path.exists(), "runs_dir", path, "an empty folder, or one that is not there")


def drawn(config: ReproduceConfig) -> list[Stored]:
    """The runs to do again; says which cannot be.

    Raises:
        BenchError: There is none, or a table is not in order.
    """
    found = stored(Path(config.folder))
    known = [one for one in found if one.command]
    if len(known) < len(found):
        note(f"{len(found) - len(known)} of {plural(len(found), 'run')} left out, for which the tables have no command")
    require(bool(known), "folder", config.folder, "one with finished runs and their commands (runs.csv and stages.csv)")
    return Random(config.seed).sample(known, min(config.cells, len(known)))


def reproduce(config: ReproduceConfig) -> list[Verdict]:
    """Do runs again and compare them.

    Raises:
        BenchError: The folder is not in order, a run cannot be begun, data are missing, or it is told to stop.
    """
    chosen, verdicts = drawn(config), list[Verdict]()
    load_torch()
    with _runs_dir(config.runs_dir) as place:
        found = [cell_of(one, place, config.root) for one in chosen]
        require_data(found)
        try:
            for number, (one, cell) in enumerate(zip(chosen, found, strict=True), 1):
                note(f"{number} of {len(chosen)}: {one.name}")
                verdicts.append(_verdict(one, cell))
        except KeyboardInterrupt:
            show(verdicts)
            reason = f"stopped after {len(verdicts)} of {plural(len(chosen), 'run')}; the same command begins anew"
            raise BenchError(reason) from None
    return verdicts


def _verdict(one: Stored, cell: Cell) -> Verdict:
    try:
        return compare(one, done_again(cell))
    except BenchError as error:
        return failed(one, str(error))


@contextmanager
def _runs_dir(kept: str | None) -> Iterator[Path]:
    if kept is not None:
        require_writable(Path(kept))
        yield Path(kept)
        return
    with TemporaryDirectory(prefix="growth-bench-") as place:
        yield Path(place)


def show(verdicts: Sequence[Verdict]) -> None:
    """Print what was demanded, and what came of each run."""
    console, table = screen(), Folding()
    for kind, runs in Counter(one.kind for one in verdicts if one.compared != "nothing").items():
        said = f"{OTHER} ({kind})" if kind else SAME
        console.print(f"{plural(runs, 'run')}, {said}", highlight=False, markup=False, soft_wrap=True)
    for heading in ("run", "compared", "largest difference", "verdict"):
        table.add_column(heading, no_wrap=False)
    for one in verdicts:
        table.add_row(
            one.name, one.compared, one.largest, "differs" if one.wrong else "the same" if not one.kind else "within"
        )
    console.print(table, highlight=False)
    for one in verdicts:
        for reason in one.wrong:
            console.print(f"{one.name}: {reason}", highlight=False, markup=False, soft_wrap=True)


def _task(options: Options) -> None:
    given = {key: value for key, value in options.items() if key != "data"}
    verdicts = reproduce(typed("", ReproduceConfig, {**given, "root": options["data"]["root"]}))
    show(verdicts)
    if wrong := sum(bool(one.wrong) for one in verdicts):
        raise BenchError(f"{wrong} of {plural(len(verdicts), 'run')} did not come out as the folder says")


def main() -> None:
    """``python -m bench.reproduce``."""
    if sys.argv[1:] and "=" not in sys.argv[1] and not sys.argv[1].startswith(("-", "~")):
        sys.argv[1] = f"folder={as_typed(sys.argv[1])}"
    application(_task, "reproduce", HELP)()


if __name__ == "__main__":
    main()
