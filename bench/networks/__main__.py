"""``python -m bench.networks``: what can be grown of timm's and torchvision's networks, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.cli import application
from bench.core.errors import require, require_choice
from bench.core.options import Options, typed

HELP = """\
What can be grown of timm's and torchvision's networks: groups, share of the parameters, what is left and why.

  python -m bench.networks out=results/networks                        all, half an hour; goes on where it stopped
  python -m bench.networks out=mine names=[timm:resnet50,timm:dla34]   these
  python -m bench.networks out=results/networks rerun=failed           those again that failed; or rerun=all
  python -m bench.networks.measure timm:NAME                           one, with the traceback if it fails

out is a folder for networks.csv, networks.md and networks.json, which keeps what is found; seconds limits each."""


@dataclass(frozen=True)
class NetworksConfig:
    """Options of the command.

    Attributes:
        out: Folder for the tables.
        names: Backbones, ``timm:NAME`` or ``torchvision:NAME``; all of the table for none.
        seconds: Time limit of each.
        rerun: Which to measure again: none, failed or all.
    """

    out: str = "results/networks"
    names: tuple[str, ...] = ()
    seconds: float = 900.0
    rerun: str = "none"

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))  # YAML hands over a list
        require(self.seconds > 0, "seconds", self.seconds, "a number above 0")
        require_choice("rerun", self.rerun, ("none", "failed", "all"))
        require(not Path(self.out).is_file(), "out", self.out, "a folder")


def _task(options: Options) -> None:
    from rich.console import Console
    from rich.progress import Progress

    one = options["names"]
    config = typed("", NetworksConfig, {**options, "names": [one] if isinstance(one, str) else one})
    from bench.networks.names import networks  # torch, only after the options are read
    from bench.networks.survey import survey

    names, console = networks(config.names), Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=len(names), completed=-1)
        found = survey(
            names,
            Path(config.out),
            config.seconds,
            config.rerun,
            lambda name: progress.update(task, description=name, advance=1),
        )
    failed = sum(one.failed is not None for one in found)
    print(f"{len(found)} networks, {failed} of them not read; written: {config.out}")


def main() -> None:
    """``python -m bench.networks``."""
    application(_task, "networks", HELP)()


if __name__ == "__main__":
    main()
