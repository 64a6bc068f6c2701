"""Which runs a command line asks for."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hydra import compose

from bench import cli
from bench.core.errors import BenchError
from bench.grid import cells, left_to_the_cells
from bench.plugins import composition
from bench.preset import Preset


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def counted(*arguments: str, swept: dict[str, object] | None = None) -> Counter[str]:
    """How many runs each method has."""
    return Counter(cell.name("method") for cell in cells(arguments, swept))


def of(group: str, *arguments: str) -> list[Any]:
    """The options that each cell has of a group."""
    return [cell.options[group] for cell in cells(arguments)]


def test_an_option_that_only_some_choices_have_is_theirs() -> None:
    plain, signed = of("method", "method=s2d,s3d", "method.c=2")
    assert (plain, signed["c"]) == ({"name": "s2d", "rank": "gain"}, 2)
    embedded, fetched = of("data", "data=digits,mnist", "data.root=/somewhere")
    assert ("root" in embedded, fetched["root"]) == (False, "/somewhere")
    assert [one.get("c") for one in of("method", "method=s2d,s3d", "method.c=2,3")] == [None, 2, 3]
    assert [cell.overrides for cell in cells(["method=s2d,s3d", "method.c=2"])] == [
        ["method=s2d"],
        ["method=s3d", "method.c=2"],
    ]


def test_an_option_of_a_presets_methods_is_theirs_too() -> None:
    found = of("method", "experiment=smoke", "method.c=2", "seed=0")
    assert [one["c"] for one in found if one["name"] == "s3d"] == [2]
    assert len(found) == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["method=s2d,s3d", "method.cc=2"], r"method\.cc: no such option; .*\(did you mean method\.c\?\)"),
        (["method=s2d,static", "method.c=2"], r"method\.c: no such option; expected one of method\.name, method\.rank"),
        (["data=digits", "data.root=x"], r"data\.root: no such option; expected one of data\.name, data\.train_size"),
        (["data=mnist", "data.root=a,b"], r"data\.root: cannot be swept over"),
    ],
)
def test_an_option_of_no_cell_is_one_line(arguments: list[str], message: str) -> None:
    with pytest.raises(BenchError, match=f"^{message}"):
        cells(arguments)


def test_a_new_method_joins_those_of_a_preset_and_known_ones_choose() -> None:
    preset = ("experiment=s2d_cifar10", "seed=0,1")
    assert counted(*preset) == {"s2d": 2}
    assert counted(*preset, "method=s3d") == {"s2d": 2, "s3d": 2}
    assert counted(*preset, "method=s2d") == {"s2d": 2}
    assert counted(*preset, "method=s2d,s3d") == {"s2d": 2, "s3d": 2}
    smoke = ("experiment=smoke", "seed=0")
    assert counted(*smoke, "method=static") == {"static": 1}


def test_what_a_preset_says_of_an_option_is_of_the_choices_that_have_it() -> None:
    preset = ("experiment=fast_s2d_cifar100", "seed=0")
    s2d, published = sorted(of("method", *preset, "method=s2d,fast_s2d"), key=len)
    assert (s2d, published["preset"]) == ({"name": "s2d", "rank": "gain"}, "published")
    assert [one["name"] for one in of("method", *preset, "method=s2d")] == ["fast_s2d", "s2d"]
    (small,) = of("backbone", *preset, "backbone=lenet")
    assert small == {"name": "lenet", "width": 32, "activation": "silu", "weights": None}
    found = cells([*preset, "method=s2d,fast_s2d", "method.preset=null"])
    assert [cell.options["method"].get("preset", "none") for cell in found] == ["none", None]


@pytest.mark.parametrize("arguments", [("method=s2d", "method.preset=null"), ("method=s2d", "++method.preset=x")])
def test_what_is_typed_is_never_left_out_with_a_presets_options(arguments: tuple[str, ...]) -> None:
    hydra = Preset("fast_s2d_cifar100")
    with composition():
        overrides = ["experiment=fast_s2d_cifar100", *arguments]
        assert "preset" in hydra.settled(compose("config", overrides), overrides)["method"]  # type: ignore[operator]


def test_an_option_that_no_choice_of_a_preset_has_is_refused() -> None:
    with composition():
        body = compose("config", ["experiment=fast_s2d_cifar100", "method=s2d", "++method.presett=x"])
        found = Preset("fast_s2d_cifar100").settled(body, [])
    assert found["method"] == {"name": "s2d", "rank": "gain", "presett": "x"}


@pytest.mark.parametrize("replaced", ["s3d", "s3d,net2net"])
def test_methods_can_take_the_place_of_a_presets(replaced: str) -> None:
    expected = dict.fromkeys(replaced.split(","), 3)
    assert counted("experiment=s2d_cifar10", f"hydra.sweeper.params.method='{replaced}'") == expected
    assert counted("experiment=s2d_cifar10", swept={"method": replaced, "seed": "0,1,2"}) == expected


def test_all_else_that_is_typed_takes_the_place_of_a_presets() -> None:
    found = cells(["experiment=cifar10_small", "backbone=lenet", "seed=7"])
    assert {(cell.name("backbone"), cell.seed) for cell in found} == {("lenet", 7)}


def test_seeds_added_later_are_the_runs_that_are_left() -> None:
    few, many = (cells(["method=s2d,s3d", f"seed=range(0,{n})"]) for n in (2, 5))
    assert {cell.id for cell in few} < {cell.id for cell in many}
    assert len(many) == 10


@pytest.mark.parametrize("value", ["2", "[1,2]", "{a:1}", "'a,b'", "/a/b.c", "a b", "${seed}", "1,2", "", "["])
def test_hydra_is_given_options_of_plugins_as_choices(value: str) -> None:
    (found,) = left_to_the_cells([f"method.c={value}"])
    assert found == (f"method.c={value}" if value in ("1,2", "", "[") else f"method.c=choice({value})")
    assert left_to_the_cells(["method=s2d,s3d", "seed=0", "train.lr=1", "-m"]) == [
        "method=s2d,s3d",
        "seed=0",
        "train.lr=1",
        "-m",
    ]


def test_hydra_takes_an_option_that_its_default_choice_does_not_have(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    short = ["train.epochs=0", "train.seed_epochs=0", "growth.stages=0", "growth.sample=16"]
    monkeypatch.setattr(sys, "argv", ["bench", "-m", "method=net2net,static", "method.step=false", *short])
    cli.main()
    assert capfd.readouterr().out.startswith("2 runs: 0 ended already, 2 to do")


def test_what_a_presets_sweep_says_of_other_methods_is_of_no_cell() -> None:
    found = cells(["experiment=study/sign_digits", "method=s2d", "seed=0,1"])
    assert [(cell.name("method"), cell.seed) for cell in found] == [("s2d", 0), ("s2d", 1)]
    with pytest.raises(BenchError, match=r"^method\.c: no such option; expected one of "):
        cells(["experiment=study/sign_digits", "method=s2d", "method.c=2"])
