"""``--help``: every option, its value and what is said of it, for what is chosen."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from bench import cli, explain
from bench.core import comments
from bench.core.options import CONF, GROUPS
from bench.core.registry import NoOptions
from bench.plugins import REGISTRIES, registry

FILES = [path for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))] + [CONF / "config.yaml"]


def page(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str, width: int = 100) -> str:
    """What is printed, on a line."""
    monkeypatch.setattr(explain, "screen", lambda: Console(width=width))
    monkeypatch.setattr(sys, "argv", ["bench", *arguments, "--help"])
    cli.main()
    return capfd.readouterr().out


def flat(text: str) -> str:
    """Without line breaks and gaps."""
    return " ".join(text.split())


def test_every_option_has_its_value_and_its_comment(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = flat(page(capfd, monkeypatch))
    for line in (
        "method.cap=2.0 Bound on the product of |w| along a lineage.",
        "backbone.width=4 neurons of every hidden layer",
        "train.milestones=[0.5,0.75] step only: fractions of a stage",
        "growth.budget=null cost of the last rung, however many stages that takes",
        "by a halved step (smaller: until it does not, or 1e-4 is reached), or without the layers at fault",
        "rerun=none which finished runs to do again: none, failed or all",
        "experiment=null A preset",
        "smoke, study/coin_lenet, ",
        "python -m bench -m experiment=mnist method=mine",
    ):
        assert line in shown


def test_it_is_of_what_is_chosen_and_typed(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    shown = flat(page(capfd, monkeypatch, "-m", "method=fast_s2d,s2d", "data=mnist", "data.crop=2", "train.lr=1,2"))
    assert "method.solver=exact exact (integer programme" in shown
    assert "data.crop=2 zero padding" in shown
    assert "train.lr=1 peak learning rate" in shown
    assert "method.c=1.5" not in shown


def test_where_there_is_no_file_the_docstring_says_it(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = flat(page(capfd, monkeypatch, "backbone=torchvision:resnet18"))
    assert "backbone.size=224 Images are resized to this height and width" in shown


def test_choices_of_each_group(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    shown = flat(page(capfd, monkeypatch))
    for group in REGISTRIES:
        assert f"one of {', '.join(registry(group).choices())}" in shown
    assert "one of basic, joblib, ray, submitit_local, submitit_slurm" in shown


def test_it_fits_a_narrow_terminal(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    shown = page(capfd, monkeypatch, width=60).partition("this page for other choices")[2]
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= 60
    assert "…" not in shown


def test_a_mistake_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for argument, message in (
        ("method=s4d", r"method=s4d: expected one of .*mean s3d"),
        ("traim.lr=1", "no such option"),
    ):
        monkeypatch.setattr(sys, "argv", ["bench", argument, "--help"])
        with pytest.raises(SystemExit, match=f"error: .*{message}"):
            cli.main()


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_option_of_every_file_has_a_comment(path: Path) -> None:
    said = comments.of_file(path)
    assert [name for name, text in said.items() if not (text or name == "name" or name.startswith("hydra."))] == []


def test_every_option_without_a_file_has_a_line_in_its_docstring() -> None:
    for group in REGISTRIES:
        for entry in registry(group):
            if entry.config is not NoOptions and entry.factory.__module__.startswith("bench."):
                assert set(entry.defaults()) - {"name"} <= set(comments.of_dataclass(entry.config)), entry.name


def test_comments_of_a_file_and_of_a_docstring(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(
        "# above\na: 1  # one\nb: '#'  # two,\n  # on two lines\nc: [1, 2]\nd:\n  e: 1  # inside\n"
    )
    assert comments.of_file(tmp_path / "x.yaml") == {"a": "one", "b": "two, on two lines", "c": "", "d.e": "inside"}

    @dataclass
    class Options:
        """Options.

        Attributes:
            a: One.
            b: Two,
                on two lines.

        Raises:
            ConfigError: A value is wrong.
        """

        a: int = 1
        b: int = 2

    assert comments.of_dataclass(Options) | {"ConfigError": ""} == {
        "a": "One.",
        "b": "Two, on two lines.",
        "ConfigError": "",
    }
