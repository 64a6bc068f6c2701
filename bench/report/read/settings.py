"""Settings: cells that may be compared, because data, backbone, recipe and ladder of sizes are the same."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, count

from bench.core.defaults import load
from bench.core.identity import LATENCY, SILENT, SILENT_DATA, unused_in
from bench.core.options import Options
from bench.report.read.command import GROUPS
from bench.run.cell import Cell

LADDER = ("stages", "ratio", "cost", "budget")
"""Options of ``growth`` that fix the sizes; but for `_ladder`'s, the others belong to a method's way of growing."""

NEWBORN = ("newborn_lr", "newborn_warmup")
"""Options of ``train`` that belong there too."""

ORDER = ("net2net", "random_split", "s2d", "fast_s2d", "s3d")
CONTROLS = ("retrain", "shrink_perturb", "static", "static_matched")


@dataclass(frozen=True)
class Variant:
    """A method with its options but for the step, within one setting."""

    label: str  # the method's name, with the options in which it differs from its other variants here
    method: str
    cells: tuple[Cell, ...]  # over steps and seeds


@dataclass(frozen=True)
class Setting:
    """Cells that may be compared."""

    title: str
    slug: str  # for file names, unique in a report
    config: Options  # of one of its cells
    variants: tuple[Variant, ...]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All its cells."""
        return tuple(cell for variant in self.variants for cell in variant.cells)

    @property
    def cost(self) -> str:
        """Name of the cost that its ladder counts."""
        return str(self.config["growth"].get("cost", "params"))

    @property
    def accuracy(self) -> bool:
        """Whether scores are accuracies; losses otherwise. True while nothing is known."""
        return all(record.stages[0].classified for record in (c.record for c in self.cells) if record and record.stages)


def settings(cells: Iterable[Cell], compared: Collection[str] = ()) -> list[Setting]:
    """Group cells, with titles that tell the groups apart.

    Args:
        cells: Any.
        compared: Options, as one types them, that may differ within a setting besides those of a way of growing.
    """
    groups = _grouped(cells, lambda cell: _without(_setting_options(cell.options), compared))
    names = {key: (members[0].name("data"), members[0].name("backbone")) for key, (members, _) in groups.items()}
    made, slugs = [], set[str]()
    for key in sorted(groups, key=lambda key: (names[key], key)):
        members, options = groups[key]
        rivals = [groups[other][1] for other in groups if names[other] == names[key]]
        base = re.sub(r"[^a-z0-9]+", "-", "-".join(names[key]).lower()).strip("-")[:60] or "setting"
        slug = next(one for one in chain([base], (f"{base}-{k}" for k in count(2))) if one not in slugs)
        slugs.add(slug)
        title = ", ".join([*names[key], *_differing(options, rivals)])
        made.append(Setting(title, slug, members[0].options, _variants(members)))
    return made


def _grouped(cells: Iterable[Cell], of: Callable[[Cell], Options]) -> dict[str, tuple[list[Cell], dict[str, str]]]:
    """Cells that share some of their options, with these as texts, by those in one text."""
    groups: dict[str, tuple[list[Cell], dict[str, str]]] = {}
    for cell in cells:
        options = of(cell)
        key = json.dumps(json.loads(json.dumps(options), parse_int=float), sort_keys=True)
        if key not in groups:
            groups[key] = [], {name: _text(one) for name, one in flat(options).items()}
        groups[key][0].append(cell)
    return groups


def _setting_options(config: Options) -> Options:
    """What two runs must share to be compared."""
    kept = {key: config[key] for key in config if key not in (*GROUPS, *SILENT, "seed", "hydra")}
    kept["data"] = {key: value for key, value in config["data"].items() if key not in SILENT_DATA}
    kept["backbone"] = config["backbone"]
    kept["train"] = {key: value for key, value in config["train"].items() if key not in NEWBORN}
    kept["growth"] = {key: value for key, value in config["growth"].items() if key in _ladder(config)}
    return kept


def _without(options: Options, names: Collection[str], prefix: str = "") -> Options:
    """Options without some, which are named as one types them; ``backbone`` stands for all of its options."""
    kept = {key: one for key, one in options.items() if f"{prefix}{key}" not in names}
    return {k: _without(one, names, f"{prefix}{k}.") if isinstance(one, Mapping) else one for k, one in kept.items()}


def _ladder(config: Options) -> tuple[str, ...]:
    return (*LADDER, "latency_batch") if config["growth"].get("cost") == LATENCY else LADDER


def _variant_options(cell: Cell) -> Options:
    config = cell.options
    apart = (*_ladder(config), "epsilon", *unused_in(config, cell.id))
    growth = {key: value for key, value in config["growth"].items() if key not in apart}
    method = {key: value for key, value in config["method"].items() if (key, value) != ("step", False)}
    train = {key: value for key, value in config["train"].items() if key in NEWBORN}
    return {"method": method, "growth": growth, "train": train}


def _variants(cells: list[Cell]) -> tuple[Variant, ...]:
    groups = list(_grouped(cells, _variant_options).values())
    made = []
    for members, options in groups:
        method = members[0].name("method")
        rivals = [others for other, others in groups if other[0].name("method") == method]
        unusual = set(_differing(options, [others for _, others in groups])) & _unusual(options)
        differing = {text for text in _differing(options, rivals) if not text.endswith("=null")} | unusual
        said = [text.removeprefix("method.") for text in sorted(differing)]
        label = f"{method} ({', '.join(said)})" if said else method
        made.append(Variant(label, method, tuple(members)))
    return tuple(sorted(made, key=lambda variant: (rank(variant.method), variant.label)))


def rank(method: str) -> tuple[int, str]:
    """Where a method's column stands: published methods, then others, then controls from scratch."""
    known = {name: i for i, name in enumerate((*ORDER, "", *CONTROLS))}
    return known.get(method, len(ORDER)), method


def _unusual(own: Mapping[str, str]) -> set[str]:
    """Of a way of growing, what is not as a run has it of which nothing is said; what a method is, is its own."""
    usual = {f"{group}.{key}": one for group in ("growth", "train") for key, one in load(f"{group}/default").items()}
    return {f"{key}={one}" for key, one in own.items() if key in usual and _plain(one) != _plain(_text(usual[key]))}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _plain(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _differing(own: Mapping[str, str], rivals: list[dict[str, str]]) -> list[str]:
    keys = sorted({key for rival in rivals for key in rival} | set(own))
    return [f"{key}={own.get(key, 'absent')}" for key in keys if len({rival.get(key) for rival in rivals}) > 1]


def flat(options: Options, prefix: str = "") -> dict[str, object]:
    """Options by what one types for them: ``train.lr``."""
    found: dict[str, object] = {}
    for key, value in options.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found
