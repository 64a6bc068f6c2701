"""One's own trained network as stage 0: ``backbone.weights=PATH``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import resnet18

from bench.backbones import build
from bench.core.errors import BenchError
from bench.core.provenance import changes
from bench.core.record import RunRecord
from bench.deploy.bundle import export
from bench.grid import cells
from bench.run.cell import run_folder
from bench.run.command import run
from bench.run.terminal import guessing
from bench.run.weights import seed_network, start_from
from tests.runs import numbers, options, prepared

SHAPE, OUTPUTS = (1, 8, 8), 10


def network(seed: int = 3, **chosen: Any) -> nn.Module:
    torch.manual_seed(seed)
    return build({"name": "mlp", **chosen}, SHAPE, OUTPUTS)


def started(folder: Path, path: Path, *more: str) -> tuple[RunRecord, nn.Module]:
    """A run of one stage from a file, and the network that it started from."""
    made = prepared(folder, f"backbone.weights={path}", "train.seed_epochs=0", "growth.stages=1", *more)
    seed = {name: value.clone() for name, value in made.model.state_dict().items()}
    record = made.execute()
    kept = build({"name": "mlp"}, SHAPE, OUTPUTS)
    kept.load_state_dict(seed)
    return record, kept


def wrapped(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: value for name, value in state.items()}


@pytest.mark.parametrize("form", ["plain", "module.", "_orig_mod.", "inside", "safetensors"])
def test_stage_0_is_the_file(form: str, tmp_path: Path) -> None:
    state = network().state_dict()
    path = tmp_path / ("own.safetensors" if form == "safetensors" else "own.pt")
    if form == "safetensors":
        save_file(state, path)
    else:
        content = {"plain": state, "inside": {"epoch": 3, "state_dict": state}}.get(form) or wrapped(state, form)
        torch.save(content, path)
    record, seed = started(tmp_path / "runs", path)
    assert all(torch.equal(value, state[name]) for name, value in seed.state_dict().items())
    assert record.stages[0].epochs == 0
    assert record.stages[0].seconds.train == pytest.approx(0, abs=0.5)
    assert record.stages[1].params > record.stages[0].params
    assert record.provenance is not None
    assert len(record.provenance.weights) == 16


def test_a_file_for_the_network_inside_a_wrapper_of_ours(tmp_path: Path) -> None:
    torch.manual_seed(1)
    own = resnet18(num_classes=OUTPUTS)
    torch.save(own.state_dict(), tmp_path / "own.pt")
    chosen = {"name": "torchvision:resnet18", "weights": f"{tmp_path}/own.pt"}
    made = seed_network(chosen, SHAPE, OUTPUTS, torch.float32)
    assert torch.equal(made.get_parameter("model.fc.weight"), own.fc.weight)


def test_a_runs_own_checkpoint_with_its_grown_sizes(tmp_path: Path) -> None:
    first = prepared(tmp_path / "one")
    before = first.execute().stages[-1]
    path = first.folder.checkpoint_path
    again = prepared(tmp_path / "two", f"backbone.weights={path}", "train.seed_epochs=0", "growth.stages=1")
    after = again.execute().stages
    assert after[0].widths == before.widths
    assert (after[0].val_accuracy, after[0].test_loss) == (before.val_accuracy, before.test_loss)
    assert after[1].params > before.params


def test_weights_that_know_nothing_of_the_data_are_said_to(tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "random.pt")
    record, _ = started(tmp_path, tmp_path / "random.pt")
    assert "no better than guessing" in str(guessing(record))
    trained = prepared(tmp_path / "own", "growth.stages=0", "train.seed_epochs=30")
    trained.execute()
    torch.save(trained.model.state_dict(), tmp_path / "trained.pt")
    record, _ = started(tmp_path, tmp_path / "trained.pt")
    assert guessing(record) is None


def test_the_seed_is_trained_where_that_is_typed(tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "own.pt")
    made = prepared(tmp_path, f"backbone.weights={tmp_path}/own.pt", "train.seed_epochs=2", "growth.stages=1")
    assert made.execute().stages[0].epochs == 2


def test_another_file_of_the_same_name_is_not_the_same_run(tmp_path: Path) -> None:
    path = tmp_path / "own.pt"
    torch.save(network(3).state_dict(), path)
    chosen = options(tmp_path, f"backbone.weights={path}", "train.seed_epochs=0", "growth.stages=1")
    first = run(chosen)
    assert numbers(run(chosen)) == numbers(first)
    torch.save(network(4).state_dict(), path)
    with pytest.raises(
        BenchError, match=r"changed since this run was made: the weights that it starts from; rerun=all"
    ):
        run(chosen)
    second = run({**chosen, "rerun": "all"})
    assert second.stages[0].test_loss != first.stages[0].test_loss
    assert changes(second.provenance) == []


def test_a_run_from_before_there_were_weights_still_counts(tmp_path: Path) -> None:
    chosen = options(tmp_path, "growth.stages=0", "train.seed_epochs=1")
    before = {**chosen, "backbone": {key: value for key, value in chosen["backbone"].items() if key != "weights"}}
    first = run(before)
    assert run(chosen).id == first.id
    assert run_folder({**chosen, "backbone": {**before["backbone"], "weights": "own.pt"}}).id != first.id


BROKEN: dict[str, tuple[Any, str]] = {
    "no file": (
        None,
        r"backbone.weights=\S*own.pt: expected a file .*\(no such file\)",
    ),
    "text": (b"weights", r"backbone.weights=\S*own.pt: expected .* a state dict \(torch.save\)"),
    "no state": ([1, 2], r"expected a file of a network's parameters: a state dict"),
    "a list inside": ({"state_dict": [1, 2]}, r"expected a file of a network's parameters: a state dict"),
    "other names": (
        {"a.weight": torch.zeros(3)},
        r"6 of the network's 6 are not there \(1.weight\), 1 are not",
    ),
    "deeper": (lambda: network(depth=3).state_dict(), r"2 are not the network's \(7.weight\)"),
    "other shapes": (
        lambda: _reshaped(),
        r"of the network's shapes; 5.weight has \(7, 4\), the network \(10",
    ),
    "sizes that do not meet": (lambda: _unmet(), r"parameters of the network's shapes; 1.weight has \(6, 64\)"),
    "nan": (
        lambda: {**network().state_dict(), "5.bias": torch.full((10,), torch.nan)},
        r"own.pt: expected finite parameters; 5.bias has NaN or infinite ones in this file$",
    ),
    "beyond single precision": (
        lambda: {**network().state_dict(), "1.weight": torch.full((4, 64), 1e300, dtype=torch.float64)},
        r"own.pt: expected finite parameters; 1.weight has NaN or infinite ones in this file$",
    ),
    "infinite where it has grown": (
        lambda: {n: torch.full((5, *v.shape[1:]), torch.inf) for n, v in network().state_dict().items()},
        r"own.pt: expected finite parameters; 1.weight has NaN or infinite ones in this file$",
    ),
    "names that move the cursor": (
        {"a\x1b[2J\r\nb\u202e": torch.zeros(3)},
        r"1 are not the network's \(a\\x1b\[2J\\r\\nb\\u202e\)$",
    ),
}


class Masked(nn.Linear):
    """As attention has them: what may not be looked at is minus infinity."""

    def __init__(self) -> None:
        super().__init__(3, 3)
        self.register_buffer("mask", torch.full((3, 3), -torch.inf).triu(1))
        self.register_buffer("mean", torch.zeros(3))


def test_what_is_infinite_in_the_network_may_be_so_in_the_file(tmp_path: Path) -> None:
    own, path = Masked(), str(tmp_path / "own.pt")
    torch.save(own.state_dict(), path)
    made = Masked()
    start_from(made, path, (3,), torch.float32)
    assert torch.equal(made.weight, own.weight)
    torch.save({**own.state_dict(), "mean": torch.full((3,), torch.nan)}, path)
    with pytest.raises(BenchError, match="expected finite parameters; mean has NaN"):
        start_from(made, path, (3,), torch.float32)


def _reshaped() -> dict[str, torch.Tensor]:
    return {**network().state_dict(), "5.weight": torch.zeros(7, 4)}


def _unmet() -> dict[str, torch.Tensor]:
    return {**network().state_dict(), "1.weight": torch.zeros(6, 64)}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_does_not_suit_is_said_before_anything_is_trained(case: str, tmp_path: Path) -> None:
    content, message = BROKEN[case]
    path = tmp_path / "own.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content() if callable(content) else content, path)
    with pytest.raises(BenchError, match=message) as raised:
        prepared(tmp_path / "runs", f"backbone.weights={path}")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "runs").exists()


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "was-run",)

    torch.save({"state_dict": Bomb()}, tmp_path / "own.pt")
    with pytest.raises(BenchError, match="expected a file of a network's parameters"):
        prepared(tmp_path / "runs", f"backbone.weights={tmp_path}/own.pt")
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16, torch.float64])
def test_grown_weights_of_another_precision_are_taken_too(precision: torch.dtype, tmp_path: Path) -> None:
    first = prepared(tmp_path / "one")
    first.execute()
    state = {name: tensor.to(precision) for name, tensor in first.model.state_dict().items()}
    torch.save(state, tmp_path / "other.pt")
    made = seed_network({"name": "mlp", "weights": f"{tmp_path}/other.pt"}, SHAPE, OUTPUTS, torch.float32)
    for name, tensor in made.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, state[name].float())


def test_what_was_exported_can_be_grown_further(tmp_path: Path) -> None:
    first = prepared(tmp_path / "one")
    before = first.execute().stages[-1]
    export(first.folder.path, tmp_path / "out")
    chosen = f"backbone.weights={tmp_path}/out/state_dict.pt", "train.seed_epochs=0", "growth.stages=1"
    after = prepared(tmp_path / "two", *chosen).execute().stages
    assert (after[0].widths, after[0].test_loss) == (before.widths, before.test_loss)


def test_a_preset_that_starts_from_weights_trains_no_seed_either(tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "own.pt")
    presets = tmp_path / "conf" / "experiment"
    presets.mkdir(parents=True)
    body = f"# @package _global_\ndefaults:\n  - override /backbone: mlp\nbackbone:\n  weights: {tmp_path}/own.pt\n"
    (presets / "warm.yaml").write_text(body)
    (presets / "trained.yaml").write_text(f"{body}train:\n  seed_epochs: 3\n")
    place = f"hydra.searchpath=[file://{tmp_path}/conf]"

    def seed_epochs(*overrides: str) -> list[int]:
        return [cell.options["train"]["seed_epochs"] for cell in cells([place, *overrides])]

    assert seed_epochs("experiment=warm") == [0]
    assert seed_epochs("experiment=warm", "method=s2d,net2net", "train.epochs=2") == [0, 0]
    assert seed_epochs("experiment=trained") == [3]
    assert seed_epochs("experiment=trained", f"backbone.weights={tmp_path}/own.pt") == [0]
    assert seed_epochs("experiment=warm", "train.seed_epochs=4") == [4]
    assert seed_epochs("experiment=warm", "backbone.weights=null") == [30]
    assert seed_epochs(f"backbone.weights={tmp_path}/own.pt,null") == [0, 30]
