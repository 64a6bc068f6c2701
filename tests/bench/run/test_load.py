"""A finished run's network, loaded without its data."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.core.errors import BenchError
from bench.run.load import load_network
from tests.runs import prepared


def test_the_network_of_a_run(tmp_path: Path) -> None:
    made = prepared(tmp_path, "backbone=convnet", "growth.stages=1")
    made.execute()
    inputs, _ = made.data.batch(made.data.test, torch.arange(9))
    model = load_network(made.folder.path)
    made.model.eval()
    assert torch.equal(model(inputs), made.model(inputs))


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="expected the folder of a run"):
        load_network(tmp_path)


def test_a_checkpoint_of_another_backbone_is_refused(tmp_path: Path) -> None:
    made = prepared(tmp_path, "growth.stages=1")
    made.execute()
    config = made.folder.config_path
    config.write_text(config.read_text().replace("depth: 2", "depth: 3"))
    with pytest.raises(BenchError, match="its checkpoint is of another run"):
        load_network(made.folder.path)
