"""Callbacks hear everything in order."""

from __future__ import annotations

from typing import Any

from bench.core.callbacks import Callback, Callbacks

CALLS: list[tuple[str, tuple[Any, ...]]] = [
    ("on_stage_begin", (1, 3, 5, 2)),
    ("on_epoch_end", (0.5, 0.25)),
    ("on_stage_end", (object(),)),
    ("on_run_end", (object(),)),
]


def test_each_of_several_callbacks_hears_all() -> None:
    heard: list[tuple[str, str, tuple[Any, ...]]] = []

    class Listening(Callback):
        def __init__(self, name: str) -> None:
            for call, _ in CALLS:
                setattr(self, call, lambda *said, call=call: heard.append((name, call, said)))

    both = Callbacks([Listening("one"), Listening("two")])
    for call, said in CALLS:
        getattr(both, call)(*said)
    assert heard == [(name, call, said) for call, said in CALLS for name in ("one", "two")]


def test_a_callback_that_defines_nothing_does_nothing() -> None:
    for call, said in CALLS:
        getattr(Callback(), call)(*said)
    assert {name for name in vars(Callback) if name.startswith("on_")} == {call for call, _ in CALLS}
