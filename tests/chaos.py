"""Break sweeps on purpose and see that nothing is lost: kills, Ctrl-C, damaged files, a full disk. And time them.

    python tests/chaos.py --kills 20 --workers 2             everything, a few minutes
    python tests/chaos.py --only kills --seed 7 --keep DIR   the one kind, other instants, folders kept
    python tests/chaos.py --speed                            two workers against one, and seconds to the first step

After each disturbance the same command is typed again. In the end every record must equal, but for times, that of a
sweep that nothing disturbed; no cell is missing or there twice; nothing half-written lies about; and once more the same
command does nothing and changes nothing on disk.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
GRID = ("method=net2net,s2d,static", "seed=0,1,2")
RECIPE = ("growth.stages=2", "growth.sample=128", "threads=1", "checkpoint_seconds=0")
SILENT = ("device", "threads", "runs_dir", "rerun", "checkpoint_seconds", "logger")
GO_ON = "the same command goes on"


class Broken(AssertionError):
    """A promise is not kept."""


def check(holds: bool, message: str) -> None:
    """Raise `Broken` unless ``holds``."""
    if not holds:
        raise Broken(message)


@dataclass(frozen=True)
class Sweep:
    """One sweep in one folder, as a user types it.

    Attributes:
        folder: Its ``runs_dir``.
        epochs: Length of a stage, which sets how long it all takes.
        workers: joblib's; 0 for no launcher.
        grid: Its methods and seeds.
        extra: More overrides; they replace earlier ones.
    """

    folder: Path
    epochs: int = 10
    workers: int = 2
    grid: tuple[str, ...] = GRID
    extra: tuple[str, ...] = ()

    @property
    def command(self) -> list[str]:
        """The command line."""
        launcher = ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={self.workers}"] if self.workers else []
        recipe = [*RECIPE, f"train.epochs={self.epochs}", f"train.seed_epochs={self.epochs}"]
        return [
            sys.executable,
            "-m",
            "bench",
            "-m",
            *self.grid,
            *recipe,
            f"runs_dir={self.folder}",
            *launcher,
            *self.extra,
        ]

    def start(self, limit: int | None = None) -> subprocess.Popen[str]:
        """Begin in a process group of its own; no file may grow beyond ``limit`` bytes."""
        lines = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, lines)), "OMP_NUM_THREADS": "1"}

        def before() -> None:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs are deaf to Ctrl-C
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        out = subprocess.PIPE
        return subprocess.Popen(
            self.command, env=environment, stdout=out, stderr=out, text=True, start_new_session=True, preexec_fn=before
        )

    def run(self, limit: int | None = None, seconds: float = 300) -> Ended:
        """Wait for its end."""
        process = self.start(limit)
        try:
            out, error = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            kill_group(process)
            raise Broken(f"not done after {seconds:.0f} s: {' '.join(self.command)}") from None
        return Ended(process.returncode, out, error)

    def complete(self) -> Ended:
        """Run to the end, without any failure."""
        ended = self.run()
        check(ended.status == 0, f"exit status {ended.status}: {ended.error}")
        return ended

    def records(self) -> dict[str, Any]:
        """What was measured, by run: records without times and without what says where they were made."""
        return {path.parent.name: measured(json.loads(path.read_text())) for path in self.folder.glob("*/run.json")}

    def began_after(self, moment: float) -> bool:
        """Whether a worker has begun or taken up a run since this time."""
        return any(path.stat().st_mtime > moment for path in self.folder.glob("*/config.yaml"))

    def listing(self) -> dict[str, tuple[int, int]]:
        """Every file and folder with its size and time of change."""
        paths = [self.folder, *self.folder.rglob("*")]
        return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in paths}


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit status and what it printed."""

    status: int
    out: str
    error: str


def measured(record: dict[str, Any]) -> dict[str, Any]:
    """A record without its times, checksum and environment."""
    for stage in record["stages"]:
        del stage["seconds"]
        if stage["growth"]:
            del stage["growth"]["seconds"]
    config = {key: value for key, value in record["config"].items() if key not in SILENT}
    return {key: value for key, value in record.items() if key not in ("environment", "sha256")} | {"config": config}


def kill_group(process: subprocess.Popen[str]) -> None:
    """``kill -9`` of a command and all its workers, and wait until they are gone."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    while members(process.pid):
        time.sleep(0.01)


def members(group: int) -> list[int]:
    """Living processes of a process group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError):
            state, _, number = path.read_text().rpartition(")")[2].split()[:3]
            if int(number) == group and state != "Z":
                found.append(int(path.parent.name))
    return found


def verify(sweep: Sweep, expected: dict[str, Any]) -> None:
    """Everything that must hold of a sweep that was disturbed and then completed.

    Raises:
        Broken: It does not.
    """
    found = sweep.records()
    check(set(found) == set(expected), f"cells lost or doubled: {sorted(set(found) ^ set(expected))}")
    for name, record in found.items():
        check(record == expected[name], f"{name}: other numbers than undisturbed")
    folders = {path.name for path in sweep.folder.iterdir() if path.is_dir()} - {"seeds", ".sweep"}
    check(folders == set(expected), f"foreign folders: {folders - set(expected)}")
    left = [str(path) for path in sweep.folder.rglob("*partial*")]
    check(not left, f"leftovers: {left}")
    before = sweep.listing()
    ended = sweep.complete()
    check(f"{len(expected)} ended already, 0 to do" in ended.out, f"done again: {ended.out}")
    check(sweep.listing() == before, "a rerun that had nothing to do changed files")


def damaged(sweep: Sweep) -> list[Path]:
    """Files that were set aside."""
    return list(sweep.folder.rglob("*.damaged-*"))


@dataclass
class Chaos:
    """The disturbances, each a method that returns a line for the summary.

    Attributes:
        folder: Everything happens in here.
        epochs: Length of a stage.
        workers: joblib's.
        seed: Of all random choices.
        grid: Methods and seeds.
    """

    folder: Path
    epochs: int = 10
    workers: int = 2
    seed: int = 0
    grid: tuple[str, ...] = GRID
    expected: dict[str, Any] = field(default_factory=dict)
    first_file: float = 0.0
    working: float = 0.0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def sweep(self, name: str, workers: int | None = None) -> Sweep:
        """A sweep in its own folder."""
        return Sweep(self.folder / name, self.epochs, self.workers if workers is None else workers, self.grid)

    def undisturbed(self) -> str:
        """The sweep that the others are compared with."""
        sweep = self.sweep("undisturbed")
        started = time.monotonic()
        process = sweep.start()
        wait_for(lambda: any(sweep.folder.glob("*/config.yaml")), process)
        self.first_file = time.monotonic() - started
        _, error = process.communicate()
        self.working = time.monotonic() - started - self.first_file
        check(process.returncode == 0, error)
        self.expected = sweep.records()
        verify(sweep, self.expected)
        return f"{len(self.expected)} cells in {self.first_file:.1f} s to start and {self.working:.1f} s of work"

    def kills(self, number: int) -> str:
        """``kill -9`` at random instants; a sweep that gets done in spite of that makes room for another."""
        sweeps: list[Sweep] = []
        reached: list[int] = []
        while len(reached) < number:
            if not sweeps or len(sweeps[-1].records()) == len(self.expected):
                sweeps.append(self.sweep(f"killed-{len(sweeps)}"))
            process = sweeps[-1].start()
            if self.random.random() < 0.8:
                wait_for(partial(sweeps[-1].began_after, time.time()), process)
                delay = self.random.uniform(0, 3 * self.working / number)
            else:
                delay = self.random.uniform(0, self.first_file)
            with suppress(subprocess.TimeoutExpired):
                process.wait(delay)
            alive = process.poll() is None
            kill_group(process)
            if alive:  # otherwise it was done before its end came
                reached.append(len(sweeps[-1].records()))
        for sweep in sweeps:
            sweep.complete()
            check(not damaged(sweep), f"a kill left damaged files: {damaged(sweep)}")
            verify(sweep, self.expected)
        cells = " ".join(map(str, reached))
        return f"{number} kills over {len(sweeps)} sweeps; cells done after each: {cells}"

    def orphans(self) -> str:
        """``kill -9`` of the command alone, or of one worker, while the others live."""
        lines = []
        for victim in ("command", "worker"):
            sweep = self.sweep(f"orphans-{victim}")
            process = sweep.start()
            wait_for(lambda sweep=sweep: any(sweep.folder.glob("*/checkpoint.pt")), process)
            time.sleep(self.random.uniform(0, self.working / 3))
            others = [pid for pid in members(process.pid) if pid != process.pid and is_worker(pid)]
            os.kill(process.pid if victim == "command" else self.random.choice(others), signal.SIGKILL)
            if victim == "worker":
                _, error = process.communicate(timeout=60)
                check(process.returncode != 0, "a worker was killed and the sweep says nothing")
                one_line(error)
            began = time.monotonic()
            sweep.complete()
            kill_group(process)
            verify(sweep, self.expected)
            lines.append(f"{victim}: the rest took {time.monotonic() - began:.0f} s")
        return "; ".join(lines)

    def interrupts(self, workers: Sequence[int] = (0, 2)) -> str:
        """Ctrl-C, with and without workers: it stops, says how to go on, and goes on."""
        waits = []
        for number in workers:
            sweep = self.sweep(f"interrupted-{number}", number)
            process = sweep.start()
            wait_for(lambda sweep=sweep: any(sweep.folder.glob("*/checkpoint.pt")), process)
            time.sleep(self.random.uniform(0, self.working / 4))
            os.killpg(process.pid, signal.SIGINT)
            began = time.monotonic()
            try:
                _, error = process.communicate(timeout=30)
            finally:
                kill_group(process)
            waits.append(time.monotonic() - began)
            check(process.returncode not in (0, -signal.SIGINT), f"exit status {process.returncode}: {error}")
            check(GO_ON in error, f"Ctrl-C does not say how to go on: {error}")
            one_line(error)
            sweep.complete()
            check(not damaged(sweep), f"Ctrl-C left damaged files: {damaged(sweep)}")
            verify(sweep, self.expected)
        return f"stopped within {max(waits):.1f} s, went on to the same numbers"

    def damages(self, rounds: int, workers: int = 0) -> str:
        """Files cut short or altered: each round one of every kind, in different runs, ended and unfinished."""
        sweep = self.sweep("damaged", workers)
        shutil.copytree(self.folder / "undisturbed", sweep.folder)
        total = aside = 0
        for _ in range(rounds):
            files = self._victims(sweep)
            how = [self._damage(path) for path in files]
            before = set(damaged(sweep))
            ended = sweep.run()
            check(ended.status == 0, f"{how}: {ended.error}")
            one_line(ended.error)
            found = sweep.records()
            wrong = [name for name in self.expected if found.get(name) != self.expected[name]]
            check(not wrong, f"{how}: other numbers in {wrong}")
            new = set(damaged(sweep)) - before
            if all("cut" in done for done in how if done.startswith("seeds/")):
                check(any(one.parent.name == "seeds" for one in new), "a damaged seed network was not set aside")
            for path, done in zip(files, how, strict=True):
                certain = "cut" in done and path.suffix in (".json", ".pt") and path.parent.name != "seeds"
                if path.name == "checkpoint.previous.pt":  # read only where the last one is damaged
                    certain &= any(one.name.startswith("checkpoint.pt") for one in new if one.parent == path.parent)
                check(not certain or any(one.name.startswith(path.name) for one in new), f"{done}: not set aside")
            total, aside = total + len(files), aside + len(new)
        verify(sweep, self.expected)
        return f"{total} files; {aside} set aside, the others written anew or altered where nothing is read"

    def _victims(self, sweep: Sweep) -> list[Path]:
        """Files of every kind, in runs whose state is such that they are read."""
        folders = sorted(path.parent for path in sweep.folder.glob("*/run.json"))
        self.random.shuffle(folders)
        ended, half, lost, gone = folders[:4]
        for folder in (half, lost):
            (folder / "run.json").unlink()
        shutil.rmtree(gone)  # its seed network is read again, so it is damaged too
        return [
            ended / "run.json",
            ended / "stages.jsonl",
            half / "checkpoint.pt",
            half / "stages.jsonl",
            half / "config.yaml",
            lost / "checkpoint.pt",
            lost / "checkpoint.previous.pt",
            *sweep.folder.glob("seeds/*.pt"),
        ]

    def _damage(self, path: Path) -> str:
        """Cut a file short, alter one byte of it, or write zeros over a block."""
        content = bytearray(path.read_bytes())
        place = self.random.randrange(len(content))
        how = self.random.choice(["cut", "byte", "zeros"])
        if how == "cut":
            del content[place:]
        elif how == "byte":
            content[place] ^= self.random.randrange(1, 256)
        else:
            content[place : place + 4096] = bytes(len(content[place : place + 4096]))
        path.write_bytes(content)
        return f"{path.parent.name}/{path.name}: {how} at {place}"

    def full_disk(self, rooms: Sequence[int]) -> str:
        """A disk with so many KiB left: one line, nothing lost, and later the rest."""
        kinds = set()
        for room in rooms:
            with small_disk(self.folder / f"disk-{room}", room) as disk:
                sweep = Sweep(disk.folder / "runs", self.epochs, self.workers, self.grid)
                ended = sweep.run(disk.limit)
                check(ended.status != 0, f"{room} KiB: exit status 0 on a full disk")
                check("cannot write" in ended.error, f"{room} KiB: {ended.error or 'no word of the full disk'}")
                one_line(ended.error)
                done = sweep.records()
                disk.enlarge()
                sweep.complete()
                check(not damaged(sweep), f"a full disk left damaged files: {damaged(sweep)}")
                check(set(done) <= set(sweep.records()), "a record was lost")
                verify(sweep, self.expected)
                kinds.add(disk.kind)
        return f"{len(rooms)} times, with {', '.join(map(str, rooms))} KiB left ({', '.join(sorted(kinds))})"


def is_worker(pid: int) -> bool:
    """Whether a process is a loky worker, not its resource tracker."""
    with suppress(OSError):
        return b"popen_loky" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def one_line(error: str) -> None:
    """No traceback, whatever happens."""
    check("Traceback" not in error, f"a traceback instead of a line: {error}")


def wait_for(happened: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 60) -> None:
    """Wait until something has happened, while the command lives."""
    end = time.monotonic() + seconds
    while not happened():
        check(process.poll() is None, f"ended too early: {process.returncode}")
        check(time.monotonic() < end, f"nothing happened within {seconds:.0f} s")
        time.sleep(0.005)


@dataclass
class Disk:
    """A place with little room: a mounted file system of its own, or a limit on the size of files."""

    folder: Path
    limit: int | None
    kind: str

    def enlarge(self) -> None:
        """Make room."""
        if self.limit is None:
            subprocess.run(["mount", "-o", "remount,size=256m", str(self.folder)], check=True)


@contextmanager
def small_disk(folder: Path, kib: int) -> Iterator[Disk]:
    """A disk of this size. Without the right to mount one, no file may be larger than a tenth of it."""
    folder.mkdir(parents=True)
    size = max(kib, 4)  # tmpfs takes 0 for no limit
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    try:
        yield Disk(folder, None, "tmpfs") if mounted else Disk(folder, 1024 * kib // 10, "RLIMIT_FSIZE")
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


def speed(folder: Path, repeats: int, epochs: int) -> None:
    """Runs per hour of two workers against one with one thread, and seconds to the first training step; medians.

    Meaningful on a machine that does nothing else: the load at the start is printed.
    """
    print(f"load {os.getloadavg()[0]:.2f}, {os.cpu_count()} cores, medians of {repeats}", flush=True)
    walls: dict[int, list[float]] = {0: [], 2: []}
    starts = []
    for repeat in range(repeats):
        for workers, found in walls.items():
            began = time.monotonic()
            long = ("checkpoint_seconds=30", "seed=range(8)")  # enough runs that starting the workers is little
            sweep = Sweep(folder / f"speed-{repeat}-{workers}", epochs, workers, extra=long)
            sweep.complete()
            found.append(time.monotonic() - began)
            print(f"  {workers or 1} worker(s): {found[-1]:.1f} s, load {os.getloadavg()[0]:.2f}", flush=True)
        first = Sweep(folder / f"start-{repeat}", epochs, 0)
        began = time.monotonic()
        process = first.start()
        wait_for(lambda first=first: any(first.folder.glob("seeds/*.partial.pt")), process)
        starts.append(time.monotonic() - began)
        kill_group(process)
    cells = len(sweep.records())
    one, two = median(walls[0]), median(walls[2])
    print(f"one worker   {3600 * cells / one:7.0f} runs per hour ({one:.1f} s)")
    print(f"two workers  {3600 * cells / two:7.0f} runs per hour ({two:.1f} s): {one / two:.2f} times")
    print(f"first epoch and its checkpoint {median(starts):.1f} s after the command")


def main(arguments: Sequence[str] | None = None) -> None:
    """Carry out what the command line asks for; exit status 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=20, help="how many")
    parser.add_argument("--workers", type=int, default=2, help="joblib's")
    parser.add_argument("--damages", type=int, default=3, help="of each kind")
    parser.add_argument("--rooms", type=int, nargs="*", default=[0, 40, 100, 200, 400], help="KiB left on the disk")
    parser.add_argument("--epochs", type=int, default=30, help="length of a stage")
    parser.add_argument("--seed", type=int, default=0, help="of all random choices")
    parser.add_argument("--keep", type=Path, help="an empty folder for the runs, which are kept")
    kinds = ["kills", "orphans", "interrupts", "damages", "disk"]
    parser.add_argument("--only", choices=kinds, nargs="*", default=kinds, help="kinds of disturbance")
    parser.add_argument("--speed", action="store_true", help="measure instead")
    parser.add_argument("--repeats", type=int, default=3, help="of --speed")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="chaos-") as temporary:
        folder = (chosen.keep or Path(temporary)).resolve()
        if chosen.speed:
            speed(folder, chosen.repeats, chosen.epochs)
            return
        chaos = Chaos(folder, chosen.epochs, chosen.workers, chosen.seed)
        steps: dict[str, Callable[[], str]] = {
            "kills": lambda: chaos.kills(chosen.kills),
            "orphans": chaos.orphans,
            "interrupts": chaos.interrupts,
            "damages": lambda: chaos.damages(chosen.damages),
            "disk": lambda: chaos.full_disk(chosen.rooms),
        }
        print(f"{'undisturbed':12} {chaos.undisturbed()}", flush=True)
        broken = 0
        for name in chosen.only:
            began = time.monotonic()
            try:
                said = steps[name]()
            except Broken as problem:
                said, broken = f"BROKEN: {problem}", broken + 1
            print(f"{name:12} {said} [{time.monotonic() - began:.0f} s]", flush=True)
    sys.exit(f"{broken} promises broken" if broken else 0)


if __name__ == "__main__":
    main()
