"""The engines side by side on a tiny layer, the Rayleigh search, and the plain product."""

import pytest
import torch
from torch.nn import functional as F

from bench.curvature.eigen import rayleigh
from bench.data import load
from bench.speed.engines import exact, measure
from bench.speed.layers import Layer, prepare
from bench.speed.plain import PlainOperator
from bench.speed.search import PUBLISHED, TOLERANCE, Reference, Schedule, search
from bench.train import TrainConfig

LAYERS = [Layer("linear", 6, 4, 4), Layer("conv", 3, 4, 6)]


def subject(layer):
    data = load({"name": "digits", "train_size": 64}, 0)
    return prepare(layer, data, TrainConfig(), sample=40, seed=0, epochs=1)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_double_backward_equals_the_explicit_product(layer):
    twin = subject(layer).double(torch.device("cpu"))
    operator = twin.curvature().operator(twin.group)
    vectors = torch.randn(operator.neurons, operator.size, dtype=torch.float64)
    plain = PlainOperator(twin.curvature(), twin.group)(vectors)
    assert plain.abs().max() > 0
    torch.testing.assert_close(plain, operator(vectors), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_rows_have_positive_figures_and_small_errors(layer):
    rows, searches = measure(subject(layer), seed=0, repeats=1, cap=3)
    by_engine = {row["engine"]: row for row in rows}
    assert list(by_engine) == ["dense", "lanczos", "lanczos, loose", "rayleigh", "double backward"]
    for row in rows:
        assert row["seconds"] > row["collect s"] > 0
        assert row["products"] > 0
        assert row["of lanczos"] > 0
    for engine in ("dense", "lanczos"):
        assert by_engine[engine]["error/norm"] < 1e-5
    assert by_engine["lanczos"]["of lanczos"] == 1
    assert by_engine["double backward"]["products"] == by_engine["lanczos"]["products"]
    assert by_engine["double backward"]["error/norm"] is None
    assert [row["neurons"] for row in searches] == ["median", "all"] * 3


def test_the_reference_is_the_sum_of_its_batches():
    reference = exact(subject(LAYERS[1]))
    values = torch.linalg.eigvalsh(reference.whole().matrices[0].double())
    torch.testing.assert_close(values[:, 0], reference.lowest, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(values[:, -1], reference.highest, rtol=1e-4, atol=1e-6)
    assert sum(reference.shares) == pytest.approx(1)


def toy(batches=1):
    """Three diagonal matrices with the smallest eigenvalue -1."""
    matrices = torch.diag_embed(torch.linspace(-1, 0.5, 6).repeat(3, 1))
    ends = torch.tensor([-1.0, 0.5], dtype=torch.float64).repeat(3, 1)
    return Reference([1 / batches] * batches, [matrices / batches] * batches, ends[:, 0], ends[:, 1])


def test_search_takes_the_steps_of_the_engine():
    """As many passes as the search says bring the engine's own loop to the tolerance, one fewer does not."""
    (reached,) = search(toy(), [Schedule(1e-2)], seed=0)
    assert reached.median <= reached.largest
    start = (torch.rand(3, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.2 - 0.1).float()
    v = F.normalize(start, dim=1).requires_grad_()
    optimizer = torch.optim.RMSprop([v], lr=1e-2, alpha=0.9, momentum=0.9)
    errors = []
    for _ in range(reached.largest):
        quotient = torch.einsum("ni,nij,nj->n", v, toy().matrices[0], v) / (v * v).sum(1)
        errors.append((quotient.detach() + 1).abs().max())
        optimizer.zero_grad()
        torch.autograd.backward(quotient.sum())
        optimizer.step()
        v.data = F.normalize(v.data, dim=1)
    assert errors[-1] <= TOLERANCE
    assert min(errors[:-1]) > TOLERANCE


def test_search_with_the_published_schedule_is_the_engine(monkeypatch):
    """After ten passes the search's error is that of `bench.curvature.eigen.rayleigh` on the same batches."""
    at = subject(LAYERS[1])
    operator = at.curvature().operator(at.group)
    engine = rayleigh(operator, torch.Generator().manual_seed(0), highest=False).lowest.double()
    reference = exact(at)
    error = ((engine - reference.lowest).abs() / reference.lowest.abs()).max()
    for tolerance, reached in ((error * 1.01, True), (error * 0.99, False)):
        monkeypatch.setattr("bench.speed.search.TOLERANCE", float(tolerance))
        (found,) = search(reference, [PUBLISHED], 0, cap=10)
        assert (found.largest is not None) == reached


def test_search_gives_up():
    (reached,) = search(toy(batches=2), [Schedule(1e-9)], seed=0, cap=4)
    assert (reached.median, reached.largest) == (None, None)


def test_schedules_name_themselves():
    assert str(PUBLISHED) == "lr 0.001 x0.2 every 2"
    assert [PUBLISHED.rate(n) for n in (0, 1, 2)] == pytest.approx([1e-3, 1e-3, 2e-4])
    assert str(Schedule(0.01)) == "lr 0.01"
