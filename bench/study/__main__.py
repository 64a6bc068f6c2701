"""``python -m bench.study``: every question of the study, its runs and its answer."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from bench.cli import application
from bench.core.errors import BenchError, require, require_choice
from bench.core.numbers import plural
from bench.core.options import Options, as_typed, typed
from bench.core.output import note
from bench.core.places import as_flags, known
from bench.core.record import ENDED
from bench.grid import cells
from bench.run.cell import Cell
from bench.study.layout import layouts
from bench.study.page import Answer
from bench.study.question import Question, questions
from bench.study.write import require_own, write, write_index
from bench.sweep import pending

HELP = """\
The questions of the study: their runs, then a folder each with the answer, every run's command and every stage.

  python -m bench.study                                   all; finished runs are not done again
  python -m bench.study questions=[sign_digits]           these; conf/study/NAME.yaml says what each is
  python -m bench.study run=false                         only analyse what is on disk
  python -m bench.study data.root=DIR runs_dir=DIR out=mine
  python -m bench.study launcher=basic                    one run at a time, not one on each core (joblib, if installed)

out is a folder with README.md, the index, and for each question README.md, a figure, runs.csv and stages.csv."""


@dataclass(frozen=True)
class StudyConfig:
    """Options of the command.

    Attributes:
        questions: Names of files in ``conf/study``; all for none.
        run: Whether to do the runs that are missing.
        out: Folder for the answers.
        runs_dir: Where runs are kept.
        launcher: Of Hydra's, by name; ``basic`` does one run at a time. None for joblib where it is installed, else
            basic.
        root: Where data sets lie.
    """

    questions: tuple[str, ...] = ()
    run: bool = True
    out: str = "results/study"
    runs_dir: str = "results/runs"
    launcher: str | None = None
    root: str = "data"

    def __post_init__(self) -> None:
        object.__setattr__(self, "questions", tuple(self.questions))  # YAML hands over a list
        for name in ("out", "runs_dir"):
            path = getattr(self, name)
            require(bool(path) and not Path(path).is_file(), name, path, "a folder")
        if self.launcher is not None:
            require_choice("launcher", self.launcher, ("basic", *known("hydra/launcher")))

    def sweep(self, preset: str) -> Sweep:
        """The sweep of a preset, with the data where they lie if any are files."""
        arguments = [f"experiment={preset}", f"runs_dir={as_typed(self.runs_dir)}"]
        found = cells(arguments)
        elsewhere = any(cell.options["data"].get("root", self.root) != self.root for cell in found)
        return Sweep([*arguments, *[f"data.root={as_typed(self.root)}"] * elsewhere], found)  # of the same identity


@dataclass(frozen=True)
class Sweep:
    """A sweep by what to type after ``python -m bench -m``, and its cells."""

    arguments: Sequence[str]
    cells: Sequence[Cell]

    def carry_out(self, launcher: str | None) -> str:
        """Do what is left to do; what of it did not end well and what to type, or nothing."""
        if not pending(self.cells):
            return ""
        if launcher is None:
            launcher = "joblib" if find_spec("hydra_plugins.hydra_joblib_launcher") else "basic"
        note(f"{self.arguments[0]}: its runs")
        command = [sys.executable, "-m", "bench", "-m", *self.arguments, f"hydra/launcher={launcher}"]
        with _ending_together():
            return self._left() if subprocess.run(command).returncode else ""

    def _left(self) -> str:
        now, typed = self.now().values(), f"python -m bench -m {shlex.join([*as_flags(), *self.arguments])}"
        if any(cell.changes for cell in now):
            return f"{typed} rerun=all makes those anew that other code made"
        if all(cell.state in ENDED for cell in now):
            return f"{typed} rerun=failed tries those again that failed"
        return f"not all runs of {self.arguments[0].partition('=')[2]} are done; the same command goes on"

    def now(self) -> dict[str, Cell]:
        """The cells by name, which look anew where they stand."""
        return {cell.id: replace(cell) for cell in self.cells}


@contextmanager
def _ending_together() -> Iterator[None]:
    """Leave no sweep behind where this process is told to end."""

    def end(*_: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    if threading.current_thread() is not threading.main_thread():  # which alone hears signals
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def study(config: StudyConfig) -> None:
    """Carry out and answer questions, one after the other.

    Raises:
        BenchError: A question is not in order, a sweep did not end well, or a folder cannot be written.
    """
    wanted, left = questions(config.questions), list[str]()
    sweeps = {question.name: [config.sweep(preset) for preset in question.presets] for question in wanted}
    for question in wanted:
        layouts(question, _cells(sweeps[question.name]))  # a mistake in a question is said before any run
    require_own(Path(config.out), [question.name for question in wanted])
    for question in wanted:
        if config.run:
            left += filter(None, [sweep.carry_out(config.launcher) for sweep in sweeps[question.name]])
        _answer(question, _cells(sweeps[question.name]), Path(config.out))
    write_index(Path(config.out))
    if left:
        raise BenchError("; ".join(left))


def _cells(sweeps: Sequence[Sweep]) -> list[Cell]:
    """The cells of several sweeps as they stand now, each once."""
    return list({name: cell for sweep in sweeps for name, cell in sweep.now().items()}.values())


def _answer(question: Question, found: Sequence[Cell], out: Path) -> None:
    answer = Answer(question, layouts(question, found))
    known = f"{question.name}: {answer.done} of {plural(len(found), 'run')} done"
    known += f", {answer.missing}" if answer.missing else ""
    known += f", {answer.old} of them old: what made them has changed" if answer.old else ""
    why_not = write(answer, out)
    print(f"{known}, {why_not}" if why_not else f"{known}; written: {out / question.name}", flush=True)


def _task(options: Options) -> None:
    one, root = options["questions"], options["data"]["root"]
    given = {key: value for key, value in options.items() if key != "data"}
    study(typed("", StudyConfig, {**given, "questions": [one] if isinstance(one, str) else one, "root": root}))


def main() -> None:
    """``python -m bench.study``."""
    application(_task, "study", HELP)()


if __name__ == "__main__":
    main()
