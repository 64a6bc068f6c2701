"""``python -m bench.export RUN``: take a run's network home, to where this package is not."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from bench.cli import application
from bench.core.errors import ConfigError, require
from bench.core.options import Options, as_typed, typed

HELP = """\
Write a run's network for use without this package: a torch.export program, ONNX (pip install "growth-bench[onnx]"),
plain Python with a state dict, and model.json, which says what it is. Raw inputs go in; the normalisation is inside.

  python -m bench.export results/runs/digits-mlp-s3d-seed0-...                     into the folder exported
  python -m bench.export results/runs/digits-mlp-s3d-seed0-... stage=3 out=small   as it was at the end of stage 3

trust=true imports and calls a backbone that the folder names as import:package.module:factory."""


@dataclass(frozen=True)
class ExportConfig:
    """Options of the command.

    Attributes:
        run: The run's folder.
        out: Folder to write.
        stage: The network at the end of this stage; None for the last.
        trust: Whether to run code that the folder names as its backbone.
    """

    run: str | None = None
    out: str = "exported"
    stage: int | None = None
    trust: bool = False

    def __post_init__(self) -> None:
        require(self.run is not None, "run", None, "the folder of a run: python -m bench.export RUN")
        require(self.stage is None or self.stage >= 0, "stage", self.stage, "a whole number of at least 0, or null")


def _task(options: Options) -> None:
    config = typed("", ExportConfig, options)
    if not Path(str(config.run)).is_dir():
        raise ConfigError("run", config.run, "the folder of a run, as in results/runs")
    from bench.deploy.bundle import export  # torch, only after the options are read

    print(export(str(config.run), config.out, config.stage, config.trust))


def main() -> None:
    """``python -m bench.export``."""
    for at, argument in enumerate(sys.argv[1:], 1):
        is_option = argument.startswith(("-", "+", "~")) or ("=" in argument and not Path(argument).is_dir())
        if not is_option:
            sys.argv[at] = f"run={as_typed(argument)}"
    application(_task, "export", HELP)()


if __name__ == "__main__":
    main()
