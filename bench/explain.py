"""``python -m bench --help``: every group with its choices, every option with its value and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hydra import compose
from omegaconf import OmegaConf
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bench.core import comments
from bench.core.defaults import files, load
from bench.core.options import CONF, GROUPS, as_typed
from bench.core.places import known
from bench.core.table import screen
from bench.grammar import parsed
from bench.grid import choices, opened
from bench.plugins import REGISTRIES, composition, registry

USAGE = """\
Grow a neural network, by splitting its neurons or by new ones, and measure accuracy against size.

Usage
  python -m bench [GROUP=NAME] [OPTION=VALUE] ...

Examples
  python -m bench method=s3d
      one run, offline, in seconds
  python -m bench method=s2d data=mnist backbone=lenet seed=3
  python -m bench method=s3d method.c=2 growth.stages=8
  python -m bench method=fast_s2d growth.cost=macs growth.budget=20000
  python -m bench -m method=s2d,s3d method.c=2 seed=0,1,2
      a sweep: every combination; method.c is of s3d alone
  python -m bench -m experiment=mnist method=mine
      a preset's sweep, and one's own method beside its methods
  python -m bench --help method=fast_s2d data=mnist
      this page for other choices
"""

ABOUT = {
    "method": "The rule that says which neurons are split, and into what; static ones are controls.",
    "backbone": "The seed network; or torchvision:NAME, timm:NAME, or import:package.module:factory for one's own.",
    "data": "digits is embedded; image sets are downloaded to data.root once; planted and rbf have a known teacher; "
    "one's own are folder:PATH of images by class, file:PATH of named arrays, import:package.module:function.",
    "train": "The recipe, the same for every method and stage.",
    "growth": "The ladder of sizes, the step, the sample and the engine.",
    "logger": "Where curves go beside the run's own record.",
    "experiment": "A preset, with its own sweep for -m. What is typed takes precedence; but a method that is none of "
    "the preset's joins them. hydra.sweeper.params.method=NAME,NAME takes their place.",
    "hydra/launcher": "Who does the runs of a sweep: this process, the cores of this machine, or a cluster.",
}

END = "A finished run is not done again: the same command shows its table. rerun=all does it anew."

NARROW = 32
"""Cells of an option and its value; what is longer is broken."""


def explain(arguments: Sequence[str]) -> None:
    """Print the help for what these arguments choose.

    Raises:
        BenchError: A choice is none.
    """
    with composition():
        firsts = [values[0] for values in choices([], parsed(list(map(opened, arguments)))).values()]
        config = OmegaConf.to_container(compose("config", firsts), resolve=False)
    assert isinstance(config, dict)
    console = screen()
    console.print(USAGE, markup=False, highlight=False)
    for group in GROUPS:
        chosen = config[group]
        name = str(chosen.get("name", "default"))
        _group(console, f"{group}={name}", ABOUT[group], _choices(group))
        options = {f"{group}.{key}": value for key, value in chosen.items() if key != "name"}
        _options(console, options, {f"{group}.{key}": said for key, said in _comments(group, name).items()})
    _group(console, "experiment=null", ABOUT["experiment"], known("experiment"))
    _group(console, "hydra/launcher=basic", ABOUT["hydra/launcher"], ["basic", *known("hydra/launcher")])
    console.print()
    console.print(Text("options of no group", style="bold"))
    single = {str(key): value for key, value in config.items() if key in load("config") and key not in GROUPS}
    _options(console, single, comments.of_file(CONF / "config.yaml"))
    console.print()
    console.print(END, markup=False, highlight=False)


def _choices(group: str) -> Sequence[str]:
    """What can be typed after ``GROUP=``."""
    return registry(group).choices() if group in REGISTRIES else files(group)


def _comments(group: str, name: str) -> Mapping[str, str]:
    """Of a choice's options: of its file, or where it has none of its dataclass; and of those that all choices have."""
    has_file = name in files(group)
    place = CONF / group / f"{name}.yaml"
    own = comments.of_file(place) if has_file else comments.of_dataclass(registry(group)[name].config)
    everywhere = comments.of_file(CONF / "config.yaml")
    return {**own, **{key.removeprefix(f"{group}."): said for key, said in everywhere.items() if "." in key}}


def _group(console: Console, title: str, about: str, names: Sequence[str]) -> None:
    console.print()
    console.print(Text(title, style="bold"))
    console.print(Padding(Text(about), (0, 0, 0, 2)))
    if len(names) > 1:
        console.print(Padding(Text(f"one of {', '.join(names)}"), (0, 0, 0, 2)))


def _options(console: Console, options: Mapping[str, Any], said: Mapping[str, str]) -> None:
    """One line an option, or more where its comment is long."""
    if not options:
        return
    table = Table.grid(padding=(0, 2, 0, 0))
    lines = {f"{name}={as_typed(value)}": said.get(name, "") for name, value in options.items()}
    table.add_column(overflow="fold", min_width=min(max(map(len, lines)), NARROW), max_width=NARROW)
    table.add_column(overflow="fold")
    for line, comment in lines.items():
        table.add_row(Text(line), Text(comment))
    console.print(Padding(table, (0, 0, 0, 2)))
