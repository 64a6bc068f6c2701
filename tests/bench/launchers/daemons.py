"""A real Slurm of one node, and a real Ray of two, on this machine; in a folder of their own, and gone afterwards."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

SLURM = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")

CONFIGURATION = """
ClusterName=bench
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={controller}
SlurmdPort={node}
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
KillWait=2
SchedulerParameters=sched_interval=1,bf_interval=1
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=16000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def no_slurm() -> str:
    """Why Slurm cannot be run here; empty where it can."""
    if os.getuid():
        return "only root can run slurmd"
    missing = [name for name in SLURM if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)} (apt-get install slurm-wlm munge)" if missing else ""


def until(holds: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait until something holds; `AssertionError` where it does not."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s: {what}"
        time.sleep(0.1)


@contextmanager
def slurm() -> Iterator[dict[str, str]]:
    """A cluster of one node with two cores, without accounting; the environment for its commands."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slurm", ignore_cleanup_errors=True)))
        folder.chmod(0o755)
        (folder / "key").touch(0o600)
        (folder / "key").write_bytes(secrets.token_bytes(1024))
        controller, node = _free_ports(2)
        text = CONFIGURATION.format(host=socket.gethostname(), folder=folder, controller=controller, node=node)
        (folder / "slurm.conf").write_text(text)
        (folder / "state").mkdir()
        (folder / "spool").mkdir()
        variables = {"SLURM_CONF": str(folder / "slurm.conf")}
        files = [f"--{name}={folder}/munge.{name.partition('-')[0]}" for name in ("socket", "pid-file", "seed-file")]
        stack.enter_context(
            _daemon("munged", "-F", "--force", f"--key-file={folder}/key", *files, log=folder / "munged")
        )
        until((folder / "munge.socket").exists, "munged does not listen")
        for daemon in ("slurmctld", "slurmd"):
            stack.enter_context(_daemon(daemon, "-D", log=folder / daemon, variables=variables))
        ask = ["sinfo", "--noheader", "--format=%T"]
        environment = {**os.environ, **variables}
        until(
            lambda: subprocess.run(ask, env=environment, capture_output=True, text=True).stdout.strip() == "idle",
            f"the node is not idle: {(folder / 'slurmd').read_text()}",
        )
        yield variables
        subprocess.run(["scancel", "--me"], env=environment, check=False)


@contextmanager
def ray() -> Iterator[tuple[dict[str, str], Callable[[], None]]]:
    """A cluster of two nodes with a core each; the environment for its users, and what kills the second node."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True)))
        address = f"127.0.0.1:{_free_ports(1)[0]}"
        variables = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_ADDRESS": address}
        common = ["--block", "--node-ip-address=127.0.0.1", "--min-worker-port=0", "--max-worker-port=0"]
        common += ["--num-cpus=1", "--object-store-memory=80000000", "--disable-usage-stats"]
        head = ["--head", f"--port={address.partition(':')[2]}", f"--temp-dir={folder}", "--include-dashboard=false"]
        nodes = []
        for number, role in enumerate([head, [f"--address={address}"]]):
            log = folder / f"node{number}"
            command = [sys.executable, "-m", "ray.scripts.scripts", "start", *common, *role]
            nodes.append(stack.enter_context(_daemon(*command, log=log, variables=variables)))
            until(lambda log=log: "Ray runtime started" in log.read_text(), f"a node does not start: see {log}")
        yield variables, lambda: _kill(nodes[1])


@contextmanager
def _daemon(*command: str, log: Path, variables: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A process with a group of its own, which is killed in the end."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env={**os.environ, **(variables or {})}, start_new_session=True
        )
    try:
        yield process
    finally:
        _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens at, below those that the system gives away."""
    found = list[int]()
    with ExitStack() as stack:
        for port in range(6400 + os.getpid() % 1000, 10000):
            bound = stack.enter_context(socket.socket())
            with suppress(OSError):
                bound.bind(("", port))
                found.append(port)
            if len(found) == count:
                break
    return found
