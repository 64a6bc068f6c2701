"""Options of a run are checked, and data found, before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.core.errors import BenchError, ConfigError
from bench.data import load
from bench.run.config import Settings
from tests.runs import options, prepared


@pytest.mark.parametrize(
    "override",
    [
        "growth.ratio=1",
        "growth.stages=-1",
        "growth.stages=201",
        "growth.budget=100",
        "growth.epsilon=0",
        "growth.epsilon=search",
        "growth.cost=bytes",
        "growth.latency_batch=0",
        "growth.engine=power",
        "growth.engine_options={limit:0}",
        "growth.engine_options={products:2.5}",
        "growth.engine_options={tolerance:-1}",
        "growth.engine_options=3",
        "growth.curvature=fisher",
        "growth.optimizer_state=keep",
        "growth.sample=0",
        "growth.sample=some",
        "growth.memory=0",
        "growth.refresh_norm=-1",
        "train.epochs=-1",
        "method.c=0.5",
        "seed=-1",
        "threads=0",
        "device=tpu",
        "precision=fp8",
        "rerun=maybe",
        "checkpoint_seconds=-1",
    ],
)
def test_bad_options_are_named_before_training(override: str, tmp_path: Path) -> None:
    option = override.split("=")[0]
    with pytest.raises(ConfigError, match=rf"^{option}(\.\w+)?=.*: expected ") as caught:
        prepared(tmp_path, override)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["growth.steps", "train.steps", "steps"])
def test_an_unknown_option_is_named(option: str, tmp_path: Path) -> None:
    chosen = options(tmp_path)
    group, _, name = option.rpartition(".")
    (chosen[group] if group else chosen)[name] = 1
    with pytest.raises(ConfigError, match=rf"^{option}=1: expected one of "):
        Settings.of(chosen)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_without_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^device=cuda: expected one that this machine has"):
        prepared(tmp_path, "device=cuda")


def test_missing_data_without_a_network(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"^data=mnist: .*data\.root"):
        load({"name": "mnist", "root": str(tmp_path), "download": False}, 0)
