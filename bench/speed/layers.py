"""Layers of a few sizes inside briefly trained networks, so that their splitting matrices have realistic spectra."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.nn import functional as F

from bench.curvature.passes import Curvature
from bench.curvature.sample import Sample
from bench.data.base import Dataset, Part
from bench.network.graph import Graph
from bench.network.groups import Group
from bench.train import TrainConfig, loss_function, make_optimizer, train

EPOCHS = 5
"""Epochs that a layer's network is trained."""


@dataclass(frozen=True)
class Layer:
    """A layer to measure.

    Args:
        kind: ``linear`` or ``conv`` (3x3, batch norm behind it).
        inputs: Its input features or channels.
        neurons: Its output features or channels.
        side: Height and width of the images.
    """

    kind: str
    inputs: int
    neurons: int
    side: int

    @property
    def name(self) -> str:
        """As the tables show it."""
        size = f"{self.inputs}->{self.neurons}"
        return f"linear {size}" if self.kind == "linear" else f"conv 3x3 {size}, {self.side}x{self.side}"

    def network(self, data: Dataset) -> nn.Module:
        """A stem that makes the layer's inputs, the layer (submodule ``layer``), and a head, all with SiLU."""
        pixels, out = data.input_shape[0], self.neurons
        net = nn.Sequential()
        if self.kind == "linear":
            net.append(nn.Flatten())
            net.append(nn.Linear(pixels * self.side**2, self.inputs)).append(nn.SiLU())
            net.add_module("layer", nn.Linear(self.inputs, out))
            return net.append(nn.SiLU()).append(nn.Linear(out, data.outputs))
        net.append(nn.Conv2d(pixels, self.inputs, 3, padding=1, bias=False))
        net.append(nn.BatchNorm2d(self.inputs)).append(nn.SiLU())
        net.add_module("layer", nn.Conv2d(self.inputs, out, 3, padding=1, bias=False))
        net.append(nn.BatchNorm2d(out)).append(nn.SiLU())
        return net.append(nn.AdaptiveAvgPool2d(1)).append(nn.Flatten()).append(nn.Linear(out, data.outputs))


LAYERS = (
    Layer("linear", 64, 32, 8),
    Layer("linear", 256, 64, 16),
    Layer("conv", 16, 16, 16),
    Layer("conv", 32, 32, 8),
    Layer("conv", 64, 16, 8),
)
"""From d = 65 to d = 576, chosen so that the float64 reference takes seconds."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A trained network and the sample that its layer's splitting matrices are taken on."""

    layer: Layer
    model: nn.Module
    graph: Graph
    sample: Sample

    @property
    def group(self) -> Group:
        """The layer's channels."""
        return self.graph.groups["layer"]

    def curvature(self) -> Curvature:
        """A fresh operator factory: nothing of the sample collected yet."""
        return Curvature(self.graph, self.sample)

    def double(self, device: torch.device) -> Subject:
        """The same in float64 on ``device``; the model itself is converted."""
        model = self.model.to(device, torch.float64)
        inputs, targets = self.sample.inputs, self.sample.targets
        targets = targets.double() if targets.is_floating_point() else targets
        sample = replace(self.sample, inputs=inputs.to(device, torch.float64), targets=targets.to(device))
        return replace(self, graph=self.graph.on(model), sample=sample)


def prepare(
    layer: Layer, data: Dataset, config: TrainConfig, sample: int | None, seed: int, epochs: int = EPOCHS
) -> Subject:
    """Train the layer's network on the images, scaled to its side.

    Args:
        layer: The layer.
        data: Images with class labels.
        config: The training recipe.
        sample: Training examples that the splitting matrices are taken on; None for all.
        seed: Of initialisation, data order and sample.
        epochs: Epochs of training.
    """
    data = scaled(data, layer.side)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = layer.network(data).to(data.train.inputs.device)
    train(model, make_optimizer(model, config), data, config, epochs=epochs, seed=seed)
    part = data.sample(sample, seed)
    loss = loss_function(data.task, config.label_smoothing)
    normalised = Sample(data.normalised(part.inputs), part.targets, loss)
    return Subject(layer, model, Graph(model, data.input_shape), normalised)


def scaled(data: Dataset, side: int) -> Dataset:
    """The data set with images of ``side`` by ``side`` pixels, bilinear."""

    def part(of: Part) -> Part:
        images = F.interpolate(of.inputs.float(), size=(side, side), mode="bilinear", antialias=True)
        return Part(images.round().to(torch.uint8), of.targets)

    shape = (data.input_shape[0], side, side)
    training, validation, test = part(data.train), part(data.validation), part(data.test)
    return replace(data, input_shape=shape, train=training, validation=validation, test=test)
