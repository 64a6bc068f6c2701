"""``python -m bench.trust``: predicted against measured fall of the loss, for many networks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.cli import application
from bench.core.errors import require, require_choice
from bench.core.options import Options, typed

FORMS = ("relu", "hardswish", "selu", "elu", "silu", "gelu")

HELP = """\
What a growth event predicts against what it does, for networks with kinked and smooth activations, with max pooling and
without.

  python -m bench.trust out=results/curvature                           all; goes on where it stopped
  python -m bench.trust out=mine names=[lenet,torchvision:resnet18]     these
  python -m bench.trust out=mine names=lenet activations=[relu,silu]    with these activations
  python -m bench.trust out=mine rerun=failed                           those again that failed; or rerun=all

out is a folder for trust.csv, trust.md and trust.json, which keeps what is found."""


@dataclass(frozen=True)
class TrustConfig:
    """Options of the command.

    Attributes:
        out: Folder for the tables.
        names: Backbones, own ones or ``torchvision:NAME``; all of the table for none.
        activations: What to put in place of each network's own.
        rerun: Which to measure again: none, failed or all.
    """

    out: str = "results/curvature"
    names: tuple[str, ...] = ()
    activations: tuple[str, ...] = FORMS
    rerun: str = "none"

    def __post_init__(self) -> None:
        for name in ("names", "activations"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # YAML hands over a list
        for activation in self.activations:
            require_choice("activations", activation, FORMS)
        require_choice("rerun", self.rerun, ("none", "failed", "all"))
        require(not Path(self.out).is_file(), "out", self.out, "a folder")


def _task(options: Options) -> None:
    from rich.console import Console
    from rich.progress import Progress

    listed = {key: [options[key]] for key in ("names", "activations") if isinstance(options[key], str)}
    config = typed("", TrustConfig, {**options, **listed})
    from bench.trust.cases import cases  # torch, only after the options are read
    from bench.trust.survey import survey

    wanted, console = cases(config.names, config.activations), Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=len(wanted), completed=-1)
        note = lambda name: progress.update(task, description=name, advance=1)  # noqa: E731
        found = survey(wanted, Path(config.out), config.rerun, note)
    failed = sum(one.failed is not None for one in found)
    print(f"{len(found)} cases, {failed} of them not measured; written: {config.out}")


def main() -> None:
    """``python -m bench.trust``."""
    application(_task, "trust", HELP)()


if __name__ == "__main__":
    main()
