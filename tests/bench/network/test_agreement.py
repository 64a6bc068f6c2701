"""The network that is trained is the one that was read, in both modes, on what it is fed, before growth and after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.core.errors import BenchError
from bench.core.record import RunState
from bench.network.graph import Graph
from bench.network.plan import GrowthPlan, Split
from bench.network.surgery import apply
from tests.runs import of_options, options

STEPS = iter(range(10**6))


class Inner(nn.Module):
    """Two layers with something between them."""

    def __init__(self, between: Callable[[Inner, Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.b, self.between = nn.Linear(64, 4), nn.Linear(4, 10), between

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.b(self.between(self, torch.tanh(self.a(x.flatten(1)))))


def _native(x: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    return x if torch.compiler.is_compiling() else change(x)


SEEN: dict[str, Callable[[Inner, Tensor], Tensor]] = {
    "a branch that export does not take": lambda _, x: _native(x, lambda x: x * 1.01),
    "a state of its own": lambda _, x: x * (1 + 1e-3 * next(STEPS)),
    "in training alone": lambda m, x: _native(x, lambda x: x + 1e-2) if m.training else x,
}


@pytest.mark.parametrize("name", SEEN)
def test_another_function_is_refused_by_its_place(name: str) -> None:
    model = nn.Sequential(nn.Identity(), Inner(SEEN[name]))
    with pytest.raises(
        BenchError, match=r"is not what torch.export reads of it, first in 1.b \(.*test_agreement.py:\d+\)"
    ):
        Graph(model, (1, 8, 8))


DRAWN: dict[str, Callable[[Inner, Tensor], Tensor]] = {
    "normal": lambda _, x: x + torch.normal(torch.zeros_like(x), 1.0),
    "in place": lambda _, x: x + torch.empty(4).normal_(),
    "gumbel": lambda _, x: x + F.gumbel_softmax(x.detach()),
    "attention": lambda _, x: F.scaled_dot_product_attention(y := x[:, None, None], y, y, dropout_p=0.5).flatten(1),
}


@pytest.mark.parametrize("name", DRAWN)
def test_what_draws_random_numbers_in_evaluation_mode_is_told_so(name: str) -> None:
    with pytest.raises(BenchError, match=r"^the model's output is random in evaluation mode"):
        Graph(Inner(DRAWN[name]), (64,))


def test_what_differs_on_the_real_inputs_alone_is_refused() -> None:
    """No corner of random inputs is black."""

    class Cornered(Inner):
        def forward(self, x: Tensor) -> Tensor:
            corner_is_black = x[:, :, 0, 0].std() == 0
            found = super().forward(x)
            return found if torch.compiler.is_compiling() else torch.where(corner_is_black, found + 1, found)

    Graph(Cornered(lambda _, x: x), (1, 8, 8))
    with pytest.raises(BenchError, match="forward pass in evaluation mode is not what"):
        Graph(Cornered(lambda _, x: x), (1, 8, 8)).agree(torch.zeros(3, 1, 8, 8))


def test_a_run_looks_at_what_the_network_is_fed(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []
    own = Graph.agree

    def agree(self: Graph, inputs: Tensor) -> None:
        seen.append(inputs)
        own(self, inputs)

    monkeypatch.setattr(Graph, "agree", agree)
    made = of_options(options(tmp_path, "growth.stages=1", "train.epochs=0"))
    fed = made.sample.some(3)
    assert any(inputs.equal(fed) for inputs in seen)
    seen.clear()
    assert made.execute().status is RunState.DONE
    assert any(inputs.equal(fed) for inputs in seen)


def test_a_width_that_the_code_reads_in_training_alone_is_found_after_growth() -> None:
    model = Inner(lambda m, x: x * (m.b.in_features / 4) if m.training else x)
    graph = Graph(model, (1, 8, 8))
    group = next(iter(graph.groups.values()))
    apply(model, None, GrowthPlan((Split(group, 0, (0.5, 0.5)),)), 0.0)
    with pytest.raises(BenchError, match="forward pass in training mode is not what"):
        graph.grown()


def test_random_streams_modes_and_buffers_are_left_alone() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 3))
    graph = Graph(model.train(), (1, 8, 8))
    kept, state = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    graph.agree(torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)))
    assert torch.get_rng_state().equal(state)
    assert all(v.equal(kept[k]) for k, v in model.state_dict().items())
    assert all(module.training for module in model.modules())
