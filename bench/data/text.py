"""English prose, character by character: windows of it, and for each the character that comes next. No download.

``text.txt`` beside this file holds it: chapters 1 to 18 of Jane Austen's "Pride and Prejudice" (1813), in the public
domain, as the R package janeaustenr has it (J. Silge, MIT licence), with each paragraph on one line and without the
underscores that mark emphasis there: 179,855 characters, 73 different ones.

The text is cut into passages of 1,000 characters. The last ones are the test part, some of the others, drawn by the
seed, the validation part. No window reaches beyond its passage, so parts share no character of the text; windows of one
part overlap where ``stride`` is at most ``length``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from bench.core.errors import require
from bench.core.streams import stream
from bench.data.base import Dataset, Part, datasets
from bench.data.split import hold_out

PASSAGE = 1000
"""Characters of a passage."""

TEST_PASSAGES = 20
"""Passages at the end of the text that are the test part."""


@dataclass(frozen=True)
class TextConfig:
    """Options.

    Args:
        length: Characters of a window.
        stride: Characters from the start of a window to that of the next.
        validation: How many of the 159 passages before the test part to hold out.
        train_size: How many windows of the rest to train on; None: all.
    """

    length: int = 32
    stride: int = 8
    validation: int = 20
    train_size: int | None = None

    def __post_init__(self) -> None:
        fits = 1 <= self.length < PASSAGE
        require(fits, "data.length", self.length, f"a number from 1 to {PASSAGE - 1}, as passages have {PASSAGE}")
        require(self.stride >= 1, "data.stride", self.stride, "a number of at least 1")


def read() -> tuple[str, Tensor]:
    """The symbols in their order, and the text as their numbers, int64 of shape (characters,)."""
    text = Path(__file__).with_suffix(".txt").read_text("ascii")
    codes, numbers = torch.unique(torch.tensor([ord(character) for character in text]), return_inverse=True)
    return "".join(map(chr, codes.tolist())), numbers


@datasets.register("text", TextConfig)
def text(config: TextConfig, seed: int) -> Dataset:
    """Windows of a novel, int64 of shape (N, length); targets are the characters that follow them.

    Raises:
        ConfigError: A size is out of range.
    """
    symbols, numbers = read()
    windows = numbers.unfold(0, PASSAGE, PASSAGE).unfold(1, config.length + 1, config.stride)
    passages = Part(windows[..., :-1], windows[..., -1])
    pool, test = (
        Part(passages.inputs[some], passages.targets[some])
        for some in (slice(-TEST_PASSAGES), slice(-TEST_PASSAGES, None))
    )
    train, validation, test = map(_flat, (*hold_out(pool, config.validation, None, seed), test))
    size = len(train) if config.train_size is None else config.train_size
    expected = f"a number from 1 to {len(train)}, or null for all"
    require(1 <= size <= len(train), "data.train_size", config.train_size, expected)
    chosen = torch.randperm(len(train), generator=stream(seed, "windows"))[:size]
    return Dataset(
        name="text",
        task="classification",
        outputs=len(symbols),
        input_shape=(config.length,),
        train=Part(train.inputs[chosen], train.targets[chosen]),
        validation=validation,
        test=test,
        mean=torch.empty(0),
        std=torch.empty(0),
    )


def _flat(passages: Part) -> Part:
    """The windows of all passages, in their order."""
    return Part(passages.inputs.flatten(0, 1), passages.targets.flatten())
