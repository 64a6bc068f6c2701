"""Made-up records, as the store writes them, with numbers that are known."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.core.store import Run, checksum

STEPLESS = ("static", "static_matched")
ScoreOf = Callable[[str, int, int, float], float]
"""Score of a method at a rung, with a seed and a step."""


def options(
    method: str = "s2d", seed: int = 0, epsilon: float | str = 0.01, /, **groups: Mapping[str, Any]
) -> dict[str, Any]:
    """Resolved options; ``groups`` change those of a group."""
    made: dict[str, Any] = {
        "method": {"name": method, **({"step": False} if method in STEPLESS else {})},
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


def stage(config: Mapping[str, Any], rung: int, score: float, validation: float, regression: bool) -> dict[str, Any]:
    """One stage's record."""
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
    step = config["growth"]["epsilon"]
    key = (config["method"]["name"], config["seed"], step if isinstance(step, float) else 9.0)
    rungs = range(config["growth"]["stages"] + 1)
    scores = [score(key[0], k, key[1], key[2]) for k in rungs]
    held_out = [(validation or score)(key[0], k, key[1], key[2]) for k in rungs]
    return {
        "schema": 1,
        "status": "done",
        "reason": None,
        "id": Run("", config).id,
        "method": config["method"]["name"],
        "backbone": config["backbone"]["name"],
        "data": config["data"]["name"],
        "seed": config["seed"],
        "config": config,
        "environment": {"python": "3.11", "torch": "2.15", "device": "cpu", "threads": 1, "code": "0.1.0"},
        "stages": [stage(config, k, scores[k], held_out[k], regression) for k in rungs],
    }


def ended(config: Mapping[str, Any], status: str, reason: str) -> dict[str, Any]:
    """A failed or refused run's record."""
    return {**record(config), "status": status, "reason": reason, "stages": []}


def put(runs_dir: Path, *records: Mapping[str, Any]) -> None:
    """Write records where the store would."""
    for one in records:
        folder = Run(runs_dir, one["config"]).folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "run.json").write_text(signed(one))


def signed(one: Mapping[str, Any]) -> str:
    """A record's text with its checksum, as the store writes it."""
    return json.dumps({**one, "sha256": checksum(one)})


def begin(runs_dir: Path, config: Mapping[str, Any], stages: int = 1) -> Path:
    """A run that was killed; its folder."""
    folder = Run(runs_dir, config).folder
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(json.dumps(config))
    (folder / "stages.jsonl").write_text("{}\n" * stages)
    return folder


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
