"""What one types: filters, the baseline, options of the report's parts; and what is wrong, in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.core.errors import BenchError
from bench.report.__main__ import expected_cells, report
from bench.report.read.arguments import HELP, Request, parse
from bench.report.views.base import views
from bench.report.views.document import make_views
from tests.bench.report.synthetic import options, put, record, sweep

ROOT = Path(__file__).resolve().parents[3]


def asked(tmp_path: Path, *arguments: str) -> str:
    """The page of a report, in Markdown."""
    report(parse([*arguments, f"runs_dir='{tmp_path / 'runs'}'", f"out='{tmp_path / 'out'}'"]))
    return (tmp_path / "out" / "report.md").read_text()


def test_filters_lists_and_quotes() -> None:
    found = parse(["method=s2d,s3d", "seed=range(0,3)", "growth.epsilon=0.10", "out=a b", "runs_dir='x,y'"])
    assert found.filters == {"growth.epsilon": ["0.1"], "method": ["s2d", "s3d"], "seed": ["0", "1", "2"]}
    assert (found.out, found.runs_dir) == (Path("a b"), "x,y")
    assert found.passes(options("s2d", 1, 0.1))
    assert not found.passes(options("s2d", 3, 0.1))
    assert not found.passes(options("net2net", 1, 0.1))
    several = parse(["runs_dir=here,there,'a,b'"])
    assert (several.runs_dir, several.others) == ("here", ("there", "a,b"))
    assert parse(["runs_dir=[here,there]"]) == Request(runs_dir="here", others=("there",))


def test_an_experiment_may_lie_in_a_folder(tmp_path: Path) -> None:
    found = expected_cells(parse(["experiment=study/sign_digits", "method=s2d", f"runs_dir={tmp_path}"]))
    assert found is not None
    assert len(found) == 10


def test_the_methods_of_an_experiment_are_those_of_its_sweep() -> None:
    found = parse(["experiment=mnist", "method=mine", "seed=0"])
    assert found.sweep == ["experiment=mnist", "method=mine"]
    assert found.passes(options("s2d", 0))
    assert not found.passes(options("mine", 1))


@pytest.mark.parametrize("wrong", ["methd=s2d", "metod=s2d", "method", "out=a,b", "baseline=", "baseline=a,b"])
def test_what_is_no_option_is_refused(wrong: str) -> None:
    with pytest.raises(BenchError):
        parse([wrong])


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("growth.epsilonn=0.1", "growth.epsilonn=0.1: no run has this option (did you mean growth.epsilon?)"),
        ("method=s2dd", "method=s2dd: expected one that a run has: net2net, s2d"),
        ("seed=7,8", "seed=7,8: expected one that a run has: 0, 1"),
        ("seed=1", "seed=1 method=s2d: no run has all of these"),
    ],
)
def test_a_filter_that_no_run_passes_is_one_line_and_no_report(tmp_path: Path, typed: str, said: str) -> None:
    put(tmp_path / "runs", record(options("s2d", 0)), record(options("net2net", 1)))
    words = [typed, "method=s2d"] if typed == "seed=1" else [typed]
    with pytest.raises(BenchError) as error:
        asked(tmp_path, *words)
    assert sorted(str(error.value).replace(":", "").split()) == sorted(said.replace(":", "").split())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("metod=s2d", "metod: no such option; expected one of experiment, "),
        ("runs.mots=3", "runs.mots=3: expected one of most"),
        (
            "scores.against=weight",
            "scores.against=weight: expected one of energy, latency, macs, params, ",
        ),
        ("losses.panels=1", "losses.panels=1: expected one of part, method"),
        ("losses.panels=[part]", "losses.panels=['part']: expected a text"),
        ("runs.most=-1", "runs.most=-1: expected a number of cells, at least 0"),
        ("logger.project=[]", "logger.project=: expected one value"),
        ("logger=none,wandb", "logger=none,wandb: expected one value"),
        ("runs.most=many", "runs.most=many: expected a whole number"),
        ("lossses.panels=part", "lossses.panels: no such option; expected one of a group (method, "),
        ("baseline=s3d", "baseline=s3d: expected a method with done runs: net2net, s2d"),
    ],
)
def test_a_mistake_is_one_line_on_the_command_line(tmp_path: Path, typed: str, said: str) -> None:
    put(tmp_path / "runs", record(options("s2d", 0)), record(options("net2net", 1)))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "bench.report", "runs_dir=runs", "out=out", typed]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {said}"), done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_list_of_one_is_a_list(tmp_path: Path) -> None:
    assert parse(["budget.targets=[0.9]", "losses.panels=part"]).views == {
        "budget": {"targets": [0.9]},
        "losses": {"panels": "part"},
    }


def test_the_baseline_is_what_one_asks_for(tmp_path: Path) -> None:
    put(tmp_path / "runs", *sweep())
    assert "Paired by seed, against static" in asked(tmp_path)
    page = asked(tmp_path, "baseline=net2net")
    assert "Paired by seed, against net2net" in page
    assert "Seed by seed against net2net" in page
    assert "Parameters needed to reach static's" in page


def test_a_baseline_is_named_by_its_label_where_a_method_has_several(tmp_path: Path) -> None:
    for c in (2.0, 3.0):
        put(tmp_path / "runs", *(record(options("s3d", s, method={"name": "s3d", "c": c})) for s in range(2)))
    with pytest.raises(BenchError, match=r"baseline=s3d: expected a method .*: s3d \(c=2.0\), s3d \(c=3.0\)"):
        asked(tmp_path, "baseline=s3d")
    assert "Paired by seed, against s3d (c=3.0)" in asked(tmp_path, "baseline='s3d (c=3.0)'")


def test_a_setting_without_the_baseline_keeps_the_usual_one(tmp_path: Path) -> None:
    put(tmp_path / "runs", *sweep(["s2d", "net2net", "static"]))
    put(tmp_path / "runs", *(record(options(m, 0, backbone={"width": 9})) for m in ("s2d", "static")))
    page = asked(tmp_path, "baseline=net2net")
    assert "Paired by seed, against net2net" in page
    assert "Paired by seed, against static" in page


def test_options_of_the_parts(tmp_path: Path) -> None:
    put(tmp_path / "runs", *sweep(["s2d", "static"]))
    (tmp_path / "runs" / "more").mkdir()
    for seed in range(3, 6):
        folder = tmp_path / "runs" / f"begun{seed}"
        folder.mkdir()
        (folder / "config.yaml").write_text(str(options("s2d", seed)).replace("None", "null"))
    page = asked(tmp_path, "runs.most=2", "losses.panels=method", "scores.against=macs")
    assert "The first 2 of 3; all are in cells.csv." in page
    assert sum("interrupted" in line for line in page.split("Cells that are not done")[1].splitlines()) == 2


def test_the_help_names_every_option_of_the_parts() -> None:
    make_views({})
    for entry in views:
        if entry.factory.__module__.startswith("bench."):
            for name in set(entry.defaults()) - {"name"}:
                assert f"{entry.name}.{name}=" in HELP


def test_a_request_without_anything_is_all_runs() -> None:
    assert parse([]) == Request()
