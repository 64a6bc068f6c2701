"""Slurm by submitit: all jobs are waited for, and what became of them is asked of the queue.

submitit asks Slurm's accounting, which many clusters do not have, and then waits for a cancelled job for ever.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stderr
from functools import partial
from io import StringIO
from types import FrameType
from typing import Any

import submitit
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn
from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf, LocalQueueConf, SlurmQueueConf
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import BaseSubmititLauncher
from omegaconf import OmegaConf
from omegaconf.errors import ValidationError
from submitit.core.utils import FailedJobError, UncompletedJobError
from submitit.slurm.slurm import SlurmInfoWatcher, SlurmJob

from bench.core.errors import BenchError, require
from bench.core.output import notice
from bench.launchers import Job, Lost

ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"),
    *("REVOKED", "TIMEOUT", "FORGOTTEN"),
}
"""Slurm's states of a job that does not go on; it forgets an ended one after some minutes."""

MAY_HAVE_A_RESULT = {"COMPLETED", "FAILED", "FORGOTTEN"}
"""Of these the states in which its result may still be on its way through a shared file system."""

IN_TURN = {"None", "Priority", "Resources", "BeginTime", "Dependency", "Cleaning", "JobArrayTaskLimit"}
"""Slurm's reasons for a pending job that goes on by itself."""

LOOK = 30
"""Seconds between two looks at the queue at most."""


class Queue(SlurmInfoWatcher):
    """What ``squeue`` says of the jobs."""

    def __init__(self) -> None:
        super().__init__(delay_s=LOOK)
        self.states: dict[str, str] | None = None

    def update(self) -> None:
        """Ask for all jobs at once."""
        command = ["squeue", "--me", "--array", "--states=all", "--noheader", "--format=%i %T %r"]
        answer = subprocess.run(command, capture_output=True, text=True)
        self._last_status_check = time.time()
        if answer.returncode:
            self.states = None  # until it answers all are taken to go on
            notice(f"{answer.stderr.strip().partition(chr(10))[0]}; it is asked again until it answers")
        else:
            told = [line.split(maxsplit=2) for line in answer.stdout.splitlines()]
            self.states = {name: state for name, state, *_ in told}
            own = {name.partition("_")[0] for name in self._registered}
            for name, state, *reason in told:
                array = name.partition("_")[0]
                if array in own and state == "PENDING" and reason and reason[0] not in IN_TURN:
                    notice(f"job {array} waits in the queue ({reason[0]}); scontrol show job {array} tells why")

    def get_state(self, job_id: str, mode: str = "standard") -> str:
        """The state of a job; submitit's modes are standard, force and cache."""
        self.get_info(job_id, mode)  # looks, when it is time to
        return "UNKNOWN" if self.states is None else self.states.get(job_id, "FORGOTTEN")

    def is_done(self, job_id: str, mode: str = "standard") -> bool:
        """Whether a job does not go on."""
        return self.get_state(job_id, mode) in ENDED


class SubmititLauncher(BaseSubmititLauncher):
    """A launcher whose jobs are waited for one by one."""

    _SCHEMA: type[BaseQueueConf]

    def __init__(self, **options: Any) -> None:
        try:
            OmegaConf.merge(OmegaConf.structured(self._SCHEMA), options)
        except ValidationError as error:
            reason = str(error).partition("\n")[0]
            raise BenchError(f"hydra.launcher.{error.full_key}={options.get(str(error.full_key))}: {reason}") from None
        super().__init__(**options)

    def submit(self, runs: Sequence[Sequence[str]]) -> list[Job]:
        """Hand in runs, as one array of jobs.

        Raises:
            BenchError: The cluster does not take them.
        """
        common, own = set(OmegaConf.structured(BaseQueueConf)), dict(self.params)
        made = {f"{self._EXECUTOR}_{key}": own.pop(key) for key in ("max_num_timeout",) if key in own}
        executor = submitit.AutoExecutor(own.pop("submitit_folder"), cluster=self._EXECUTOR, **made)
        executor.update_parameters(**{k if k in common else f"{self._EXECUTOR}_{k}": v for k, v in own.items()})
        columns = zip(
            *((list(run), "hydra.sweep.dir", i, str(i), Singleton.get_state()) for i, run in enumerate(runs)),
            strict=True,
        )
        try:
            with redirect_stderr(StringIO()):  # sbatch's, which is in the error
                jobs = executor.map_array(self, *columns)
        except FailedJobError as error:  # what sbatch says
            raise BenchError(str(error).strip().replace("\n", "; ")) from None
        return [partial(_result, job) for job in jobs]

    def __call__(self, *arguments: Any) -> JobReturn:
        """In the job: do a run; when its time is over it ends at once, wherever it is, for its checkpoint is written.

        submitit's own way out is an exception, which a run could take for one of a plugin and be recorded as failed.
        """
        number = signal.Signals[f"SIG{submitit.JobEnvironment.USR_SIG}"]
        ask_for_more = signal.getsignal(number)
        assert callable(ask_for_more), "submitit's"

        def leave(number: int, frame: FrameType | None) -> None:
            status = 1
            try:
                ask_for_more(number, frame)
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else 1
            except Exception as error:  # as when Slurm, which queues the job again, ends the command that asked for it
                print(error, file=sys.stderr)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status & 0xFF)

        signal.signal(number, leave)
        result: JobReturn = super().__call__(*arguments)
        return result


class SlurmLauncher(SubmititLauncher):
    """``hydra/launcher=submitit_slurm``."""

    _EXECUTOR = "slurm"
    _SCHEMA = SlurmQueueConf

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        minutes, before = self.params["timeout_min"], self.params["signal_delay_s"]
        expected = f"more than hydra.launcher.signal_delay_s={before}, the seconds before its end when a run is stopped"
        require(60 * minutes > before, "hydra.launcher.timeout_min", minutes, expected)

    def submit(self, runs: Sequence[Sequence[str]]) -> list[Job]:
        """As an array; see `SubmititLauncher.submit`."""
        if not isinstance(SlurmJob.watcher, Queue):
            SlurmJob.watcher = Queue()
        return super().submit(runs)


class LocalLauncher(SubmititLauncher):
    """``hydra/launcher=submitit_local``."""

    _EXECUTOR = "local"
    _SCHEMA = LocalQueueConf


def _result(job: submitit.Job[JobReturn]) -> JobReturn:
    job.wait()
    try:
        if job.state in ENDED - MAY_HAVE_A_RESULT and not job.paths.result_pickle.exists():
            raise UncompletedJobError
        return job.results()[0]
    except UncompletedJobError:
        raise Lost(f"job {job.job_id} ended ({job.state.lower()}) before the run did: {job.paths.stderr}") from None
