"""A report from the cells: settings, their findings, and the sections that show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bench.report.analysis.compare import areas as areas_by_seed
from bench.report.analysis.compare import compare, fronts, reached
from bench.report.analysis.findings import Findings
from bench.report.analysis.growing import forecasts, growth_cost, widths
from bench.report.analysis.rungs import rung_rows, stage_rows
from bench.report.read.cells import Cell
from bench.report.read.folder import LeftOut
from bench.report.read.settings import rank, settings
from bench.report.views.comparison import area_table, front_table, paired_table, reach_table
from bench.report.views.document import Chart, Report, Row, Section, Table
from bench.report.views.growth import (
    forecast_chart,
    forecast_table,
    note_table,
    price_table,
    step_table,
    width_chart,
    width_table,
)
from bench.report.views.numbers import listed, plural
from bench.report.views.prose import summary
from bench.report.views.runs import environment_table, left_out_table, open_table, state_table
from bench.report.views.scores import COSTS, score_chart, score_table
from bench.report.write.palette import styles


def build(cells: Sequence[Cell], left_out: Sequence[LeftOut], name: str, fill: str = "") -> Report:
    """The report.

    Args:
        cells: What was asked for or begun.
        left_out: What could not be read.
        name: What it is a report of.
        fill: A command that fills all cells at once, if there is one.
    """
    made = settings(cells)
    labels = {(v.label, v.method) for setting in made for v in setting.variants}
    numbers = styles(sorted(labels, key=lambda one: (rank(one[1]), one[0])))
    found = [Findings(setting, numbers) for setting in made]
    done = sum(cell.state == "done" for cell in cells)
    lines = [f"{plural(len(cells), 'run')}, {done} of them done, in {plural(len(made), 'setting')}."]
    if not cells:
        lines = ["There is no run to report on."]
    if left_out:
        lines.append(
            f"{plural(len(left_out), 'entry').replace('entrys', 'entries')} of the runs folder left out; see Runs."
        )
    states = state_table(made) if cells else None
    closing = _present(states, open_table(made), left_out_table(left_out), environment_table(cells))
    about = [f"All that is missing is filled by: {fill}"] if fill and done < len(cells) else []
    return Report(
        title=f"Growth by splitting: {name}",
        lines=tuple(lines),
        settings=tuple(_sections(one) for one in found),
        closing=(Section("runs", "Runs", tuple(about), closing),),
        data=_data(found, cells, left_out),
    )


def _present(*blocks: Table | Chart | None) -> tuple[Table | Chart, ...]:
    return tuple(block for block in blocks if block is not None)


def _sections(findings: Findings) -> tuple[Section, ...]:
    setting = findings.setting
    head = Section(setting.slug, setting.title, summary(findings))
    if not findings.columns:
        return (head,)
    compared = _present(paired_table(findings), area_table(findings), reach_table(findings), front_table(findings))
    tables = [score_table(findings, cost) for cost in COSTS]
    parts: tuple[tuple[str, str, tuple[Table | Chart, ...]], ...] = (
        ("size", f"{findings.score.name.capitalize()} against size and cost", (score_chart(findings), *tables)),
        ("comparison", "Comparison", compared),
        ("steps", "Steps", _present(step_table(findings))),
        ("forecast", "Predicted and measured", _present(forecast_chart(findings), forecast_table(findings))),
        ("price", "What growing cost", _present(price_table(findings), note_table(findings))),
        ("widths", "Widths", (width_chart(findings), width_table(findings))),
    )
    return (head, *(Section(f"{setting.slug}-{key}", title, (), blocks) for key, title, blocks in parts if blocks))


def _data(found: Sequence[Findings], cells: Sequence[Cell], left_out: Sequence[LeftOut]) -> dict[str, tuple[Row, ...]]:
    data: dict[str, list[dict[str, Any]]] = {}
    for findings in found:
        for name, rows in _tables(findings).items():
            data.setdefault(name, []).extend({"setting": findings.setting.title, **row} for row in rows)
    data["cells"] = [
        {
            "data": cell.name("data"),
            "backbone": cell.name("backbone"),
            "method": cell.name("method"),
            "step": cell.config["growth"].get("epsilon"),
            "seed": cell.seed,
            "state": cell.state,
            "reason": cell.reason,
            "command": cell.command,
            "id": cell.id,
        }
        for cell in cells
    ]
    data["left_out"] = [asdict(one) for one in left_out]
    return {name: tuple(rows) for name, rows in data.items() if rows}


def _tables(findings: Findings) -> dict[str, list[Row]]:
    """Rows by CSV file, for one setting."""
    columns, accuracy = findings.columns, findings.setting.accuracy
    if not columns:
        return {}
    control = findings.control
    return {
        "stages": stage_rows(findings.setting, columns),
        "rungs": [row for column in columns for row in rung_rows(column, findings.rungs[column.label])],
        "pairs": [
            {
                "method": one.method,
                "baseline": one.baseline,
                "measure": one.measure,
                "seeds": one.seeds,
                "difference": one.result.difference.mean if one.result else None,
                "low": one.result.difference.low if one.result else None,
                "high": one.result.difference.high if one.result else None,
                "p": one.result.p if one.result else None,
                "p_holm": one.p_holm,
                "p_better": one.result.better if one.result else None,
                "p_better_low": one.result.better_low if one.result else None,
                "p_better_high": one.result.better_high if one.result else None,
                "verdict": one.verdict,
            }
            for baseline in columns
            for one in compare(columns, baseline, accuracy)
        ],
        "areas": [
            {"method": label, "seed": seed, "area": value}
            for label, values in areas_by_seed(columns).items()
            for seed, value in values.items()
        ],
        "reach": [asdict(one) for one in reached(columns, findings.rungs, control, accuracy)] if control else [],
        "front": [
            {
                "method": one.method,
                "rung": one.rung.rung,
                "params": one.rung.params,
                "macs": one.rung.macs,
                "test_mean": one.rung.score.mean,
                "front_params": one.params_front,
                "front_macs": one.macs_front,
            }
            for one in fronts(findings.rungs, accuracy)
        ],
        "steps": [{"method": column.label, **asdict(tried)} for column in columns for tried in column.tried],
        "events": [asdict(event) for event in findings.predictions],
        "forecasts": [asdict(one) for one in forecasts(findings.predictions)],
        "growing": [asdict(one) for one in map(growth_cost, columns) if one],
        "widths": [
            {"method": column.label, "group": name, "rung": k, "width_mean": width}
            for column in columns
            for name, values in widths(column).items()
            for k, width in enumerate(values)
        ],
    }


def title_of(experiment: str | None, filters: dict[str, list[str]]) -> str:
    """What a report is of, from what was asked for."""
    parts = [f"{key} {listed(values)}" for key, values in filters.items()]
    return ", ".join([experiment or "all runs", *parts])
