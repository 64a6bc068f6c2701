"""What a run is given by its backbone: ``hydra.launcher.by_backbone.NAME.OPTION=VALUE``.

What is below a backbone's name are options of the launcher, in place of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.core.errors import ConfigError, did_you_mean
from bench.core.options import as_typed
from bench.plugins import registry
from bench.run.cell import Cell

TYPED = "hydra.launcher.by_backbone"


def groups(found: Sequence[Cell], by_backbone: Mapping[str, object]) -> dict[tuple[str, ...], list[Cell]]:
    """Cells by what is to be typed for their backbone's resources.

    Raises:
        BenchError: There is no such backbone, or there are no options for it.
    """
    there = {cell.name("backbone") for cell in found}
    more = dict[str, tuple[str, ...]]()
    for name, options in by_backbone.items():
        if name not in there and name not in (known := registry("backbone").choices()):
            raise ConfigError(TYPED, name, f"one of {', '.join(known)}{did_you_mean(name, known)}")
        if not isinstance(options, Mapping):
            raise ConfigError(f"{TYPED}.{name}", options, f"options of the launcher, as in {TYPED}.{name}.OPTION=VALUE")
        if "init" in options.get("ray", {}):
            raise ConfigError(f"{TYPED}.{name}.ray.init", options["ray"]["init"], "options of single runs, ray.remote")
        more[name] = tuple(f"hydra.launcher.{key}={as_typed(value)}" for key, value in options.items())
    grouped = dict[tuple[str, ...], list[Cell]]()
    for cell in found:
        grouped.setdefault(more.get(cell.name("backbone"), ()), []).append(cell)
    return grouped
