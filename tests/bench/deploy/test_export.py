"""A run's network taken home: files that are of use in a process without this package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import bench
from bench.backbones import backbones, build
from bench.core.errors import BenchError
from bench.deploy.bundle import export
from bench.deploy.served import Served
from bench.deploy.source import Unwritable, rebuilt, source
from bench.network.graph import Graph, width
from bench.network.plan import GrowthPlan, Split
from bench.network.surgery import apply
from bench.run.load import load_network
from tests.runs import of_options, options, prepared

ALONE = """
import sys
sys.modules["bench"] = None  # as where it is not installed
import json, torch
images, out = torch.load(sys.argv[1]), {}
program = torch.export.load(sys.argv[2] + "/network.pt2").module()
out["pt2"] = program(images).tolist()
sys.path.insert(0, sys.argv[2])
from network import Network
network = Network()
network.load_state_dict(torch.load(sys.argv[2] + "/state_dict.pt", weights_only=True))
out["python"] = network.eval()(images).tolist()
import onnxruntime
session = onnxruntime.InferenceSession(sys.argv[2] + "/network.onnx", providers=["CPUExecutionProvider"])
out["onnx"] = session.run(None, {"inputs": images.numpy()})[0].tolist()
assert not any(name.startswith("bench") for name in sys.modules if sys.modules[name] is not None)
print(json.dumps(out))
"""


def outputs_elsewhere(images: Tensor, folder: Path, scratch: Path) -> dict[str, Tensor]:
    """What the exported files make of raw images, in a process without this package."""
    torch.save(images, scratch / "images.pt")
    command = [sys.executable, "-c", ALONE, str(scratch / "images.pt"), str(folder)]
    done = subprocess.run(command, cwd=scratch, check=True, capture_output=True, text=True)
    return {name: torch.tensor(values) for name, values in json.loads(done.stdout.splitlines()[-1]).items()}


def test_raw_images_go_in_and_the_accuracy_is_the_same_to_the_last_example(tmp_path: Path) -> None:
    made = prepared(tmp_path, "backbone=convnet", "backbone.width=4", "train.batch_size=256")
    record = made.execute()
    bundle = export(made.folder.path, tmp_path / "out")
    assert not bundle.left_out
    found = outputs_elsewhere(made.data.test.inputs, tmp_path / "out", tmp_path)
    model = load_network(made.folder.path)
    with torch.no_grad():
        own = model(made.data.normalised(made.data.test.inputs))
    for name, outputs in found.items():
        assert torch.allclose(outputs, own, rtol=1e-5, atol=1e-5), name
        right = (outputs.argmax(1) == made.data.test.targets).double().mean()
        assert float(right) == pytest.approx(record.stages[-1].test_accuracy, abs=1e-12)
    about = json.loads((tmp_path / "out" / "model.json").read_text())
    last = record.stages[-1]
    assert about["widths"] == last.widths
    assert about["costs"]["params"] == sum(p.numel() for p in model.parameters())
    assert (about["stage"], about["test_accuracy"]) == (2, last.test_accuracy)
    assert (about["input_dtype"], about["input_shape"]) == ("uint8", [1, 8, 8])
    assert about["provenance"]["data"] == made.provenance.data
    assert about["normalisation"] == {
        "divided_by": 255.0,
        "mean": made.data.mean.tolist(),
        "std": made.data.std.tolist(),
    }


def test_an_earlier_stage_is_the_network_as_it_was_measured_then(tmp_path: Path) -> None:
    made = prepared(tmp_path, "method=net2net")
    record = made.execute()
    for stage in (0, 1, 2):
        model = load_network(made.folder.path, stage=stage)
        with torch.no_grad():
            outputs = model(made.data.normalised(made.data.test.inputs))
        right = (outputs.argmax(1) == made.data.test.targets).double().mean()
        assert float(right) == pytest.approx(record.stages[stage].test_accuracy, abs=1e-12)
        export(made.folder.path, tmp_path / str(stage), stage=stage)
        about = json.loads((tmp_path / str(stage) / "model.json").read_text())
        assert (about["stage"], about["widths"]) == (stage, record.stages[stage].widths)
    with pytest.raises(BenchError, match="stage=3: expected one of 0, 1, 2, of which"):
        export(made.folder.path, tmp_path / "3", stage=3)
    assert not (tmp_path / "3").exists()


def test_stages_that_were_not_kept_are_said_not_to_be_there(tmp_path: Path) -> None:
    made = prepared(tmp_path, "keep_stages=false", "train.epochs=1")
    made.execute()
    assert not list(made.folder.path.glob("stage-*"))
    with pytest.raises(BenchError, match="stage=1: expected one of 2, of which"):
        load_network(made.folder.path, stage=1)


def inputs_of(name: str) -> tuple[tuple[int, ...], int, torch.dtype]:
    """Shape of one input, outputs and the raw inputs' type that suit a backbone."""
    return {
        "rbf": ((1,), 1, torch.float32),
        "gpt": ((12,), 20, torch.int64),
    }.get(name, ((3, 32, 32), 10, torch.uint8))


@pytest.mark.parametrize("name", backbones.names())
def test_every_own_backbone_is_written_as_plain_python_when_it_has_grown(name: str) -> None:
    shape, outputs, dtype = inputs_of(name)
    torch.manual_seed(0)
    model = build({"name": name}, shape, outputs)
    groups = Graph(model, shape, torch.int64 if dtype == torch.int64 else torch.float32).groups.values()
    apply(model, None, GrowthPlan(tuple(Split(g, width(model, g) - 1, (0.4, 0.6)) for g in groups)), 0.0)
    channels = [] if dtype == torch.int64 else [0.3] * shape[0]
    served = Served(model, channels, [0.5] * len(channels), 255.0, len(shape)).eval()
    again = rebuilt(source(served, "about", "inputs"))
    again.load_state_dict(served.state_dict())
    inputs = torch.randint(20, (3, *shape)).to(dtype)
    with torch.no_grad():
        assert torch.equal(again.eval()(inputs), served(inputs))


class Own(nn.Module):
    """Not PyTorch's own, with a parameter; and a branch."""

    def forward(self, x: Tensor) -> Tensor:
        """Its output."""
        return x if x.sum() > 0 else -x


def test_what_plain_python_cannot_say_is_left_out_with_the_reason() -> None:
    with pytest.raises(Unwritable, match="branches on its inputs"):
        source(Own(), "about", "inputs")


def test_a_backbone_of_ones_own_is_exported_where_one_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_own_net.py").write_text(
        "from torch import nn\n\n"
        "def net(shape, outputs):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.SiLU(), nn.Linear(4, outputs))\n"
    )
    own: Any = {"name": "import:my_own_net:net", "options": {}}
    made = of_options({**options(tmp_path, "growth.stages=1"), "backbone": own})
    made.execute()
    with pytest.raises(BenchError, match="trust=True"):
        export(made.folder.path, tmp_path / "out")
    assert "network.py" in export(made.folder.path, tmp_path / "out", trust=True).files


def test_without_onnx_the_rest_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = prepared(tmp_path, "growth.stages=0", "train.seed_epochs=1")
    made.execute()
    monkeypatch.setattr("bench.deploy.bundle.find_spec", lambda name: None)
    bundle = export(made.folder.path, tmp_path / "out")
    assert bundle.files == ("network.pt2", "network.py", "state_dict.pt", "model.json")
    assert 'left out: network.onnx: needs ONNX: pip install "growth-bench[onnx]"' in str(bundle)


@pytest.mark.parametrize(
    ("run", "out", "message"),
    [("nothing", "out", "no readable checkpoint there"), ("nothing", "file", "out=.*file: expected a folder")],
)
def test_what_cannot_be_exported_is_said_in_one_line(run: str, out: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match=message):
        bench.export(tmp_path / run, tmp_path / out)


def test_a_run_of_an_earlier_version_is_said_to_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = prepared(tmp_path, "growth.stages=0", "train.seed_epochs=1")
    network = made._network
    monkeypatch.setattr(made, "_network", lambda: {k: v for k, v in network().items() if k != "dataset"})
    made.execute()
    with pytest.raises(BenchError, match="did not keep how inputs are normalised; rerun=all"):
        export(made.folder.path, tmp_path / "out")


def test_the_command(tmp_path: Path) -> None:
    chosen = options(tmp_path, "growth.stages=1", "train.seed_epochs=1", "train.epochs=1")
    made = of_options({**chosen, "runs_dir": str(tmp_path / "runs = 'mine'")})
    made.execute()

    def typed(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bench.export", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)

    done = typed(str(made.folder.path), "stage=0")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "written: exported/model.json"
    for arguments, message in (([], "run=None: expected the folder of a run"), (["there"], "run=there: expected")):
        failed = typed(*arguments)
        assert failed.returncode == 1
        assert failed.stderr.startswith(f"error: {message}")
        assert failed.stderr.count("\n") == 1


def test_what_is_left_out_is_not_there_from_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = prepared(tmp_path, "growth.stages=0", "train.seed_epochs=1")
    made.execute()
    out = tmp_path / "out"
    assert "network.onnx" in export(made.folder.path, out).files
    (out / "notes.txt").write_text("mine")
    monkeypatch.setattr("bench.deploy.bundle.find_spec", lambda name: None)
    bundle = export(made.folder.path, out)
    assert sorted(path.name for path in out.iterdir()) == sorted([*bundle.files, "notes.txt"])
