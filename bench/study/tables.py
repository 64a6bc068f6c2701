"""The tables of a setting: means, differences paired by seed, and shares of variance, each with what seeds resolve."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from bench.core.numbers import DASH, count, engineering, listed, p_value, plural, share
from bench.network.cost import cost
from bench.report.analysis.compare import LAST
from bench.report.analysis.rungs import Row, mean_of
from bench.report.analysis.score import INTERVAL
from bench.report.views.base import Block, Prose
from bench.report.views.table import Column, Shown, Table, untitled
from bench.study.answer import (
    Design,
    alone,
    area_column,
    covered,
    design,
    means,
    measures,
    pairs,
    resolutions,
    shares,
    tuned,
)
from bench.study.layout import Layout
from bench.study.question import Question

OPERATIONS = (
    "Operations are those of training and growing up to the last rung: what that size needs, which from scratch is its "
    "own training alone, and all sizes together."
)


FOLLOWS = "retrain"
"""The method that takes another run's widths."""


def _factors(layout: Layout) -> tuple[Column, ...]:
    return tuple(Column(one, one if one in layout.varied else "", words=True) for one in layout.factors)


def resolution(layout: Layout, measure: str) -> str:
    """What so many seeds resolve, in a sentence."""
    found, score = resolutions(layout, measure), layout.score
    if not found:
        return "With so few seeds no difference is resolved."
    seeds = sorted({len(own) for own in layout.runs.values()})
    number = f"{seeds[0]} seeds" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} seeds"
    spread = f"; the median over every two combinations, {score.text(found[0])} to {score.text(found[-1])}"
    return (
        f"With {number} a paired difference of {score.text(median(found))}{score.unit} or more is resolved "
        f"(80 % power at 5 %{spread if len(found) > 1 else ''}), {measure}."
    )


def mean_table(layout: Layout) -> Table:
    """Scores, size and cost at the last rung by values of the factors; accuracies in per cent."""
    score, rows = layout.score, list(means(layout))
    areas = {name: (measure, area_column(name)) for measure, name in measures(layout).items() if name}

    columns = (
        *_factors(layout),
        *_seeds(),
        *_mean(layout, "test", f"{score.title}, last rung"),
        *(column for measure, name in areas.values() for column in _mean(layout, name, measure.capitalize())),
        Column(
            "validation_mean",
            "Validation",
            show=lambda row: Shown(score.text(row["validation_mean"]), best=row["chosen"]),
        ),
        Column("chosen"),
        Column("params_mean", "Parameters", count),
        Column("flops_mean", "Operations, this size", engineering),
        Column("front_mean", "All sizes", engineering),
    )
    return Table("means", columns, rows, score.name[:1].upper() + score.name[1:], " ".join(_of_means(layout)))


def _of_means(layout: Layout) -> Iterator[str]:
    """How to read the table of means."""
    areas = [_covered(layout, name) for name in measures(layout).values() if name]
    along = f"; area: the mean {layout.score.name} over the logarithm of the size, {listed(areas)}" if areas else ""
    yield f"Means over seeds at the last rung{along}. {INTERVAL}"
    own = {frozenset(runs) for runs in layout.runs.values()}
    common = ", over the seeds that all of these have" if len(own) > 1 else ""
    yield f"Choices are made on validation alone: the best there is bold, of those without a failed run{common}."
    yield OPERATIONS
    if any(cell.name("method") == FOLLOWS for cells in layout.cells.values() for cell in cells.values()):
        yield f"Of {FOLLOWS} they leave out the growing whose widths it takes."
    if any(value is None for values in layout.cells for value in values):
        yield f"{DASH}: an option that the method does not have."
    yield from dict.fromkeys(resolution(layout, measure) for measure in measures(layout))


def _seeds() -> tuple[Column, ...]:
    def text(row: Row) -> Shown:
        return Shown(str(row["seeds"]) if row["seeds"] == row["cells"] else f"{row['seeds']} of {row['cells']}")

    return Column("seeds", "Seeds", show=text), Column("cells")


def _mean(layout: Layout, name: str, title: str) -> tuple[Column, ...]:
    """A mean with half its interval."""
    show = Column(f"{name}_mean", title, show=lambda row: Shown(*layout.score.mean(*mean_of(row, name))))
    return show, *untitled(f"{name}_low {name}_high")


def _difference(layout: Layout, title: str) -> tuple[Column, ...]:
    """A paired difference with its interval, p and what is resolved."""
    score = layout.score

    def ends(row: Row) -> Shown:
        return Shown(f"{score.text(row['low'], True)} to {score.text(row['high'], True)}")

    return (
        Column("difference", title, lambda value: score.text(value, True)),
        Column("low", "Interval", show=ends),
        *untitled("high p"),
        Column("p_holm", "p, Holm", p_value),
        Column("resolves", "Resolves", score.text),
    )


def tuned_table(layout: Layout, factor: str) -> Table:
    """Each value of a factor at its best by validation, less the best of these."""
    columns = (
        *_factors(layout),
        *_seeds(),
        *_mean(layout, "test", f"{layout.score.title}, last rung"),
        Column("baseline"),
        Column("validation_mean", "Validation", layout.score.text),
        *_difference(layout, "Less the first"),
    )
    about = (
        f"Each {factor} with the other factors as its mean validation score is best, the best of all first. "
        "Differences are paired by seed; p is corrected for these comparisons, not for the choices before."
    )
    return Table("tuned", columns, list(tuned(layout, factor)), f"Each {factor} at its best", about)


def _covered(layout: Layout, name: str) -> str:
    """The range of a cost that all runs cover, in words."""
    (low, high), known = covered(layout, name), cost(name)
    unit = known.unit or known.title
    return f"from {known.text(low)} to {known.text(high)} {unit}" if low < high else f"of which no {unit} are common"


def pair_table(layout: Layout, question: Question) -> Table:
    """Differences to the baselines, accuracies in points; without rows where a question has none."""
    score, rows = layout.score, list(pairs(layout, question.baselines))

    columns = (
        *_factors(layout),
        Column("baseline", "Less", words=True),
        Column("measure", "Measure", words=True),
        Column("seeds", "Seeds"),
        *_difference(layout, "Difference"),
    )
    about = (
        f"Differences of the {score.name}{', in points,' if score.accuracy else ''} on the same seeds, with the paired "
        "t interval at 95 % (the range of two seeds) and p of the paired t test after Holm's correction for the rows "
        "of a measure. Resolves: the smallest difference that these seeds show with 80 % power at 5 %, by their "
        f"spread.{_alone(layout, question)}"
    )
    return Table("pairs", columns, rows, "Paired by seed", about, heads=len(layout.varied))


def _alone(layout: Layout, question: Question) -> str:
    found = alone(layout, question.baselines)
    return f" With no counterpart: {listed([layout.label(values) for values in found])}." if found else ""


def share_table(layout: Layout, within: str | None = None) -> Iterator[Block]:
    """Shares of variance, or why there are none; nothing where fewer than two factors vary.

    Args:
        layout: The setting.
        within: A factor, among the runs of each of whose values shares are given besides.
    """
    if len(layout.varied) < 2:
        return
    found = design(layout)
    if found is None:
        yield Prose(("No shares of variance: no two factors are crossed, with the same seeds.",))
        return
    designs = {"all": found, **_designs(layout, within)}
    among = Column("among", "Among" if len(designs) > 1 else "", words=True)
    effect, noise = Column("effect", "Explained by", words=True), Column("noise", "By noise", share)
    tested = (Column("f", "F", "{:.1f}".format), Column("p", "p", p_value))
    columns = (among, effect, Column("share", "Share", share), noise, *tested, Column("runs"))
    left = f" {plural(found.left_out, 'combination')} without one of the factors left out." if found.left_out else ""
    if found.dropped:
        left += f" Left out, as they are not crossed with all other factors: {listed(found.dropped)}."
    left += f" {plural(found.unpaired, 'run')} with seeds that not all have left out." if found.unpaired else ""
    beside = f" Beside all, the runs of each {within} alone." if len(designs) > 1 else ""
    about = (
        f"Of the variance of the {layout.score.name} at the last rung, over {plural(found.y.size, 'run')}, by sums of "
        f"squares, seeds as blocks. By noise: what each would explain on average without an effect of its own, as much "
        f"as the rest varies; F and p are of the test against the rest.{beside}{left} {resolution(layout, LAST)}"
    )
    rows = [{"among": name, **row} for name, one in designs.items() for row in shares(one)]
    yield Table("shares", columns, rows, "Shares of variance", about)


def _designs(layout: Layout, within: str | None) -> dict[str, Design]:
    """The designs among the runs of each value of a factor, where they are full."""
    own = layout.by(within) if within in layout.varied else {}
    found = {f"{within}={value}": design(layout, some) for value, some in own.items() if value is not None}
    return {name: one for name, one in found.items() if one is not None}
