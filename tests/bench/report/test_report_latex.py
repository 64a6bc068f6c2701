"""LaTeX tables fit the text of an article: by an estimate that is checked, and by LaTeX itself where it is there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.report.__main__ import report
from bench.report.read.arguments import Request
from bench.report.views.table import METHOD, Column, Pivot, Shown, Table, untitled
from bench.report.write import latex
from tests.bench.report.synthetic import begin, ended, options, put, record, sweep

METHODS = ("net2net", "random_split", "s2d", "fast_s2d", "s3d", "static", "static_matched")
WIDTHS = {"normalsize": 1.0, "small": 0.925, "footnotesize": 0.85}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report on seven methods and three seeds, with a long name, runs left to do, and notes."""
    folder = tmp_path_factory.mktemp("latex")
    records = sweep(METHODS, range(3), [0.01, 0.1, "line_search"])
    for one in records:
        for stage in one["stages"][1:]:
            stage["growth"]["notes"] = {"summed_curvature_of_the_exact_programme": -0.125}
    put(folder / "runs", *records)
    put(folder / "runs", *(record(options("s3d", seed, method={"c": 2.0, "rank": "gain"})) for seed in range(2)))
    put(folder / "runs", ended(options("s2d", 8), "failed", "the training loss became NaN 'here' & \"there\" <^~\\{}>"))
    begin(folder / "runs", options("s3d", 9))
    report(Request(runs_dir=str(folder / "runs"), out=folder / "out"))
    return folder / "out" / "tables"


def test_the_score_table_has_sizes_in_a_column_and_seeds_in_the_caption(tables: Path) -> None:
    text = (tables / "digits-mlp-rungs.tex").read_text()
    assert text.startswith("% needs \\usepackage{booktabs}")
    assert "over n = 3 seeds" in text
    assert "\\pm} is half the 95 \\% t interval" in text
    body = text.split("\\midrule")[1]
    assert "n 3" not in body
    assert re.match(r"\s*0 & 330 & ", body)


TABULAR = re.compile(r"\\begin{tabular}{@{}([^@]*)@{}}\n\\toprule\n.*?\\midrule\n(.*?)\\bottomrule", re.DOTALL)


def estimated(text: str) -> float:
    """How wide the widest tabular of a file is, in points, by five for each character of the class's type."""
    found = re.search(r"\\(\w+)\n\\setlength{\\tabcolsep}{(\d+)pt}", text)
    assert found
    size, beside = WIDTHS[found[1]], int(found[2])
    widest = 0.0
    for specification, body in TABULAR.findall(text):
        kinds = re.findall(r"l|r|p{[\d.]+pt}", specification)
        lines = [line.removesuffix(" \\tabularnewline").split(" & ") for line in body.strip().splitlines()]
        assert {len(line) for line in lines} == {len(kinds)}
        columns = zip(kinds, zip(*lines, strict=True), strict=True)
        widths = [
            float(k[2:-3]) if k[0] == "p" else 5 * size * max(len(plain(c)) for c in cells) for k, cells in columns
        ]
        widest = max(widest, sum(widths) + 2 * beside * (len(kinds) - 1))
    return widest


def plain(text: str) -> str:
    """What a cell shows, about."""
    text = re.sub(r"\\(ensuremath|textbf|texttt|footnotesize|raggedright|allowbreak|times|leq|pm|cdot)\b", "", text)
    return re.sub(r"[\\{}]", "", text).strip()


def test_no_table_is_wider_than_a_line(tables: Path) -> None:
    files = sorted(tables.glob("*.tex"))
    assert len(files) > 12
    too_wide = {
        file.name: estimated(file.read_text()) for file in files if estimated(file.read_text()) > 1.03 * latex.LINE
    }
    assert not too_wide


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_latex_sets_every_table_without_an_overfull_box(tables: Path, tmp_path: Path) -> None:
    inputs = "\n".join(f"\\input{{{file}}}\n\\clearpage" for file in sorted(tables.glob("*.tex")))
    head = "\\documentclass{article}\n\\usepackage{booktabs,textcomp}\n\\begin{document}\n"
    (tmp_path / "page.tex").write_text(f"{head}{inputs}\n\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert re.findall(r"Overfull \\hbox.*|Float too large.*", done.stdout) == []


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_widths_are_estimated_as_latex_sets_them_or_a_little_wider(tmp_path: Path) -> None:
    texts = [
        "93.06 \u00b1 1.23",
        "random_split",
        "no difference can be concluded",
        "1,114",
        "3 MWmw",
        "\u2212",
        "0.97\u00d7, 3 of 3",
    ]
    boxes = "\n".join(f"\\settowidth{{\\len}}{{{latex.escape(text)}}}\\typeout{{W \\the\\len}}" for text in texts)
    page = f"\\documentclass{{article}}\\begin{{document}}\\newlength{{\\len}}\n{boxes}\n.\\end{{document}}"
    (tmp_path / "page.tex").write_text(page)
    command = ["pdflatex", "-interaction=nonstopmode", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, errors="replace")
    found = [float(width) for width in re.findall(r"^W ([\d.]+)pt", done.stdout, re.MULTILINE)]
    assert len(found) == len(texts)
    for text, width in zip(texts, found, strict=True):
        assert width <= latex.points(text) * 1.02 <= 1.4 * width, text


def test_a_wide_matrix_is_set_in_several_tabulars_with_the_first_columns_again() -> None:
    rows = [{"rung": k, "method": f"method{i}", "score": 0.5} for k in range(2) for i in range(12)]
    value = Column("score", show=lambda row: Shown("93.06 \u00b1 10.23"))
    table = Table(
        "t", (Column("rung", "Rung"), *untitled("method score")), rows, "T", "A.", pivot=Pivot("method", value)
    )
    text = latex.render(table, "t")
    assert text.count("\\begin{tabular}{@{}") == text.count("Rung &") > 1
    assert text.count("\\begin{table}") == text.count("\\caption") == text.count("\\label") == 1
    assert all(text.count(f"method{i} ") + text.count(f"method{i}\n") == 1 for i in range(12))


def test_a_long_table_goes_on_in_further_floats() -> None:
    rows = [{"method": f"m{i}"} for i in range(100)]
    text = latex.render(Table("t", (METHOD,), rows, "Many", "All of them."), "t")
    assert text.count("\\begin{table}") == 3
    assert text.count("\\label") == 1
    assert text.count("Many, continued.") == 2
    assert re.findall(r"^m\d+", text, re.MULTILINE) == [f"m{i}" for i in range(100)]
