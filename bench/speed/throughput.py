"""Training images per second: the benchmark's loop beside a plain PyTorch loop and a torchvision DataLoader.

All contenders train the same backbone with SGD and momentum in one process, a turn of `TURN` seconds at a time, there
and back, so that a slow spell of the machine, or what the one before left behind, meets all of them. Rates are medians
over the repeats, ratios medians of each repeat's ratio.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as MapDataset
from torchvision import transforms

from bench.core.errors import require
from bench.data.base import Dataset, Part
from bench.speed.tables import Row
from bench.train import TrainConfig, make_optimizer, train

Epochs = Callable[[int], None]
"""Trains for so many epochs and waits for the device."""

WORKERS = (0, 2)
TURN = 0.3
"""Seconds that a turn lasts at least: so many whole epochs."""


def throughput(
    data: Dataset,
    make_model: Callable[[], nn.Module],
    backbone: str,
    config: TrainConfig | None = None,
    images: int = 10_000,
    repeats: int = 9,
    bf16: bool = False,
) -> list[Row]:
    """Measure the contenders side by side on the data's device.

    * ``bench``: `bench.train.train`, with the data set's augmentation.
    * ``bench, bf16``: the same with ``precision=bf16``, if asked for.
    * ``plain``: float32 tensors normalised beforehand, a shuffled index, no augmentation.
    * ``plain, channels last``: the same on tensors that have their channels last in memory, as ours have.
    * ``dataloader, N workers``: PIL images through torchvision's transforms, with the data set's augmentation.

    Args:
        data: A classification data set of images.
        make_model: Builds the backbone for this data.
        backbone: Its name, for the rows.
        config: Recipe of all contenders: batch size, learning rate, momentum, weight decay. The default if None.
        images: At most so many training images per epoch.
        repeats: Turns measured per contender, after two epochs that are not.
        bf16: Whether to measure that too; slow on processors that have no such arithmetic.

    Returns:
        One row per contender: ``data``, ``backbone``, ``loop``, ``images_per_s``, and ``of_plain`` and
        ``of_dataloader``, its rate over that of the plain loop and of the faster DataLoader.

    Raises:
        ConfigError: The data are not images with class labels.
    """
    fits = data.task == "classification" and len(data.input_shape) == 3
    require(fits, "data", data.name, "a classification data set of images")
    config = config or TrainConfig()
    data = replace(data, train=Part(data.train.inputs[:images], data.train.targets[:images]))
    loops = {
        "bench": bench_epochs(data, make_model(), config),
        **({"bench, bf16": bench_epochs(data, make_model(), config, "bf16")} if bf16 else {}),
        "plain": plain_epochs(data, make_model(), config, torch.contiguous_format),
        "plain, channels last": plain_epochs(data, make_model(), config, torch.channels_last),
    }
    loaders = {f"dataloader, {workers} workers": workers for workers in WORKERS}
    loops |= {loop: dataloader_epochs(data, make_model(), config, workers) for loop, workers in loaders.items()}

    turns = {}
    for loop, epochs in loops.items():
        epochs(1)
        turns[loop] = math.ceil(TURN / _seconds(epochs, 1))
    seconds: dict[str, list[float]] = {loop: [] for loop in loops}
    for repeat in range(repeats):
        for loop in list(loops)[:: 1 if repeat % 2 else -1]:
            seconds[loop].append(_seconds(loops[loop], turns[loop]) / turns[loop])
    faster_loader = min(loaders, key=lambda loop: median(seconds[loop]))

    def ratio(loop: str, rival: str) -> float:
        return median(theirs / ours for ours, theirs in zip(seconds[loop], seconds[rival], strict=True))

    return [
        {
            "data": data.name,
            "backbone": backbone,
            "loop": loop,
            "images_per_s": len(data.train) / median(seconds[loop]),
            "of_plain": ratio(loop, "plain"),
            "of_dataloader": ratio(loop, faster_loader),
        }
        for loop in loops
    ]


def _seconds(epochs: Epochs, count: int) -> float:
    started = time.perf_counter()
    epochs(count)
    return time.perf_counter() - started


def bench_epochs(data: Dataset, model: nn.Module, config: TrainConfig, precision: str = "fp32") -> Epochs:
    """The benchmark's own loop."""
    model.to(data.train.inputs.device)
    optimizer = make_optimizer(model, config)

    def run(epochs: int) -> None:
        train(model, optimizer, data, config, epochs=epochs, seed=0, precision=precision)

    return run


def plain_epochs(data: Dataset, model: nn.Module, config: TrainConfig, layout: torch.memory_format) -> Epochs:
    """A loop as a good engineer writes it for data that fit in memory as float32."""
    device = data.train.inputs.device
    inputs, targets = data.batch(data.train, torch.arange(len(data.train), device=device))
    inputs = inputs.contiguous(memory_format=layout)
    step = plain_step(model.to(device), config)

    def run(epochs: int) -> None:
        for _ in range(epochs):
            for index in torch.split(torch.randperm(len(inputs)).to(device), config.batch_size):
                loss = step(inputs[index], targets[index])
            loss.item()  # wait for the device

    return run


def dataloader_epochs(data: Dataset, model: nn.Module, config: TrainConfig, workers: int) -> Epochs:
    """A loop as torchvision's tutorials write it; its workers live on between epochs."""
    device = data.train.inputs.device
    loader = DataLoader(
        PilImages(data),
        config.batch_size,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
    )
    step = plain_step(model.to(device), config)

    def run(epochs: int) -> None:
        for _ in range(epochs):
            for inputs, targets in loader:
                loss = step(inputs.to(device, non_blocking=True), targets.to(device, non_blocking=True))
            loss.item()  # wait for the device

    return run


def plain_step(model: nn.Module, config: TrainConfig) -> Callable[[Tensor, Tensor], Tensor]:
    """One step of SGD with PyTorch's own defaults."""
    optimizer = torch.optim.SGD(
        model.parameters(), lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
    )
    model.train()

    def step(inputs: Tensor, targets: Tensor) -> Tensor:
        loss = F.cross_entropy(model(inputs), targets)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        return loss.detach()

    return step


class PilImages(MapDataset[tuple[Tensor, int]]):
    """The training images one at a time, by the same calls as torchvision's MNIST and CIFAR10.

    Args:
        data: Whose training images, normalisation and augmentation to use.
    """

    def __init__(self, data: Dataset) -> None:
        inputs = data.train.inputs.cpu()
        self.images = inputs[:, 0].numpy() if inputs.shape[1] == 1 else inputs.permute(0, 2, 3, 1).contiguous().numpy()
        self.targets = data.train.targets.tolist()
        augmentation: list[nn.Module] = []
        if data.crop:
            augmentation.append(transforms.RandomCrop(data.input_shape[1:], padding=data.crop))
        if data.flip:
            augmentation.append(transforms.RandomHorizontalFlip())
        normalise = transforms.Normalize(data.mean.tolist(), data.std.tolist())
        self.transform = transforms.Compose([*augmentation, transforms.ToTensor(), normalise])

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.targets[index]
