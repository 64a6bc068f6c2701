"""The command line: Hydra's configuration, plugins without YAML, and errors as single lines.

python -m bench method=s3d
python -m bench method=s2d data=mnist backbone=lenet seed=3
python -m bench -m method=net2net,s2d,fast_s2d,s3d seed=0,1,2
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from traceback import walk_tb

import hydra
from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bench.core.errors import BenchError, Busy, StorageError, did_you_mean
from bench.core.errors import one_line as of_anybody
from bench.core.options import CONF, Options
from bench.core.output import is_lost, standard_output
from bench.core.places import known, taken
from bench.core.version import version
from bench.explain import explain
from bench.grammar import quoted, unreadable
from bench.grid import left_to_the_cells
from bench.plugins import composition, offer_plugins
from bench.preset import Preset
from bench.sweep import offer_launchers, offer_sweeper

GROUP = re.compile(r"(?:\+\+?)?(method|backbone|data|train|growth|logger|hydra/\w+)(=.*|@.*)?$", re.DOTALL)
NO_NAME = re.compile(r"=|=(null|true|false|nan|[+-]?(inf|[\d.]+(e[+-]?\d+)?)|\[.*)|@.*", re.IGNORECASE | re.DOTALL)
"""What may follow a group, and cannot be the name of one of its choices."""

HELP = ("-h", "--help")

VALUED = ("--cfg", "-c", "--info", "-i", "--package", "-p", "--config-name", "-cn")
"""Hydra's flags whose value is the next argument."""

READERS = ("hydra", "hydra_plugins", "omegaconf", "antlr4")
"""Packages that read the arguments and start the launchers."""


def application(
    task: Callable[[Options], None], config_name: str = "config", about: str | None = None, sweeps: bool = False
) -> Callable[[], None]:
    """A Hydra command from a task on the resolved configuration.

    Its help is ``about``, else what its module says, for a command that takes the options of a run; one that sweeps
    explains them all.

    A user's mistake ends with one line on standard error and exit status 1. What is a bug of ours keeps its traceback.
    In a sweep, a job's mistake is printed and the other jobs go on (`bench.sweep.CellSweeper` counts them).
    """

    @hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)
    def command(config: DictConfig) -> None:
        try:
            typed = HydraConfig.get().overrides
            with composition():
                options = Preset.of([*typed.hydra, *typed.task]).settled(config, typed.task)
            with disk_errors(), standard_output():
                task(options)
        except BenchError as error:
            if HydraConfig.get().mode is not RunMode.MULTIRUN:
                sys.exit(f"error: {error}")
            if not (error.recorded or isinstance(error, Busy)):  # of those the sweep tells at its end
                print(f"error: {error}", file=sys.stderr, flush=True)

    if about is None and not sweeps:
        own = (sys.modules[task.__module__].__doc__ or "").strip().replace("``", "")
        about = f"{own}\n\nIt takes the options of a run: python -m bench --help"
    return lambda: guarded(command, sys.argv[1:], config_name, sweeps, about)


def guarded(
    command: Callable[[], None],
    arguments: list[str],
    config_name: str = "config",
    sweeps: bool = False,
    about: str | None = None,
) -> None:
    """Carry out a command; every mistake of the user's is one line and a failure.

    Args:
        command: What to do.
        arguments: What the user typed.
        config_name: The primary configuration.
        sweeps: Whether the command takes ``--multirun``.
        about: What ``--help`` says; None for all groups and options (`bench.explain`).

    Raises:
        SystemExit: What was wrong, in one line.
    """
    with standard_output():
        try:
            arguments = sys.argv[1:] = taken(arguments)
        except BenchError as error:
            sys.exit(f"error: {error}")
        if "--version" in arguments:
            print(f"growth-bench {version()}")
        elif about is not None and {*HELP} & set(arguments):
            print(about)
        elif {*HELP} & set(arguments):
            chosen = [argument for argument in arguments if argument not in (*HELP, "-m", "--multirun")]
            _guarded(lambda: explain(chosen), chosen, config_name, sweeps)
        else:
            _guarded(command, arguments, config_name, sweeps)


def _guarded(command: Callable[[], None], arguments: list[str], config_name: str, sweeps: bool) -> None:
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come here instead of being printed by Hydra
    try:
        check_arguments(arguments, sweeps)
        sweeping = {"-m", "--multirun"} & set(arguments)
        sys.argv[1:] = left_to_the_cells(arguments) if sweeping else arguments  # which Hydra reads
        offer_sweeper()
        offer_launchers()
        offer_plugins()
        with disk_errors():
            command()
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on from the last checkpoint")
    except BenchError as error:
        sys.exit(f"error: {error}")
    except (HydraException, OmegaConfBaseException) as error:
        sys.exit(f"error: {one_line(error, arguments, config_name)}")
    except OSError as error:
        if error.errno is None or is_lost():
            raise
        sys.exit(f"error: {of_anybody(error)}")
    except Exception as error:
        if not _is_hydras(error):
            raise
        sys.exit(f"error: {one_line(error, arguments, config_name)}")


def _is_hydras(error: BaseException) -> bool:
    """Whether an error comes from Hydra's reading of the arguments, not from what is done with them."""
    packages = [frame.f_globals.get("__name__", "").partition(".")[0] for frame, _ in walk_tb(error.__traceback__)]
    return next((name for name in reversed(packages) if name in (*READERS, "bench")), "bench") != "bench"


def check_arguments(arguments: list[str], sweeps: bool) -> None:
    """Refuse what Hydra would take without a word and we cannot.

    Raises:
        BenchError: A group is given no name or a list, an option is taken away, or a sweep is asked of a command that
            has none.
    """
    if not sweeps and {"-m", "--multirun"} & set(arguments):
        raise BenchError("--multirun: this command takes one configuration at a time")
    for before, argument in pairwise(["", *arguments]):
        if before in VALUED:
            continue
        if argument.startswith("~"):
            raise BenchError(f"{argument}: no option can be taken away; give it a value")
        group = GROUP.match(argument)
        if group and (group[2] is None or NO_NAME.fullmatch(group[2])):
            raise BenchError(f"{argument}: expected one name, as in {group[1]}=NAME")


@contextmanager
def disk_errors() -> Iterator[None]:
    """Make what the system says of a file or folder a `StorageError`."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            raise
        raise StorageError(
            f"{error.filename}: {error.strerror}; nothing is lost, run the same command again"
        ) from error


def one_line(error: Exception, arguments: list[str], config_name: str) -> str:
    """Hydra's many-line messages as one that names the option, the value and what would be right."""
    text = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    if isinstance(error, RecursionError):
        return "an argument is nested too deep"
    if not isinstance(error, HydraException | OmegaConfBaseException | ValueError):
        text = of_anybody(error)
    missing = re.search(r"Could not find '([\w/]+)/([^/']*)'.*?Available options in '[\w/]+': (.*)", text)
    if missing and missing[1].partition("/")[0] == "experiment":  # presets lie in folders too
        name, presets = f"{missing[1]}/{missing[2]}".removeprefix("experiment/"), known("experiment")
        return f"experiment={name}: expected one of {', '.join(presets)}{did_you_mean(name, presets)}"
    if missing:
        choices = missing[3].split(" Config search path")[0].split()
        return f"{missing[1]}={missing[2]}: expected one of {', '.join(choices)}{did_you_mean(missing[2], choices)}"
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown:
        choices = _siblings(unknown[1], arguments, config_name)
        return f"{unknown[1]}: no such option; expected one of {', '.join(choices)}{did_you_mean(unknown[1], choices)}"
    if isinstance(error, OverrideParseException):
        return unreadable(str(error.override))
    if several := re.match(r"Ambiguous value for argument '(.*?)' 1\. ", text):
        argument = next((one for one in arguments if "," in one and several[1] in one), several[1])
        key, _, values = argument.partition("=")
        several_here = "-m sweeps over several" if config_name == "config" else f"a list is typed {key}=[{values}]"
        right = f"one value; {several_here}, and a comma is quoted, as in {quoted(argument)}"
        return f"{argument}: expected {right}"
    return text


def _siblings(option: str, arguments: list[str], config_name: str) -> list[str]:
    """The options that exist where ``option`` does not."""
    chosen = [a.partition(",")[0] for a in arguments if re.fullmatch(r"[\w/]+=\S+", a)]
    groups = [a for a in chosen if known(a.partition("=")[0])]
    hydras = option.startswith("hydra.")
    with composition():
        try:
            config = compose(config_name, groups, return_hydra_config=hydras)
        except (HydraException, BenchError):  # a command without these groups
            config = compose(config_name, return_hydra_config=hydras)
    parent, dot, _ = option.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    return [f"{parent}{dot}{key!s}" for key in node] if isinstance(node, DictConfig) else sorted(map(str, config))


def _task(options: Options) -> None:
    from bench.run.command import run  # torch only after the options are read

    run(options, quiet=HydraConfig.get().mode is RunMode.MULTIRUN)


def main() -> None:
    """``python -m bench``."""
    application(_task, sweeps=True)()
