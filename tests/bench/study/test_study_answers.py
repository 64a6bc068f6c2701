"""What runs say: means, pairs, what seeds resolve, shares of variance; against numbers by hand and by least squares."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from bench.core.errors import BenchError
from bench.report.analysis.compare import AREA, LAST
from bench.report.analysis.statistics import area, holm
from bench.report.views.base import Prose
from bench.report.views.table import Table
from bench.study.answer import (
    Design,
    alone,
    comparisons,
    counterpart,
    covered,
    design,
    means,
    measures,
    pairs,
    resolutions,
    resolved,
    scores,
    shares,
    tuned,
)
from bench.study.figure import chart
from bench.study.layout import layouts
from bench.study.question import Figure
from bench.study.tables import share_table
from tests.bench.report.synthetic import cell, ended, options, put
from tests.bench.study.study_runs import asked, done, grid, laid_out

NOISE = np.random.default_rng(0).uniform(-0.01, 0.01, (2, 3, 4, 4))


def score(config: Mapping[str, Any], rung: int) -> float:
    """Depends on method, sample, seed and rung."""
    method, sample = ("s2d", "s3d").index(config["method"]["name"]), (64, 128, 256).index(config["growth"]["sample"])
    return 0.5 + 0.1 * rung + 0.02 * method + 0.01 * sample + float(NOISE[method, sample, config["seed"], rung])


def test_means_are_over_seeds_and_the_best_on_validation_is_chosen(tmp_path: Path) -> None:
    layout = laid_out(asked("method", "growth.sample"), done(tmp_path, grid(sample=(64, 128)), score))
    rows = {(row["method"], row["growth.sample"]): row for row in means(layout)}
    assert list(rows) == [("s2d", "64"), ("s2d", "128"), ("s3d", "64"), ("s3d", "128")]
    last = [score(options("s3d", seed, growth={"sample": 128}), 3) for seed in range(4)]
    row = rows["s3d", "128"]
    assert row["test_mean"] == pytest.approx(np.mean(last))
    half = stats.t.ppf(0.975, 3) * np.std(last, ddof=1) / 2
    assert row["test_high"] - row["test_mean"] == pytest.approx(half)
    sizes = [round(330 * 1.5**rung) for rung in range(4)]
    curves = [[score(options("s3d", s, growth={"sample": 128}), k) for k in range(4)] for s in range(4)]
    areas = [area(list(zip(map(float, sizes), one, strict=True)), sizes[0], sizes[-1]) for one in curves]
    assert row["area_mean"] == pytest.approx(np.mean(areas))
    assert (row["params_mean"], row["flops_mean"], row["seeds"]) == (sizes[-1], 1e8 + 3e6, 4)
    best = max(rows.values(), key=lambda one: one["validation_mean"])
    assert [one["chosen"] for one in rows.values()] == [one is best for one in rows.values()]


def test_pairs_are_paired_by_seed_with_holms_correction(tmp_path: Path) -> None:
    layout = laid_out(asked("method", "growth.sample"), done(tmp_path, grid(sample=(64, 128, 256)), score))
    rows = [row for row in pairs(layout, [{"method": "s2d"}]) if row["measure"] == LAST]
    assert [(row["method"], row["growth.sample"]) for row in rows] == [("s3d", "64"), ("s3d", "128"), ("s3d", "256")]
    differences = 0.02 + NOISE[1, :, :, 3] - NOISE[0, :, :, 3]
    for row, own in zip(rows, differences, strict=True):
        assert row["baseline"] == f"s2d, growth.sample={row['growth.sample']}"
        assert row["difference"] == pytest.approx(own.mean())
        assert row["p"] == pytest.approx(stats.ttest_1samp(own, 0).pvalue)
        quantiles = stats.t.ppf(0.975, 3) + stats.t.ppf(0.8, 3)
        assert row["resolves"] == pytest.approx(quantiles * own.std(ddof=1) / sqrt(4))
    assert [row["p_holm"] for row in rows] == holm([row["p"] for row in rows])
    assert sum(row["measure"] == AREA for row in pairs(layout, [{"method": "s2d"}])) == 3
    assert len(resolutions(layout, LAST)) == 15


def test_areas_are_along_any_cost_over_what_all_runs_cover(tmp_path: Path) -> None:
    """Ladders of two costs: one's rungs are closer in the other's."""
    configs = grid(seeds=range(3), sample=(64,))
    question = asked("method", areas=("params", "macs"))
    cells = done(tmp_path, configs, score)
    for one in cells:
        record = one.record
        assert record is not None
        for stage in record.stages:
            stage.costs["macs"] = 1000.0 * (2.0 if one.options["method"]["name"] == "s2d" else 3.0) ** stage.stage
    layout = laid_out(question, cells)
    assert measures(layout) == {LAST: None, AREA: "params", "area along macs": "macs"}
    assert covered(layout, "macs") == (1000.0, 8000.0)
    at = np.linspace(0, np.log(8), 10001)
    for method, base in (("s2d", 2.0), ("s3d", 3.0)):
        for seed, found in scores(layout, "area along macs")[method,].items():
            known = [score(options(method, seed, 0.01, growth={"sample": 64}), rung) for rung in range(4)]
            curve = np.interp(at, np.log(base) * np.arange(4), known)
            assert found == pytest.approx(np.trapezoid(curve, at) / np.log(8), rel=1e-6)
    (row,) = [row for row in means(layout) if row["method"] == "s3d"]
    assert row["area_macs_mean"] == pytest.approx(np.mean(list(scores(layout, "area along macs")["s3d",].values())))
    assert sum(row["measure"] == "area along macs" for row in pairs(layout, [{"method": "s2d"}])) == 1


@pytest.mark.parametrize("regression", [False, True])
def test_each_at_its_best_is_chosen_on_validation(regression: bool, tmp_path: Path) -> None:
    """The best of all first; losses are the better the lower."""
    cells = done(tmp_path, grid(sample=(64, 128, 256)), score, regression)
    layout = laid_out(asked("method", "growth.sample", tuned="method"), cells)
    held_out = {(row["method"], row["growth.sample"]): row["validation_mean"] for row in means(layout)}
    best = min if regression else max
    bests = {m: best((one for one in held_out if one[0] == m), key=held_out.__getitem__) for m in ("s2d", "s3d")}
    first, second = tuned(layout, "method")
    order = sorted(bests.values(), key=held_out.__getitem__, reverse=not regression)
    assert [(row["method"], row["growth.sample"]) for row in (first, second)] == order
    assert (first["difference"], first["p_holm"], first["baseline"]) == (None, None, None)
    assert second["baseline"] == f"{order[0][0]}, growth.sample={order[0][1]}"
    last = scores(layout, LAST)
    differences = [last[order[1]][seed] - last[order[0]][seed] for seed in range(4)]
    assert second["difference"] == pytest.approx(np.mean(differences))
    assert second["p_holm"] == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)


def test_a_real_difference_of_the_size_that_is_resolved_is_found_four_times_in_five() -> None:
    random = np.random.default_rng(1)
    noise = random.normal(0, 1, (4000, 20))
    size = (stats.t.ppf(0.975, 19) + stats.t.ppf(0.8, 19)) / sqrt(20)
    assert np.mean(stats.ttest_1samp(noise + size, 0, axis=1).pvalue < 0.05) == pytest.approx(0.8, abs=0.03)
    assert resolved(list(noise[0])) == pytest.approx(size * noise[0].std(ddof=1))
    assert resolved([0.1, 0.2]) is None
    assert resolved([0.1, 0.1, 0.1]) is None


def test_choices_are_over_the_seeds_that_all_have(tmp_path: Path) -> None:
    """Of the worse one, only the luckiest seed is done yet."""
    lucky = {0: 0.6, 1: 0.6, 2: 0.9}

    def held_out(config: Mapping[str, Any], rung: int) -> float:
        return lucky[config["seed"]] + 0.01 * (config["growth"]["sample"] == 64)

    configs = [c for c in grid(seeds=range(3), sample=(64, 128)) if c["growth"]["sample"] == 64 or c["seed"] == 2]
    layout = laid_out(asked("method", "growth.sample", tuned="method"), done(tmp_path, configs, held_out))
    assert [row["growth.sample"] for row in means(layout) if row["chosen"]] == ["64", "64"]
    assert [(row["growth.sample"], row["seeds"]) for row in tuned(layout, "method")] == [("64", 3), ("64", 3)]


@pytest.mark.parametrize("regression", [False, True])
def test_what_was_not_compared_comes_last(regression: bool, tmp_path: Path) -> None:
    """One has failed with one seed and is done with another that the rest lack, so it has no mean among them."""
    configs = [*grid(seeds=range(2), sample=(64,)), options("static", 2, 0.01, growth={"sample": 64})]
    cells = done(tmp_path, configs, lambda config, _: 0.5 + 0.1 * config["seed"], regression)
    failing = options("static", 3, 0.01, growth={"sample": 64})
    put(tmp_path, ended(failing, "failed", "diverged"))
    layout = laid_out(asked("method", tuned="method"), [*cells, cell(failing, tmp_path)])
    found = list(tuned(layout, "method"))
    assert [row["method"] for row in found] == ["s2d", "s3d", "static"]
    assert [row["validation_mean"] is None for row in found] == [False, False, True]


def test_scores_that_are_additive_but_for_rounding_have_no_test() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        a, b, seed = (random.integers(0, 360, n) / 360 for n in (3, 4, 5))
        rows = list(shares(Design(("a", "b"), a[:, None, None] + b[:, None] + seed, 0, 0)))
        assert [row["f"] for row in rows] == [row["p"] for row in rows] == [None] * 5
        assert [row["share"] for row in rows if row["effect"] in ("a and b", "the rest")] == [0, 0]
        assert sum(row["share"] for row in rows) == pytest.approx(1)
        level = list(shares(Design(("a", "b"), np.full((3, 4, 5), a[0] / 3 + 0.1), 0, 0)))
        assert {row["share"] for row in level} == {0}


def test_runs_that_not_all_have_a_partner_of_are_left_out_and_counted(tmp_path: Path) -> None:
    layout = laid_out(asked("method", "growth.sample"), done(tmp_path, grid(sample=(64, 128)), score)[:-1])
    found = design(layout)
    assert found is not None
    assert (found.y.shape, found.unpaired) == ((2, 2, 3), 3)
    (table,) = share_table(layout)
    assert isinstance(table, Table)
    assert " 3 runs with seeds that not all have left out." in table.about


def test_a_counterpart_has_the_baselines_values_and_else_its_own(tmp_path: Path) -> None:
    configs = [*grid(sample=(64, 128)), *(options("static", seed, 0.01, growth={"sample": 64}) for seed in range(4))]
    layout = laid_out(asked("method", "growth.sample", "growth.epsilon"), done(tmp_path, configs, lambda *_: 0.5))
    assert ("static", "64", None) in layout.runs
    find = lambda values, **baseline: counterpart(layout, values, baseline)  # noqa: E731
    assert find(("s3d", "128", "0.01"), method="s2d") == ("s2d", "128", "0.01")
    assert find(("s3d", "64", "0.01"), method="static") == ("static", "64", None)
    assert find(("s3d", "128", "0.01"), method="static") is None
    assert find(("static", "64", None), method="static") is None
    assert find(("s3d", "128", "0.01")) is None
    assert counterpart(layout, ("s3d", "128", "0.01"), {"growth.sample": 64}) == ("s3d", "64", "0.01")


def test_what_starts_afresh_has_no_way_of_conditioning(tmp_path: Path) -> None:
    configs = [
        options(method, seed, 0.01, growth={"condition": condition})
        for method, condition in (("s2d", None), ("s2d", "shrink_perturb"), ("static", "shrink_perturb"))
        for seed in range(3)
    ]
    layout = laid_out(asked("method", "growth.condition"), done(tmp_path, configs, lambda *_: 0.5))
    assert list(layout.runs) == [("s2d", "null"), ("s2d", "shrink_perturb"), ("static", None)]
    for values in list(layout.runs)[:2]:
        assert counterpart(layout, values, {"method": "static"}) == ("static", None)


def test_shares_are_those_of_a_linear_model_with_seeds_as_blocks(tmp_path: Path) -> None:
    layout = laid_out(asked("method", "growth.sample"), done(tmp_path, grid(sample=(64, 128, 256)), score))
    found = design(layout)
    assert found is not None
    assert (found.factors, found.y.shape, found.left_out) == (("method", "growth.sample"), (2, 3, 4), 0)
    y = found.y.reshape(-1)
    places = np.indices(found.y.shape).reshape(3, -1)
    both = places[0] * 3 + places[1]

    def explained(*columns: Any) -> float:
        dummies = [column[:, None] == np.unique(column) for column in columns]
        matrix = np.column_stack([np.ones(len(y)), *dummies]).astype(float)
        rest = y - matrix @ np.linalg.lstsq(matrix, y, rcond=None)[0]
        return float(1 - (rest**2).sum() / ((y - y.mean()) ** 2).sum())

    main = [explained(place) for place in places]
    expected = {
        "method": main[0],
        "growth.sample": main[1],
        "method and growth.sample": explained(both) - sum(main[:2]),
    }
    rows = {row["effect"]: row for row in shares(found)}
    rest = rows.pop("the rest")["share"]
    assert rest == pytest.approx(1 - sum(row["share"] for row in rows.values()))
    assert {name: row["share"] for name, row in rows.items()} == pytest.approx({**expected, "seed": main[2]})
    for name, freedom in {"method": 1, "growth.sample": 2, "method and growth.sample": 2, "seed": 3}.items():
        f = rows[name]["share"] / freedom / (rest / 15)
        assert rows[name]["noise"] == pytest.approx(freedom * rest / 15)
        assert (rows[name]["f"], rows[name]["p"]) == pytest.approx((f, stats.f.sf(f, freedom, 15)))


def test_shares_within_a_factor_are_those_of_its_runs_alone(tmp_path: Path) -> None:
    """One factor is left, so its F is of the two-way analysis with seeds as blocks."""
    layout = laid_out(asked("method", "growth.sample"), done(tmp_path, grid(sample=(64, 128, 256)), score))
    (table,) = share_table(layout, "method")
    assert isinstance(table, Table)
    assert [row["effect"] for row in table.rows if row["among"] == "method=s3d"] == [
        "growth.sample",
        "seed",
        "the rest",
    ]
    for name, method in (("s2d", 0), ("s3d", 1)):
        y = 0.02 * method + 0.01 * np.arange(3)[:, None] + NOISE[method, :, :, 3]
        rest = y - y.mean(0) - y.mean(1, keepdims=True) + y.mean()
        f = 4 * y.mean(1).var(ddof=1) / ((rest**2).sum() / 6)
        (row,) = [row for row in table.rows if (row["among"], row["effect"]) == (f"method={name}", "growth.sample")]
        assert (row["f"], row["p"], row["runs"]) == (pytest.approx(f), pytest.approx(stats.f.sf(f, 2, 6)), 12)
    (plain,) = share_table(layout)
    assert isinstance(plain, Table)
    assert {row["among"] for row in plain.rows} == {"all"}


def test_without_an_effect_each_explains_what_noise_does_whatever_another_explains() -> None:
    random = np.random.default_rng(0)
    strong = np.array([0.0, 5.0, 9.0])[:, None, None]
    tries = [list(shares(Design(("a", "b"), strong + random.normal(size=(3, 4, 5)), 0, 0))) for _ in range(400)]
    assert np.mean([one[0]["share"] for one in tries]) > 0.8
    for k in (1, 2, 3):
        share, noise = (np.mean([one[k][name] for one in tries]) for name in ("share", "noise"))
        assert share == pytest.approx(noise, abs=0.003)
        assert np.mean([one[k]["p"] < 0.05 for one in tries]) == pytest.approx(0.05, abs=0.03)


def test_where_a_design_is_not_full_the_barest_values_are_dropped(tmp_path: Path) -> None:
    configs = [
        options(method, seed, 0.01, growth={"sample": sample, "engine": engine})
        for method, sample, engine in (
            *product(("s2d", "s3d"), (64, 128, 256), ("dense",)),
            *product(("s3d",), (64, 256), ("lanczos",)),
        )
        for seed in range(4)
    ]
    cells = done(tmp_path, configs, score)
    layout = laid_out(asked("method", "growth.sample", "growth.engine"), cells)
    found = design(layout)
    assert found is not None
    assert (found.factors, found.y.shape) == (("method", "growth.sample"), (2, 3, 4))
    assert (found.dropped, found.left_out, found.unpaired) == (("growth.engine=lanczos",), 0, 0)
    alone = design(laid_out(asked("method", "growth.sample", "growth.engine"), cells[:24]))
    assert alone is not None
    assert np.array_equal(found.y, alone.y)
    (table,) = share_table(layout)
    assert isinstance(table, Table)
    assert " Left out, as they are not crossed with all other factors: growth.engine=lanczos. " in table.about


def test_a_design_crosses_two_factors(tmp_path: Path) -> None:
    cells = done(tmp_path, grid(sample=(64, 128)), score)
    assert design(laid_out(asked("method", "growth.sample"), cells)) is not None
    layout = laid_out(asked("method", "growth.sample"), cells[:-4])
    assert design(layout) is None
    (said,) = share_table(layout)
    assert isinstance(said, Prose)
    lacking = [options("static", seed, 0.01, growth={"sample": 64}) for seed in range(4)]
    layout = laid_out(asked("method", "growth.epsilon"), [*cells[:4], *done(tmp_path, lacking, lambda *_: 0.5)])
    assert design(layout) is None


def test_a_figure_is_against_size_or_against_a_factor(tmp_path: Path) -> None:
    layout = laid_out(asked("method", "growth.sample"), done(tmp_path, grid(sample=(256, 64)), score))
    curves = chart(layout, Figure())
    assert [one.name for one in curves.drawn] == [f"{m}, growth.sample={k}" for m in ("s2d", "s3d") for k in (256, 64)]
    assert [curves.x[0].of(row) for row in curves.drawn[0].points] == [330, 495, 742, 1114]
    steps = chart(layout, Figure("growth.sample"))
    assert [(one.name, [row["growth.sample"] for row in one.points]) for one in steps.drawn] == [
        ("s2d", [64, 256]),
        ("s3d", [64, 256]),
    ]
    mean = np.mean([score(options("s3d", seed, growth={"sample": 256}), 3) for seed in range(4)])
    assert steps.drawn[1].points[1]["test_mean"] == pytest.approx(mean)
    over = chart(layout, Figure("rung", panel="growth.sample"))
    assert over.panels == ["growth.sample=256", "growth.sample=64"]
    assert "the mean over" not in curves.about + steps.about + over.about
    mixed = chart(layout, Figure("rung", series=("method",)))
    assert mixed.about.endswith("Each line is the mean over growth.sample.")
    last = [score(options("s3d", seed, growth={"sample": k}), 3) for seed in range(4) for k in (64, 256)]
    assert mixed.drawn[1].points[3]["test_mean"] == pytest.approx(np.mean(last))


def test_what_has_no_panel_of_its_own_is_in_all(tmp_path: Path) -> None:
    configs = [*grid(condition=("none", "rescale")), *(options("static", seed, 0.01) for seed in range(4))]
    layout = laid_out(asked("method", "growth.condition"), done(tmp_path, configs, lambda *_: 0.5))
    found = chart(layout, Figure("rung", panel="growth.condition"))
    names = ("s2d", "s3d", "static")
    assert {(one.panel, one.name) for one in found.drawn} == {
        (f"growth.condition={kind}", name) for kind in ("none", "rescale") for name in names
    }
    assert chart(layout, Figure("growth.condition")).y.most == 100


def test_errors_are_drawn_along_costs_and_only_what_is_named(tmp_path: Path) -> None:
    configs = [*grid(sample=(64, 128, 256)), *(options("static", seed, 0.01) for seed in range(4))]

    def own(config: Mapping[str, Any], rung: int) -> float:
        return 0.9 if config["method"]["name"] == "static" else score(config, rung)

    cells = done(tmp_path, configs, own)
    layout = laid_out(asked("method", "growth.sample"), cells)
    found = chart(layout, Figure("flops", only={"method": ["s3d", "static"], "growth.sample": [64, 256]}))
    assert [one.name for one in found.drawn] == ["s3d, growth.sample=64", "s3d, growth.sample=256", "static"]
    assert "Shown are method=s3d,static and growth.sample=64,256; " in found.about
    row = found.drawn[2].points[-1]
    assert found.y.log
    assert found.y.of(row) == pytest.approx(10)
    row = found.drawn[0].points[0]
    assert row["error_low"] == 1 - row["test_high"] < row["error_mean"] < row["error_high"] == 1 - row["test_low"]
    assert found.interval == ("error_low", "error_high")


def test_all_that_are_best_are_chosen(tmp_path: Path) -> None:
    """As S3D that may not be signed is S2D."""
    cells = done(tmp_path, grid(sample=(64, 128)), lambda config, _: 0.5 + config["growth"]["sample"] / 1000)
    rows = list(means(laid_out(asked("method", "growth.sample"), cells)))
    assert [row["growth.sample"] for row in rows if row["chosen"]] == ["128", "128"]


def test_one_that_failed_on_a_seed_is_not_chosen(tmp_path: Path) -> None:
    cells = done(tmp_path, grid(sample=(64, 128)), score)
    best = options("s3d", 9, 0.01, growth={"sample": 128})
    put(tmp_path, ended(best, "failed", "diverged"))
    rows = list(means(laid_out(asked("method", "growth.sample"), [*cells, cell(best, tmp_path)])))
    assert [(row["seeds"], row["cells"]) for row in rows] == [(4, 4)] * 3 + [(4, 5)]
    assert rows[3]["validation_mean"] == max(row["validation_mean"] for row in rows)
    held_out = max(row["validation_mean"] for row in rows[:3])
    assert [row["chosen"] for row in rows] == [row["validation_mean"] == held_out for row in rows[:3]] + [False]


def test_what_goes_along_with_a_factor_parts_no_setting(tmp_path: Path) -> None:
    configs = [options("s2d", s, growth={"stages": k}, train={"epochs": 6 // k}) for k in (1, 2) for s in (0, 1)]
    cells = done(tmp_path, configs, lambda *_: 0.5)
    assert len(layouts(asked("growth.stages"), cells)) == 2
    layout = laid_out(asked("growth.stages", along=("train.epochs",)), cells)
    assert len(list(pairs(layout, [{"growth.stages": 1}]))) == 2


def test_what_is_compared_with_nothing_is_named(tmp_path: Path) -> None:
    configs = [*grid(sample=(64, 128)), *(options("static", seed, 0.01, growth={"sample": 64}) for seed in range(4))]
    layout = laid_out(asked("method", "growth.sample"), done(tmp_path, configs, lambda *_: 0.5))
    assert alone(layout, [{"method": "static"}]) == [("s2d", "128"), ("s3d", "128")]
    both = comparisons(layout, [{"method": "s2d"}, {"method": "static"}])
    assert (("s2d", "64"), ("static", "64")) not in both
    assert (("static", "64"), ("s2d", "64")) in both
    assert alone(layout, [{"method": "s2d"}, {"method": "static"}]) == []


def test_runs_that_differ_in_something_else_are_not_mixed(tmp_path: Path) -> None:
    configs = [options("s2d", 0, 0.01), options("s2d", 0, 0.1)]
    with pytest.raises(BenchError, match=r"^conf/study/why.yaml: factors=method: expected growth.epsilon among them"):
        layouts(asked("method"), [cell(config, tmp_path) for config in configs])


def test_a_factor_that_no_run_has_is_one_line(tmp_path: Path) -> None:
    cells = [cell(options("s2d", 0), tmp_path)]
    with pytest.raises(BenchError, match=r"^conf/study/why.yaml: factors=growth.smple: expected an option that a run"):
        layouts(asked("method", "growth.smple"), cells)
    with pytest.raises(BenchError, match=r"^conf/study/why.yaml: baselines: method=s4d: expected one of s2d$"):
        layouts(asked("method", baselines=({"method": "s4d"},)), cells)
    with pytest.raises(BenchError, match=r"^conf/study/why.yaml: figure.only: method=s4d: expected one of s2d$"):
        layouts(asked("method", figure={"only": {"method": ["s4d"]}}), cells)
    with pytest.raises(
        BenchError, match=r"^conf/study/why.yaml: along=growth.rattio: expected .*mean growth.ratio\?\)$"
    ):
        layouts(asked("method", along=("growth.rattio",)), cells)
    with pytest.raises(BenchError, match=r"^conf/study/why.yaml: figure.x=method: expected a factor with numbers, not"):
        layouts(asked("method", figure={"x": "method"}), cells)
    both = ({"method": "static", "growth.epsilon": 0.01},)
    cells += [cell(options("static", 0), tmp_path)]
    with pytest.raises(
        BenchError, match=r"^conf/study/why.yaml: baselines: method=static, growth.epsilon=0.01: expected"
    ):
        layouts(asked("method", "growth.epsilon", baselines=both), cells)


def test_options_of_a_setting_can_be_factors(tmp_path: Path) -> None:
    configs = [
        options("s2d", s, train={"lr": lr}, growth={"ratio": r}) for lr in (0.1, 0.2) for r in (2, 3) for s in (0, 1)
    ]
    cells = done(tmp_path, configs, lambda *_: 0.5)
    assert len(layouts(asked("method"), cells)) == 4
    (found,) = layouts(asked("train.lr", "growth.ratio"), cells)
    assert (list(found.runs), found.varied) == (
        [("0.1", "2"), ("0.1", "3"), ("0.2", "2"), ("0.2", "3")],
        ("train.lr", "growth.ratio"),
    )
