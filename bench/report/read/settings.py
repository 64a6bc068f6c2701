"""Settings: cells that may be compared, because data, backbone, recipe and ladder of sizes are the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.core.identity import SILENT, SILENT_DATA
from bench.core.options import Options
from bench.report.read.command import GROUPS
from bench.run.cell import Cell

LADDER = ("stages", "ratio", "cost", "budget")
"""Options of ``growth`` that fix the sizes; the others belong to a method's way of growing."""

ORDER = ("net2net", "random_split", "s2d", "fast_s2d", "s3d")
CONTROLS = ("static", "static_matched")


@dataclass(frozen=True)
class Variant:
    """A method with its options but for the step, within one setting.

    Attributes:
        label: The method's name, with the options in which it differs from its other variants here.
        method: The method's name.
        cells: Its cells, over steps and seeds.
    """

    label: str
    method: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Setting:
    """Cells that may be compared.

    Attributes:
        title: For people.
        slug: For file names, unique in a report.
        config: The options of one of its cells.
        variants: Its methods.
    """

    title: str
    slug: str
    config: Options
    variants: tuple[Variant, ...]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All its cells."""
        return tuple(cell for variant in self.variants for cell in variant.cells)

    @property
    def accuracy(self) -> bool:
        """Whether scores are accuracies; losses otherwise. True while nothing is known."""
        return all(record.stages[0].classified for record in (c.record for c in self.cells) if record and record.stages)


def settings(cells: Iterable[Cell]) -> list[Setting]:
    """Group cells, with titles that tell the groups apart."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(_key(_setting_options(cell.options)), []).append(cell)
    options = {key: _flat(_setting_options(members[0].options)) for key, members in groups.items()}
    names = {key: (members[0].name("data"), members[0].name("backbone")) for key, members in groups.items()}
    made, slugs = [], set[str]()
    for key in sorted(groups, key=lambda key: (names[key], key)):
        rivals = [options[other] for other in groups if names[other] == names[key]]
        title = ", ".join([*names[key], *_differing(options[key], rivals)])
        slug = base = re.sub(r"[^a-z0-9]+", "-", "-".join(names[key]).lower()).strip("-")[:60] or "setting"
        number = 1
        while slug in slugs:
            number += 1
            slug = f"{base}-{number}"
        slugs.add(slug)
        made.append(Setting(title, slug, groups[key][0].options, _variants(groups[key])))
    return made


def _setting_options(config: Options) -> Options:
    """What two runs must share to be compared."""
    kept = {key: config[key] for key in config if key not in (*GROUPS, *SILENT, "seed", "hydra")}
    kept["data"] = {key: value for key, value in config["data"].items() if key not in SILENT_DATA}
    kept["backbone"], kept["train"] = config["backbone"], config["train"]
    kept["growth"] = {key: value for key, value in config["growth"].items() if key in LADDER}
    return kept


def _variant_options(config: Options) -> Options:
    growth = {key: value for key, value in config["growth"].items() if key not in (*LADDER, "epsilon")}
    method = {key: value for key, value in config["method"].items() if (key, value) != ("step", False)}
    return {"method": method, "growth": growth}


def _variants(cells: list[Cell]) -> tuple[Variant, ...]:
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(_key(_variant_options(cell.options)), []).append(cell)
    options = {key: _flat(_variant_options(members[0].options)) for key, members in groups.items()}
    made = []
    for key, members in groups.items():
        method = members[0].name("method")
        rivals = [options[other] for other in groups if groups[other][0].name("method") == method]
        differing = [text.removeprefix("method.") for text in _differing(options[key], rivals)]
        label = f"{method} ({', '.join(differing)})" if differing else method
        made.append(Variant(label, method, tuple(members)))
    return tuple(sorted(made, key=lambda variant: (rank(variant.method), variant.label)))


def rank(method: str) -> tuple[int, str]:
    """Where a method's column stands: published methods, then others, then controls from scratch."""
    if method in CONTROLS:
        return len(ORDER) + 1 + CONTROLS.index(method), method
    return (ORDER.index(method) if method in ORDER else len(ORDER)), method


def _differing(own: Mapping[str, str], rivals: list[dict[str, str]]) -> list[str]:
    keys = sorted({key for rival in rivals for key in rival} | set(own))
    return [f"{key}={own.get(key, 'absent')}" for key in keys if len({rival.get(key) for rival in rivals}) > 1]


def _flat(options: Options, prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in options.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value)
    return flat


def _key(options: Options) -> str:
    return json.dumps(json.loads(json.dumps(options), parse_int=float), sort_keys=True)
