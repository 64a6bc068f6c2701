"""The protocol: one seed network, one ladder of sizes; grow, train, measure. The same for every method."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any

import torch
from filelock import FileLock
from omegaconf import OmegaConf
from torch import Tensor, nn

from bench import checkpoint
from bench.backbones import build
from bench.config import Settings, ladder
from bench.cost import LATENCY, prices
from bench.data import load
from bench.data.streams import stream
from bench.environment import choose_device, describe, give_back_memory, reset
from bench.errors import BenchError, ConfigError, PlanError, Refused, StorageError, TrainingDiverged, told
from bench.graph import Graph
from bench.growth import Event
from bench.latency import Latency, latency
from bench.latency import now as measured_latency
from bench.latency import read as read_latency
from bench.method import GrowthMethod, Trained, check_options
from bench.observer import Observer
from bench.refresh import draw_parameters, refresh_norm
from bench.store import PARTIAL, SCHEMA, Run, seed_identity, write_atomic
from bench.surgery import load as load_shapes
from bench.train import evaluate, loss_function, make_optimizer, train
from methods import registry


@dataclass
class State:
    """Where a run stands; with the network and the optimiser all that a checkpoint holds.

    Attributes:
        stage: The stage at hand.
        epochs: Its length.
        epoch: Its epochs done.
        growth: How it grew, as in ``run.json``; None for the seed.
        train_seconds: Its training time so far.
        train_loss: Mean loss over its last epoch.
        stages: Records of the stages done.
        history: Multiply-adds and epochs of the stages done.
        lineage: Product of ``|w|`` along each neuron's lineage, by group.
    """

    stage: int = 0
    epochs: int = 0
    epoch: int = 0
    growth: dict[str, Any] | None = None
    train_seconds: float = 0.0
    train_loss: float | None = None
    stages: list[dict[str, Any]] = field(default_factory=list)
    history: list[tuple[float, int]] = field(default_factory=list)
    lineage: dict[str, Tensor] = field(default_factory=dict)


class Experiment:
    """One run: everything is built and checked here, before anything is trained.

    Args:
        settings: The run's options.
        run: Its folder.
        observer: Is told how it goes on.

    Raises:
        BenchError: An option cannot work, data are missing, or the backbone has nothing to split.
    """

    def __init__(self, settings: Settings, run: Run, observer: Observer) -> None:
        self.settings, self.run, self.observer = settings, run, observer
        options, self.seed = settings.options, settings.run.seed
        reset(settings.run.threads, self.seed)
        self.method: GrowthMethod = registry[settings.name("method")].make(options["method"])
        self.device = choose_device(settings.run.device)
        self.data = load(options["data"], self.seed).to(self.device)
        self.loss = loss_function(self.data.task, settings.train.label_smoothing)
        self.sample = self.data.sample(settings.sample, self.seed)
        self.model = self._build()
        self.graph = Graph(self.model, self.data.input_shape)
        if not self.graph.groups:
            reasons = "; ".join(f"{one.name}: {one.reason}" for one in self.graph.unsplittable)
            raise ConfigError("backbone", settings.name("backbone"), f"a network with channels to split ({reasons})")
        check_options(self.method, self.graph)
        self.prices = prices(self.graph)
        self.seed_widths = self.graph.widths()
        self.latency = self._measure_latency() if settings.growth.cost == LATENCY else None
        if self.latency is not None:
            self.prices[LATENCY] = self.latency.price
        self.rungs = ladder(self.prices[settings.growth.cost].of(self.seed_widths), settings.growth)
        self.optimizer = make_optimizer(self.model, settings.train)
        self.state = State(lineage=self._seed_lineage())

    def _build(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._stream("init").initial_seed())
            model = build(self.settings.options["backbone"], self.data.input_shape, self.data.outputs)
        return model.to(self.device)

    def _measure_latency(self) -> Latency:
        """The run's own table if it has begun, so that its ladder stays; else the one that all methods share."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            return read_latency(json.loads(self.run.latency_path.read_text()))
        machine, options = describe(self.device), self.settings.options
        key = {"backbone": options["backbone"], "inputs": self.data.input_shape, "outputs": self.data.outputs}
        key |= {name: machine[name] for name in ("device", "torch")}
        batch, folder = self.settings.growth.latency_batch, self.run.runs_dir / "seeds"
        try:
            return latency(self.graph, self.prices["macs"], batch, self.device, folder, key)
        except RuntimeError as error:  # out of memory, on the device or off it
            raise BenchError(f"growth.cost=latency: {told(error)}; try a smaller growth.latency_batch") from error

    def _seed_lineage(self) -> dict[str, Tensor]:
        return {name: torch.ones(n, dtype=torch.float64) for name, n in self.seed_widths.items()}

    def _stream(self, purpose: str) -> torch.Generator:
        return stream(self.seed, purpose)

    # -- the run ------------------------------------------------------------------------------------

    def execute(self) -> dict[str, Any]:
        """Run to the end, from the last checkpoint if there is one, and write ``run.json``.

        Returns:
            The record. Its status is ``done``, or ``refused`` with the method's reason.

        Raises:
            BenchError: The run failed; the record says so.
        """
        options = OmegaConf.create(dict(self.settings.options))
        write_atomic(self.run.folder / "config.yaml", OmegaConf.to_yaml(options))
        if self.latency is not None:
            write_atomic(self.run.latency_path, json.dumps(asdict(self.latency)))
        try:
            if not self._resume():
                self._train_seed()
            while self.state.stage < len(self.rungs):
                self._stage()
        except torch.OutOfMemoryError as error:
            reason = f"{self.device} ran out of memory: try a smaller train.batch_size, growth.sample or growth.memory"
            raise self._failed(BenchError(reason)) from error
        except Refused as refusal:
            return self._end("refused", str(refusal))
        except StorageError:
            raise  # says nothing of the run, which goes on from its last checkpoint
        except BenchError as error:
            self._failed(error)
            raise
        return self._end("done", None)

    def _failed(self, error: BenchError) -> BenchError:
        """Record that the run failed; the error, marked as told there."""
        self._end("failed", str(error))
        error.recorded = True
        return error

    def _stage(self) -> None:
        """Grow, unless a checkpoint says that is done, then train and measure."""
        state = self.state
        if state.growth is None and state.stage > 0:
            self._grow()
            self._save()
        self._train(self._save)
        self._finish()
        self._save()

    def _train_seed(self) -> None:
        """The seed network: trained once for all methods, then read from its file."""
        path = self.run.runs_dir / "seeds" / f"{seed_identity(self.settings.options)}.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            partial = path.with_suffix(".partial.pt")
            if self._restore(path):
                self.observer.finished(self.state.stages[0])
            else:
                if not self._restore(partial):
                    self.state.epochs = self.settings.train.seed_epochs
                self._train(lambda: self._save(partial))
                self._finish()
                self._save(path)
            for leftover in (partial, checkpoint.previous(partial), *path.parent.glob(f".{path.stem}.*{PARTIAL}")):
                leftover.unlink(missing_ok=True)
        self.state.stages[0]["target_cost"] = self.rungs[0]
        self.state.stages[0].pop("latency_us", None)  # whoever trained the seed may have climbed another ladder
        if self.latency is not None:
            self.state.stages[0]["latency_us"] = measured_latency(self.graph, self.latency.batch, self.device)
        self.state.lineage = self._seed_lineage()
        self._save()

    def _grow(self) -> None:
        settings, state = self.settings, self.state
        started = time.perf_counter()
        event = Event(
            graph=self.graph,
            optimizer=self.optimizer,
            method=self.method,
            name=settings.name("method"),
            config=settings.growth,
            prices=self.prices,
            loss=self.loss,
            inputs=self.sample.inputs,
            targets=self.sample.targets,
            prepare=self.data.normalised,
            lineage=state.lineage,
            seed_widths=self.seed_widths,
            history=[Trained(macs, epochs) for macs, epochs in state.history],
            epochs=settings.train.epochs,
            generator=self._stream(f"method {state.stage}"),
        )
        record, plan = event.grow(self.rungs[state.stage])
        give_back_memory()
        if plan.restart:
            draw_parameters(self.model, self._stream(f"restart {state.stage}"))
            self.optimizer = make_optimizer(self.model, settings.train)
        elif settings.growth.refresh_norm:
            images = refresh_norm(
                self.model,
                self.data,
                settings.growth.refresh_norm,
                settings.train.batch_size,
                self._stream(f"norm {state.stage}"),
            )
            record.flops += 2 * self._cost("macs") * images
        record.seconds = time.perf_counter() - started
        state.growth = record.asdict()
        state.epochs = settings.train.epochs if plan.epochs is None else plan.epochs

    def _train(self, save: Callable[[], None]) -> None:
        state, settings = self.state, self.settings
        self.observer.stage(state.stage, len(self.rungs), state.epochs, state.epoch)
        before, saved = state.train_seconds, time.monotonic()
        started = time.perf_counter()
        unpaid = 0.0

        def on_epoch(epoch: int, loss: float) -> None:
            nonlocal saved, unpaid
            entered = time.perf_counter()
            state.epoch, state.train_loss = epoch + 1, loss
            self.observer.epoch(loss)
            if time.monotonic() - saved >= settings.run.checkpoint_seconds and state.epoch < state.epochs:
                state.train_seconds = before + entered - started - unpaid
                save()
                saved = time.monotonic()
            unpaid += time.perf_counter() - entered

        result = train(
            self.model,
            self.optimizer,
            self.data,
            settings.train,
            epochs=state.epochs,
            seed=self._stream(f"stage {state.stage}").initial_seed(),
            precision=settings.run.precision,
            start_epoch=state.epoch,
            on_epoch=on_epoch,
        )
        state.train_seconds = before + result.seconds

    def _finish(self) -> None:
        """Measure the stage and write its record."""
        state, data, precision = self.state, self.data, self.settings.run.precision
        started = time.perf_counter()
        validation = evaluate(self.model, data, data.validation, precision)
        test = evaluate(self.model, data, data.test, precision)
        give_back_memory()
        if not (isfinite(validation.loss) and isfinite(test.loss)):
            raise TrainingDiverged(f"the loss on held-out data became {test.loss} in stage {state.stage}")
        seconds = {"train": state.train_seconds, "grow": 0.0, "eval": time.perf_counter() - started}
        flops = {"train": 6 * self._cost("macs") * state.epochs * len(data.train), "grow": 0.0}
        if state.growth is not None:
            seconds["grow"], flops["grow"] = state.growth["seconds"], state.growth["flops"]
        record = {
            "stage": state.stage,
            "target_cost": self.rungs[state.stage],
            "params": int(self._cost("params")),
            "macs": int(self._cost("macs")),
            "energy_pj": self._cost("energy"),
            "widths": self.graph.widths(),
            "epochs": state.epochs,
            "train_loss": state.train_loss,
            "val_accuracy": validation.accuracy,
            "val_loss": validation.loss,
            "test_accuracy": test.accuracy,
            "test_loss": test.loss,
            "seconds": seconds,
            "flops": flops,
            "growth": state.growth,
        }
        if self.latency is not None:
            record["latency_us"] = measured_latency(self.graph, self.latency.batch, self.device)
        self.state = State(
            stage=state.stage + 1,
            stages=[*state.stages, record],
            history=[*state.history, (self._cost("macs"), state.epochs)],
            lineage=state.lineage,
        )
        self.observer.finished(record)

    def _cost(self, metric: str) -> float:
        return self.prices[metric].of(self.graph.widths())

    # -- on disk ------------------------------------------------------------------------------------

    def _save(self, path: Any = None) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "state": asdict(self.state),
            "input_shape": list(self.data.input_shape),
            "outputs": self.data.outputs,
        }
        checkpoint.save(path or self.run.checkpoint_path, state)
        if path is None:
            self.run.write_stages(self.state.stages)

    def _resume(self) -> bool:
        if not self._restore(self.run.checkpoint_path):
            return False
        for record in self.state.stages:
            self.observer.finished(record)
        return True

    def _restore(self, path: Any) -> bool:
        found = checkpoint.load(path)
        if found is None:
            return False
        try:
            load_shapes(self.model, found["model"])
        except PlanError as error:
            raise BenchError(f"{path}: {error}") from None
        self.optimizer = make_optimizer(self.model, self.settings.train)
        self.optimizer.load_state_dict(found["optimizer"])
        self.state = State(**found["state"])
        return True

    def _end(self, status: str, reason: str | None) -> dict[str, Any]:
        settings = self.settings
        record = {
            "schema": SCHEMA,
            "status": status,
            "reason": reason,
            "id": self.run.id,
            "method": settings.name("method"),
            "backbone": settings.name("backbone"),
            "data": settings.name("data"),
            "seed": self.seed,
            "config": settings.options,
            "environment": describe(self.device),
            "stages": self.state.stages,
        }
        if self.latency is not None:
            record["latency"] = asdict(self.latency)
        self.run.write_stages(self.state.stages)
        self.run.write_record(record)
        self.observer.end(record)
        return record
