"""A report as plain data, before it is Markdown, LaTeX or HTML."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import methodcaller

from bench.core.errors import BenchError, ConfigError, did_you_mean, foreign, one_line
from bench.core.numbers import listed, plural
from bench.core.options import typed
from bench.core.registry import Entry
from bench.report.analysis.compare import named
from bench.report.analysis.findings import Findings, Overview
from bench.report.analysis.rungs import Row
from bench.report.read.arguments import Request
from bench.report.read.command import GROUPS
from bench.report.read.folder import DIFFERENT, LeftOut
from bench.report.read.settings import rank, settings
from bench.report.views.base import Block, Prose, View, views
from bench.report.views.chart import Chart
from bench.report.views.table import Table
from bench.run.cell import Cell


@dataclass(frozen=True)
class Section:
    """What stands under one heading; a part's head has none."""

    slug: str
    title: str
    blocks: Sequence[Block]

    @property
    def shown(self) -> list[Block]:
        """Without what is in the CSV alone, or empty."""
        return [block for block in self.blocks if block.is_shown]


@dataclass(frozen=True)
class Part:
    """A setting, or the whole at the end."""

    slug: str
    title: str
    sections: Sequence[Section]


@dataclass(frozen=True)
class Report:
    """The whole: a part for each setting, and the last on the runs themselves."""

    title: str
    lines: Sequence[str]  # what it is about
    parts: Sequence[Part]
    labels: Sequence[str]  # methods, in the order of their colours

    @property
    def data(self) -> dict[str, list[Row]]:
        """Rows by name of the CSV file; what is of a setting begins with its title."""
        found: dict[str, list[Row]] = {}
        for part in self.parts:
            head = {} if part is self.parts[-1] else {"setting": part.title}
            for table in (block for one in part.sections for block in one.blocks if isinstance(block, Table)):
                names = [column.name for column in table.columns]
                found.setdefault(table.name, []).extend({**head, **{n: r.get(n) for n in names}} for r in table.rows)
        return {name: rows for name, rows in found.items() if rows}


def make_views(options: Mapping[str, Mapping[str, object]]) -> list[View]:
    """The views that there are, in order, with what users set by the view's name.

    Raises:
        BenchError: There is no such view, or no such option of it.
    """
    known = views.names()
    for name in set(options) - set(known):
        near = did_you_mean(name, [*known, *GROUPS])
        choices = f"a group ({', '.join(GROUPS)}) or a part of the report ({', '.join(known)})"
        raise BenchError(f"{name}.{next(iter(options[name]))}: no such option; expected one of {choices}{near}")
    made = [_made(one, options.get(one.name, {})) for one in views]
    return sorted(made, key=lambda view: (view.order, type(view).__name__))


class _LeftOut(View):
    """Stands for a foreign view that cannot be made."""

    def of_report(self, overview: Overview) -> Iterable[Block]:
        """Says so."""
        return [Prose((f"A part is left out: {self.options}.",))]


def _made(entry: Entry[type[View]], options: Mapping[str, object]) -> View:
    config: object = typed(f"{entry.name}.", entry.config, options)
    try:
        with foreign(entry.name):
            view = entry.factory(config)
            if not isinstance(view, View):
                raise TypeError(f"made a {type(view).__name__}; expected a View")
            return view
    except BenchError as error:
        return _LeftOut(error)


def build(request: Request, made: Sequence[View], cells: Sequence[Cell], left_out: Sequence[LeftOut] = ()) -> Report:
    """The report on cells, as it was asked for, by these views; ``left_out`` could not be read.

    Raises:
        ConfigError: The baseline that was asked for is in no setting.
    """
    overview = Overview(request, [Findings(one, request.baseline) for one in settings(cells)], cells, left_out)
    _check_baseline(overview)
    labels = {(one.label, one.method) for findings in overview.findings for one in findings.setting.variants}
    parts = []
    for one in overview.findings:
        asked = [view for view in made if view.always or one.contenders]
        parts.append(_part(one.setting.slug, one.setting.title, asked, methodcaller("of_setting", one)))
    parts.append(_part("runs", "Runs", made, methodcaller("of_report", overview)))
    filters = (f"{key} {listed(values)}" for key, values in request.filters.items())
    title = f"Growing networks: {', '.join([request.experiment or 'all runs', *filters])}"
    ordered = [label for label, _ in sorted(labels, key=lambda one: (rank(one[1]), one[0]))]
    return Report(title, list(_lines(overview)), parts, ordered)


def _part(slug: str, title: str, made: Sequence[View], ask: Callable[[View], Iterable[Block]]) -> Part:
    found: dict[str, list[Block]] = {"": []}
    for view in made:
        found.setdefault(view.section, []).extend(_blocks(view, ask))
    tables = [block.name for blocks in found.values() for block in blocks if isinstance(block, Table)]
    for name in {name for name in tables if tables.count(name) > 1}:
        raise BenchError(f"two tables of the report are called {name}")
    anchors = {name: re.sub(r"[^a-z0-9]+", "-", f"{slug} {name}".lower()).strip("-") for name in found}
    return Part(slug, title, [Section(anchors[name], name, blocks) for name, blocks in found.items()])


def _blocks(view: View, ask: Callable[[View], Iterable[Block]]) -> list[Block]:
    """What a view makes; a foreign one that fails is said to have, and the others stand."""
    try:
        found = list(ask(view))
        for block in found:
            if isinstance(block, Chart):
                _ = [axis.of(row) for one in block.drawn for row in one.points for axis in (*block.x, block.y)]
            _ = isinstance(block, Table) and block.is_shown and (block.header, block.lines)
        return found
    except Exception as error:  # somebody's plugin may raise anything
        if type(view).__module__.startswith(f"{views.package}."):
            raise
        return [Prose((f"{type(view).__name__} is left out: {one_line(error)}",))]


def _check_baseline(overview: Overview) -> None:
    name, found = overview.request.baseline, [findings.contenders for findings in overview.findings]
    if name is not None and not any(named(contenders, name) for contenders in found):
        there = dict.fromkeys(one.label for contenders in found for one in contenders)
        raise ConfigError("baseline", name, f"a method with done runs: {', '.join(there) or 'there is none'}")


def _lines(overview: Overview) -> Iterator[str]:
    runs, number = plural(len(overview.cells), "run"), plural(len(overview.findings), "setting")
    known = f"{runs}, {overview.done} of them done, in {number}."
    yield known if overview.cells else "There is no run to report on."
    if overview.left_out:
        yield f"{plural(len(overview.left_out), 'entry', 'entries')} of the runs folder left out; see Runs."
    yield from (f"{one.name}: {one.reason}." for one in overview.left_out if one.reason.endswith(DIFFERENT))
    yield from (f"A part is left out: {line}." for line in views.broken())
