"""Plugins by name, their options typed, and the same defaults in Hydra's files as in the dataclasses."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, fields
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from bench.backbones import backbones
from bench.core.errors import BenchError, ConfigError
from bench.core.registry import Registry
from bench.data import datasets
from bench.methods import registry

CONF = Path(__file__).resolve().parents[3] / "conf"
ENTRIES = [*registry, *backbones, *datasets]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: f"{e.kind}-{e.name}")
def test_defaults_stand_in_the_files(entry: object) -> None:
    path = CONF / entry.kind / f"{entry.name}.yaml"  # type: ignore[attr-defined]
    if not path.exists() and not entry.factory.__module__.startswith(("bench.", "methods.")):  # type: ignore[attr-defined]
        pytest.skip("another package's: offered to Hydra from its dataclass")
    assert OmegaConf.to_container(OmegaConf.load(path)) == entry.defaults()  # type: ignore[attr-defined]


@pytest.mark.parametrize("found", [registry, backbones, datasets], ids=lambda r: r.kind)
def test_every_file_has_its_plugin(found: Registry) -> None:
    assert {path.stem for path in (CONF / found.kind).glob("*.yaml")} <= set(found.names())


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: f"{e.kind}-{e.name}")
def test_options_are_frozen_and_round_trip(entry: object) -> None:
    config = entry.configure(entry.defaults())  # type: ignore[attr-defined]
    assert config == entry.config()  # type: ignore[attr-defined]
    for field in fields(config):
        with pytest.raises(FrozenInstanceError):
            setattr(config, field.name, None)
    with pytest.raises(ConfigError, match=r"no_such=1: expected"):
        entry.configure({"no_such": 1})  # type: ignore[attr-defined]


def test_the_methods_of_the_benchmark_are_there() -> None:
    expected = {"net2net", "random_split", "s2d", "fast_s2d", "s3d", "static", "static_matched"}
    assert expected <= set(registry.names())


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"method=s2dd: expected one of .*net2net.*\(did you mean s2d\?\)") as error:
        registry["s2dd"]
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("s3d", {"c": 0.5}),
        ("s3d", {"cap": 0.9}),
        ("s3d", {"rank": "loss"}),
        ("s3d", {"c": "many"}),
        ("s2d", {"rank": ""}),
        ("fast_s2d", {"solver": "greedy"}),
        ("fast_s2d", {"damping": "cube"}),
        ("fast_s2d", {"layer_groups": 0}),
        ("fast_s2d", {"layer_groups": 1.5}),
        ("fast_s2d", {"threshold": 0.0}),
        ("fast_s2d", {"threshold": 1.1}),
        ("fast_s2d", {"cap": 0.5}),
        ("net2net", {"noise": "loud"}),
    ],
)
def test_options_out_of_range_are_one_line(name: str, options: dict[str, object]) -> None:
    (key,) = options
    with pytest.raises(ConfigError, match=rf"^method\.{key}={options[key]}: expected") as error:
        registry[name].configure(options)
    assert "\n" not in str(error.value)


def test_a_name_is_taken_once() -> None:
    @dataclass(frozen=True)
    class Config:
        width: int = 3

    found: Registry = Registry("thing", "methods")
    one = found.register("one", Config)(lambda config: config.width)
    found.register("one", Config)(one)  # a reload is no clash

    def other(config: Config) -> int:
        return config.width

    with pytest.raises(BenchError, match="thing one is registered twice"):
        found.register("one", Config)(other)
    assert found["one"].configure({"name": "one", "width": 5}).width == 5
