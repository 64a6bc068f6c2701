"""Methods over all settings: ranks, interquartile means and probabilities of improvement."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bench.core.numbers import plural
from bench.report.analysis.aggregate import RESAMPLES
from bench.report.analysis.findings import Overview
from bench.report.analysis.overall import aggregates, improvements, judges, settings_of
from bench.report.analysis.rungs import Row
from bench.report.views.base import Block, View, views
from bench.report.views.table import METHOD, Column, Pivot, Shown, Table, untitled

INTERVALS = (
    f"Intervals are of the stratified bootstrap, 95 %, {RESAMPLES:,} resamples of the seeds within each method and "
    "setting (Agarwal et al., arXiv 2108.13264): too narrow for few seeds, and none for one."
)


@views.register("overall")
class Overall(View):
    """Two tables at the end; of a report on one setting, they are over its seeds."""

    section, order = "Over all settings", 75

    def of_report(self, overview: Overview) -> Iterator[Block]:
        settings = settings_of(overview.findings)
        about = (
            "Scores at the last rung, each method at its chosen step. Normalised: 0 is the seed network, 1 the last "
            "rung of the baseline (static where it is there), means over its seeds. Interquartile mean: of the middle "
            "half of all runs. Mean rank: by the mean score in each setting, 1 is best. Compare methods that have the "
            f"same settings. {INTERVALS}"
        )
        columns = (
            METHOD,
            Column("settings", "Settings"),
            Column("runs", "Runs"),
            Column("rank", "Mean rank", show=_with("rank", "{:.2f}".format)),
            *untitled("rank_low rank_high"),
            Column("iqm", "Interquartile mean, normalised", show=_with("iqm", "{:.3f}".format)),
            *untitled("iqm_low iqm_high"),
        )
        title = f"Methods over {plural(len(settings), 'setting')}"
        yield Table("overall", columns, list(aggregates(settings)), title, about)
        about = (
            "Probability that a run of the method is better than one of the control, of the same setting and of any "
            f"seeds, ties counting half: the mean over the settings that have both. {INTERVALS}"
        )
        columns = (METHOD, *untitled("control settings p p_low p_high"))
        pivot = Pivot("control", Column("p", show=_with("p", "{:.2f}".format)), "over {}".format)
        rows = list(improvements(settings, judges(overview.findings)))
        yield Table("improvement", columns, rows, "Probability of improvement", about, pivot=pivot)


def _with(name: str, text: Callable[[float], str]) -> Callable[[Row], Shown]:
    """A number with its interval, where it has one."""

    def shown(row: Row) -> Shown:
        ends = [text(row[f"{name}_{end}"]) for end in ("low", "high") if row[f"{name}_{end}"] is not None]
        return Shown(text(row[name]), " to ".join(ends))

    return shown
