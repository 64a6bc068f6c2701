"""The command line that makes a run: its options as far as they differ from the defaults."""

from __future__ import annotations

import shlex

from bench.core.defaults import defaults_of, files, load
from bench.core.identity import LATENCY, MACHINE, SILENT, SILENT_DATA
from bench.core.options import GROUPS as ALL
from bench.core.options import Options, as_typed
from bench.core.record import RunRecord

GROUPS, SHOWN = ALL[:-1], ALL[:3]
"""All but the logger, which does not enter a run's numbers; and those that a command always names."""

UNNAMED = {*GROUPS, *SILENT, "seed", "hydra"} - {*MACHINE}
"""What stands elsewhere in a command or changes no number; device and threads do, by how they round."""


def overrides(options: Options, runs_dir: str) -> list[str]:
    """What to type after ``python -m bench`` for a run with these resolved options, in this folder of runs."""
    words = []
    for group in GROUPS:
        name, defaults = _nearest(group, options[group])
        if name != "default":
            words.append(f"{group}={as_typed(name)}")
        for key, found in options[group].items():
            if key != "name" and (key not in defaults or defaults[key] != found):
                words.append(f"{group}.{key}={as_typed(found)}")
    words.append(f"seed={options['seed']}")
    top = load("config")
    for key in sorted(set(options) - UNNAMED):
        if key not in top or top[key] != options[key]:
            words.append(f"{key}={as_typed(options[key])}")
    if top.get("runs_dir") != runs_dir:
        words.append(f"runs_dir={as_typed(runs_dir)}")
    return words


def anywhere(options: Options, record: RunRecord | None = None) -> str:
    """What to type for a run with these resolved options, wherever its data and runs lie.

    Args:
        options: The resolved options.
        record: The run's, if it has ended: it is repeated with as many threads, but where that were another run.
    """
    data = {key: value for key, value in options["data"].items() if key not in SILENT_DATA}
    changed = {**options, "data": data}
    if record is not None and options["threads"] is None and options["growth"].get("cost") != LATENCY:
        changed["threads"] = record.environment.threads or None
    words = overrides(changed, str(load("config")["runs_dir"]))
    return shlex.join(["python", "-m", "bench", *words])


def _nearest(group: str, chosen: Options) -> tuple[str, Options]:
    """The file in ``conf/`` that the options of a group come from, and its values."""
    if group in SHOWN:
        name = str(chosen["name"])
        return name, defaults_of(group, chosen)

    def distance(file: str) -> tuple[int, bool, str]:
        defaults = load(f"{group}/{file}")
        differing = sum(key not in defaults or defaults[key] != found for key, found in chosen.items())
        return differing, file != "default", file

    name = min(files(group), key=distance)
    return name, load(f"{group}/{name}")


def option_names() -> set[str]:
    """Groups, and the options in their files."""
    return {
        *GROUPS,
        *(f"{group}.{key}" for group in GROUPS for name in files(group) for key in load(f"{group}/{name}")),
    }
