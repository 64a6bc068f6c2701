"""Plugins by name, their options typed, and the same defaults in Hydra's files as in the dataclasses."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, fields
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from bench.backbones import backbones
from bench.core.errors import BenchError, ConfigError
from bench.core.options import CONF
from bench.core.registry import Registry
from bench.data import datasets
from bench.logger import loggers
from bench.methods import registry

REGISTRIES = [registry, backbones, datasets, loggers]
ENTRIES = [entry for found in REGISTRIES for entry in found]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: f"{e.kind}-{e.name}")
def test_where_there_is_a_file_the_defaults_stand_in_it(entry: object) -> None:
    path = CONF / entry.kind / f"{entry.name}.yaml"  # type: ignore[attr-defined]
    if path.exists():
        assert OmegaConf.to_container(OmegaConf.load(path)) == entry.defaults()  # type: ignore[attr-defined]


@pytest.mark.parametrize("found", REGISTRIES, ids=lambda r: r.kind)
def test_every_file_has_its_plugin(found: Registry) -> None:
    assert {path.stem for path in (CONF / found.kind).glob("*.yaml")} <= set(found.names())
    assert not found.broken()


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

    found: Registry = Registry("thing")
    one = found.register("one", Config)(lambda config: config.width)
    found.register("one", Config)(one)  # a reload is no clash

    def other(config: Config) -> int:
        return config.width

    with pytest.raises(BenchError, match="thing one is registered twice"):
        found.register("one", Config)(other)
    assert found["one"].configure({"name": "one", "width": 5}).width == 5


def test_a_file_imported_under_two_names_is_one_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("another_name", (CONF.parent / "methods" / "s2d.py").resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(registry._entries, "s2d", registry["s2d"])  # put back at the end
    monkeypatch.setitem(sys.modules, "another_name", module)
    spec.loader.exec_module(module)
    assert registry["s2d"].factory is module.S2D


def test_a_name_with_a_colon_stands_for_many() -> None:
    found: Registry = Registry("thing")

    @found.register("power:NUMBER")
    def power(number: str, config: object, base: int) -> int:
        return int(base ** int(number))

    assert found["power:3"].make({}, 2) == 8
    assert found["power:3"].defaults() == {"name": "power:3"}
    assert found.names() == []
    assert found.choices() == ["power:NUMBER"]
    with pytest.raises(ConfigError, match="thing=pow:3: expected one of power:NUMBER"):
        found["pow:3"]


def test_a_plugin_without_defaults_is_one_line() -> None:
    @dataclass(frozen=True)
    class Config:
        width: int

    found: Registry = Registry("thing")
    found.register("one", Config)(lambda config: config.width)
    with pytest.raises(BenchError, match=r"^thing=one: its options have no defaults: TypeError: [^\n]*width[^\n]*$"):
        found["one"].defaults()


@dataclass(frozen=True)
class Forward:
    """Its type is nowhere."""

    level: "Nowhere" = None  # type: ignore[name-defined]  # noqa: F821, UP037


class NoDataclass:
    """Has nothing to set."""


@dataclass(frozen=True)
class Endless:
    """Its default is no number that a file can hold."""

    level: float = float("inf")


@dataclass(frozen=True)
class Without:
    """Has no default."""

    level: int


@pytest.mark.parametrize("config", [Forward, NoDataclass, Endless, Without])
def test_options_that_cannot_be_read_break_one_plugin_by_name(config: type) -> None:
    found: Registry = Registry("thing")
    found.register("good")(lambda config: 1)
    found.register("bad", config)(lambda config: 2)
    assert found.names() == ["good"]
    assert found.choices() == ["good"]
    assert [entry.name for entry in found] == ["good"]
    assert found["good"].make({}) == 1
    (line,) = found.broken()
    assert line.startswith("bad: ")
    with pytest.raises(BenchError, match=r"^thing=bad: (its options |thing\.level=inf: )") as error:
        found["bad"]
    assert "\n" not in str(error.value)
    with pytest.raises(ConfigError, match="expected one of good; bad: "):
        found["other"]


@pytest.mark.parametrize(
    "source",
    [
        "raise SystemExit(3)",
        "def (",
        "raise GeneratorExit",
        "import nothing_of_this_name",
        "class E(BaseException): 0\nraise E",
    ],
)
def test_a_module_that_leaves_the_process_breaks_itself_only(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = f"shelf_{abs(hash(source))}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("")
    (tmp_path / package / "bad.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    found: Registry = Registry("thing", package)
    found.register("good")(lambda config: 1)
    assert found.names() == ["good"]
    with pytest.raises(BenchError, match=r"^thing=bad: cannot be imported: "):
        found["bad"]


def test_ctrl_c_while_plugins_are_read_is_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shelf_c").mkdir()
    (tmp_path / "shelf_c" / "__init__.py").write_text("")
    (tmp_path / "shelf_c" / "slow.py").write_text("raise KeyboardInterrupt")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        Registry("thing", "shelf_c").names()


@pytest.mark.parametrize("factory", [lambda: 1, lambda config, more: 1, lambda config: exec("raise SystemExit")])
def test_a_factory_of_another_signature_is_named(factory: Callable[..., object]) -> None:
    found: Registry = Registry("thing")
    found.register("bad")(factory)
    with pytest.raises(BenchError, match=r"^thing=bad: (TypeError|SystemExit)"):
        found["bad"].make({})
