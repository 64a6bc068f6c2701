"""``python -m bench.speed``: the eigensolvers, the training loop and a whole run, measured on this machine.

python -m bench.speed
python -m bench.speed threads=1 growth.sample=512
python -m bench.speed data=cifar10 backbone=convnet parts=[training] out=results/speed
python -m bench.speed data=cifar10 parts=[networks,growing]
python -m bench.speed experiment=cifar10_small backbone=convnet parts=[choice]

Its own options: parts, a list of engines, training, run, networks, growing, choice; repeats; out, a folder for the
tables.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from bench.cli import application
from bench.core.errors import require, require_choice
from bench.core.options import Options, typed

PARTS = ("engines", "training", "run", "networks", "growing", "choice")
USUAL = PARTS[:3]


@dataclass(frozen=True)
class SpeedConfig:
    """Options beside those of a run.

    Attributes:
        out: Folder for ``speed.md`` and the CSV files; None to print only.
        repeats: Measurements of each contender at most.
        parts: What to measure: engines, training, run; and on larger networks, which takes longer,
            networks, growing; and choice, what samples and searches choose.
    """

    out: str | None = None
    repeats: int = 5
    parts: tuple[str, ...] = USUAL

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))  # YAML hands over a list
        require(self.repeats >= 1, "repeats", self.repeats, "a whole number of at least 1")
        for part in self.parts:
            require_choice("parts", part, PARTS)


def _task(options: Options) -> None:
    from bench.run.config import Settings  # torch, only after the options are read
    from bench.speed.parts import report

    own = {field.name for field in fields(SpeedConfig)}
    config = typed("", SpeedConfig, {key: value for key, value in options.items() if key in own})
    settings = Settings.of({key: value for key, value in options.items() if key not in own})
    report(settings, config.parts, config.repeats, config.out)


def main() -> None:
    """``python -m bench.speed``."""
    application(_task, "speed")()


if __name__ == "__main__":
    main()
