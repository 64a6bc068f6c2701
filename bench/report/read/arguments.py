"""What the command line asks for, in Hydra's grammar for overrides: lists with commas, ranges, quotes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError, ConfigError
from bench.report.read.records import GROUPS

OPTIONS = ("experiment", "runs_dir", "out")

HELP = """\
Tables, plots and one offline HTML file from the runs on disk, finished or not.

Usage
  python -m bench.report [experiment=NAME] [GROUP=NAME,...] [OPTION=VALUE,...] [runs_dir=DIR] [out=DIR]

Examples
  python -m bench.report                                       all runs in results/runs, into results/report
  python -m bench.report experiment=mnist out=results/mnist    the cells of a sweep, missing ones too
  python -m bench.report method=s2d,s3d data=mnist seed=0,1,2
  python -m bench.report growth.epsilon=0.01 train.epochs=30   by any option of a run

experiment  only the cells of conf/experiment/NAME.yaml; those not done are shown with the command that fills them
runs_dir    where runs are kept (results/runs)
out         where the report goes (results/report)
logger      wandb sends figures and page there too (logger.project=, logger.mode=offline or online)
Filters     method, backbone and data by name, seed by number, GROUP.OPTION by value; commas between values
"""


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        experiment: A sweep's name, or None for all runs.
        runs_dir: Where runs are kept, as typed.
        out: Where the report goes.
        filters: Values that pass, by option.
        logger: Where the report is sent too: the logger's ``name`` and its options as typed.
    """

    experiment: str | None = None
    runs_dir: str = "results/runs"
    out: Path = Path("results/report")
    filters: dict[str, list[str]] = field(default_factory=dict)
    logger: dict[str, Any] = field(default_factory=lambda: {"name": "none"})

    def passes(self, config: Mapping[str, Any]) -> bool:
        """Whether a run with these options is asked for."""
        return all(_text(_look_up(config, key)) in values for key, values in self.filters.items())


def parse(arguments: Sequence[str]) -> Request:
    """Read the command line.

    Raises:
        BenchError: An argument cannot be read, or names no option.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    given: dict[str, list[str]] = {}
    for argument in arguments:
        try:
            override = OverridesParser.create().parse_override(argument)
            found = list(override.sweep_iterator()) if override.is_sweep_override() else [override.value()]
        except (HydraException, ValueError):
            raise BenchError(
                f"cannot read the argument {argument!r}: expected OPTION=VALUE (python -m bench.report --help)"
            ) from None
        listed = found[0] if len(found) == 1 and isinstance(found[0], list) else found
        given[override.key_or_group] = [_text(value) for value in listed]
    logger: dict[str, Any] = {"name": "none"}
    for key in [key for key in given if key.split(".")[0] == "logger"]:
        logger[key.partition(".")[2] or "name"] = given.pop(key)[0]
    single = {name: given.pop(name) for name in OPTIONS if name in given}
    for name, values in single.items():
        if len(values) != 1 or not values[0]:
            raise ConfigError(name, ",".join(values), "one value")
    for key in given:
        if key.split(".")[0] not in (*GROUPS, "seed", "precision"):
            raise BenchError(f"{key}: no such option; expected one of {', '.join((*OPTIONS, *GROUPS, 'seed'))}")
    return Request(
        experiment=single["experiment"][0] if "experiment" in single else None,
        runs_dir=single.get("runs_dir", [Request.runs_dir])[0],
        out=Path(single["out"][0]) if "out" in single else Request.out,
        filters=dict(sorted(given.items())),
        logger=logger,
    )


def _look_up(config: Mapping[str, Any], key: str) -> Any:
    found: Any = config
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found.get("name") if isinstance(found, Mapping) else found


def _text(value: Any) -> str:
    """The same for 3, 3.0 and "3"."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int | float):
        return f"{value:g}" if value != int(value) else str(int(value))
    text = str(value)
    try:
        return _text(float(text))
    except (ValueError, OverflowError):
        return text
