"""The recipe: its checks, and its YAML file."""

from dataclasses import asdict
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from bench.core.errors import ConfigError
from bench.train import TrainConfig

YAML = Path(__file__).parents[3] / "conf" / "train" / "default.yaml"


def test_yaml_holds_the_defaults():
    options = OmegaConf.to_container(OmegaConf.load(YAML))
    assert options == asdict(TrainConfig()) | {"milestones": list(TrainConfig().milestones)}


def test_yaml_becomes_the_dataclass():
    merged = OmegaConf.merge(OmegaConf.structured(TrainConfig), OmegaConf.load(YAML))
    assert OmegaConf.to_object(merged) == TrainConfig()


def test_zero_epochs_are_allowed():
    assert TrainConfig(epochs=0, seed_epochs=0).epochs == 0


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("epochs", -1),
        ("seed_epochs", -1),
        ("batch_size", 0),
        ("optimizer", "lion"),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("lr", float("inf")),
        ("momentum", 1.0),
        ("weight_decay", -1e-4),
        ("schedule", "linear"),
        ("milestones", [0.75, 0.5]),
        ("milestones", [0.5, 1.0]),
        ("decay", 0.0),
        ("warmup", 1.0),
        ("label_smoothing", 1.0),
    ],
)
def test_a_wrong_value_is_named_in_one_line(option, value):
    with pytest.raises(ConfigError) as error:
        TrainConfig(**{option: value})
    assert str(error.value).startswith(f"train.{option}={value}: expected ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("rest", [{"optimizer": "adam"}, {"momentum": 0.0}])
def test_nesterov_needs_sgd_with_momentum(rest):
    with pytest.raises(ConfigError, match=r"train\.nesterov=True"):
        TrainConfig(nesterov=True, **rest)


def test_the_gap_of_losses_is_no_trigger_where_one_is_smoothed():
    with pytest.raises(ConfigError, match=r"^train\.label_smoothing=0\.1: expected 0 with train\.when=gap"):
        TrainConfig(when="gap", label_smoothing=0.1)
    assert TrainConfig(when="converged", label_smoothing=0.1).when == "converged"
