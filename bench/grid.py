"""The grid of a command line: its cells, each a run, and whether they can be begun.

A cell is one combination of a sweep's values. Cells that come to the same run (a method without a step under several
steps, say) are one. An option that only some choices of a group have is an option of their cells.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import cache
from itertools import islice, product
from math import prod

from hydra import compose
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from bench.composing import Composer
from bench.core.errors import BenchError, did_you_mean
from bench.core.identity import SILENT
from bench.core.loading import load_torch
from bench.core.options import as_typed, check_form
from bench.grammar import parsed, plain_values
from bench.plugins import REGISTRIES, composition, registry
from bench.preset import Preset
from bench.run.cell import Cell, run_folder

IDLE = tuple(f"{group}." for group in (*SILENT, "data", "hydra"))
"""How options of groups begin that may not enter a run's identity; of a data set, where its files lie."""

MOST_CELLS = 10_000
"""Combinations of a sweep; each takes a few milliseconds before the first run begins."""

CHOOSING = (*(f"{group}=" for group in (*REGISTRIES, "experiment")), "hydra.")
"""How overrides begin that choose plugins, or say where they are found."""

OPEN = ("hydra.launcher.by_backbone", "hydra.launcher.additional_parameters")
"""Options whose own names no launcher's file can know."""

JOINS = "method"
"""What is typed for it joins a preset's values where it is none of them; for all else it takes their place."""


def cells(arguments: Sequence[str], swept: Mapping[str, object] | None = None) -> list[Cell]:
    """The cells of a command line, those of an ``experiment=`` preset's own sweep included, each run once.

    Args:
        arguments: Overrides as typed; ``a=1,2`` sweeps. They take precedence over the preset's (`choices`).
        swept: The preset's own sweep, ``hydra.sweeper.params``; None to look it up.

    Raises:
        BenchError: An option is of no cell, cannot be swept over, or has a value that no folder can be found for.
    """
    typed = parsed([opened(argument) for argument in arguments])
    if any(o.key_or_group == "experiment" and o.is_sweep_override() for o in typed):
        raise BenchError("experiment: expected one name; a preset has a sweep of its own")
    chosen = [str(o.input_line) for o in typed if o.key_or_group == "experiment" or o.is_hydra_override()]
    found: dict[str, Cell] = {}
    made: list[tuple[list[str], str]] = []
    with composition():
        if swept is None:
            swept = compose("config", chosen, return_hydra_config=True).hydra.sweeper.params
        values = choices(parsed([f"{key}={value}" for key, value in (swept or {}).items()]), typed)
        preset, composed = Preset.of(chosen), Composer(chosen)
        combinations = list(product(*values.values()))
        given = {override.get_key_element() for override in typed}
        idle = {key for key in values if key not in given and key.partition(".")[0] in given}
        for overrides in with_their_options(combinations, preset, composed, idle):
            plain = preset.settled(composed(overrides), overrides)
            check_form(plain)
            folder = run_folder(plain)
            shown = [o for o in overrides if not o.lstrip("+").startswith(("hydra.", "hydra/"))]
            found.setdefault(folder.id, Cell(plain, folder, shown))
            made.append((overrides, folder.id))
    for key, several in values.items():
        if len(several) > 1 and (key.lstrip("+") in SILENT or key.lstrip("+").startswith(IDLE)):
            _require_effect(key, made)
    return list(found.values())


def runs_dirs(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Folders of runs that a command line names, as ``runs_dir=a,b`` or ``runs_dir=[a,b]``, and its other arguments.

    The first folder stays among the arguments: there goes what is still to be done.

    Raises:
        BenchError: A folder is no name.
    """
    folders, others = list[str](), list[str]()
    for argument, override in zip(arguments, parsed(arguments), strict=True):
        if override.get_key_element() != "runs_dir":
            others.append(argument)
            continue
        folders = [str(one) for one in plain_values(override)]
        if not folders or not all(folders):
            raise BenchError(f"{argument}: expected a folder, or several as in runs_dir=a,b")
        others = [one for one in others if not one.startswith("runs_dir=")] + [f"runs_dir={as_typed(folders[0])}"]
    return folders, others


def choices(preset: Sequence[Override], typed: Sequence[Override]) -> dict[str, list[str]]:
    """The values of each option, as ``KEY=VALUE``.

    What is typed takes the place of what a preset has, and what is typed later that of what is typed before; but a
    method (`JOINS`) that is none of the preset's is compared with them.

    Raises:
        BenchError: A sweep is over a range without single values, has none, or has more than `MOST_CELLS`.
    """
    own = {override.get_key_element(): _values(override) for override in preset}
    found = dict(own)
    for override in typed:
        key, new = override.get_key_element(), _values(override)
        joins = key == JOINS and key in own and not set(own[key]) & set(new)
        found[key] = own[key] + new if joins else new
    if prod(map(len, found.values())) > MOST_CELLS:
        raise BenchError(f"the sweep has more than {MOST_CELLS:,} combinations")
    return found


def _values(override: Override) -> list[str]:
    if not override.is_sweep_override():
        return [str(override.input_line)]
    key = override.get_key_element()
    if not (override.is_choice_sweep() or override.is_range_sweep()):
        raise BenchError(f"{override.input_line}: expected single values, as in {key}=1,2,3")
    found = [f"{key}={value}" for value in islice(override.sweep_string_iterator(), MOST_CELLS + 1)]
    if not found:
        raise BenchError(f"{override.input_line}: no values to sweep over")
    return found


def with_their_options(
    combinations: Iterable[Sequence[str]], preset: Preset, composed: Composer, idle: Container[str] = ()
) -> list[list[str]]:
    """Combinations without the options that their choices of method, backbone, data set and logger do not have.

    Args:
        combinations: Overrides each.
        preset: Which settles what else is an option.
        composed: Makes configurations.
        idle: Options of a preset's own sweep that are of other choices than those that are typed.

    Raises:
        BenchError: No combination has an option, and it is not idle.
    """
    kept, asked = [], dict[str, str]()
    known: dict[tuple[str, ...], set[str]] = {}
    for overrides in combinations:
        names = {o: name for o in overrides if (name := plugin_option(o))}
        chosen = tuple(o for o in overrides if o.startswith(CHOOSING))
        if names and chosen not in known:
            known[chosen] = _options_of(preset.settled(composed(chosen), chosen))
        kept.append([o for o in overrides if o not in names or names[o] in known[chosen]])
        asked |= names
    there = set[str]().union(*known.values())
    for override, name in asked.items():
        key, group = override.partition("=")[0], name.partition(".")[0]
        if name not in there and key not in idle:
            others = sorted(one for one in there if one.startswith(f"{group}."))
            raise BenchError(f"{key}: no such option; expected one of {', '.join(others)}{did_you_mean(name, others)}")
    return kept


def _options_of(options: Mapping[str, object]) -> set[str]:
    """The options, as ``GROUP.NAME``, of the chosen plugins."""
    groups = {group: one for group in REGISTRIES if isinstance(one := options[group], Mapping)}
    return {f"{group}.{name}" for group, one in groups.items() for name in one}


def plugin_option(override: str) -> str | None:
    """The option of a plugin that an override is of, as ``GROUP.NAME``; None if it is of none, or adds one."""
    group, dot, rest = override.partition("=")[0].partition(".")
    return f"{group}.{rest.partition('.')[0]}" if dot and group in REGISTRIES else None


def left_to_the_cells(arguments: Sequence[str]) -> list[str]:
    """A sweep's arguments, with each option of a plugin as a sweep over one value, and any backbone's resources added.

    Before Hydra hands a sweep over it composes what is not swept over, with one plugin of each group; the option may be
    of another.
    """
    return [_as_choice(argument) for argument in arguments]


def opened(argument: str) -> str:
    """An argument, so that Hydra takes names that no file can know."""
    return f"++{argument}" if argument.startswith(OPEN) else argument


def _as_choice(argument: str) -> str:
    if argument.startswith(OPEN):
        return opened(argument)
    if plugin_option(argument) is None:
        return argument
    try:
        swept = "{}=choice({})".format(*argument.split("=", 1))
        is_sweep, _ = (override.is_sweep_override() for override in parsed([argument, swept]))
        return argument if is_sweep else swept
    except (HydraException, ValueError, IndexError):
        return argument  # for Hydra to complain of


def _require_effect(key: str, made: Sequence[tuple[list[str], str]]) -> None:
    """Raise `BenchError` if cells that differ in one option alone are the same runs for all of its values."""
    runs: dict[tuple[str, ...], set[str]] = {}
    for overrides, name in made:
        runs.setdefault(tuple(o for o in overrides if not o.startswith(f"{key}=")), set()).add(name)
    if all(len(names) == 1 for names in runs.values()):
        reason = "it says where and how a run is done and does not enter its identity, so every value is the same run"
        raise BenchError(f"{key}: cannot be swept over: {reason}")


def require_right(found: Sequence[Cell]) -> None:
    """Check the options of cells, as far as that can be done before data are read, so that none is begun in vain.

    Files, folders and functions that they name must be there.

    Raises:
        BenchError: Some cannot work; each is named with its reason on standard error.
    """
    if not found:
        return
    load_torch()
    from bench.run.config import Settings

    there, wrong = cache(_require_there), dict[str, int]()
    for cell in found:
        try:
            Settings.of(cell.options)
            for group in ("data", "backbone"):
                there(group, json.dumps(cell.options[group]))
        except BenchError as error:
            wrong[str(error)] = wrong.get(str(error), 0) + 1
    *reasons, last = list(wrong) or [""]
    for reason in reasons:
        print(f"error: {reason}", file=sys.stderr, flush=True)
    if last:
        many = f"; {sum(wrong.values())} of {len(found)} runs cannot be begun, so none is" if len(found) > 1 else ""
        raise BenchError(f"{last}{many}")


def _require_there(group: str, written: str) -> None:
    """Raise `BenchError` unless what a plugin's options, as JSON, name is there."""
    options = json.loads(written)
    registry(group)[options["name"]].require_there(options)
