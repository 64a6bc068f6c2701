"""What a report writes: complete, escaped, and the same bytes for the same runs."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from bench.core.errors import BenchError
from bench.report.__main__ import report
from bench.report.read.arguments import Request
from bench.report.write import csv as tidy
from bench.report.write import latex, markdown
from bench.run.cell import Cell
from tests.bench.report.synthetic import begin, cell, cost, ended, options, put, record, signed, sweep

EVIL = "<script>alert(1)</script>|*x*_&`$\\{}%#~^"


def made(tmp_path: Path, expected: list[Cell] | None = None) -> dict[str, str]:
    """The text files of a report on ``tmp_path / "runs"``."""
    out = tmp_path / "out"
    report(Request(runs_dir=str(tmp_path / "runs"), out=out), expected)
    paths = [path for path in out.rglob("*") if path.suffix in (".md", ".html", ".csv", ".tex", ".svg")]
    return {path.relative_to(out).as_posix(): path.read_text() for path in paths}


def test_every_part_is_there(tmp_path: Path) -> None:
    put(tmp_path / "runs", *sweep(steps=[0.01, 0.1]))
    files = made(tmp_path)
    tables = {"stages", "rungs", "pairs", "areas", "reach", "front", "steps", "events", "growing", "widths", "cells"}
    tables |= {"costs", "area_means", "forecasts", "losses", "states", "environment"}
    assert {f"data/{name}.csv" for name in tables} <= set(files)
    assert {"figures/digits-mlp-score.svg", "figures/digits-mlp-score-costs.svg"} <= set(files)
    assert (tmp_path / "out/figures/digits-mlp-score.png").read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader(files["data/stages.csv"].splitlines()))
    assert len(rows) == 4 * 3 * (3 * 2 + 1)
    for words in ("Paired by seed, against static", "Pareto front", "Widths by rung", "chosen on validation"):
        assert words in files["report.md"]
        assert words in files["index.html"]
    assert r"\toprule" in files["tables/digits-mlp-pairs.tex"]


def test_the_same_bytes_for_the_same_runs(tmp_path: Path) -> None:
    records = sweep()
    contents = []
    for name, order in (("a", records), ("b", records[::-1])):
        put(tmp_path / name / "runs", *order)
        command = [sys.executable, "-m", "bench.report", "runs_dir=runs", "out=out"]
        root = Path(__file__).resolve().parents[3]
        env = {"PYTHONPATH": str(root), "PATH": "", "PYTHONHASHSEED": str(len(contents))}
        subprocess.run(command, cwd=tmp_path / name, env=env, check=True, stdout=subprocess.DEVNULL)
        out = tmp_path / name / "out"
        contents.append({p.relative_to(out): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()})
    assert contents[0] == contents[1]
    assert len(contents[0]) > 20


def test_a_report_is_not_replaced_by_an_empty_one(tmp_path: Path) -> None:
    put(tmp_path / "runs", *sweep())
    made(tmp_path)
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    (tmp_path / "none").mkdir()
    with pytest.raises(
        BenchError, match=r"^out=.*: no run is done, and a report is there already; it is left as it is$"
    ):
        report(Request(runs_dir=str(tmp_path / "none"), out=tmp_path / "out"), None)
    assert {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()} == before


def test_files_of_an_earlier_report_go_and_those_of_others_stay(tmp_path: Path) -> None:
    put(tmp_path / "runs", *sweep())
    assert "figures/digits-mlp-forecast.svg" in made(tmp_path)
    (tmp_path / "out" / "mine.md").write_text("mine")
    shutil.rmtree(tmp_path / "runs")
    put(tmp_path / "runs", *sweep(["static"]))
    files = made(tmp_path)
    assert "figures/digits-mlp-forecast.svg" not in files
    assert files["mine.md"] == "mine"


class Tags(HTMLParser):
    """Counts tags, and keeps the text outside scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts = 0
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"

    def handle_data(self, data: str) -> None:
        self.text += data


def test_markup_in_names_is_harmless_everywhere(tmp_path: Path) -> None:
    plain, evil = tmp_path / "plain", tmp_path / "evil"
    for folder, name in ((plain, "good"), (evil, EVIL)):
        for seed in range(3):
            one = record(options(name, seed, backbone={"activation": name}))
            place = folder / "runs" / f"run{seed}"
            place.mkdir(parents=True)
            (place / "run.json").write_text(signed(one))
        lost = folder / "runs" / ("<img src=x onerror=alert(1)>" if name == EVIL else "lost")
        lost.mkdir()
    files, innocent = made(evil), made(plain)
    assert set(files) == set(innocent)
    pages = {}
    for key, text in (("evil", files["index.html"]), ("good", innocent["index.html"])):
        pages[key] = Tags()
        pages[key].feed(text)
    assert pages["evil"].scripts == pages["good"].scripts
    assert EVIL in pages["evil"].text
    for name in ("report.md", "index.html"):
        assert "<script>alert" not in files[name]
        assert "<img src" not in files[name]
    borders = [
        [len(re.findall(r"(?<!\\)\|", line)) for line in text["report.md"].splitlines() if line.startswith("|")]
        for text in (files, innocent)
    ]
    assert borders[0] == borders[1]
    table = files["tables/digits-mlp-area_means.tex"]
    assert r"\textless{}script\textgreater{}" in table
    assert r"\_\&\textasciigrave{}\$\textbackslash{}\{\}\%\#" in table


def test_escapes() -> None:
    assert markdown.escape("a_b _c_ *d* [e](f) <g> | h") == r"a_b \_c\_ \*d\* \[e\](f) &lt;g&gt; \| h"
    assert markdown.code("a`b|c") == "`` a`b\\|c ``"
    assert latex.escape("5 % ± 1\x00\n") == r"5 \% \ensuremath{\pm} 1"
    assert tidy.render([{"a": "=1+1", "b": None, "c": True}]) == "a,b,c\n'=1+1,,true\n"


def test_regression_shows_losses_and_calls_lower_better(tmp_path: Path) -> None:
    def loss(method: str, rung: int, seed: int, step: float) -> float:
        return (0.5 if method == "s3d" else 0.9) / (1 + rung) + 0.001 * seed * (2 if method == "s3d" else 1)

    put(tmp_path / "runs", *sweep(["s3d", "static"], range(4), score=loss, regression=True))
    files = made(tmp_path)
    assert "the best mean test loss is that of s3d" in files["report.md"]
    assert "at the last rung: s3d better." in files["report.md"]
    assert "accuracy" not in files["report.md"].lower().replace("chosen on validation", "")
    (row,) = [r for r in csv.DictReader(files["data/pairs.csv"].splitlines()) if r["baseline"] == "static"][:1]
    assert (row["p_better"], row["verdict"]) == ("1.0", "s3d better")


def test_cells_that_are_not_done_are_shown_with_their_commands(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    put(runs, *sweep(["s2d", "static"]), ended(options("s3d", 0), "refused", "nothing to split here"))
    put(runs, ended(options("s2d", 3), "failed", "loss became NaN"))
    begin(runs, options("s2d", 4))
    wanted = [
        *(options("s2d", seed) for seed in range(6)),
        options("s3d", 0),
        *(options("static", s) for s in range(3)),
    ]
    files = made(tmp_path, [cell(one, runs) for one in wanted])
    for text in (files["report.md"], files["index.html"]):
        assert "refused: nothing to split here" in text
        assert "loss became NaN" in text
        assert "1 failed, 1 interrupted, 1 missing and 1 refused" in text
        assert "n 3 of 6" in text
    states = {(r["method"], r["seed"]): r for r in csv.DictReader(files["data/cells.csv"].splitlines())}
    assert "seed=5" in states["s2d", "5"]["command"]
    assert states["s2d", "3"]["command"].endswith("rerun=failed")
    assert states["s3d", "0"]["command"] == ""
    assert states["s2d", "0"]["command"].startswith("python -m bench method=s2d ")  # done, for `bench.reproduce`


def test_a_method_that_stops_short_is_said_to_have(tmp_path: Path) -> None:
    records = sweep(["s2d", "static"])
    for one in records:
        if one["method"] == "s2d":
            for stage in one["stages"][2:]:
                cost(stage, params=one["stages"][1]["params"])
                stage["growth"]["stopped"] = "stable"
    put(tmp_path / "runs", *records)
    text = made(tmp_path)["report.md"]
    assert "s2d stopped short of a rung 6 times (stable)" in text
    assert "†3" in text
    assert "from 330 to 495 parameters" in text


def test_what_a_method_puts_on_record_is_shown(tmp_path: Path) -> None:
    runs = [record(options("fast_s2d", seed)) for seed in range(3)]
    for number, run in enumerate(runs):
        for stage in run["stages"][1:]:
            stage["growth"]["notes"] = {"gap": 0.125 * number, EVIL: -3.0}
    put(tmp_path / "runs", *runs, *sweep())
    page = made(tmp_path)["report.md"]
    table = page.split("What methods put on record")[1]
    row = next(line for line in table.splitlines() if "gap" in line and line.startswith("|"))
    assert [cell.strip() for cell in row.strip("|").split("|")] == ["fast_s2d", "gap", "9", "0.125", "0", "0.25"]
    assert "<script>" not in page
    assert "What methods put on record" not in made_of(tmp_path / "plain", *sweep())["report.md"]


def made_of(folder: Path, *runs: dict[str, Any]) -> dict[str, str]:
    put(folder / "runs", *runs)
    return made(folder)


@pytest.mark.parametrize("seeds", [0, 1, 2])
def test_too_few_runs_make_a_report_that_concludes_nothing(tmp_path: Path, seeds: int) -> None:
    (tmp_path / "runs").mkdir()
    put(tmp_path / "runs", *sweep(["s2d", "static"], range(seeds)))
    text = made(tmp_path)["report.md"]
    assert "no run to report on" in text if seeds == 0 else f"too few seeds ({seeds})" in text
    assert not re.search("(better|worse)[;.]", text)


def test_two_seeds_show_their_range_and_the_text_says_so(tmp_path: Path) -> None:
    def score(method: str, rung: int, seed: int, step: float) -> float:
        return 0.5 + 0.1 * rung + (0.02 if method == "s2d" else 0.01) * seed

    put(tmp_path / "runs", *sweep(["s2d", "static"], range(2), score=score))
    files = made(tmp_path)
    page = files["report.md"]
    assert "**81.00**<br>80.00 to 82.00" in page
    assert "81.00 % (80.00 to 82.00) over 2 seeds" in page
    assert "two seeds, too few for one, show their range instead" in page
    assert "+0.00 to +1.00" in page  # of the differences
    assert "or the range of two seeds" in page
    row = next(r for r in csv.DictReader(files["data/rungs.csv"].splitlines()) if r["rung"] == "3")
    assert (float(row["test_low"]), float(row["test_high"])) == pytest.approx((0.8, 0.82))
    assert "80.00 to 82.00" in files["tables/digits-mlp-rungs.tex"]


def test_three_seeds_show_the_t_interval(tmp_path: Path) -> None:
    def score(method: str, rung: int, seed: int, step: float) -> float:
        return 0.5 + 0.1 * rung + 0.01 * seed

    put(tmp_path / "runs", *sweep(["s2d", "static"], range(3), score=score))
    half = 100 * stats.t.ppf(0.975, 2) * 0.01 / 3**0.5
    assert f"81.00 \u00b1 {half:.2f}" in made(tmp_path)["report.md"]


def test_neither_torch_nor_pandas_is_loaded(tmp_path: Path) -> None:
    put(tmp_path / "runs", *sweep())
    code = (
        "import sys; sys.argv = ['report', 'runs_dir=runs', 'out=out']; from bench.report.__main__ import main; main();"
        "assert not {'torch', 'pandas', 'plotly'} & set(sys.modules)"
    )
    root = str(Path(__file__).resolve().parents[3])
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": root, "PATH": ""}, check=True)


def test_two_thousand_runs(tmp_path: Path) -> None:
    methods = ("net2net", "random_split", "s2d", "fast_s2d", "s3d")
    for width in range(2):
        for seed in range(48):
            for method in methods:
                for step in (0.01, 0.1, 0.5, "line_search"):
                    put(tmp_path / "runs", record(options(method, seed, step, backbone={"width": width + 1})))
            put(tmp_path / "runs", record(options("static", seed, backbone={"width": width + 1})))
    assert len(list((tmp_path / "runs").iterdir())) == 2016
    code = (
        "import re, sys, time; sys.argv = ['report', 'runs_dir=runs', 'out=out'];"
        "from bench.report.__main__ import main; main();"
        # its own peak: getrusage would give the parent's where that is larger
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1], time.process_time())"
    )
    root = str(Path(__file__).resolve().parents[3])
    command = [sys.executable, "-c", code]
    env = {"PYTHONPATH": root, "PATH": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True, text=True)
    peak, seconds = done.stdout.split()[-2:]
    assert float(seconds) < 20  # of the processor: the machine may be busy
    assert int(peak) < 2**20  # KiB
