"""A configuration made from a copy is the one that Hydra composes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hydra import compose
from omegaconf import DictConfig, OmegaConf

from bench import composing
from bench.composing import Composer
from bench.core.defaults import files
from bench.grid import cells
from bench.plugins import composition
from bench.preset import Preset

ALL = files("experiment")
PRESETS = [name for name in ALL if "/" not in name] + [name for name in ALL if "/" in name][::6]
"""Those of the study are many and alike."""

VALUES = (
    *("1", "-1.5", "1e-3", "nan", "true", "null", "text", "'a, b'", '"1"', "''", "a/b.c:d", "a b", "int('3')"),
    *("[]", "[1,[a,null]]", "{}", "{a:1,b:{c:[2.5]}}", "${seed}", "'${seed}'", "[${seed}]", "${growth.stages}", "???"),
)


@pytest.fixture(autouse=True)
def _composition() -> Iterator[None]:
    with composition():
        yield


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What the composer leaves to Hydra."""
    found = list[list[str]]()

    def counting(name: str, overrides: list[str]) -> DictConfig:
        found.append(overrides)
        return compose(name, overrides)

    monkeypatch.setattr(composing, "compose", counting)
    return found


def plain(config: DictConfig) -> str:
    """All of a configuration, the order of its keys and the types of its values included."""
    assert OmegaConf.is_struct(config)
    return repr(OmegaConf.to_container(config))


def require_equal(composer: Composer, overrides: Sequence[str]) -> None:
    """Two in a row are Hydra's, so the first leaves nothing behind."""
    expected = plain(compose("config", list(overrides)))
    assert [plain(composer(overrides)) for _ in range(2)] == [expected, expected]


@pytest.mark.parametrize("preset", PRESETS)
def test_cells_of_presets_have_the_options_that_hydra_composes(preset: str, composed: list[list[str]]) -> None:
    found = cells([f"experiment={preset}", "seed=0,1"])
    assert len(composed) <= len(found) / 2  # a choice of plugins has two seeds at least
    for cell in found[:: -(-len(found) // 2)]:
        assert cell.options == Preset.of(cell.overrides).settled(compose("config", [*cell.overrides]), cell.overrides)


def test_values_of_all_types(composed: list[list[str]]) -> None:
    composer = Composer()
    for value in VALUES:
        options = ("runs_dir", "train.lr", "growth.engine_options", "backbone.width")
        require_equal(composer, ["method=s2d", *(f"{option}={value}" for option in options)])
    assert composed == [["method=s2d"]]


@pytest.mark.parametrize(
    "overrides",
    [
        ("seed=1", "seed=2", "method=s2d", "method=s3d", "method.c=2"),
        ("growth.engine_options=null", "growth.engine_options={b:2}", "growth.engine_options.b=3"),
        ("backbone={width:3}", "backbone.width=4", "backbone=lenet"),
        ("+mine=1", "mine=2"),
        ("growth.engine_options={a:1}", "+growth.engine_options.b=2", "growth.engine_options.b=3"),
        ("++growth.mine=1", "growth.mine=2"),
        ("train.lr=3", "~train.lr"),
        ("~logger", "seed=1"),
        ("experiment=smoke", "train=default", "train.epochs=9", "hydra.job.name=x", "hydra/launcher=basic"),
    ],
)
def test_all_kinds_of_overrides(overrides: Sequence[str]) -> None:
    require_equal(Composer(), overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        *(("sed=1",), ("train.lrr=1",), ("seed.a=1",), ("data.weird-name=1",), ("mine=a", "seed=1")),
        *(("method=nosuch",), ("seed=1,2",), ("train=1",), ("mine=1", "+mine=2")),
    ],
)
def test_what_is_wrong_is_said_by_hydra(overrides: Sequence[str]) -> None:
    with pytest.raises(Exception, match=r".") as hydras:
        compose("config", list(overrides))
    with pytest.raises(hydras.type) as ours:
        Composer()(overrides)
    assert str(ours.value) == str(hydras.value)


def test_groups_of_a_search_path_are_groups(tmp_path: Path) -> None:
    for name, text in {
        "experiment/own": "# @package _global_\ndefaults:\n  - /mine: one\n",
        "mine/one": "value: 1\n",
        "mine/two": "value: 2\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.yaml").write_text(text)
    chosen = [f"hydra.searchpath=[file://{tmp_path}]"]
    composer = Composer(chosen)
    require_equal(composer, [*chosen, "experiment=own", "mine=two", "seed=1"])
    assert composer([*chosen, "experiment=own", "mine=two"]).mine == {"value": 2}
