"""Command lines drawn at random, good and bad: none may end in a traceback, hang, or fail without a word.

    python -m tests.random_commands                      500 of them, in one process; about fifteen minutes
    python -m tests.random_commands --count 50 --seed 7
    python -m tests.random_commands --only 123           that one again, with what it prints

A command line is drawn from its number and the seed alone. Most are of short runs on the digits; values are of every
type, in range and out of it. Exit status 1 and the command lines if any is not as it should be.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import io
import os
import random
import shlex
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import torch
from hydra.core.global_hydra import GlobalHydra

SILENCE = 30.0
"""Seconds without a word that a command may take."""

HOPELESS = 300.0
"""Seconds after which a command that hangs ends the script, with a traceback of where it is."""

SHORT = ("train.epochs=0", "train.seed_epochs=1", "growth.stages=1", "growth.sample=16", "data=digits", "threads=1")

BAD = (
    *("-1", "0", "1e300", "-1e300", "1e999", "inf", "-inf", "nan", "1e18", "9007199254740993", "1" + 30 * "0"),
    *(
        "null",
        "true",
        "''",
        "x",
        "ä",
        "日本",
        "🙂",
        "a b",
        "'a,b'",
        '"1"',
        "1_000",
        "0x10",
        "0.5",
        "1,2",
        "[1,2]",
        "[]",
    ),
    *("{a:1}", "{}", "[[[[1]]]]", 30 * "[" + "1" + 30 * "]", "${seed}", "${nothing}", "${oc.env:NOTHING}", "???"),
    *(
        "../..",
        "/proc/nowhere",
        "/dev/null",
        300 * "y",
        "$(true)",
        "a=b",
        "a:b",
        "%s",
        "\\",
        "[1",
        "{",
        "'",
        "import:os:getcwd",
    ),
)

GOOD = {
    "method": ("s3d", "s2d", "net2net", "random_split", "static", "static_matched", "fast_s2d"),
    "backbone": ("mlp", "lenet", "convnet"),
    "data": ("digits", "planted", "rbf"),
    "growth.stages": ("0", "1", "2"),
    "growth.ratio": ("1.2", "1.5", "2"),
    "growth.cost": ("params", "macs", "energy"),
    "growth.budget": ("null", "500", "600.5"),
    "growth.epsilon": ("0.01", "1", "0.5", "line_search"),
    "growth.sample": ("16", "32", "8"),
    "growth.engine": ("lanczos", "dense"),
    "growth.curvature": ("definition", "published"),
    "growth.memory": ("2", "0.5"),
    "growth.optimizer_state": ("carry", "zero", "reset"),
    "growth.refresh_norm": ("0", "1"),
    "growth.condition": ("none", "shrink_perturb", "rescale", "null"),
    "growth.shrink": ("0.5", "null", "2"),
    "growth.perturb": ("0.5", "null", "-1"),
    "growth.latency_batch": ("1", "2"),
    "train.epochs": ("0", "1"),
    "train.seed_epochs": ("0", "1"),
    "train.batch_size": ("64", "100", "1000"),
    "train.optimizer": ("sgd", "adam", "adamw"),
    "train.lr": ("0.05", "1e-3"),
    "train.momentum": ("0", "0.9"),
    "train.nesterov": ("false",),
    "train.weight_decay": ("0", "1e-4"),
    "train.schedule": ("cosine", "constant", "step"),
    "train.milestones": ("[0.5]", "[]"),
    "train.warmup": ("0", "0.1"),
    "backbone.width": ("2", "4", "5"),
    "method.c": ("1", "2", "3"),
    "method.rank": ("gain", "gain_per_cost"),
    "data.validation": ("250", "100"),
    "data.train_size": ("null", "100"),
    "seed": ("0", "1", "2", "12345678901"),
    "precision": ("fp32", "bf16"),
    "device": ("cpu", "auto"),
    "threads": ("1",),
    "rerun": ("none", "failed", "all"),
    "checkpoint_seconds": ("0", "30"),
    "logger": ("none",),
    "runs_dir": ("runs", "other"),
    "experiment": ("null",),
}

ODD = (
    *(
        "~seed",
        "~method",
        "~train.epochs",
        "+method.x=1",
        "++seed=1",
        "+seed=1",
        "+new=1",
        "+new={a:{b:1}}",
        "method=3",
    ),
    *("data=null", "method", "=", "==", "", " ", "seed", "seed=", "train=3", "growth=[a]", "method@x=s2d", "a.b.c=1"),
    *("--nonsense", "-x", "--cfg", "--cfg=job", "--cfg=hydra", "--info=defaults", "--info=nothing", "--resolve"),
    *(
        "--config-dir=/nowhere",
        "--config-name=other",
        "--package=train",
        "--shell-completion",
        "--hydra-help",
        "--version",
    ),
    *("--help", "-h", "-m", "--multirun", "hydra=3", "hydra.nothing=1", "hydra/launcher=nothing", "hydra.launcher=1"),
    *("hydra.run.dir=/proc/x", "hydra.mode=RUN", "backbone=torchvision:nothing", "backbone=timm:nothing"),
    *("backbone=import:nothing:at_all", "backbone=import:os:getcwd", "backbone=import:", "data=mnist", "data=text"),
    *("data=folder:nothing", "data=folder:conf", "data=file:nothing.npz", "data=file:", "data=import:os:getcwd"),
    *("data=import:nothing:at_all", "data=torchvision:nothing", "data=torchvision:FakeData", "+data.options.size=60"),
    *(
        "data.root=/nowhere",
        "method=nothing",
        "datta=mnist",
        "growth.cost=foo",
        "growth.cost=latency",
        "experiment=nothing",
    ),
    *("train={epochs:0}", "method={name:s2d}", "method.name=s2d", "hydra.sweeper.params={seed:3}"),
)
"""Arguments that are no option with a value, or of which one value is enough."""

SWEPT = (
    "seed=0,1",
    "seed=range(0,2)",
    "seed=range(2,2)",
    "method=s2d,static",
    "threads=1,2",
    "runs_dir=a,b",
    "method=s2d,3",
)
SWEPT += ("growth.epsilon=0.1,0.2", "method.c=0.5,2", "seed=interval(0,1)", "seed=range(0,1e12)", "data.root=a,b")
SWEPT += ("growth.cost=params,foo", "method=s2d,nothing", "seed=choice(0,1)", "seed=shuffle(0,1)", "seed=glob(*)")

LAUNCHED = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=1", "hydra.launcher.n_jobs=x", "hydra.launcher.backend=[1]")

REPORTED = ("baseline=s2d", "scores.against=macs", "losses.panels=part", "runs.most=3", "nothing.x=1", "logger=none")

OWN = {
    "inspect": ("out=found.json", "out=/proc/x", "out=."),
    "check": (),
    "speed": ("repeats=0", "parts=[nothing]", "parts=3", "out=speed"),
    "networks": ("names=[timm:nothing]", "names=nothing", "names=3", "seconds=0", "rerun=x", "out=runs"),
}

MODULES = {
    "run": "bench.cli",
    "sweep": "bench.cli",
    "report": "bench.report.__main__",
    "status": "bench.status",
    "inspect": "bench.inspect",
    "check": "bench.check",
    "speed": "bench.speed.__main__",
    "networks": "bench.networks.__main__",
    "growth-bench": "bench.script",
}

SLOW = ("check", "speed", "networks")
"""Commands that take minutes if nothing is wrong with what they are given: something always is."""


def drawn(seed: int, number: int) -> tuple[str, list[str]]:
    """A command, and its arguments."""
    random_ = random.Random(f"{seed} {number}")
    weights = {"run": 45, "sweep": 15, "report": 10, "status": 8, "inspect": 8, "growth-bench": 5}
    name = random_.choices([*weights, *SLOW], [*weights.values(), 3, 3, 3])[0]
    options = list(GOOD)

    def good() -> str:
        key = random_.choice(options)
        return f"{key}={random_.choice(GOOD[key])}"

    def bad() -> str:
        if random_.random() < 0.35:
            return random_.choice(ODD)
        return f"{random_.choice(options)}={random_.choice(BAD)}"

    chosen = [good() for _ in range(random_.randrange(4))]
    if random_.random() < 0.7 or name in SLOW:
        chosen += [bad() for _ in range(random_.choice((1, 1, 1, 2)))]
    chosen += [random_.choice(OWN[name]) for _ in range(random_.randrange(2)) if OWN.get(name)]
    if name == "report":
        chosen += [random_.choice(REPORTED)] if random_.random() < 0.4 else []
        return name, ["out=report", *chosen]
    if name == "networks":
        return name, ["out=networks", "names=[timm:nothing]", *chosen]
    if name == "sweep" or (name == "status" and random_.random() < 0.7):
        chosen += [random_.choice(SWEPT)]
    if name == "sweep":
        chosen += [random_.choice(LAUNCHED)] if random_.random() < 0.2 else []
        return name, ["-m", *SHORT, *chosen]
    if name in SLOW:  # and so that none is begun
        chosen.append(random_.choice(("growth.cost=foo", "method.nothing=1", "train.epochs=-1", "device=tpu")))
    if name == "growth-bench":
        word = random_.choice(("", "run", "report", "status", "sweep", "nothing", "--help", "inspect", "rnu"))
        return name, [*([word] if word else []), *(() if word == "report" else SHORT), *chosen]
    return name, [*SHORT, *chosen]


@dataclass
class Ended:
    """How a command ended."""

    status: int
    output: str
    errors: str
    seconds: float
    silence: float
    trace: str = ""

    def wrong(self) -> str:
        """What is not as it should be; empty if all is."""
        if self.trace or "Traceback (most recent call last)" in self.errors:
            return "a traceback"
        if self.silence > SILENCE:
            return f"{self.silence:.0f} s without a word"
        if self.status not in (0, 1, 2):
            return f"exit status {self.status}"
        if self.status and not self.errors.strip():
            return f"exit status {self.status} without a word"
        if self.status == 1 and not any(line.startswith(("error:", "method=")) for line in self.errors.splitlines()):
            return "no line says what is wrong"
        return ""


class Heard(io.StringIO):
    """A stream that notes the longest time between two words."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.silence = time.monotonic(), 0.0

    def write(self, text: str) -> int:
        """Note when."""
        self.pause()
        return super().write(text)

    def pause(self) -> None:
        """A word was said elsewhere."""
        now = time.monotonic()
        self.silence, self.last = max(self.silence, now - self.last), now


def run(name: str, arguments: list[str]) -> Ended:
    """Carry out a command in this process, as if it were one of its own."""
    module = importlib.import_module(MODULES[name])
    output, errors = Heard(), Heard()
    started, status, trace = time.monotonic(), 0, ""
    faulthandler.dump_traceback_later(HOPELESS, exit=True, file=sys.__stderr__)
    with _own_process(arguments), redirect_stdout(output), redirect_stderr(errors):
        try:
            module.main()
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
            if isinstance(ended.code, str):
                print(ended.code, file=sys.stderr)
        except BaseException:  # what would be a traceback
            status, trace = 1, traceback.format_exc()
    faulthandler.cancel_dump_traceback_later()
    output.pause()
    errors.pause()
    silence = min(output.silence, errors.silence)
    return Ended(status, output.getvalue(), errors.getvalue(), time.monotonic() - started, silence, trace)


@contextmanager
def _own_process(arguments: list[str]) -> Iterator[None]:
    kept = sys.argv, dict(os.environ), os.getcwd(), list(sys.path)
    sys.argv = ["bench", *arguments]
    try:
        yield
    finally:
        sys.argv, sys.path[:] = kept[0], kept[3]
        os.environ.clear()
        os.environ.update(kept[1])
        os.chdir(kept[2])
        GlobalHydra.instance().clear()
        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float32)


def shown(name: str, arguments: list[str]) -> str:
    """A command as one would type it."""
    return f"{name} {shlex.join(arguments)}"


def main() -> None:
    """Draw and carry out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)
    asked = parser.parse_args()
    numbers = range(asked.count) if asked.only is None else [asked.only]
    found, slowest, ended_well, began = [], (0.0, ""), 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        home = Path.cwd()
        os.chdir(folder)
        for number in numbers:
            command = drawn(asked.seed, number)
            ended = run(*command)
            ended_well += ended.status == 0
            slowest = max(slowest, (ended.silence, shown(*command)))
            if reason := ended.wrong():
                found.append(number)
                print(f"{number}: {reason}: {shown(*command)}\n{ended.trace or ended.errors[-2000:]}", flush=True)
            elif asked.only is not None:
                print(f"{shown(*command)}\nstatus {ended.status}\n{ended.output}\n{ended.errors}")
        os.chdir(home)
    print(f"{len(numbers)} command lines, {ended_well} ended well, {len(found)} not as they should: {found}")
    print(f"longest silence {slowest[0]:.1f} s: {slowest[1]}; {time.monotonic() - began:.0f} s in all")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
