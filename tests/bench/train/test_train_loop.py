"""The training loop: it learns, repeats itself, resumes exactly, and says when it diverged."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from bench.core.errors import TrainingDiverged
from bench.core.streams import stream
from bench.data.base import Part
from bench.train import TrainConfig, evaluate, make_optimizer, train
from bench.train.loop import batch_sizes

CONFIG = TrainConfig(batch_size=8, lr=0.05, momentum=0.9)


def convnet():
    """Convolution, batch norm, dropout: all that has state or randomness."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.SiLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(64, 3)
    )


def state(model, optimizer):
    return copy.deepcopy((model.state_dict(), optimizer.state_dict()))


def assert_identical(first, second):
    """Same weights, buffers and optimiser state, to the bit."""
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def run(data, config=CONFIG, epochs=4, seed=0, **options):
    """Train the net anew; its state and the result."""
    model = convnet()
    optimizer = make_optimizer(model, config)
    result = train(model, optimizer, data, config, epochs=epochs, seed=seed, **options)
    return state(model, optimizer), result


@pytest.mark.parametrize(
    ("examples", "batch_size", "sizes"),
    [
        (8, 4, [4, 4]),
        (10, 4, [4, 4, 2]),
        (9, 4, [4, 5]),
        (3, 4, [3]),
        (1, 4, [1]),
        (5, 4, [5]),
        (3, 1, [1, 1, 1]),
    ],
)
def test_a_single_example_left_over_joins_the_last_batch(examples, batch_size, sizes):
    assert batch_sizes(examples, batch_size) == sizes


def test_learns_images_and_counts_them(images):
    model = convnet()
    calls = []
    result = train(
        model,
        make_optimizer(model, CONFIG),
        images,
        CONFIG,
        epochs=12,
        seed=0,
        on_epoch=lambda epoch, loss: calls.append((epoch, loss)),
    )
    assert result.images == 12 * 34
    assert result.seconds > 0
    assert [epoch for epoch, _ in calls] == list(range(12))
    assert calls[-1][1] == result.loss < calls[0][1] / 2
    assert evaluate(model, images, images.validation).accuracy > 0.8


def test_no_two_epochs_share_their_order_augmentation_or_dropout(images, monkeypatch):
    drawn = []

    def heard(seed, purpose):
        drawn.append(stream(seed, purpose))
        return drawn[-1]

    monkeypatch.setattr("bench.train.loop.stream", heard)
    run(images, epochs=3)
    seeds = [generator.initial_seed() for generator in drawn]
    assert len(set(seeds)) == len(seeds) == 3 * 3


@pytest.mark.parametrize("augmented", [{"crop": 1}, {"flip": True}])
def test_crops_and_flips_each_do_something_alone(images, augmented):
    plain = replace(images, crop=0, flip=False)
    assert run(replace(plain, **augmented), epochs=1)[1].loss != run(plain, epochs=1)[1].loss


def test_learns_a_regression(curve):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 16), nn.SiLU(), nn.Linear(16, 2))
    config = replace(CONFIG, optimizer="adamw", lr=0.02)
    before = evaluate(model, curve, curve.train).loss
    train(model, make_optimizer(model, config), curve, config, epochs=30, seed=0)
    assert evaluate(model, curve, curve.train).loss < before / 5


def test_loss_is_the_mean_over_examples(images):
    """With a learning rate too small to move the weights, the epoch's loss is that of the net on all examples."""
    data = replace(images, crop=0, flip=False)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(72, 3))
    config = replace(CONFIG, lr=1e-12, batch_size=7)
    result = train(model, make_optimizer(model, config), data, config, epochs=1, seed=0)
    assert result.loss == pytest.approx(evaluate(model, data, data.train).loss, rel=1e-6)


def test_no_epochs_change_nothing(images):
    trained, result = run(images, epochs=0)
    model = convnet()
    assert_identical(trained, state(model, make_optimizer(model, CONFIG)))
    assert (result.loss, result.images, result.seconds) == (None, 0, 0.0)


def test_the_seed_decides_everything(images):
    first, one = run(images, seed=3)
    torch.rand(5)  # whatever the global state is
    second, two = run(images, seed=3)
    assert_identical(first, second)
    assert one.loss == two.loss
    assert one.loss != run(images, seed=4)[1].loss


def test_every_epoch_runs_in_train_mode(images):
    model = convnet().eval()
    train(
        model,
        make_optimizer(model, CONFIG),
        images,
        CONFIG,
        epochs=2,
        seed=0,
        on_epoch=lambda epoch, loss: model.eval(),
    )
    assert model[1].num_batches_tracked == 2 * len(batch_sizes(34, 8))


def test_the_global_random_state_is_left_alone(images):
    model = convnet()
    before = torch.get_rng_state()
    train(model, make_optimizer(model, CONFIG), images, CONFIG, epochs=1, seed=0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("stop", [1, 3])
def test_resumed_is_the_same_to_the_bit(images, optimizer, stop):
    config = replace(CONFIG, optimizer=optimizer, lr=0.01, warmup=0.2)
    saved = {}
    model = convnet()
    running = make_optimizer(model, config)
    train(
        model,
        running,
        images,
        config,
        epochs=4,
        seed=5,
        on_epoch=lambda epoch, loss: saved.update({epoch + 1: state(model, running)}),
    )

    torch.manual_seed(999)
    resumed = convnet()
    resuming = make_optimizer(resumed, config)
    resumed.load_state_dict(saved[stop][0])
    resuming.load_state_dict(saved[stop][1])
    result = train(resumed, resuming, images, config, epochs=4, seed=5, start_epoch=stop)
    assert_identical(state(resumed, resuming), saved[4])
    assert result.images == (4 - stop) * 34


def test_divergence_is_one_line_before_the_callback(images):
    config = replace(CONFIG, lr=1e20, schedule="constant")
    epochs = []
    with pytest.raises(TrainingDiverged, match=r"loss became (nan|inf) in epoch \d of 6 with train.lr=1e\+20") as error:
        run(images, config, epochs=6, on_epoch=lambda epoch, loss: epochs.append((epoch, loss)))
    assert "\n" not in str(error.value)
    assert all(loss < float("inf") for _, loss in epochs)


def test_batch_norm_survives_one_example_left_over(images):
    data = replace(images, train=Part(images.train.inputs[:33], images.train.targets[:33]))
    features = nn.Sequential(nn.Flatten(), nn.Linear(72, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    result = train(features, make_optimizer(features, CONFIG), data, CONFIG, epochs=1, seed=0)
    assert result.images == 33
    assert features[2].num_batches_tracked == 4


def test_bf16_trains_weights_in_fp32(images):
    (weights, _), result = run(images, precision="bf16", epochs=8)
    exact = run(images, epochs=8)[1]
    assert {tensor.dtype for name, tensor in weights.items() if "num_batches" not in name} == {torch.float32}
    assert result.loss == pytest.approx(exact.loss, rel=0.2)
    assert result.loss != exact.loss


def test_the_clock_stops_during_the_callback(images, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("bench.train.loop.time.perf_counter", lambda: now[0])

    def callback(epoch, loss):
        now[0] += 100.0

    assert run(images, epochs=2, on_epoch=callback)[1].seconds == 0.0


def test_a_callback_that_says_true_ends_the_stage(images):
    """What else it may give back does not: whoever needs no end returns what comes."""
    for told, expected in ((True, [0, 1]), (1.0, [0, 1, 2, 3]), ("yes", [0, 1, 2, 3])):
        heard = []
        result = run(
            images, on_epoch=lambda e, _, told=told, heard=heard: heard.append(e) or (told if e == 1 else None)
        )
        assert heard == expected
        assert result[1].images == len(expected) * 34


def test_cycles_run_the_schedule_again_in_equal_shares_of_the_epochs(images):
    def rates(**options):
        model = convnet()
        optimizer = make_optimizer(model, CONFIG)
        found, began = [], []
        between = {"between": lambda cycle: began.append((cycle, len(found)))}
        keep = {"on_epoch": lambda *_: found.append(optimizer.param_groups[0]["lr"])}
        train(model, optimizer, images, CONFIG, seed=0, **between, **keep, **options)
        return found, began

    one, none = rates(epochs=2)
    assert none == []
    assert rates(epochs=6, cycles=3) == (3 * one, [(1, 2), (2, 4)])
    assert rates(epochs=6, cycles=3, start_epoch=3) == (one[1:] + one, [(2, 1)])
    assert rates(epochs=5, cycles=2)[1] == [(1, 2)]


@pytest.mark.parametrize(("epochs", "cycles", "expected"), [(1, 2, []), (2, 5, [1]), (3, 4, [1, 2]), (0, 2, [])])
def test_there_are_no_more_cycles_than_epochs_and_nothing_comes_before_the_first(images, epochs, cycles, expected):
    heard = []
    run(
        images,
        epochs=epochs,
        cycles=cycles,
        between=lambda cycle: heard.append(("between", cycle)),
        on_epoch=lambda epoch, _: heard.append(("epoch", epoch)),
    )
    assert heard == [one for k in range(epochs) for one in ([("between", k)] if k in expected else []) + [("epoch", k)]]
