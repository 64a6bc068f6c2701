"""``python -m bench.check method=NAME``: does a growth method keep the rules?

The checks run on small networks that between them have every kind of chain. They are the generic tests of the
suite, so a method that passes here passes there. Exit status 1 and the reasons if one fails.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec
import torch
from omegaconf import OmegaConf
from torch import nn
from torch.nn import functional as F

from bench.core.errors import Refused
from bench.core.record import GrowthRecord
from bench.curvature.sample import Sample
from bench.growth.config import GrowthConfig
from bench.growth.event import GrowthEvent
from bench.growth.method import GrowthMethod, Trained
from bench.methods import registry
from bench.network.cost import cost_models
from bench.network.graph import Graph
from bench.network.plan import GrowthPlan
from bench.train import TrainConfig, make_optimizer

INPUT = (2, 6, 6)
COSTS = ("params", "macs", "energy")
CLASSES = 3


def networks() -> dict[str, Callable[[], nn.Module]]:
    """Small networks on inputs of shape `INPUT` that between them have every kind of chain."""

    def residual() -> nn.Module:
        class Residual(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.stem, self.inner = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 5, 3, padding=1)
                self.outer, self.head = nn.Conv2d(5, 4, 3, padding=1), nn.Linear(4, CLASSES)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                x = F.silu(self.stem(x))
                x = x + self.outer(F.silu(self.inner(x)))
                outputs: torch.Tensor = self.head(x.mean((2, 3)))
                return outputs

        return Residual()

    def depthwise(activation: type[nn.Module]) -> nn.Module:
        return nn.Sequential(
            *(nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), activation()),
            *(nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False), nn.BatchNorm2d(4), activation()),
            *(nn.Conv2d(4, 4, 1), activation(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, CLASSES)),
        )

    return {
        "linear": lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(72, 4), nn.SiLU(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, CLASSES)
        ),
        "norm, pooling and flatten": lambda: nn.Sequential(
            *(nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.SiLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(4, 3, 3, padding=1), nn.GELU(), nn.Flatten(), nn.Linear(27, CLASSES)),
        ),
        "depthwise with SiLU": lambda: depthwise(nn.SiLU),
        "depthwise with ReLU": lambda: depthwise(nn.ReLU),
        "residual": residual,
    }


def event(
    method: GrowthMethod, network: nn.Module, ratio: float, seed: int = 0, **options: Any
) -> tuple[GrowthEvent, float]:
    """A growth event on a network with random data, in float64, and the cost its rung allows.

    Args:
        method: The method.
        network: A network on inputs of shape `INPUT`; it is made float64 and grows when the event does.
        ratio: The rung, as a multiple of the network's cost.
        seed: Of the data, the normalisation's statistics and the method.
        options: Options of `bench.growth.config.GrowthConfig`.
    """
    generator = torch.Generator().manual_seed(seed)
    model = network.double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.weight.data, module.bias.data):
                assert tensor is not None
                tensor.copy_(torch.randn(tensor.shape, generator=generator))
    inputs = torch.randn(24, *INPUT, generator=generator, dtype=torch.float64)
    targets = torch.randint(CLASSES, (24,), generator=generator)
    graph = Graph(model, INPUT)
    optimizer = make_optimizer(model, TrainConfig())
    config = GrowthConfig(sample=24, **options)
    costs, widths = cost_models(graph), graph.widths()
    made = GrowthEvent(
        graph=graph,
        optimizer=optimizer,
        method=method,
        name=type(method).__name__,
        config=config,
        costs=costs,
        sample=Sample(inputs, targets, F.cross_entropy),
        lineage={name: torch.ones(n, dtype=torch.float64) for name, n in widths.items()},
        seed_widths=widths,
        history=[Trained(costs["macs"].of(widths), 1)],
        epochs=1,
        generator=generator,
    )
    return made, ratio * costs[config.cost].of(widths)


Make = Callable[[], GrowthMethod]
Check = Callable[[Make, Callable[[], nn.Module]], None]


def grows_within_rung(make: Make, network: Callable[[], nn.Module]) -> None:
    """Never exceeds the rung, in any cost, and leaves the function unchanged at epsilon = 0."""
    for cost in COSTS:
        torch.manual_seed(0)
        grown, target = event(make(), network(), 1.7, cost=cost)
        record, _ = grown.grow(target)
        spent = grown.costs[cost].of(grown.graph.widths())
        assert spent <= target, f"{spent:.0f} {cost} exceed the rung's {target:.0f}"
        if record.splits:
            assert record.function_gap is not None
            assert record.function_gap < 1e-12, f"the function changed by {record.function_gap:.1e} at epsilon = 0"
        assert record.splits or record.stopped, "nothing was proposed although there was room, without a reason"


def counts_are_true(make: Make, network: Callable[[], nn.Module]) -> None:
    """The grown network has the parameters that the cost model says."""
    torch.manual_seed(0)
    grown, target = event(make(), network(), 1.7)
    grown.grow(target)
    counted = sum(p.numel() for p in grown.graph.model.parameters())
    priced = grown.costs["params"].of(grown.graph.widths())
    assert counted == priced, f"{counted} parameters counted, {priced:.0f} priced"


def predicts_its_drop(make: Make, network: Callable[[], nn.Module]) -> None:
    """Where gains are stated: predicted and measured change of the loss agree at a small step (smooth networks)."""
    torch.manual_seed(0)
    model, step = network(), 1e-4  # so small that no maximum of a pooling window changes place
    if any(isinstance(m, nn.ReLU) for m in model.modules()):
        return
    made, target = event(make(), model, 1.7)
    plan = made.propose(target)
    predicted = plan.predicted_change(step)
    if predicted is None or plan.restart:
        return
    measured = made.measure(plan, step)[0] - made.measure(GrowthPlan(), 0.0)[0]
    scale = step**2 / 2 * sum(abs(split.gain or 0.0) for split in plan.splits)
    off = abs(predicted - measured) / max(scale, 1e-14)
    assert off < 0.05, f"predicted a change of {predicted:.3e}, measured {measured:.3e}"


def repeats_itself(make: Make, network: Callable[[], nn.Module]) -> None:
    """The same seed grows the same network."""
    outcomes: list[tuple[GrowthRecord, dict[str, torch.Tensor]]] = []
    for _ in range(2):
        torch.manual_seed(0)
        grown, target = event(make(), network(), 1.7)
        record, _ = grown.grow(target)
        outcomes.append((msgspec.structs.replace(record, seconds=0.0), grown.graph.model.state_dict()))
    assert outcomes[0][0] == outcomes[1][0], "two runs with the same seed left different receipts"
    for name, tensor in outcomes[0][1].items():
        assert torch.equal(tensor, outcomes[1][1][name]), f"two runs with the same seed differ in {name}"


def leaves_the_model_alone(make: Make, network: Callable[[], nn.Module]) -> None:
    """Proposing a plan changes nothing: parameters, buffers, gradients, modes."""
    torch.manual_seed(0)
    made, target = event(make(), network(), 1.7)
    model = made.graph.model.train()
    before = copy.deepcopy(model.state_dict())
    plan = made.propose(target)
    assert isinstance(plan, GrowthPlan), f"propose returned {type(plan).__name__}, expected GrowthPlan"
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), f"propose changed {name}"
    assert all(p.grad is None for p in model.parameters()), "propose left gradients behind"
    assert all(m.training for m in model.modules()), "propose left the model in evaluation mode"


CHECKS: tuple[Check, ...] = (
    grows_within_rung,
    counts_are_true,
    predicts_its_drop,
    repeats_itself,
    leaves_the_model_alone,
)


def outcomes(name: str, options: dict[str, Any] | None = None) -> Iterator[tuple[str, str, str | None]]:
    """Carry out every check on every network: check, network, and the reason if it failed.

    Raises:
        ConfigError: The method or an option is unknown.
    """
    entry = registry[name]
    entry.configure(options or {})

    def make() -> GrowthMethod:
        method: GrowthMethod = entry.make(options or {})
        return method

    yield "options survive YAML", "", _failure(lambda: _round_trip(entry.defaults()))
    for check in CHECKS:
        for title, network in networks().items():
            yield (check.__doc__ or "").splitlines()[0], title, _failure(partial(check, make, network))


def _round_trip(defaults: dict[str, Any]) -> None:
    again = OmegaConf.to_container(OmegaConf.create(OmegaConf.to_yaml(OmegaConf.create(defaults))))
    assert again == OmegaConf.to_container(OmegaConf.create(defaults)), "the defaults change when written as YAML"


def _failure(check: Callable[[], None]) -> str | None:
    try:
        check()
    except Refused:
        return None  # declining a network is within the rules
    except Exception as error:  # a method may fail in any way
        return f"{type(error).__name__}: {error}" if not isinstance(error, AssertionError) else str(error)
    return None


def check(options: dict[str, Any]) -> None:
    """Print each check's outcome; exit status 1 if one failed."""
    name = options["method"]["name"]
    failures = 0
    for rule, network, reason in outcomes(name, options["method"]):
        failures += reason is not None
        mark = "ok  " if reason is None else "FAIL"
        print(f"{mark} {rule} {f'[{network}]' if network else ''}{f': {reason}' if reason else ''}")
    if failures:
        sys.exit(f"method={name} breaks the rules: {failures} checks failed")
    print(f"method={name} keeps the rules")


def main() -> None:
    """``python -m bench.check``."""
    from bench.cli import application

    application(check)()


if __name__ == "__main__":
    main()
