"""A growth event in miniature, on which any method can be tried in a second: small networks and random data."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.curvature.sample import Sample
from bench.growth.config import GrowthConfig
from bench.growth.event import GrowthEvent
from bench.growth.method import GrowthMethod, Trained
from bench.network.cost import cost_models
from bench.network.graph import Graph

INPUT = (2, 6, 6)
CLASSES = 3
EXAMPLES = 24
USUAL = GrowthConfig()


class Residual(nn.Module):
    """A stream of channels to which a block adds."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 5, 3, padding=1)
        self.outer, self.head = nn.Conv2d(5, 4, 3, padding=1), nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, shape ``(N, CLASSES)``."""
        x = F.silu(self.stem(x))
        x = x + self.outer(F.silu(self.inner(x)))
        outputs: Tensor = self.head(x.mean((2, 3)))
        return outputs


def _linear() -> nn.Module:
    hidden = nn.Linear(72, 4), nn.SiLU(), nn.Linear(4, 4), nn.Tanh()
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(4, CLASSES))


def _pooling() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.SiLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 3, 3, padding=1), nn.GELU(), nn.Flatten(), nn.Linear(27, CLASSES)),
    )


def _depthwise(activation: type[nn.Module]) -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), activation()),
        *(nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False), nn.BatchNorm2d(4), activation()),
        *(nn.Conv2d(4, 4, 1), activation(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, CLASSES)),
    )


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "linear": _linear,
    "norm, pooling and flatten": _pooling,
    "depthwise with SiLU": lambda: _depthwise(nn.SiLU),
    "depthwise with ReLU": lambda: _depthwise(nn.ReLU),
    "residual": Residual,
}
"""Small networks on inputs of shape `INPUT` that between them have every kind of chain."""


def trial(
    method: GrowthMethod, network: nn.Module | Graph, ratio: float, config: GrowthConfig = USUAL, seed: int = 0
) -> tuple[GrowthEvent, float]:
    """A growth event in float64, and the cost that its rung allows.

    Args:
        method: The method.
        network: A network on inputs of shape `INPUT`, or one of `read`; it is made float64 and grows with the event.
        ratio: The rung, as a multiple of the network's cost.
        config: How to grow; its sample is always of `EXAMPLES`.
        seed: Of the data, the normalisation's statistics and the method.
    """
    generator = torch.Generator().manual_seed(seed)
    graph = network if isinstance(network, Graph) else read(network)
    _enliven(graph.model, generator)
    costs, widths = cost_models(graph), graph.widths()
    made = GrowthEvent(
        graph=graph,
        optimizers=[torch.optim.SGD(graph.model.parameters(), lr=0.1, momentum=0.9)],
        method=method,
        name=type(method).__name__,
        config=config,
        costs=costs,
        sample=_sample(generator),
        lineage={name: torch.ones(n, dtype=torch.float64) for name, n in widths.items()},
        seed_widths=widths,
        history=[Trained(costs["macs"].of(widths), 1)],
        epochs=1,
        generator=generator,
    )
    return made, ratio * costs[config.cost].of(widths)


def read(network: nn.Module) -> Graph:
    """The graph of a network, made float64."""
    return Graph(network.double(), INPUT)


def _enliven(model: nn.Module, generator: torch.Generator) -> None:
    """Give a network normalisation that is not the identity."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            for tensor in (module.running_mean, module.weight.data, module.bias.data):
                tensor.copy_(torch.randn(tensor.shape, generator=generator))


def _sample(generator: torch.Generator) -> Sample:
    inputs = torch.randn(EXAMPLES, *INPUT, generator=generator, dtype=torch.float64)
    return Sample(inputs, torch.randint(CLASSES, (EXAMPLES,), generator=generator), F.cross_entropy)
