"""The answer to a question as a report: a part for each setting, and the last on the runs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from bench.core.numbers import DASH, listed, p_value, plural
from bench.core.record import RunState
from bench.report.analysis.compare import LAST
from bench.report.analysis.rungs import Row, mean_of
from bench.report.read.command import anywhere
from bench.report.views.base import Block, Prose
from bench.report.views.document import Part, Report, Section
from bench.report.views.table import Column, Shown, Table, untitled
from bench.run.forecast import work
from bench.study.answer import means, pairs, tuned
from bench.study.committed import environments, placed, run_rows, stage_rows
from bench.study.figure import chart
from bench.study.layout import Layout, done
from bench.study.question import Question
from bench.study.tables import mean_table, pair_table, share_table, tuned_table

CORES = 2
"""Cores that hours are stated for."""


@dataclass(frozen=True)
class Answer:
    """What the runs of a question say.

    Attributes:
        question: The question.
        layouts: Its settings.
    """

    question: Question
    layouts: Sequence[Layout]

    @cached_property
    def rows(self) -> list[Row]:
        """A row for each run, done or not."""
        return list(run_rows(self.layouts))

    @property
    def done(self) -> int:
        """Runs that are done."""
        return sum(row["state"] == RunState.DONE for row in self.rows)

    @property
    def missing(self) -> str:
        """How many others are in which state; empty for none."""
        found = {state: sum(row["state"] == state for row in self.rows) for state in RunState}
        return listed([f"{number} {state}" for state, number in found.items() if number and state != RunState.DONE])

    @cached_property
    def old(self) -> int:
        """Runs that were made by code that has changed since."""
        return sum(bool(cell.changes) for *_, cell in placed(self.layouts))

    @property
    def hours(self) -> float:
        """Of `CORES` cores, each at one run at a time; a seed network, which several runs begin from, counts once."""
        found = {cell: record for *_, cell in placed(self.layouts) if (record := done(cell))}
        spent = {cell.id: [stage.seconds for stage in record.stages] for cell, record in found.items()}
        return work(list(found), spent, {}).done / CORES / 3600

    @property
    def main(self) -> str:
        """The comparison that is clearest against what its seeds resolve; without one, the worst mean and the best."""
        found = [(layout, row) for layout in self.layouts for row in _last_pairs(layout, self.question)]
        known = [one for one in found if one[1]["resolves"]]
        if known:
            return _sentence(*max(known, key=lambda one: abs(one[1]["difference"]) / one[1]["resolves"]))
        return "; ".join(_range(layout) for layout in self.layouts if layout.runs)


def _last_pairs(layout: Layout, question: Question) -> list[Row]:
    if not layout.runs:
        return []
    found = [row for row in pairs(layout, question.baselines) if row["measure"] == LAST]
    return found if question.tuned is None else [*found, *tuned(layout, question.tuned)]


def _sentence(layout: Layout, row: Row) -> str:
    score = layout.score
    ends = f"{score.text(row['low'], True)} to {score.text(row['high'], True)}"
    label = layout.label(tuple(row[factor] for factor in layout.factors))
    p = DASH if row["p_holm"] is None else p_value(row["p_holm"])
    open_ = "" if abs(row["difference"]) >= row["resolves"] else "; not resolved"
    difference = f"{score.text(row['difference'], True)}{score.unit} ({ends}; Holm's p {p}{open_})"
    return f"{label} against {row['baseline']} on {layout.setting.title}: {difference}"


def _range(layout: Layout) -> str:
    score, rows = layout.score, [row for row in means(layout) if row["seeds"]]
    ordered = sorted(rows, key=lambda row: row["test_mean"], reverse=not score.accuracy)
    labels = [layout.label(tuple(row[factor] for factor in layout.factors)) for row in ordered]
    ends = [f"{score.sentence(*mean_of(row, 'test'))}, {label}" for row, label in zip(ordered, labels, strict=True)]
    worst, best = ends[0], ends[-1]
    told = f"{score.name} from {worst}, to {best}" if len(ends) > 1 else f"{score.name} {best}"
    return f"no comparison on {layout.setting.title}: {told}"


def build(answer: Answer) -> Report:
    """The page with its tables; the lines at its head are Markdown."""
    parts = [
        Part(layout.setting.slug, layout.setting.title, [Section("answer", "", list(_blocks(layout, answer.question)))])
        for layout in answer.layouts
        if layout.runs
    ]
    last = Part("runs", "Runs", [Section("runs", "", list(_runs(answer)))])
    return Report(answer.question.name, list(_lines(answer)), [*parts, last], [])


def _lines(answer: Answer) -> Iterator[str]:
    question, rows = answer.question, answer.rows
    yield question.asks
    sweeps = (shlex.join(["python", "-m", "bench", "-m", f"experiment={one}"]) for one in question.presets)
    commands = listed([f"`{one} hydra/launcher=joblib`" for one in sweeps])
    yield f"Made by `python -m bench.study questions={question.name}`, which carries out {commands}."
    yield f"{answer.done} of {plural(len(rows), 'run')} done, {answer.hours:.2g} hours of {CORES} cores."
    if answer.done < len(rows):
        yield f"**Not in these numbers: {answer.missing}**; the table of runs says which and why."
    if answer.old:
        old = f"**{plural(answer.old, 'run')} made by code that has changed since**"
        yield f"{old}; the sweeps above make them anew with `rerun=all`."
    yield (
        "Every run is in runs.csv with the command to type, every stage in stages.csv, what made them in "
        "environment.csv, and the tables below in full in the others. "
        "`python -m bench.reproduce` of this folder does some again and compares."
    )


def _blocks(layout: Layout, question: Question) -> Iterator[Block]:
    yield Prose((_recipe(layout),))
    yield mean_table(layout)
    if question.tuned is not None:
        yield tuned_table(layout, question.tuned)
    yield pair_table(layout, question)
    yield from share_table(layout, question.within)
    if (found := chart(layout, question.drawn)).rows:
        yield found


def _recipe(layout: Layout) -> str:
    """What all runs have in common, and their seeds."""
    runs = [cell for own in layout.cells.values() for cell in own.values()]
    words = [shlex.split(anywhere(cell.options, done(cell))) for cell in runs]
    common = shlex.join(word for word in words[0] if all(word in others for others in words))
    seeds = sorted({cell.seed for cell in runs})
    is_range = len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1))
    names = f"{seeds[0]} to {seeds[-1]}" if is_range else ", ".join(map(str, seeds))
    among = f" with one of the seeds {names}" if len(seeds) > 1 else ""
    return f"Every run is {common}{among} and what the tables say, else by its defaults."


def _runs(answer: Answer) -> Iterator[Block]:
    rows = answer.rows
    names = tuple(rows[0])
    yield Table("runs", untitled(names), rows)
    stages = list(stage_rows(answer.layouts))
    yield Table("stages", untitled(name for row in stages for name in row), stages)
    code = Column("command", "Command", show=lambda row: Shown(row["command"], code=True), words=True)
    columns = (Column("state", "State", words=True), Column("reason", "Reason", words=True), code)
    missing = [
        {**row, "command": row["command"] + " rerun=failed" * (row["state"] == RunState.FAILED)}
        for row in rows
        if row["state"] != RunState.DONE
    ]
    yield Table("missing", columns, missing, "Not done", "What is not in these numbers, and what fills it.")
    titles = {"torch": "PyTorch", "python": "Python", "device": "Device", "threads": "Threads", "code": "Code"}
    kinds = (*untitled("environment"), *(Column(name, title, words=True) for name, title in titles.items()))
    about = "What the runs were made on, as they recorded it. Hours are the runs' own seconds."
    yield Table("environment", (*kinds, Column("runs", "Runs")), environments(answer.layouts), "Made on", about)
