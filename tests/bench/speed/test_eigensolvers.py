"""The eigensolvers side by side on a tiny layer, and the plain product."""

import pytest
import torch

from bench.data import load
from bench.speed.eigensolvers import Timed, exact, measure
from bench.speed.layers import Layer, prepare
from bench.speed.plain import PlainOperator
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
    by_engine = {row["engine"]: row for row in measure(subject(layer), seed=0, repeats=1)}
    assert list(by_engine) == ["dense", "lanczos", "lanczos, loose", "rayleigh", "double backward"]
    for row in by_engine.values():
        assert row["seconds"] > row["collect s"] > 0
        assert row["products"] > 0
        assert row["of lanczos"] > 0
    for engine in ("dense", "lanczos"):
        assert by_engine[engine]["error/norm"] < 1e-5
    assert by_engine["dense"]["products"] == by_engine["dense"]["d"]
    assert by_engine["rayleigh"]["products"] == 11  # ten passes and one for the residual
    assert by_engine["lanczos"]["of lanczos"] == 1
    assert by_engine["double backward"]["products"] == by_engine["lanczos"]["products"]
    assert by_engine["double backward"]["error/norm"] is None


def test_the_reference_is_that_of_the_samples_matrix():
    at = subject(LAYERS[1])
    reference = exact(at)
    values = torch.linalg.eigvalsh(at.curvature().operator(at.group).dense().double())
    torch.testing.assert_close(values[:, 0], reference.lowest, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(values[:, -1], reference.highest, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(values.abs().amax(1), reference.norm, rtol=1e-4, atol=1e-6)
    assert reference.lowest.dtype == torch.float64


def test_time_goes_by_products():
    assert Timed(1.0, 4.0, 3).with_products(10) == Timed(1.0, 11.0, 10)
