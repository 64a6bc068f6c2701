"""Methods and backbones of somebody else in a run: what they do wrong is one line, what they are free to do is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from torch import nn

from bench.backbones.base import backbones
from bench.core.errors import BenchError, ConfigError, Refused
from bench.core.record import RunState
from bench.growth.method import GrowthContext
from bench.methods import registry
from bench.network.plan import GrowthPlan, Split
from bench.run.protocol import Run
from tests.runs import of_options, options

Behaviour = Callable[[GrowthContext], GrowthPlan]


@dataclass(frozen=True)
class Options:
    """Options of a plugin."""

    broken: str = ""

    def __post_init__(self) -> None:
        if self.broken == "options":
            raise ValueError("two\nlines")


class Plugin:
    """A method that does what the test says."""

    behaviour: Behaviour

    def __init__(self, config: Options) -> None:
        if config.broken == "method":
            raise RuntimeError("no such luck")

    def propose(self, context: GrowthContext) -> GrowthPlan:
        return type(self).behaviour(context)


@pytest.fixture
def plugin() -> Iterator[type[Plugin]]:
    registry.names()
    registry.register("plugin", Options)(Plugin)
    yield Plugin
    del registry._entries["plugin"]


def with_plugin(folder: Path, **chosen: str) -> Run:
    """The run of the plugin."""
    return of_options({**options(folder), "method": {"name": "plugin", **chosen}})


def _raise(context: GrowthContext) -> GrowthPlan:
    raise ZeroDivisionError("by accident")


def _refuse(context: GrowthContext) -> GrowthPlan:
    raise Refused("not for this network")


def _split(neuron: int, weights: tuple[float, ...], times: int = 1) -> Behaviour:
    def behaviour(context: GrowthContext) -> GrowthPlan:
        return GrowthPlan((Split(context.groups[0], neuron, weights),) * times)

    return behaviour


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        (_raise, r"method=plugin: ZeroDivisionError: by accident \(test_foreign_plugins\.py:\d+\)"),
        (_split(0, (0.5, 0.6)), r"sum to 1\.1; expected 1"),
        (_split(99, (0.5, 0.5)), r"expected a neuron from 0 to 3"),
        (_split(-1, (0.5, 0.5)), r"expected a neuron from 0 to 3"),
        (_split(0, (0.5, 0.5), 2), r"split twice"),
        (_split(0, (1.0,)), r"expected at least 2"),
        (_split(0, (0.01,) * 100), r"the rung allows 495"),
        (_split(0, (float("nan"), 0.5)), r"expected 1"),
        (lambda context: None, r"propose returned NoneType; expected a GrowthPlan"),
        (lambda context: GrowthPlan((None,)), r"method=plugin: the plan has a NoneType among its splits"),
    ],
)
def test_a_plugin_that_breaks_the_rules_fails_with_the_reason(
    behaviour: Behaviour, message: str, plugin: type[Plugin], tmp_path: Path
) -> None:
    plugin.behaviour = staticmethod(behaviour)
    made = with_plugin(tmp_path)
    with pytest.raises(BenchError, match=message) as caught:
        made.execute()
    assert "\n" not in str(caught.value)
    record = made.folder.record()
    assert record is not None
    assert record.status is RunState.FAILED
    assert record.reason == str(caught.value)
    assert len(record.stages) == 1  # the seed network's, which is not lost


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("broken", "message"),
    [("options", "method: ValueError: two lines"), ("method", "method=plugin: RuntimeError: no such luck")],
)
def test_a_plugin_that_cannot_be_built_is_one_line(broken: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BenchError) as caught:
        with_plugin(tmp_path, broken=broken)
    assert str(caught.value) == message
    assert not list(tmp_path.iterdir())


def test_a_method_can_refuse(plugin: type[Plugin], tmp_path: Path) -> None:
    plugin.behaviour = staticmethod(_refuse)
    record = with_plugin(tmp_path).execute()
    assert (record.status, record.reason) == (RunState.REFUSED, "not for this network")


def test_a_method_that_finds_nothing_stops_short_and_trains_on(plugin: type[Plugin], tmp_path: Path) -> None:
    plugin.behaviour = staticmethod(lambda context: GrowthPlan(stopped="stable"))
    record = with_plugin(tmp_path).execute()
    assert record.status is RunState.DONE
    assert [stage.params for stage in record.stages] == [330, 330, 330]
    assert record.stages[1].growth is not None
    assert record.stages[1].growth.stopped == "stable"
    assert record.stages[1].epochs == 2


def test_what_a_method_notes_is_on_record(plugin: type[Plugin], tmp_path: Path) -> None:
    def noting(context: GrowthContext) -> GrowthPlan:
        fits = context.budget().fits(context.groups[0].name, 1)
        splits = (Split(context.groups[0], 0, (0.5, 0.5)),) if fits else ()
        return GrowthPlan(splits, notes={"width": float(context.widths[context.groups[0].name])})

    plugin.behaviour = staticmethod(noting)
    growth = with_plugin(tmp_path).execute().stages[1].growth
    assert growth is not None
    assert growth.rounds > 1
    assert growth.notes == {"width": 3.0 + growth.rounds}  # of the last round that grew


def test_a_backbone_with_nothing_to_split(tmp_path: Path) -> None:
    backbones.names()
    backbones.register("flat", Options)(lambda config, shape, outputs: nn.Sequential(nn.Flatten(), nn.Linear(64, 10)))
    try:
        with pytest.raises(
            ConfigError, match=r"backbone=flat: expected a network with channels to split .*network out"
        ):
            of_options({**options(tmp_path), "backbone": {"name": "flat"}})
    finally:
        del backbones._entries["flat"]
