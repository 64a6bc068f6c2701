"""What the command line asks for, in Hydra's grammar for overrides: lists with commas, ranges, quotes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.core.defaults import files
from bench.core.errors import BenchError, ConfigError, did_you_mean, require
from bench.core.options import Options, as_typed
from bench.report.read.command import GROUPS, option_names
from bench.report.read.settings import flat
from bench.run.cell import Cell

OPTIONS = ("experiment", "runs_dir", "out", "baseline")
SINGLE = ("seed", "precision")
FILTERS = (*GROUPS, *SINGLE)

HELP = """\
Tables, plots and one offline HTML file from the runs on disk, finished or not.

  python -m bench.report                                       all runs in results/runs, into results/report
  python -m bench.report experiment=mnist out=results/mnist    the cells of a sweep, missing ones too
  python -m bench.report method=s2d,s3d data=mnist seed=0,1,2
  python -m bench.report growth.epsilon=0.01 train.epochs=30   by any option of a run
  python -m bench.report baseline=net2net scores.against=macs

experiment  only the cells of conf/experiment/NAME.yaml, with method= those of the same sweep; those not done are
            shown with the command that fills them
runs_dir    where runs are kept (results/runs); several, as runs_dir=a,b, are taken together, each run once
out         where the report goes (results/report)
baseline    the method that others are compared with (static, else random_split, else net2net)
logger      wandb sends figures and page there too (logger.project=, logger.mode=offline or online)
Filters     method, backbone and data by name, seed by number, GROUP.OPTION by value; commas between values
Parts       scores.against=COST, budget.targets=[0.9,0.95], losses.panels=part or method, runs.most=NUMBER, and those
            of other packages' parts
"""


@dataclass(frozen=True)
class Request:
    """What is asked for."""

    experiment: str | None = None  # a sweep's name; None for all runs
    runs_dir: str = "results/runs"  # as typed
    others: tuple[str, ...] = ()  # further folders with runs
    out: Path = Path("results/report")
    baseline: str | None = None  # the method to compare with; None for the usual one
    filters: dict[str, list[str]] = field(default_factory=dict)  # values that pass, by option
    views: dict[str, dict[str, object]] = field(default_factory=dict)  # options, by the view that they are of
    logger: dict[str, object] = field(default_factory=lambda: {"name": "none"})  # where the report is sent too

    @property
    def sweep(self) -> list[str]:
        """The experiment's cells as arguments of ``python -m bench -m``; empty where none is named."""
        if self.experiment is None:
            return []
        place = [] if self.runs_dir == Request.runs_dir else [f"runs_dir={as_typed(self.runs_dir)}"]
        methods = [f"method={','.join(map(as_typed, self.filters['method']))}"] if "method" in self.filters else []
        return [f"experiment={self.experiment}", *methods, *place]

    @property
    def conditions(self) -> dict[str, list[str]]:
        """The filters that runs must pass; which methods an experiment has its sweep says (`bench.grid.choices`)."""
        return {key: values for key, values in self.filters.items() if not (self.experiment and key == "method")}

    def passes(self, options: Options) -> bool:
        """Whether a run with these options is asked for."""
        found = flat(options) if self.conditions else {}
        texts = {key: value_text(found.get(key, found.get(f"{key}.name"))) for key in self.conditions}
        return all(texts[key] in values for key, values in self.conditions.items())

    def chosen(self, cells: Sequence[Cell]) -> list[Cell]:
        """The cells that pass.

        Raises:
            BenchError: A filter is of no option or value that is known, or there are cells and none passes; the message
            names the filter and what would pass.
        """
        known = [flat(cell.options) for cell in cells]
        for key, values in self.conditions.items():
            self._require_known(key, values, known)
        kept = [cell for cell in cells if self.passes(cell.options)]
        if kept or not cells:
            return kept
        asked = " ".join(f"{key}={','.join(values)}" for key, values in self.conditions.items())
        raise BenchError(f"{asked}: no run has all of these")

    def _require_known(self, key: str, values: Sequence[str], known: Sequence[Options]) -> None:
        """Raise `BenchError` for an option that no run has, and for a value that none has and that may be misspelt.

        What has a file in ``conf/`` is known too: its runs may be still to come, as may those of other numbers.
        """
        options = {name.removesuffix(".name") for one in known for name in one} or {*option_names(), *SINGLE}
        if key not in options:
            raise BenchError(f"{key}={','.join(values)}: no run has this option{did_you_mean(key, options)}")
        there = {value_text(one.get(key, one.get(f"{key}.name"))) for one in known}
        named = files(key) if key in GROUPS else ()
        if there and not there & set(values):
            raise ConfigError(key, ",".join(values), f"one that a run has: {', '.join(sorted(there))}")
        expected = sorted({*there, *named})
        for one in values if expected else ():
            if one not in expected and not _is_number(one):
                hint = did_you_mean(one, expected)
                raise ConfigError(key, ",".join(values), f"in place of {one} one of {', '.join(expected)}{hint}")


def parse(arguments: Sequence[str]) -> Request:
    """Read the command line.

    Raises:
        BenchError: An argument cannot be read, or names no option.
    """
    given = {key: (values, is_list) for key, values, is_list in map(_read, arguments)}
    logger: dict[str, object] = {"name": "none"}
    single: dict[str, str] = {}
    others: tuple[str, ...] = ()
    filters: dict[str, list[str]] = {}
    views: dict[str, dict[str, object]] = {}
    for key, (values, is_list) in sorted(given.items()):
        texts = [value_text(value) for value in values]
        first, dot, rest = key.partition(".")
        if key == "runs_dir":
            require(bool(texts) and all(texts), key, ",".join(texts), "a folder, or several with commas between")
            single[key], others = texts[0], tuple(texts[1:])
        elif key in OPTIONS:
            require(len(texts) == 1 and bool(texts[0]), key, ",".join(texts), "one value")
            single[key] = texts[0]
        elif first == "logger":
            require(len(texts) == 1, key, ",".join(texts), "one value")
            logger[rest or "name"] = texts[0]
        elif first in FILTERS:
            filters[key] = texts
        elif dot:
            views.setdefault(first, {})[rest] = values[0] if len(values) == 1 and not is_list else values
        else:
            known = (*OPTIONS, *FILTERS, "logger")
            raise BenchError(f"{key}: no such option; expected one of {', '.join(known)}{did_you_mean(key, known)}")
    out = Path(single.pop("out", Request.out))
    return Request(**single, others=others, out=out, filters=filters, views=views, logger=logger)


def _read(argument: str) -> tuple[str, Sequence[object], bool]:
    """What is set, to which values, and whether these were typed as a list."""
    from hydra.errors import HydraException

    from bench.grammar import parsed, plain_values, unreadable

    try:
        (override,) = parsed([argument])
        return override.key_or_group, plain_values(override), isinstance(override.value(), list)
    except (HydraException, ValueError):
        raise BenchError(unreadable(argument, "python -m bench.report")) from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text in ("true", "false", "null")
    return True


def value_text(value: object) -> str:
    """The same for 3, 3.0 and "3"."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    try:
        number = float(str(value))
    except ValueError:
        return str(value)
    return str(int(number)) if number.is_integer() else f"{number:g}"
