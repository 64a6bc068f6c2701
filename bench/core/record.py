"""A run's record, ``run.json``: one set of types for all who write it, follow it, show it and read it.

What is read is checked against these types; what does not fit is refused with the field's name. Stages also state their
costs as fields of their own (``params``, ``macs``, ``energy_pj``, ``latency_us``), as the first records did.
"""

from __future__ import annotations

import hashlib
import json
import re
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from bench.core.errors import BenchError, ConfigError, one_line
from bench.core.identity import identities
from bench.core.options import require_plain
from bench.core.provenance import Provenance

SCHEMA = 1
"""Version of ``run.json``."""

OLD_COSTS = {"params": "params", "macs": "macs", "energy": "energy_pj", "latency": "latency_us"}
"""Fields of a stage in which the first records have its costs."""

EXACT = "second order"
"""`GrowthRecord.trust` where all is smooth and nothing is left out."""

MOST = 2**53
MOST_COST = 1e30
Count = Annotated[int, Meta(ge=0, le=MOST)]
Name = Annotated[str, Meta(min_length=1)]
Number = int | float
Positive = Annotated[float, Meta(ge=0, le=MOST_COST)]
"""A quantity: seconds, operations, costs."""

Plain = dict[str, Any]
"""What JSON has: an object."""

T = TypeVar("T")


class RunState(StrEnum):
    """Where a run stands."""

    MISSING = "missing"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    UNREADABLE = "unreadable"
    FAILED = "failed"
    REFUSED = "refused"
    DONE = "done"


ENDED = (RunState.DONE, RunState.REFUSED, RunState.FAILED)
"""States of which ``run.json`` tells."""


class Unreadable(BenchError):
    """A record that cannot be used; the message says why."""


class Seconds(Struct, frozen=True):
    """Wall time of one stage: its training, the growing before it, and its evaluation."""

    train: Positive
    grow: Positive
    eval: Positive = 0.0


class Flops(Struct, frozen=True):
    """Floating-point operations of one stage: its training, and the growing before it."""

    train: Positive
    grow: Positive


class History(Struct, frozen=True):
    """Each epoch of one stage; the last ones where an earlier version, which did not record them, did the first.

    Attributes:
        train_loss: Mean training losses.
        val_loss: Losses on the validation part, after the epoch; None for one that is not finite.
    """

    train_loss: list[float] = []
    val_loss: list[float | None] = []


class GrowthRecord(Struct, kw_only=True):
    """What a growth event did.

    Attributes:
        splits: Neurons split.
        births: Neurons added that are nobody's offspring.
        added_neurons: Neurons added, over all groups.
        rounds: Plans carried out until the rung was full.
        epsilon: Step of each round.
        predicted_drop: Fall of the sample's loss that the plans predict, ``-epsilon^2/2 * gain``; None if they do not.
        measured_drop: Fall of the sample's loss, in float64; None where the network starts afresh.
        function_gap: Largest change of any logit at epsilon = 0 over the largest logit, in float64.
        engine: Eigensolver that found the eigenpairs, if any were asked for.
        curvature: Form of the splitting matrix.
        surrogate: Second derivatives that stood in at kinks of activations (``softplus3``) and ties of max pooling
            (``ties``), if any.
        trust: How far to trust the prediction: ``second order`` in the step, where all is smooth; else what it takes a
            surrogate for (``kinks``, ``max pooling``) or leaves out (``textbook form``); None if nothing is predicted.
        judged: Plans whose predicted drop could be held against the measured one, being above rounding.
        contradicted: Those of them whose measured drop has another sign, or is not between half and twice.
        left_out: Groups that were left out because their measured drop contradicted the predicted one.
        products: Products with splitting operators over the whole sample, one per layer and step.
        residual_max: Largest relative residual of any eigenpair used.
        searched: Neurons whose eigenpairs were found, over all rounds; where a plan depends on some alone, these.
        unconverged: Those of them whose residual says that the search has not converged
            (`bench.curvature.spectrum.CONVERGED`).
        sample: Examples measured on.
        seconds: Wall time of the event.
        flops: Floating-point operations of the event, products and passes over the sample.
        stopped: Why growing stopped short of the rung, e.g. ``stable``; None where it is full.
        restart: Whether the network started from fresh parameters.
        condition: What was done to the weights after growing (`bench.growth.condition`); None for nothing.
        conditioned: Change of the sample's loss by that.
        notes: What the method put on record; of several rounds, the last that said it.
    """

    splits: Count = 0
    births: Count = 0
    added_neurons: Count = 0
    rounds: Count = 0
    epsilon: list[float] | None = None
    predicted_drop: float | None = None
    measured_drop: float | None = None
    function_gap: float | None = None
    engine: str | None = None
    curvature: str = "definition"
    surrogate: str | None = None
    trust: str | None = None
    judged: Count = 0
    contradicted: Count = 0
    left_out: list[str] = []
    products: Count = 0
    residual_max: float | None = None
    searched: Count = 0
    unconverged: Count = 0
    sample: Count = 0
    seconds: float = 0.0
    flops: float = 0.0
    stopped: str | None = None
    restart: bool = False
    condition: str | None = None
    conditioned: float | None = None
    notes: dict[str, float] = {}


class Diagnostics(Struct, frozen=True):
    """What the state of a network at a stage is like (`bench.growth.diagnostics`), by group where it is of one.

    Attributes:
        rank: Effective rank of the neurons' activations, per width.
        cosine: Mean over neurons of the largest cosine to another.
        norm: Mean norm of the neurons' rows of parameters, over a fresh network's.
        gradient: Right after growing, of newborn neurons over that of the others.
        train_accuracy: Share of some training examples classified right, without augmentation; None for regression.
    """

    rank: dict[str, float] = {}
    cosine: dict[str, float] = {}
    norm: dict[str, float] = {}
    gradient: dict[str, float] = {}
    train_accuracy: Positive | None = None


class StageRecord(Struct, kw_only=True):
    """One rung of the ladder as a run reached it.

    Attributes:
        stage: Its number; 0 is the seed network.
        target_cost: Cost that the rung allows.
        costs: What one inference costs, by the cost's name (`bench.network.cost`); ``params`` and ``macs`` always.
        widths: Neurons by group.
        epochs: Epochs of its training.
        train_loss: Mean loss over its last epoch; None if there was none.
        val_accuracy: Share of the validation part classified right; None for regression.
        val_loss: Loss on the validation part.
        test_accuracy: As ``val_accuracy``, on the test part.
        test_loss: As ``val_loss``, on the test part.
        seconds: What it took.
        flops: What it took.
        growth: The growth event; None for the seed network.
        history: Its epochs.
        diagnostics: The state of its network; None in early records.
    """

    stage: Count
    target_cost: Positive
    costs: dict[str, Number]
    widths: dict[str, Count]
    epochs: Count = 0
    train_loss: float | None = None
    val_accuracy: Positive | None = None
    val_loss: float | None = None
    test_accuracy: Positive | None = None
    test_loss: float | None = None
    seconds: Seconds
    flops: Flops
    growth: GrowthRecord | None = None
    history: History = History()
    diagnostics: Diagnostics | None = None

    def __post_init__(self) -> None:
        for name in ("params", "macs"):
            if self.costs.get(name, -1) < (name == "params"):
                raise ValueError(f"costs.{name}: expected a number of at least {int(name == 'params')}")
        for name, cost in self.costs.items():
            if not abs(cost) <= MOST_COST:
                raise ValueError(f"costs.{name}: expected a number of at most {MOST_COST:.0e}")
        score = "accuracy" if self.classified else "loss"
        for part in ("val", "test"):
            if getattr(self, f"{part}_{score}") is None:
                raise ValueError(f"{part}_{score}: missing")

    @property
    def classified(self) -> bool:
        """Whether scores are accuracies, shares of 1; else they are losses."""
        return self.test_accuracy is not None

    @property
    def validation(self) -> float:
        """Score on the validation part."""
        return _known(self.val_accuracy if self.classified else self.val_loss)

    @property
    def test(self) -> float:
        """Score on the test part."""
        return _known(self.test_accuracy if self.classified else self.test_loss)

    @property
    def params(self) -> int:
        """Trainable parameters."""
        return int(self.costs["params"])

    @property
    def macs(self) -> int:
        """Multiply-adds of one input."""
        return int(self.costs["macs"])


class Reading(Struct, frozen=True):
    """Latency at some widths.

    Attributes:
        widths: Neurons of each group.
        microseconds: Of one pass; the lower quartile of the turns.
        noise: Standard error of that, in microseconds.
        fitted: What the fit says.
    """

    widths: dict[str, Count]
    microseconds: float
    noise: float
    fitted: float = 0.0


class LatencyTable(Struct, frozen=True):
    """Latency as a function of the widths, with what it was fitted to (`bench.network.latency`).

    Attributes:
        batch: Inputs of one pass.
        constant: Of the fit, in microseconds.
        linear: Of the fit, by group.
        cross: Of the fit: (group, group, coefficient).
        readings: The table, the seed network first.
        error: Root mean square of (fitted - measured) / measured over the table.
    """

    batch: Count
    constant: float
    linear: dict[str, float]
    cross: list[tuple[str, str, float]]
    readings: list[Reading]
    error: float

    @property
    def uncertainty(self) -> float:
        """How far latencies by the fit may be off, as a share: its own error, or the noise of what it was fitted to."""
        return max([self.error, *(reading.noise / reading.microseconds for reading in self.readings)])


class Environment(Struct, frozen=True):
    """What a run ran on: Python, PyTorch, the device, processor threads, and the code's version."""

    python: str = ""
    torch: str = ""
    device: str = ""
    threads: Count = 0
    code: str = ""


class DataRecord(Struct, frozen=True):
    """What a run was trained on, and how raw inputs become the network's.

    Attributes:
        task: ``classification`` or ``regression``.
        outputs: Number of classes, or width of the target.
        input_shape: Of one input, (C, H, W), (F,) or (T,).
        examples: How many each part has: ``train``, ``validation``, ``test``.
        held_out: Parts that were drawn from the training examples.
        mean: Per channel or feature; of uint8 in units of pixel / 255, of floats as they are; empty for symbols.
        std: As ``mean``.
        classes: The classes' names in the order of their numbers; empty if nobody named them.
    """

    task: Literal["classification", "regression"]
    outputs: Count
    input_shape: list[Count]
    examples: dict[str, Count]
    held_out: list[str] = []
    mean: list[float] = []
    std: list[float] = []
    classes: list[str] = []


class RunRecord(Struct, kw_only=True):
    """One ended run.

    Attributes:
        schema: `SCHEMA`.
        status: How it ended.
        reason: Why it failed or was refused.
        id: Its name by content (`bench.core.identity`).
        method: The method's name.
        backbone: The backbone's.
        data: The data set's.
        seed: Its seed.
        config: Its resolved options.
        environment: What it ran on.
        stages: The rungs reached.
        layers: What the first layer of each group is, by the group's name.
        uncounted: Operations of the network whose multiply-adds are in none of its numbers, with their places.
        latency: The table behind a ladder of latency.
        provenance: What made it; None in early records.
        dataset: What it was trained on; None in early records.
    """

    schema: int
    status: RunState
    reason: str | None = None
    id: Name
    method: Name
    backbone: Name
    data: Name
    seed: Count
    config: Plain
    environment: Environment
    stages: list[StageRecord]
    layers: dict[str, str] = {}
    uncounted: list[str] = []
    latency: LatencyTable | None = None
    provenance: Provenance | None = None
    dataset: DataRecord | None = None

    def __post_init__(self) -> None:
        if self.status not in ENDED:
            raise ValueError(f"status: expected one of {', '.join(ENDED)}")
        if self.status is not RunState.DONE:
            return
        if not self.stages:
            raise ValueError("stages: done, but there are none")
        if [stage.stage for stage in self.stages] != list(range(len(self.stages))):
            raise ValueError("stages: not numbered 0, 1, 2, ...")
        if len({stage.classified for stage in self.stages}) > 1:
            raise ValueError("stages: accuracies at some and none at others")

    @property
    def seconds(self) -> float:
        """Wall time of all stages."""
        return sum(s.seconds.train + s.seconds.grow + s.seconds.eval for s in self.stages)


def plain(record: Struct) -> Plain:
    """A record, or a part of one, as plain data for JSON."""
    found: Plain = msgspec.to_builtins(record)
    for stage in [found, *found.get("stages", [])]:
        costs = stage.get("costs", {})
        stage.update({old: costs[name] for name, old in OLD_COSTS.items() if name in costs})
    return found


def numbers(record: RunRecord) -> list[Plain]:
    """What a run measured, stage by stage, without the time that it took."""
    stages = [plain(stage) for stage in record.stages]
    for stage in stages:
        del stage["seconds"]
        if stage["growth"]:
            del stage["growth"]["seconds"]
    return stages


def written(record: RunRecord) -> str:
    """The text of ``run.json``, with its checksum."""
    content = plain(record)
    return json.dumps({**content, "sha256": checksum(content)}, indent=1, allow_nan=False) + "\n"


def checksum(content: Plain) -> str:
    """SHA-256 of a record's content, its own checksum left out."""
    kept = {key: value for key, value in content.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def read(text: bytes) -> RunRecord:
    """A record from the text of ``run.json``.

    Raises:
        Unreadable: It is no JSON, or of another schema; it was changed or damaged since it was written; a field is
            missing or has a value that cannot be; or its name is not that of its configuration.
    """
    try:
        return _read(text)
    except (RecursionError, OverflowError) as error:
        raise Unreadable(f"run.json holds what no run writes: {one_line(error)}") from None


def _read(text: bytes) -> RunRecord:
    try:
        content = decode(text, object)
    except Unreadable as error:
        raise Unreadable(f"run.json is no JSON: {error}") from None
    if not isinstance(content, dict):
        raise Unreadable("run.json: expected an object")
    if content.get("schema") != SCHEMA:
        raise Unreadable(f"schema {content.get('schema')!r}; this version reads schema {SCHEMA}")
    if content.get("sha256") != checksum(content):
        raise Unreadable("sha256: not that of its content, so it was changed or damaged")
    for stage in content["stages"] if isinstance(content.get("stages"), list) else ():
        upgrade(stage)
    record = convert(content, RunRecord)
    check_options(record.config)
    if record.id not in identities(record.config):
        raise Unreadable(f"id {record.id}: its configuration has the id {identities(record.config)[0]}")
    return record


def upgrade(stage: object) -> None:
    """Give a stage of an early record the field ``costs``."""
    if isinstance(stage, dict) and "costs" not in stage:
        stage["costs"] = {name: stage[old] for name, old in OLD_COSTS.items() if old in stage}


def decode(text: bytes, kind: type[T]) -> T:
    """What a JSON text says, as one of this module's types or as plain data (``object``).

    Raises:
        Unreadable: It is no JSON, is nested too deep, has a text that is not UTF-8, or is not of this type.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(one_line(error)) from None


def convert(content: object, kind: type[T]) -> T:
    """Plain data as one of this module's types.

    Raises:
        Unreadable: A field is missing or has a value that cannot be; the message begins with its name.
    """
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        text, _, path = str(error).replace("`", "").partition(" - at $")
        missing = re.fullmatch(r"Object missing required field (\w+)", text)
        where = f"{path}.{missing[1]}" if missing else path
        what = "missing" if missing else text[:1].lower() + text[1:]
        raise Unreadable(f"{where.lstrip('.')}: {what}" if where else what) from None


def check_options(found: object) -> Plain:
    """Resolved options that have every group and a seed.

    Raises:
        Unreadable: They have not.
    """
    convert({"config": found}, _Configured)
    assert isinstance(found, dict)
    try:
        require_plain("config", found)
    except ConfigError as error:
        raise Unreadable(str(error)) from None
    return found


class _Chosen(Struct):
    name: Name


class _Config(Struct):
    method: _Chosen
    backbone: _Chosen
    data: _Chosen
    train: Plain
    growth: Plain
    seed: Count


class _Configured(Struct):
    config: _Config


def _known(score: float | None) -> float:
    assert score is not None, "checked when the record was made"
    return score
