"""What a run is called."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from bench.core.identity import AFRESH, NO_STEP, UNUSED, identities, identity, seed_identity, unused_in

OPTIONS: dict[str, Any] = {
    "method": {"name": "s3d", "c": 3.0},
    "backbone": {"name": "mlp", "width": 4},
    "data": {"name": "mnist", "root": "data", "download": True, "validation": 5000},
    "train": {"epochs": 10, "lr": 0.1},
    "growth": {"stages": 5},
    "logger": {"name": "none"},
    "seed": 0,
    "device": "auto",
    "precision": "fp32",
    "threads": None,
    "runs_dir": "results/runs",
    "rerun": "none",
    "checkpoint_seconds": 30.0,
}


def changed(path: str, value: object) -> dict[str, Any]:
    options = copy.deepcopy(OPTIONS)
    *groups, key = path.split(".")
    node = options
    for group in groups:
        node = node[group]
    node[key] = value
    return options


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("device", "cuda"),
        ("threads", 1),
        ("runs_dir", "elsewhere"),
        ("rerun", "all"),
        ("checkpoint_seconds", 0),
        ("logger.name", "wandb"),
        ("data.root", "elsewhere"),
        ("data.download", False),
        ("method.c", 3),
    ],
)
def test_what_changes_no_number_does_not_change_the_identity(path: str, value: object) -> None:
    assert identity(changed(path, value)) == identity(OPTIONS)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("method.c", 2.0),
        ("method.name", "s2d"),
        ("backbone.width", 5),
        ("data.validation", 100),
        ("train.lr", 0.2),
        ("growth.stages", 4),
        ("seed", 1),
        ("precision", "bf16"),
        ("train.new", True),
    ],
)
def test_what_changes_a_number_changes_the_identity(path: str, value: object) -> None:
    assert identity(changed(path, value)) != identity(OPTIONS)


def test_the_step_does_not_enter_where_nothing_is_displaced() -> None:
    for method, same in (({"name": "static", "step": False}, True), ({"name": "net2net", "step": True}, False)):
        small, large = ({**OPTIONS, "method": method, "growth": {"epsilon": e}} for e in (0.01, 0.1))
        assert (identity(small) == identity(large)) is same


def test_order_of_options_does_not_matter() -> None:
    assert identity(dict(reversed(OPTIONS.items()))) == identity(OPTIONS)


def test_seed_network_is_shared_by_methods_and_ladders_only() -> None:
    assert seed_identity(changed("method.c", 1)) == seed_identity(OPTIONS)
    assert seed_identity(changed("growth.stages", 1)) == seed_identity(OPTIONS)
    for path, value in (("train.lr", 1), ("backbone.width", 9), ("seed", 5), ("data.validation", 7)):
        assert seed_identity(changed(path, value)) != seed_identity(OPTIONS)


def test_a_method_that_says_so_in_its_options_has_no_step_either() -> None:
    """As the controls did in early records: the same name, whoever says it."""
    said = {**OPTIONS, "method": {"name": "static", "step": False}}
    known = {**OPTIONS, "method": {"name": "static"}}
    assert identity(said) == identity(known, without=NO_STEP) != identity(known)
    assert identities(known)[: len(UNUSED)] == tuple(identity(known, without) for without in UNUSED)
    assert len(set(identities(said))) == 1


@pytest.mark.parametrize(
    ("path", "value", "typed"),
    [("train.lr", 0.1, "0.1"), ("train.epochs", 10, "10.0"), ("method.c", 3.0, "3"), ("seed", 0, "0")],
)
def test_values_that_are_equal_after_typing_are_one_run(path: str, value: object, typed: object) -> None:
    assert identity(changed(path, value)) == identity(changed(path, typed))


def test_no_options_are_none_however_that_is_typed() -> None:
    assert identity(changed("growth.engine_options", {})) == identity(changed("growth.engine_options", None))


def test_texts_in_a_mapping_without_types_are_not_numbers() -> None:
    one, two = (changed("backbone.options", {"size": size}) for size in ("8", 8))
    assert identity(one) != identity(two)
    assert identity(changed("backbone.options", {"size": 8.0})) == identity(two)


@pytest.mark.parametrize(("option", "value"), [("threads", 1), ("device", "cuda")])
def test_latency_depends_on_the_machine(option: str, value: object) -> None:
    latency = changed("growth.cost", "latency")
    assert identity({**latency, option: value}) != identity(latency)
    assert (
        identities({**latency, option: value})[len(UNUSED) :] == identities(latency)[len(UNUSED) :]
    )  # the names of early records


def test_without_a_step_one_name_holds_for_all_steps() -> None:
    small, large = ({**OPTIONS, "growth": {"epsilon": epsilon}} for epsilon in (0.01, "line_search"))
    assert identity(small, without=NO_STEP) == identity(large, without=NO_STEP)
    assert identity(small) != identity(large)
    assert identity({**small, "growth": {"epsilon": 0.01, "stages": 1}}, without=NO_STEP) != identity(
        small, without=NO_STEP
    )


@pytest.mark.parametrize("option", AFRESH)
def test_what_starts_afresh_has_one_name_for_all_ways_to_grow(option: str) -> None:
    one, two = ({**OPTIONS, "growth": {"stages": 1, option: value}} for value in (0.01, 0.1))
    assert identity(one, AFRESH) == identity(two, AFRESH)
    assert identity(one) != identity(two)
    assert (identity(one, NO_STEP) == identity(two, NO_STEP)) is (option in NO_STEP)


@pytest.mark.parametrize("cost", ["params", "latency"])
@pytest.mark.parametrize("without", UNUSED)
def test_a_name_tells_what_its_run_makes_no_use_of(without: tuple[str, ...], cost: str) -> None:
    chosen = {**OPTIONS, "growth": dict.fromkeys(AFRESH, 0.1) | {"cost": cost}}
    for measured in (True, False):
        assert unused_in(chosen, identity(chosen, without, measured)) == without
    assert unused_in(chosen, "of another run") == ()
    early = {**OPTIONS, "growth": {"epsilon": 0.1}}
    assert unused_in(early, identity(early, AFRESH)) == NO_STEP  # which was all that there was to leave out
