"""``growth-bench``: every command under one name, from any folder.

Python puts neither the working directory nor anything in it before what is installed when a script is started, so a
folder may hold its own ``methods/``, ``conf/``, ``inspect.py`` or ``bench.py``. Workers that the script starts keep to
that by ``PYTHONSAFEPATH``.
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass

from bench.core.errors import did_you_mean
from bench.core.output import standard_output


@dataclass(frozen=True)
class Command:
    """A subcommand.

    Attributes:
        module: Its ``main`` carries it out.
        about: What it does, in a line.
        flags: What it puts before the arguments.
    """

    module: str
    about: str
    flags: tuple[str, ...] = ()


COMMANDS = {
    "run": Command("bench.cli", "grow one network; what happens without a command"),
    "sweep": Command("bench.cli", "grow many: every combination of values, as -m does", ("-m",)),
    "report": Command("bench.report.__main__", "tables, figures and one HTML file from runs on disk"),
    "study": Command("bench.study.__main__", "the study's questions: their runs, tables and figures, in one folder"),
    "reproduce": Command("bench.reproduce.__main__", "runs of a committed folder done again, and compared"),
    "status": Command("bench.status", "a sweep's cells: done, running, failed, missing; time left"),
    "inspect": Command("bench.inspect", "what can be split, at what cost, and what cannot and why"),
    "check": Command("bench.check", "does a growth method keep the rules?"),
    "export": Command("bench.export", "a run's network for use without this package"),
    "networks": Command("bench.networks.__main__", "what can be grown of torchvision's and timm's networks"),
    "trust": Command("bench.trust.__main__", "predicted against measured drop, by activation and pooling"),
    "speed": Command("bench.speed.__main__", "how fast eigensolvers, training and a run are on this machine"),
}

HELP = """\
Grow a neural network, by splitting its neurons or by new ones, and measure accuracy against size.

Usage
  growth-bench [COMMAND] [GROUP=NAME] [OPTION=VALUE] ...

Commands
{commands}

Examples
  growth-bench method=s3d
  growth-bench sweep method=s2d,s3d seed=0,1,2
  growth-bench report method=s2d,s3d out=report

growth-bench COMMAND --help explains a command: run --help lists methods, backbones, data sets and all options.
Each is also a module: python -m bench, python -m bench.report, python -m bench.status ...\
"""


def chosen(arguments: list[str]) -> tuple[Command, list[str]]:
    """The command that is asked for, and what it is given.

    Raises:
        SystemExit: There is no such command.
    """
    first = arguments[0] if arguments else ""
    if first in COMMANDS:
        return COMMANDS[first], arguments[1:]
    if first and "=" not in first and not first.startswith(("-", "~")):
        expected = f"one of {', '.join(COMMANDS)}, or GROUP=NAME"
        sys.exit(f"error: {first}: no such command; expected {expected}{did_you_mean(first, COMMANDS)}")
    return COMMANDS["run"], arguments


def main() -> None:
    """The console script."""
    with standard_output():
        if sys.argv[1:2] in (["-h"], ["--help"]):
            print(HELP.format(commands="\n".join(f"  {name:9} {command.about}" for name, command in COMMANDS.items())))
            return
        os.environ["PYTHONSAFEPATH"] = "1"
        command, arguments = chosen(sys.argv[1:])
        sys.argv[1:] = [*command.flags, *arguments]
        importlib.import_module(command.module).main()
