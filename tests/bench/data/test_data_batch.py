"""Batches: normalised, augmented only when asked, the same numbers for the same generator."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bench.data import Dataset, Part
from bench.data.augment import crop_and_flip

SEED = 7


def images(*shape: int) -> Tensor:
    return torch.randint(1, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def colour(crop: int = 0, flip: bool = False) -> Dataset:
    part = Part(images(12, 3, 5, 6), torch.arange(12))
    mean, std = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.3, 0.1])
    return Dataset("colour", "classification", 12, (3, 5, 6), part, part, part, mean, std, crop, flip)


def one_by_one(batch: Tensor, crop: int, flip: bool, generator: torch.Generator) -> np.ndarray:
    """The same draws, and one image after the other: mirror, pad, cut."""
    count, _, height, width = batch.shape
    top = left = mirrored = [0] * count
    if crop:
        top, left = torch.randint(2 * crop + 1, (2, count), generator=generator).tolist()
    if flip:
        mirrored = torch.randint(2, (count,), generator=generator).tolist()
    done = []
    for i, image in enumerate(batch.numpy()):
        turned = image[:, :, ::-1] if mirrored[i] else image
        padded = np.pad(turned, ((0, 0), (crop, crop), (crop, crop)))
        done.append(padded[:, top[i] : top[i] + height, left[i] : left[i] + width])
    return np.stack(done)


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 3), st.integers(1, 7), st.integers(1, 7), st.integers(0, 4), st.booleans())
def test_augmentation_equals_the_slow_reference(
    count: int, channels: int, height: int, width: int, crop: int, flip: bool
) -> None:
    batch = images(count, channels, height, width)
    before = batch.clone()
    fast = crop_and_flip(batch.movedim(1, -1), crop, flip, torch.Generator().manual_seed(SEED)).movedim(-1, 1)
    slow = one_by_one(batch, crop, flip, torch.Generator().manual_seed(SEED))
    assert fast.dtype == torch.uint8
    np.testing.assert_array_equal(fast.numpy(), slow)
    assert batch.equal(before)


def test_every_place_and_both_sides_are_drawn() -> None:
    marked = torch.zeros(4000, 3, 3, 1, dtype=torch.uint8)
    marked[:, 1, 0] = 1
    seen = crop_and_flip(marked, 1, True, torch.Generator().manual_seed(SEED)).float().mean((0, 3))
    # in the left column or, mirrored, in the right one; then moved by -1, 0 or 1 in both directions
    expected = torch.tensor([[1, 2, 1]] * 3) / 18
    torch.testing.assert_close(seen, expected, atol=0.02, rtol=0)


def test_images_and_batches_have_their_channels_last_in_memory() -> None:
    data = colour().to("cpu")
    inputs, _ = data.batch(data.train, torch.arange(3))
    assert data.train.inputs.is_contiguous(memory_format=torch.channels_last)
    assert inputs.is_contiguous(memory_format=torch.channels_last)
    assert inputs.equal(colour().batch(colour().train, torch.arange(3))[0])


def test_normalisation() -> None:
    data = colour()
    index = torch.tensor([4, 4, 0])
    inputs, targets = data.batch(data.train, index)
    pixels = data.train.inputs[index].double() / 255
    expected = (pixels - data.mean.double().view(3, 1, 1)) / data.std.double().view(3, 1, 1)
    torch.testing.assert_close(inputs, expected.float())
    assert targets.tolist() == [4, 4, 0]


def test_padding_is_black_before_normalisation() -> None:
    data = colour(crop=40)  # so far that most windows are all padding
    inputs, _ = data.batch(data.train, torch.arange(12), torch.Generator().manual_seed(SEED))
    black = (-data.mean / data.std).view(3, 1, 1)
    assert any(torch.allclose(image, black.expand_as(image)) for image in inputs)


def test_features_are_normalised_one_by_one() -> None:
    part = Part(torch.tensor([[1.0, 10.0], [3.0, 30.0]]), torch.zeros(2, 1))
    mean, std = torch.tensor([2.0, 20.0]), torch.tensor([1.0, 5.0])
    data = Dataset("features", "regression", 1, (2,), part, part, part, mean, std)
    inputs, _ = data.batch(part, torch.tensor([1, 0]), torch.Generator())
    assert inputs.tolist() == [[1.0, 2.0], [-1.0, -2.0]]
    assert part.inputs.tolist() == [[1.0, 10.0], [3.0, 30.0]]


@pytest.mark.parametrize(("crop", "flip"), [(0, False), (2, False), (0, True), (2, True)])
def test_without_a_generator_nothing_is_augmented(crop: int, flip: bool) -> None:
    data, plain = colour(crop, flip), colour()
    index = torch.arange(12)
    assert data.batch(data.train, index)[0].equal(plain.batch(plain.train, index)[0])


def test_a_generator_without_augmentation_is_left_alone() -> None:
    data, generator = colour(), torch.Generator().manual_seed(SEED)
    state = generator.get_state()
    inputs, _ = data.batch(data.train, torch.arange(12), generator)
    assert generator.get_state().equal(state)
    assert inputs.equal(data.batch(data.train, torch.arange(12))[0])


def test_the_generator_decides_the_augmentation() -> None:
    data, index = colour(crop=2, flip=True), torch.arange(12)
    first, again, other = (data.batch(data.train, index, torch.Generator().manual_seed(s))[0] for s in (1, 1, 2))
    assert first.equal(again)
    assert not first.equal(other)


def test_a_sample_is_fixed_by_its_seed() -> None:
    data = colour(crop=2, flip=True)
    one, again = data.sample(5, seed=0), data.sample(5, seed=0)
    assert one.inputs.equal(again.inputs)
    assert one.inputs.dtype is torch.uint8
    assert data.normalised(one.inputs).equal(data.batch(data.train, one.targets)[0])  # a target is its index here
    assert len(set(one.targets.tolist())) == 5
    assert not data.sample(5, seed=1).targets.equal(one.targets)
    for size in (99, None):
        assert data.sample(size, seed=0).targets.sort().values.equal(torch.arange(12))


def test_moving_keeps_everything_else() -> None:
    data = colour(crop=2, flip=True)
    moved = data.to("meta")
    assert {t.device.type for p in (moved.train, moved.validation, moved.test) for t in (p.inputs, p.targets)} == {
        "meta"
    }
    assert (moved.mean.device.type, moved.std.device.type) == ("meta", "meta")
    assert (moved.name, moved.crop, moved.flip, len(moved.train)) == ("colour", 2, True, 12)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same_numbers_without_waiting() -> None:
    data = colour(crop=2, flip=True)
    moved, index = data.to("cuda"), torch.arange(12)
    moved.batch(moved.train, index, torch.Generator())  # first use of the device
    torch.cuda.set_sync_debug_mode("error")
    try:
        inputs, targets = moved.batch(moved.train, index, torch.Generator().manual_seed(SEED))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    expected, _ = data.batch(data.train, index, torch.Generator().manual_seed(SEED))
    torch.testing.assert_close(inputs.cpu(), expected)
    assert targets.cpu().equal(index)
