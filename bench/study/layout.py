"""The cells of a question, laid out by setting, values of the factors, and seed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from bench.core.errors import BenchError, did_you_mean
from bench.core.identity import SILENT, unused_in
from bench.core.numbers import DASH
from bench.core.options import Options
from bench.core.record import RunRecord, RunState
from bench.report.analysis.score import ACCURACY, LOSS, Score
from bench.report.read.arguments import value_text
from bench.report.read.settings import Setting, flat, settings
from bench.run.cell import Cell
from bench.study.question import Question

Values = tuple[str | None, ...]
"""Of the factors, as one types them; None where a cell has no such option."""


@dataclass(frozen=True)
class Layout:
    """The cells of one setting.

    Attributes:
        factors: Names.
        setting: What all cells share.
        cells: By values of the factors, in the order of the sweep, then by seed.
        areas: Costs of one inference that scores are averaged along.
    """

    factors: tuple[str, ...]
    setting: Setting
    cells: Mapping[Values, Mapping[int, Cell]]
    areas: tuple[str, ...]

    @cached_property
    def runs(self) -> dict[Values, dict[int, RunRecord]]:
        """Records of the cells that are done; values without any are left out."""
        found = {}
        for values, own in self.cells.items():
            if runs := {seed: record for seed, cell in sorted(own.items()) if (record := done(cell))}:
                found[values] = runs
        return found

    @cached_property
    def varied(self) -> tuple[str, ...]:
        """Factors with several values."""
        columns = zip(self.factors, zip(*self.cells, strict=True), strict=True)
        return tuple(factor for factor, column in columns if len(set(column)) > 1)

    def by(self, factor: str) -> dict[str | None, list[Values]]:
        """Combinations with done runs, by their value of a factor."""
        found = defaultdict[str | None, list[Values]](list)
        for values in self.runs:
            found[self.named(values)[factor]].append(values)
        return dict(found)

    def failed(self, values: Values) -> int:
        """How many cells of a combination failed."""
        return sum(cell.state is RunState.FAILED for cell in self.cells[values].values())

    @property
    def score(self) -> Score:
        """What is compared."""
        return ACCURACY if self.setting.accuracy else LOSS

    def named(self, values: Values) -> dict[str, str | None]:
        """Values by the factor's name."""
        return dict(zip(self.factors, values, strict=True))

    def label(self, values: Values, factors: Sequence[str] | None = None) -> str:
        """The values of these factors, else of those that vary: a method by its name, others as one types them."""
        shown = self.varied if factors is None else factors
        found = {factor: value for factor, value in self.named(values).items() if factor in shown}
        parts = [v if f == "method" else f"{f}={v}" for f, v in found.items() if v is not None]
        return ", ".join(filter(None, parts)) or DASH


def done(cell: Cell) -> RunRecord | None:
    """The record of a cell that is done."""
    return cell.record if cell.state is RunState.DONE else None


def layouts(question: Question, cells: Sequence[Cell]) -> list[Layout]:
    """The cells of a question by setting.

    Raises:
        BenchError: A factor, or what goes along with them, is no option of any cell; a baseline or the figure names
            values that none has, or a factor without numbers for its axis; or cells of the same values and seed differ
            in another option.
    """
    values = {cell.id: values_of(cell.options, question.factors, cell.id) for cell in cells}
    for factor, column in zip(question.factors, zip(*values.values(), strict=True), strict=True):
        _require_values(question, factor, [value for value in dict.fromkeys(column) if value is not None])
    _require_along(question, cells)
    _require_baselines(question, [dict(zip(question.factors, own, strict=True)) for own in values.values()])
    order = {cell.id: place for place, cell in enumerate(cells)}
    made = []
    for setting in settings(cells, (*question.factors, *question.along)):
        own: dict[Values, dict[int, Cell]] = defaultdict(dict)
        for cell in sorted(setting.cells, key=lambda cell: order[cell.id]):
            if (other := own[values[cell.id]].setdefault(cell.seed, cell)) is not cell:
                raise _mixed(question, cell, other)
        made.append(Layout(question.factors, setting, dict(own), question.areas))
    return made


def _require_values(question: Question, factor: str, there: Sequence[str]) -> None:
    place = question.place
    if not there:
        raise BenchError(f"{place}: factors={factor}: expected an option that a run has")
    if question.drawn.x == factor and not any(number(value) is not None for value in there):
        raise BenchError(f"{place}: figure.x={factor}: expected a factor with numbers, not {', '.join(there)}")
    of_baselines = [baseline[factor] for baseline in question.baselines if factor in baseline]
    for key, wanted in {"baselines": of_baselines, "figure.only": question.drawn.only.get(factor, ())}.items():
        for value in map(value_text, wanted):
            if value not in there:
                raise BenchError(f"{place}: {key}: {factor}={value}: expected one of {', '.join(there)}")


def _require_along(question: Question, cells: Sequence[Cell]) -> None:
    known = sorted({option for cell in cells for option in flat(cell.options)})
    for name in question.along:
        if not _key(dict.fromkeys(known), name):
            hint = did_you_mean(name, known)
            raise BenchError(f"{question.place}: along={name}: expected an option that a run has{hint}")


def _require_baselines(question: Question, named: Sequence[Mapping[str, str | None]]) -> None:
    for baseline in question.baselines:
        wanted = {factor: value_text(value) for factor, value in baseline.items()}
        if not any(wanted.items() <= own.items() for own in named):
            text = ", ".join(f"{factor}={value}" for factor, value in wanted.items())
            raise BenchError(f"{question.place}: baselines: {text}: expected values that a run has together")


def number(text: str | None) -> float | None:
    """A factor's value as a number, if it is one."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def values_of(options: Options, factors: Sequence[str], name: str) -> Values:
    """Values of factors; of those that a run makes no use of, as its name by content tells, it has none."""
    found = flat(options)
    for option in unused_in(options, name):
        found.pop(f"growth.{option}", None)
    return tuple(value_text(found[key]) if (key := _key(found, factor)) else None for factor in factors)


def _key(found: Mapping[str, object], factor: str) -> str | None:
    return next((key for key in (factor, f"{factor}.name") if key in found), None)


def _mixed(question: Question, cell: Cell, other: Cell) -> BenchError:
    one, two = flat(cell.options), flat(other.options)
    differing = [key for key in {**one, **two} if one.get(key) != two.get(key) and key.partition(".")[0] not in SILENT]
    which = ", ".join(differing)
    return BenchError(
        f"{question.place}: factors={','.join(question.factors)}: expected {which} among them, in which "
        "runs of the same values and seed differ"
    )
