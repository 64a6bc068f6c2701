"""What holds for every preset in ``conf/experiment``."""

from __future__ import annotations

import pytest

from bench.backbones import build
from bench.core.defaults import files
from bench.grid import cells
from bench.methods import registry
from bench.run.config import Settings
from bench.study.answer import comparisons
from bench.study.layout import layouts
from bench.study.question import questions

SHAPES = {"digits": (1, 8, 8), "mnist": (1, 28, 28), "fashion_mnist": (1, 28, 28), "planted": (16,), "rbf": (1,)}
PRESETS = files("experiment")


def test_the_promised_presets_are_there() -> None:
    recipes = {"s2d_cifar10", "fast_s2d_cifar100", "s3d_cifar100"}
    assert recipes | {f"{name}_short" for name in recipes} <= set(PRESETS)
    assert {"smoke", "mnist", "mnist_lenet", "fashion_mnist", "cifar10_small", "rbf", "planted"} <= set(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_its_cells_can_be_run(name: str) -> None:
    found = cells([f"experiment={name}"])
    assert len({cell.id for cell in found}) == len(found) > 0
    seeds = {int(cell.options["seed"]) for cell in found}
    for cell in found:
        if cell.options["seed"] == min(seeds):  # which changes nothing here
            settings = Settings.of(cell.options)
            registry[settings.name("method")].configure(cell.options["method"])
    for question in questions():
        if name == question.presets[0]:  # its factors are options of its cells
            others = [cell for other in question.presets[1:] for cell in cells([f"experiment={other}", "seed=0"])]
            for layout in layouts(question, [*found, *others]):
                assert layout.varied
                compared = {place for place, b in enumerate(question.baselines) if comparisons(layout, [b])}
                assert compared == set(range(len(question.baselines))), layout.setting.title
    networks = {str((cell.options["backbone"], cell.name("data"))): cell for cell in found}
    for cell in networks.values():
        data = cell.name("data")
        build(cell.options["backbone"], SHAPES.get(data, (3, 32, 32)), 100 if data == "cifar100" else 10)


@pytest.mark.parametrize("name", [name for name in PRESETS if name.endswith("_short")])
def test_a_short_recipe_differs_in_its_epochs_alone(name: str) -> None:
    (short, *_), (full, *_) = (cells([f"experiment={one}"]) for one in (name, name.removesuffix("_short")))
    assert short.options["train"].pop("epochs") * 10 == full.options["train"].pop("epochs")
    assert short.options["train"].pop("seed_epochs") * 10 == full.options["train"].pop("seed_epochs")
    assert short.options == full.options
