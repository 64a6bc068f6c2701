"""The protocol: one seed network, one ladder of sizes; grow, train, measure. The same for every method."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from msgspec import structs, to_builtins
from omegaconf import OmegaConf
from torch import nn

from bench.backbones import backbones, build
from bench.backbones.base import WEIGHTS
from bench.core.callbacks import Callback
from bench.core.errors import (
    BenchError,
    ConfigError,
    NothingToGrow,
    Refused,
    StorageError,
    TrainingDiverged,
    is_out_of_memory,
)
from bench.core.files import PARTIAL, is_locked, locked, write_atomic
from bench.core.identity import LATENCY, seed_identity
from bench.core.output import note
from bench.core.provenance import NUMERICS, Provenance, digest_of_file
from bench.core.record import SCHEMA, Flops, History, RunRecord, RunState, Seconds, StageRecord, plain
from bench.core.store import RunFolder
from bench.core.streams import stream
from bench.curvature.eigensolvers import eigensolvers
from bench.curvature.sample import Sample
from bench.data import Part, datasets, load
from bench.growth import diagnostics
from bench.growth.caller import require_trainable
from bench.growth.grower import Grower
from bench.growth.method import GrowthMethod, Trained, methods
from bench.growth.method import make as make_method
from bench.network.cost import costs
from bench.network.graph import CHECKED, Graph
from bench.network.program import cause, place
from bench.run import checkpoint
from bench.run.checkpoint import Mismatch, Owner
from bench.run.config import Settings
from bench.run.environment import choose_device, describe, give_back_memory, reset
from bench.run.follow import follow, followed
from bench.run.ladder import Ladder
from bench.run.progress import Progress
from bench.run.refresh import refresh_norm
from bench.run.start import note_unseen_classes, require_a_step, require_finite_loss, require_known_symbols
from bench.run.weights import seed_network
from bench.train import evaluate, loss_function, make_optimizer, train
from bench.train.config import RANK
from bench.train.newborn import NewbornRates
from bench.train.when import is_over, planned


class Run:
    """One run: everything is built and checked here, before anything is trained.

    Args:
        settings: The run's options.
        folder: Its folder.
        callback: Hears how it goes on.

    Raises:
        BenchError: An option cannot work, data are missing, or the backbone has nothing to split.
    """

    def __init__(self, settings: Settings, folder: RunFolder, callback: Callback) -> None:
        self.settings, self.folder, self.callback = settings, folder, callback
        options, self.seed = settings.options, settings.run.seed
        self.method: GrowthMethod = make_method(options["method"])
        reset(settings.run.threads, self.seed)
        self.device = choose_device(settings.run.device)
        data = load(options["data"], self.seed)
        self.data = data.to(self.device)
        self.loss = loss_function(self.data.task, settings.train.label_smoothing)
        self.sample = self._sample(settings.growth.examples)
        self.probe = self._sample(diagnostics.EXAMPLES)
        self.model = self._seed_network()
        backbone, recipe = settings.name("backbone"), settings.train
        require_trainable(self.model, "backbone", backbone)
        require_known_symbols(self.model, self.data, backbone)
        note_unseen_classes(self.data)
        self.grower = self._grower()
        require_finite_loss(self.model, self.sample, backbone, settings.name("data"))
        if recipe.epochs or recipe.seed_epochs:
            require_a_step(self.model, self.data, self.loss, recipe.batch_size, backbone)
        self.provenance = self._provenance(data.digest())
        self._climb(goes_on=not self._is_done_again())
        self.optimizer = make_optimizer(self.model, settings.train)
        self.progress = Progress()

    @property
    def graph(self) -> Graph:
        """The network's, as it is."""
        return self.grower.graph

    def _sample(self, size: int | None) -> Sample:
        part = self.data.sample(size, self.seed)
        return Sample(part.inputs, part.targets, self.loss, self.data.normalised)

    def _build(self) -> nn.Module:
        model = build(self.settings.options["backbone"], self.data.input_shape, self.data.outputs)
        return model.to(self.device)

    def _seed_network(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._stream("init").initial_seed())
            options, data = self.settings.options["backbone"], self.data
            model = seed_network(options, data.input_shape, data.outputs, data.input_dtype)
            return model.to(self.device)

    def _grower(self) -> Grower:
        backbone, options = self.settings.name("backbone"), self.settings.growth.event
        inputs = self.sample.some(CHECKED)
        try:
            return Grower(
                self.model,
                inputs,
                self.method,
                **options,
                seed=self.seed,
                name=self.settings.name("method"),
                build=self._build,
            )
        except NothingToGrow as error:
            raise ConfigError("backbone", backbone, f"a network with channels to split ({error.reasons})") from None

    def _provenance(self, data: str) -> Provenance:
        growth, here = self.settings.growth, describe(self.device)
        name, other = self.settings.name, followed(self.method)
        sources = {
            "method": methods[name("method")].source,
            **({} if other is None else {"method.of": methods[other["name"]].source}),
            "backbone": backbones[name("backbone")].source,
            "data": datasets[name("data")].source,
        }
        sources["growth.engine"] = eigensolvers[growth.engine].source
        if (cost := costs[growth.cost]).source.module.partition(".")[0] != "bench":
            sources["growth.cost"] = cost.source
        machine = f"{here.device}, {here.threads} threads" if growth.cost == LATENCY else ""
        path = self.settings.options["backbone"].get(WEIGHTS)
        weights = "" if path is None else digest_of_file(path)
        return Provenance(NUMERICS, sources, self.graph.structure, data, self.data.files, machine, weights)

    def _is_done_again(self) -> bool:
        """Whether the run has ended, and what it left will be dropped."""
        if not self.folder.record_path.is_file():
            return False
        standing = self.folder.standing()
        return standing.record is not None and standing.is_due(self.settings.run.rerun)

    def _climb(self, goes_on: bool) -> None:
        """Set the ladder, and what depends on it."""
        self.ladder = self._ladder(goes_on)
        self.grower.models = self.ladder.models
        self.planned = planned(self.settings.train, len(self.ladder.rungs) - 1)

    def _ladder(self, goes_on: bool) -> Ladder:
        machine, options = describe(self.device), self.settings.options
        key = {"backbone": options["backbone"], "inputs": self.data.input_shape, "outputs": self.data.outputs}
        key |= {"network": self.provenance.network}
        key |= {"device": machine.device, "torch": machine.torch}
        return Ladder(self.graph, self.settings.growth, self.device, self.folder, key, goes_on)

    def _stream(self, purpose: str) -> torch.Generator:
        return stream(self.seed, purpose)

    # -- the run ------------------------------------------------------------------------------------

    def execute(self) -> RunRecord:
        """Run to the end, from the last checkpoint if there is one, and write ``run.json``.

        Returns:
            The record. Its status is ``done``, or ``refused`` with the method's reason.

        Raises:
            BenchError: The run failed; the record says so.
            StorageError: A file could not be read or written; the run can go on from its last checkpoint.
            Mismatch: There is a checkpoint that it does not go on from; nothing is changed.
        """
        try:
            resumed = self._resume()
            if not resumed and self.ladder.is_own:
                self._climb(goes_on=False)
            self._keep_options()
            follow(self.method, self.settings.options)
            if not resumed:
                self._train_seed()
            while self.progress.stage < len(self.ladder.rungs):
                self._stage()
        except Refused as refusal:
            return self._end(RunState.REFUSED, str(refusal))
        except (StorageError, Mismatch):
            raise  # says nothing of the run, which goes on from its last checkpoint
        except BenchError as error:
            self._failed(error)
            raise
        except OSError:
            raise  # of the disk, which is no failure of the run either
        except Exception as error:  # somebody's network may raise anything; what only ours did is a bug, shown as such
            if is_out_of_memory(error):
                smaller = "try a smaller train.batch_size, growth.sample or growth.memory"
                raise self._failed(BenchError(f"{self.device} ran out of memory: {smaller}")) from error
            theirs = place(error)
            failed = self._failed(BenchError(f"{cause(error)}{theirs}"))
            if not theirs:
                raise
            raise failed from error
        return self._end(RunState.DONE, None)

    def _failed(self, error: BenchError) -> BenchError:
        """Record that the run failed; the error, marked as recorded."""
        self._end(RunState.FAILED, str(error))
        error.recorded = True
        return error

    def _stage(self) -> None:
        """Grow, unless a checkpoint says that is done, then train and measure."""
        progress = self.progress
        if progress.growth is None and progress.stage > 0:
            self._grow()
            self._save()
        self._train(self._save)
        self._finish()
        self._keep_network()  # first: who goes on from the checkpoint does not come back to it
        self._save()

    def _train_seed(self) -> None:
        """The seed network: trained once for all methods, then read from its file."""
        name = f"{seed_identity(self.settings.options)}-{self.provenance.seed_key}"
        path, owner = self.folder.runs_dir / "seeds" / f"{name}.pt", Owner(name, self._of_seed())
        path.parent.mkdir(parents=True, exist_ok=True)
        if is_locked(path.with_suffix(".lock")):
            note("waiting for the seed network, which another process trains")
        with locked(path.with_suffix(".lock")):
            partial = path.with_suffix(".partial.pt")
            if self._restore(path, owner):
                self.callback.on_stage_end(self.progress.stages[0])
            else:
                if not self._restore(partial, owner):
                    self.progress.epochs = self.settings.train.seed_epochs
                self._train(lambda: self._save(partial, owner))
                self._finish()
                self._save(path, owner)
            for leftover in (partial, checkpoint.previous(partial), *path.parent.glob(f".{path.stem}.*{PARTIAL}")):
                leftover.unlink(missing_ok=True)
        first = self.progress.stages[0]  # whoever trained the seed may have climbed another ladder
        first.target_cost, first.costs = self.ladder.rungs[0], self.ladder.costs(self.graph)
        self._keep_network()
        self._save()

    def _of_seed(self) -> Provenance:
        """What made the seed network: the same for all methods."""
        sources = {option: self.provenance.sources[option] for option in ("backbone", "data")}
        return structs.replace(self.provenance, sources=sources, files={}, machine="")

    def _grow(self) -> None:
        settings, progress = self.settings, self.progress
        started = time.perf_counter()
        grown = self.grower.grow_to(
            self.ladder.rungs[progress.stage], self.sample, [self.optimizer], epochs=self._recipe()
        )
        record, plan = grown.record, grown.plan
        give_back_memory()
        if settings.growth.refresh_norm and not plan.restart:
            images = refresh_norm(
                self.model,
                self.data,
                settings.growth.refresh_norm,
                settings.train.batch_size,
                self._stream(f"norm {progress.stage}"),
            )
            record.flops += 2 * self._macs() * images
        record.seconds = time.perf_counter() - started
        progress.growth = record
        if not plan.restart:
            progress.gradient = diagnostics.gradients(self.graph, self.probe, grown.widths_before)
            progress.eval_seconds += time.perf_counter() - started - record.seconds
        progress.epochs = self._recipe() if plan.epochs is None else plan.epochs
        progress.cycles = plan.cycles
        if not plan.restart and progress.stage == len(self.ladder.rungs) - 1:
            progress.epochs += self._left_over()

    def _recipe(self) -> int:
        """Epochs that the recipe has for the stage at hand."""
        stage, recipe = self.progress.stage, self.settings.train
        return self.planned[stage - 1] if stage else recipe.seed_epochs

    def _left_over(self) -> int:
        """Epochs that triggers left in the grown stages before."""
        done = [s for s in self.progress.stages if s.growth is not None and not s.growth.restart]
        return max(0, sum(self.planned[s.stage - 1] - s.epochs for s in done))

    def _is_over(self) -> bool:
        """Whether a trigger ends the stage at hand: not the last, nor one that starts afresh."""
        progress, growth = self.progress, self.progress.growth
        if growth is None or growth.restart or progress.stage == len(self.ladder.rungs) - 1:
            return False
        if self.settings.train.when == RANK:
            found = diagnostics.ranks(self.graph, self.probe).values()
            progress.ranks.append(fmean(found) if found else 0.0)
            growth.flops += 2 * self._macs() * len(self.probe)
        return is_over(self.settings.train, progress.train_losses, progress.val_losses, progress.ranks)

    def _train(self, save: Callable[[], None]) -> None:
        progress, settings, data = self.progress, self.settings, self.data
        self.callback.on_stage_begin(progress.stage, len(self.ladder.rungs), progress.epochs, progress.epoch)
        before, saved = progress.train_seconds, time.monotonic()
        started = time.perf_counter()
        unpaid = 0.0

        def on_epoch(epoch: int, loss: float) -> bool:
            nonlocal saved, unpaid
            entered = time.perf_counter()
            val_loss = evaluate(self.model, data, data.validation, settings.run.precision).loss
            progress.epoch = epoch + 1
            progress.train_losses.append(loss)
            progress.val_losses.append(val_loss if isfinite(val_loss) else None)
            over = self._is_over()
            progress.eval_seconds += time.perf_counter() - entered
            self.callback.on_epoch_end(loss, val_loss)
            if over:
                progress.epochs = progress.epoch
            if time.monotonic() - saved >= settings.run.checkpoint_seconds and progress.epoch < progress.epochs:
                progress.train_seconds = before + entered - started - unpaid
                save()
                saved = time.monotonic()
            unpaid += time.perf_counter() - entered
            return over

        result = train(
            self.model,
            self.optimizer,
            data,
            settings.train,
            epochs=progress.epochs,
            seed=self._stream(f"stage {progress.stage}").initial_seed(),
            precision=settings.run.precision,
            start_epoch=progress.epoch,
            on_epoch=on_epoch,
            newborn=self._newborn_rates(),
            cycles=progress.cycles,
            between=self._warm_start,
        )
        progress.train_seconds = before + result.seconds

    def _warm_start(self, cycle: int) -> None:
        """Condition the network between two cycles of a stage."""
        self.grower.warm_start(self.progress.stage, cycle)

    def _newborn_rates(self) -> NewbornRates | None:
        """Learning rates of what was born since the seed, or since the network last started afresh."""
        progress, config = self.progress, self.settings.train
        if progress.growth is None or progress.growth.restart or (config.newborn_lr == 1 and not config.newborn_warmup):
            return None
        since = max((s.stage for s in progress.stages if s.growth is not None and s.growth.restart), default=0)
        widths = [s.widths for s in progress.stages if s.stage >= since] + [self.graph.widths()]
        groups = self.graph.groups.values()
        return NewbornRates(self.model, groups, widths, config.newborn_lr, config.newborn_warmup)

    def _finish(self) -> None:
        """Measure the stage and write its record."""
        progress, data, precision = self.progress, self.data, self.settings.run.precision
        started = time.perf_counter()
        validation = evaluate(self.model, data, data.validation, precision)
        test = evaluate(self.model, data, data.test, precision)
        training = evaluate(self.model, data, Part(self.probe.inputs, self.probe.targets), precision)
        fresh = self._stream(f"fresh {progress.stage}")
        found = diagnostics.diagnose(self.graph, self.probe, self._build, fresh, progress.gradient, training.accuracy)
        give_back_memory()
        if not (isfinite(validation.loss) and isfinite(test.loss)):
            raise TrainingDiverged(f"the loss on held-out data became {test.loss} in stage {progress.stage}")
        recipe = self._recipe()
        growth, evaluating = progress.growth, progress.eval_seconds + time.perf_counter() - started
        record = StageRecord(
            stage=progress.stage,
            target_cost=self.ladder.rungs[progress.stage],
            costs=self.ladder.costs(self.graph),
            widths=self.graph.widths(),
            epochs=progress.epochs,
            train_loss=progress.train_losses[-1] if progress.train_losses else None,
            val_accuracy=validation.accuracy,
            val_loss=validation.loss,
            test_accuracy=test.accuracy,
            test_loss=test.loss,
            seconds=Seconds(progress.train_seconds, growth.seconds if growth else 0.0, evaluating),
            flops=Flops(6 * self._macs() * progress.epochs * len(data.train), growth.flops if growth else 0.0),
            growth=growth,
            history=History(progress.train_losses, progress.val_losses),
            diagnostics=found,
        )
        self.progress = Progress(
            stage=progress.stage + 1,
            stages=[*progress.stages, record],
        )
        self.grower.history.append(Trained(self._macs(), progress.epochs, recipe))
        self.callback.on_stage_end(record)

    def _macs(self) -> float:
        return self.ladder.models["macs"].of(self.graph.widths())

    # -- on disk ------------------------------------------------------------------------------------

    def _owner(self) -> Owner:
        return Owner(self.folder.id, self.provenance)

    def _network(self) -> dict[str, Any]:
        return {
            **self.grower.state_dict(),
            "input_shape": list(self.data.input_shape),
            "input_dtype": str(self.data.input_dtype).removeprefix("torch."),
            "outputs": self.data.outputs,
            "dataset": to_builtins(self.data.record()),
            "raw_dtype": str(self.data.train.inputs.dtype).removeprefix("torch."),
        }

    def _keep_options(self) -> None:
        """Write down what the run was asked for, and the table behind its ladder."""
        options = OmegaConf.create(dict(self.settings.options))
        write_atomic(self.folder.config_path, OmegaConf.to_yaml(options))
        self.ladder.keep()

    def _keep_network(self) -> None:
        """Keep the network of the stage that has ended, unless it is the last, which the checkpoint has."""
        if self.settings.run.keep_stages and self.progress.stage < len(self.ladder.rungs):
            stage = self.progress.stages[-1]
            kept = {**self._network(), "record": plain(stage)}
            path = self.folder.stage_path(stage.stage)
            checkpoint.save(path, kept, self._owner())
            checkpoint.previous(path).unlink(missing_ok=True)  # of the same stage, before a kill

    def _save(self, path: Path | None = None, owner: Owner | None = None) -> None:
        state = {
            **self._network(),
            "optimizer": self.optimizer.state_dict(),
            "state": self.progress.state_dict(),
        }
        checkpoint.save(path or self.folder.checkpoint_path, state, owner or self._owner())
        if path is None:
            self.folder.write_stages(self.progress.stages)

    def _resume(self) -> bool:
        if not self._restore(self.folder.checkpoint_path, self._owner()):
            return False
        for record in self.progress.stages:
            self.callback.on_stage_end(record)
        return True

    def _restore(self, path: Path, owner: Owner) -> bool:
        """Go on from a checkpoint, if there is one that is the owner's.

        Raises:
            Mismatch: The run's own folder has one that is not, which of seed networks is set aside; or it does not fit
                the network.
        """
        found = checkpoint.load(path, locked=True)
        if found is None:
            return False
        if objection := owner.objection(found):
            if owner.id == self.folder.id and self.settings.run.rerun != "all":
                raise Mismatch(f"{path} {objection}; rerun=all starts again, another runs_dir keeps both")
            checkpoint.retire(path)
            return False
        try:
            progress = Progress.from_state_dict(found["state"])
            self.grower.load_state_dict(found)
        except BenchError as error:
            raise Mismatch(f"{path}: {error}") from None
        self.optimizer = make_optimizer(self.model, self.settings.train)
        self.optimizer.load_state_dict(found["optimizer"])
        self.progress = progress
        return True

    def _end(self, status: RunState, reason: str | None) -> RunRecord:
        settings = self.settings
        record = RunRecord(
            schema=SCHEMA,
            status=status,
            reason=reason,
            id=self.folder.id,
            method=settings.name("method"),
            backbone=settings.name("backbone"),
            data=settings.name("data"),
            seed=self.seed,
            config=dict(settings.options),
            environment=describe(self.device),
            stages=self.progress.stages,
            layers={name: group.kind for name, group in self.graph.groups.items()},
            uncounted=self.graph.uncounted,
            latency=self.ladder.table,
            provenance=self.provenance,
            dataset=self.data.record(),
        )
        self.folder.write_stages(record.stages)
        self.folder.write_record(record)
        self.callback.on_run_end(record)
        return record
