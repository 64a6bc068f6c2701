"""The command's tables: columns, files, options."""

import io

import pandas as pd
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from rich.console import Console

from bench.cli import CONF
from bench.core.errors import ConfigError
from bench.run.config import Settings
from bench.speed import parts
from bench.speed.__main__ import PARTS, SpeedConfig
from bench.speed.layers import Layer
from bench.speed.tables import show, text, write
from bench.speed.whole_run import whole_run

SMALL = ["data.train_size=64", "growth.stages=1", "growth.sample=32", "train.epochs=1", "train.seed_epochs=1"]
ENGINES = {
    "layer": str,
    "neurons": int,
    "d": int,
    "engine": str,
    "ends": int,
    "products": int,
    "collect s": float,
    "seconds": float,
    "of lanczos": float,
    "error/norm": float,
    "error/lambda": float,
    "repeats": int,
}


def settings(*overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", [*SMALL, *overrides])
    return Settings.of(OmegaConf.to_container(config, resolve=True))


def test_engines_are_written_and_read_by_pandas(tmp_path):
    tables = parts.engines(settings(), 1, torch.device("cpu"), layers=[Layer("linear", 6, 4, 4)])
    write(tmp_path / "new", tables, {"device": "here"})
    engines = pd.read_csv(tmp_path / "new" / "engines.csv")
    assert list(engines.columns) == list(ENGINES)
    assert len(engines) == 5
    for column, kind in ENGINES.items():
        if kind is not str:
            assert (engines[column].dropna() >= 0).all()
    assert [path.name for path in (tmp_path / "new").glob("*.csv")] == ["engines.csv"]
    page = (tmp_path / "new" / "speed.md").read_text()
    assert page.startswith(
        "# Speed\n\ndevice here\n\n## Extreme eigenpairs, 32 examples of digits\n\n| layer | neurons |"
    )


def test_a_whole_run_is_the_sum_of_its_parts():
    row = whole_run(settings(), repeats=1)
    phases = [row[f"{phase} s"] for phase in ("train", "grow", "eval", "overhead")]
    assert min(phases) > 0
    assert sum(phases) == pytest.approx(row["total s"])
    assert 0 < row["grow share"] < 1
    assert (row["method"], row["backbone"], row["data"], row["stages"]) == ("s3d", "mlp", "digits", 1)


def test_a_run_that_is_followed_is_made_each_time_and_leaves_nothing(tmp_path):
    row = whole_run(settings("method=retrain", "method.of=random_split", f"runs_dir={tmp_path}"), repeats=2)
    assert row["method"] == "retrain"
    assert not list(tmp_path.iterdir())


def test_the_command_prints_and_writes(tmp_path, capsys):
    parts.report(settings(), ["run"], 1, str(tmp_path))
    printed = capsys.readouterr()
    assert "Seconds of a whole run" in printed.out
    assert printed.err == ""
    assert pd.read_csv(tmp_path / "run.csv")["total s"].item() > 0


def test_training_measures_the_digits_and_what_is_configured(monkeypatch):
    measured = []

    def stub(data, make, backbone, config, images, repeats, bf16):
        some = torch.arange(min(2, len(data.test)))
        assert bf16 == (data.name == "noise")
        measured.append((data.name, backbone, make()(data.batch(data.test, some)[0]).shape[0]))
        return [{"images_per_s": 1.0}]

    monkeypatch.setattr(parts, "throughput", stub)
    parts.training(settings(), 1, torch.device("cpu"))
    assert measured == [("digits", "mlp", 2)]
    parts.training(settings("backbone=lenet"), 1, torch.device("cpu"))
    assert measured[1:] == [("digits", "mlp", 2), ("digits", "lenet", 2)]
    parts.networks(settings(), 1, torch.device("cpu"))
    assert measured[3:] == [("noise", "mobilenet_v1", 1), ("noise", "vgg11_bn", 1)]


def test_features_are_refused():
    with pytest.raises(ConfigError, match="data=rbf: expected a classification data set of images"):
        parts.engines(settings("data=rbf", "backbone=rbf"), 1, torch.device("cpu"))


def test_options_are_checked():
    assert SpeedConfig(parts=["run"]).parts == ("run",)
    assert tuple(parts._PARTS) == PARTS
    with pytest.raises(ConfigError, match="parts=all: expected one of engines, training, run, networks"):
        SpeedConfig(parts=("all",))
    with pytest.raises(ConfigError, match="repeats=0"):
        SpeedConfig(repeats=0)


def test_tables_show_what_is_missing():
    console = Console(file=io.StringIO(), width=80)
    show(console, "title", [{"name": "a", "value": None}, {"name": "b", "value": 12345.6}])
    printed = console.file.getvalue()
    assert "title" in printed
    assert "-" in printed
    assert "12,346" in printed
    assert [text(0.12345), text(7), text("x")] == ["0.123", "7", "x"]
