"""A finished run's network, loaded without its data."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest
import torch

from bench.core.errors import BenchError
from bench.run import checkpoint
from bench.run.load import load_network
from tests.runs import of_options, options, prepared


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


def test_code_that_a_folder_names_is_run_only_if_one_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mark = tmp_path / "was-run"
    code = f"""
from torch import nn

def net(shape, outputs):
    open({str(mark)!r}, "w")
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.SiLU(), nn.Linear(4, outputs))
"""
    (tmp_path / "foreign_code.py").write_text(code)
    foreign = {"name": "import:foreign_code:net", "options": {}}
    made = of_options({**options(tmp_path, "growth.stages=1"), "backbone": foreign})
    made.execute()
    mark.unlink()
    with pytest.raises(BenchError, match=r"import:foreign_code:net, code that would be run; .*trust=True"):
        load_network(made.folder.path)
    assert not mark.exists()
    load_network(made.folder.path, trust=True)
    assert mark.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a [x, x]\nb: [*a, *a]\n", "aliases"),
        ("[" * 5000, "config.yaml"),
        ("backbone: 3\n", "config"),
        ("x" * 10**6, "longer than"),
    ],
)
def test_a_configuration_is_data(text: str, message: str, tmp_path: Path) -> None:
    made = prepared(tmp_path, "growth.stages=0")
    made.execute()
    made.folder.config_path.write_text(text)
    with pytest.raises(BenchError, match=message):
        load_network(made.folder.path)


def bomb(path: Path) -> None:
    """Ten kilobytes that unpack to ten megabytes."""
    whole = io.BytesIO()
    torch.save({"sha256": "", "content": torch.zeros(10**7, dtype=torch.uint8)}, whole)
    with zipfile.ZipFile(whole) as stored, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in stored.namelist():
            packed.writestr(name, stored.read(name))


def wide(path: Path) -> None:
    """One number that says that it is a hundred million."""
    torch.save({"sha256": "", "content": torch.zeros(1, dtype=torch.uint8).expand(10**8)}, path)


@pytest.mark.parametrize("make", [bomb, wide, os.mkfifo, os.mkdir])
def test_a_checkpoint_is_bounded_before_it_is_unpacked(make: object, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    make(path)  # type: ignore[operator]
    with pytest.raises((ValueError, OSError), match=r"unpacks to more|larger than the file|not a regular file"):
        checkpoint._unpacked(checkpoint.read_file(path))
    assert checkpoint.load(path) is None
    with pytest.raises(BenchError, match="no readable checkpoint"):
        load_network(tmp_path)
