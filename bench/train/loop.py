"""The training loop: no wait for the device inside an epoch; an epoch can be repeated from its number alone."""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.core.errors import TrainingDiverged
from bench.core.streams import stream
from bench.data.base import Dataset
from bench.train.config import TrainConfig
from bench.train.loss import loss_function
from bench.train.newborn import NewbornRates
from bench.train.optim import learning_rate
from bench.train.precision import autocast

AT_ONCE = 2**22
"""Numbers in a training set that is normalised once an epoch rather than batch by batch."""


@dataclass(frozen=True)
class TrainResult:
    """What training did.

    Args:
        loss: Mean training loss per example over the last epoch, in train mode; None if no epoch was run.
        images: Examples seen, counted once per epoch.
        seconds: Wall time of the epochs, without the callback's.
    """

    loss: float | None
    images: int
    seconds: float


def batch_sizes(examples: int, batch_size: int) -> list[int]:
    """Sizes of an epoch's batches.

    The last one holds what is left over. A single example left over joins the batch before it, which then has
    ``batch_size + 1``: batch norm has no variance over one example.
    """
    full, rest = divmod(examples, batch_size)
    sizes = [batch_size] * full
    if rest == 1 and full:
        sizes[-1] += 1
    elif rest:
        sizes.append(rest)
    return sizes


def _batches(
    data: Dataset, order: Tensor, sizes: list[int], augmentation: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """An epoch's batches; a small data set that is not augmented is gathered and normalised in one go."""
    if data.crop or data.flip or data.train.inputs.numel() > AT_ONCE:
        for index in torch.split(order, sizes):
            yield data.batch(data.train, index, augmentation)
    else:
        inputs, targets = data.batch(data.train, order)
        yield from zip(torch.split(inputs, sizes), torch.split(targets, sizes), strict=True)


def _seed(device: torch.device, seed: int) -> None:
    """Seed the generators that dropout uses; ``torch.manual_seed`` would queue a call for every absent device too."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


def train(
    model: nn.Module,
    optimizer: Optimizer,
    data: Dataset,
    config: TrainConfig,
    *,
    epochs: int,
    seed: int,
    precision: str = "fp32",
    start_epoch: int = 0,
    on_epoch: Callable[[int, float], bool | None] | None = None,
    newborn: NewbornRates | None = None,
    cycles: int = 1,
    between: Callable[[int], None] | None = None,
) -> TrainResult:
    """Train for one stage of ``epochs`` epochs, in place.

    Data order, augmentation and dropout of epoch ``e`` depend on ``(seed, e)`` alone. So a run that restores model and
    optimizer as they were after epoch ``k - 1`` and passes ``start_epoch=k`` ends with the same bits as one that was
    never stopped. The global random state is left as it was found; every epoch runs in train mode.

    Args:
        model: On the data's device.
        optimizer: Over the model's parameters; its learning rates are set at every step.
        data: Training uses ``data.train``, augmented as the data set says.
        config: The recipe; its own ``epochs`` and ``seed_epochs`` are not read.
        epochs: Length of the stage, over which the schedule runs.
        seed: Seed of this stage's streams.
        precision: ``"fp32"`` or ``"bf16"``.
        start_epoch: The first epoch to run.
        on_epoch: Called after each epoch with its number and mean loss, e.g. to write a checkpoint; says True where
            the stage is to end with it.
        newborn: Learning rates of weights that were born later; None for the same for all.
        cycles: How often the schedule runs, one after the other, over as equal shares of the epochs as there are; no
            more often than there are epochs.
        between: Called before each cycle but the first, with its number.

    Raises:
        TrainingDiverged: The loss of an epoch is NaN or infinite; raised after that epoch, before ``on_epoch``.
        ConfigError: The precision is unknown, or labels are smoothed in regression.
    """
    device = data.train.inputs.device
    criterion = loss_function(data.task, config.label_smoothing)
    arithmetic = autocast(device, precision)
    sizes = batch_sizes(len(data.train), config.batch_size)
    shares = torch.tensor(sizes, dtype=torch.float64) / len(data.train)
    cycles = max(1, min(cycles, epochs))
    starts = [round(cycle * epochs / cycles) for cycle in range(cycles + 1)]
    result = TrainResult(None, 0, 0.0)

    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for epoch in range(start_epoch, epochs):
            started = time.perf_counter()
            cycle = bisect_right(starts, epoch) - 1
            first_step, total_steps = starts[cycle] * len(sizes), (starts[cycle + 1] - starts[cycle]) * len(sizes)
            if cycle and epoch == starts[cycle] and between is not None:
                between(cycle)
            model.train()
            if newborn is not None:
                newborn.renew()
            _seed(device, stream(seed, f"dropout {epoch}").initial_seed())
            augmentation = stream(seed, f"augmentation {epoch}")
            order = torch.randperm(len(data.train), generator=stream(seed, f"order {epoch}")).to(device)
            losses = []
            batches = _batches(data, order, sizes, augmentation)
            for step, (inputs, targets) in enumerate(batches, start=epoch * len(sizes) - first_step):
                rate = learning_rate(config, step, total_steps)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                with arithmetic:
                    loss = criterion(model(inputs), targets)
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                if newborn is not None:
                    newborn.hold()
                optimizer.step()
                if newborn is not None:
                    newborn.scale((step + 1) / total_steps)
                losses.append(loss.detach())
            mean = (torch.stack(losses).cpu().double() * shares).sum().item()  # the epoch's only wait for the device
            seconds = result.seconds + time.perf_counter() - started
            result = TrainResult(mean, result.images + len(data.train), seconds)
            if not math.isfinite(mean):
                raise TrainingDiverged(
                    f"training loss became {mean} in epoch {epoch + 1} of {epochs} with train.lr={config.lr}: "
                    "try a lower train.lr or a longer train.warmup"
                )
            if on_epoch is not None and on_epoch(epoch, mean) is True:
                break
    return result
