"""Made-up records, as the store writes them and as the first version did, with numbers that are known."""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.core.identity import AFRESH, identity
from bench.core.record import RunRecord, StageRecord, checksum, convert, plain, upgrade
from bench.core.store import RunFolder
from bench.report.read.command import overrides
from bench.run.cell import Cell

STEPLESS = ("static", "static_matched")
ScoreOf = Callable[[str, int, int, float], float]
"""Score of a method at a rung, with a seed and a step."""


def options(
    method: str = "s2d", seed: int = 0, epsilon: float | str = 0.01, /, **groups: Mapping[str, Any]
) -> dict[str, Any]:
    """Resolved options; ``groups`` change those of a group."""
    made: dict[str, Any] = {
        "method": {"name": method},
        "backbone": {"name": "mlp", "width": 4, "depth": 2, "activation": "silu"},
        "data": {"name": "digits", "validation": 250, "train_size": None},
        "train": {"epochs": 30, "lr": 0.05},
        "growth": {
            "stages": 3,
            "ratio": 1.5,
            "cost": "params",
            "budget": None,
            "epsilon": epsilon,
            "engine": "lanczos",
        },
        "logger": {"name": "none"},
        "seed": seed,
        "device": "auto",
        "precision": "fp32",
        "threads": None,
        "runs_dir": "results/runs",
        "rerun": "none",
        "checkpoint_seconds": 30.0,
    }
    for group, changed in groups.items():
        made[group] = {**made[group], **changed}
    return made


def plausible(method: str, rung: int, seed: int, epsilon: float) -> float:
    """Better with size, a little different by method and seed."""
    noise = random.Random(f"{method} {rung} {seed} {epsilon}").uniform(-0.01, 0.01)
    return 0.6 + 0.08 * rung + 0.02 * (method == "s3d") - 0.03 * (method == "static") + 0.01 * math.sin(seed) + noise


def folder(runs_dir: str | Path, config: Mapping[str, Any]) -> RunFolder:
    """The folder of a run with these options."""
    return RunFolder(runs_dir, config, AFRESH if config["method"]["name"] in STEPLESS else ())


def cell(config: Mapping[str, Any], runs_dir: str | Path) -> Cell:
    """A cell that a sweep into a folder would ask for."""
    return Cell(config, folder(runs_dir, config), overrides(config, str(runs_dir)))


def stage(config: Mapping[str, Any], rung: int, score: float, validation: float, regression: bool) -> dict[str, Any]:
    """One stage's record, as the first version wrote it."""
    method = config["method"]["name"]
    restart = method in STEPLESS
    params = round(330 * 1.5**rung)
    growth = {
        "splits": 3,
        "added_neurons": 3,
        "rounds": 1,
        "epsilon": None if restart else [0.01],
        "predicted_drop": None if restart or method == "net2net" else 1e-5 * rung,
        "measured_drop": None if restart else 0.9e-5 * rung,
        "function_gap": 1e-16,
        "engine": "lanczos",
        "products": 0 if restart else 40,
        "residual_max": None if restart else 1e-6,
        "sample": 1024,
        "seconds": 0.02,
        "flops": 1e6,
        "stopped": None,
        "restart": restart,
    }
    return {
        "stage": rung,
        "target_cost": 330 * 1.5**rung,
        "params": params,
        "macs": params - 20,
        "energy_pj": 700.0 * params,
        "widths": {"1": 4 + 2 * rung, "3": 4 + rung},
        "epochs": 30,
        "train_loss": 0.3,
        "val_accuracy": None if regression else validation,
        "val_loss": validation if regression else 0.4,
        "test_accuracy": None if regression else score,
        "test_loss": score if regression else 0.5,
        "seconds": {"train": 0.1, "grow": 0.02 if rung else 0.0, "eval": 0.001},
        "flops": {"train": 1e7 * (rung + 1), "grow": 1e6 if rung else 0.0},
        "growth": growth if rung else None,
    }


def record(
    config: Mapping[str, Any], score: ScoreOf = plausible, validation: ScoreOf | None = None, regression: bool = False
) -> dict[str, Any]:
    """A done run's record, without its checksum."""
    content = old(config, score, validation, regression)
    for rung, one in enumerate(content["stages"]):
        upgrade(one)
        losses = [2.0 / (rung + 1 + epoch) for epoch in range(3)]
        one["history"] = {"train_loss": losses, "val_loss": [1.1 * loss for loss in losses]}
    content["layers"] = {"1": "Linear", "3": "Linear"}
    return plain(convert(content, RunRecord))


def old(
    config: Mapping[str, Any], score: ScoreOf = plausible, validation: ScoreOf | None = None, regression: bool = False
) -> dict[str, Any]:
    """The same as the first version wrote it: costs in fields of their own, and neither losses nor layers."""
    step = config["growth"]["epsilon"]
    key = (config["method"]["name"], config["seed"], step if isinstance(step, float) else 9.0)
    rungs = range(config["growth"]["stages"] + 1)
    scores = [score(key[0], k, key[1], key[2]) for k in rungs]
    held_out = [(validation or score)(key[0], k, key[1], key[2]) for k in rungs]
    method = {**config["method"], **({"step": False} if key[0] in STEPLESS else {})}
    return {
        "schema": 1,
        "status": "done",
        "reason": None,
        "id": identity(config, AFRESH if key[0] in STEPLESS else ()),
        "method": config["method"]["name"],
        "backbone": config["backbone"]["name"],
        "data": config["data"]["name"],
        "seed": config["seed"],
        "config": copy.deepcopy({**config, "method": method}),
        "environment": {"python": "3.11", "torch": "2.15", "device": "cpu", "threads": 1, "code": "0.1.0"},
        "stages": [stage(config, k, scores[k], held_out[k], regression) for k in rungs],
    }


def cost(one: dict[str, Any], **values: float) -> None:
    """Change what a stage costs, by the cost's name."""
    one.update(plain(convert({**one, "costs": {**one["costs"], **values}}, StageRecord)))


def ended(config: Mapping[str, Any], status: str, reason: str) -> dict[str, Any]:
    """A failed or refused run's record."""
    return {**record(config), "status": status, "reason": reason, "stages": []}


def put(runs_dir: Path, *records: Mapping[str, Any]) -> None:
    """Write records where the store would."""
    for one in records:
        path = folder(runs_dir, one["config"]).path
        path.mkdir(parents=True, exist_ok=True)
        (path / "run.json").write_text(signed(one))


def signed(one: Mapping[str, Any]) -> str:
    """A record's text with its checksum, as the store writes it."""
    return json.dumps({**one, "sha256": checksum(one)})


def begin(runs_dir: Path, config: Mapping[str, Any], stages: int = 1) -> Path:
    """A run that was killed; its folder."""
    path = folder(runs_dir, config).path
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(json.dumps(config))
    (path / "stages.jsonl").write_text("{}\n" * stages)
    return path


def sweep(
    methods: Iterable[str] = ("net2net", "s2d", "s3d", "static"),
    seeds: Iterable[int] = range(3),
    steps: Iterable[float | str] = (0.01,),
    **more: Any,
) -> list[dict[str, Any]]:
    """Records of all combinations, controls once for all steps."""
    made = {}
    for method in methods:
        for seed in seeds:
            for step in steps:
                one = record(options(method, seed, step), **more)
                made[one["id"]] = one
    return list(made.values())
