"""Runs on disk: one folder per run, named by the hash of what determines its numbers.

In a run's folder: ``config.yaml``; ``stages.jsonl``, one line per finished stage; ``checkpoint.pt``; ``stage-N.pt``,
the network of an earlier stage; and ``run.json``, written last, which marks the run as ended. Files are replaced
atomically. Trained seed networks are kept in ``seeds/`` beside the runs, shared by all methods.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from glob import escape
from pathlib import Path

from msgspec import Struct

from bench.core.defaults import name_now
from bench.core.errors import one_line
from bench.core.files import PARTIAL, is_locked, read_file, set_aside, write_atomic
from bench.core.identity import identity
from bench.core.options import Options
from bench.core.record import (
    Plain,
    RunRecord,
    RunState,
    Seconds,
    StageRecord,
    Unreadable,
    check_options,
    decode,
    plain,
    read,
    written,
)

RECORD = "run.json"

MOST_CONFIG = 2**16
"""Bytes of a ``config.yaml``."""

MOST_NAME = 64
"""Bytes of a data set's, a backbone's or a method's name in that of a folder; of a longer one, as a path, the end."""


@dataclass(frozen=True)
class Standing:
    """Where a run stands.

    Attributes:
        state: In one word.
        reason: Why it is not done.
        record: Its record, if it has ended.
    """

    state: RunState
    reason: str = ""
    record: RunRecord | None = None

    def is_due(self, rerun: str) -> bool:
        """Whether the run is to be done under ``rerun`` (none, failed or all)."""
        return self.record is None or rerun == "all" or (rerun == "failed" and self.state is RunState.FAILED)


class RunFolder:
    """One run's folder.

    Args:
        runs_dir: Where runs are kept.
        options: The run's resolved options.
        without: Options of growth that its method makes no use of (`bench.core.identity.identity`).
    """

    def __init__(self, runs_dir: str | Path, options: Options, without: Sequence[str] = ()) -> None:
        self.id = identity(options, without)
        names = [_short(re.sub(r"[^\w.-]", "_", options[group]["name"])) for group in ("data", "backbone", "method")]
        self.runs_dir = Path(runs_dir)
        self.path = self.runs_dir / f"{'-'.join(names)}-seed{options['seed']}-{self.id}"

    def made_before(self) -> Iterator[RunFolder]:
        """Folders of ended runs that would be called as this one had they been made today.

        They lack options that were added since, which have the defaults now.
        """
        for path in sorted(self.runs_dir.glob(f"{escape(self.path.name.removesuffix(self.id))}*/{RECORD}")):
            with suppress(OSError):
                if _name_now(path, path.stat().st_mtime_ns) == self.id:
                    folder = RunFolder.at(path.parent)
                    folder.id = self.id
                    yield folder

    @classmethod
    def at(cls, path: Path) -> RunFolder:
        """A folder as it lies there, whatever its name; its ``id`` is not known yet."""
        made = cls.__new__(cls)
        made.id, made.runs_dir, made.path = "", path.parent, path
        return made

    def absolute(self) -> RunFolder:
        """The same folder, wherever the process goes meanwhile."""
        made = RunFolder.at(self.path.absolute())
        made.id = self.id
        return made

    @property
    def config_path(self) -> Path:
        """``config.yaml``."""
        return self.path / "config.yaml"

    @property
    def record_path(self) -> Path:
        """``run.json``."""
        return self.path / RECORD

    @property
    def checkpoint_path(self) -> Path:
        """``checkpoint.pt``."""
        return self.path / "checkpoint.pt"

    def stage_path(self, stage: int) -> Path:
        """``stage-N.pt``: the network of an earlier stage, as it was measured."""
        return self.path / f"stage-{stage}.pt"

    @property
    def latency_path(self) -> Path:
        """The table behind the run's ladder, where that is of latency."""
        return self.path / "latency.json"

    @property
    def stages_path(self) -> Path:
        """``stages.jsonl``."""
        return self.path / "stages.jsonl"

    @property
    def lock_path(self) -> Path:
        """The lock that one process at a time holds."""
        return self.path / ".lock"

    def standing(self) -> Standing:
        """Where the run stands now."""
        try:
            record = read(read_file(self.record_path))
            if self.id not in ("", record.id) and self.id != name_now(record.config, record.id):
                raise Unreadable(f"id {record.id}: the record of another run")
        except FileNotFoundError:
            return self._unended()
        except OSError as error:
            return Standing(RunState.UNREADABLE, f"{self.record_path.name}: {error.strerror}")
        except Unreadable as error:
            return Standing(RunState.UNREADABLE, str(error))
        return Standing(record.status, record.reason or "", record)

    def record(self) -> RunRecord | None:
        """The run's record if it has ended; a damaged one counts as none."""
        return self.standing().record

    def _unended(self) -> Standing:
        if not self.path.exists():
            return Standing(RunState.MISSING, "not begun")
        done = f"stages done: {_lines(self.stages_path)}"
        return Standing(RunState.RUNNING, done) if self.is_busy() else Standing(RunState.INTERRUPTED, done)

    def is_busy(self) -> bool:
        """Whether another process is at the run now."""
        return is_locked(self.lock_path)

    def seconds(self) -> list[Seconds]:
        """What each stage took that is done, whether or not the run has ended; none where that cannot be read."""
        try:
            return [decode(line, _Timed).seconds for line in read_file(self.stages_path).splitlines()]
        except (OSError, Unreadable):
            return []

    def write_stages(self, stages: Sequence[StageRecord]) -> None:
        """Replace ``stages.jsonl``."""
        write_atomic(self.stages_path, "".join(json.dumps(plain(one), allow_nan=False) + "\n" for one in stages))

    def write_record(self, record: RunRecord) -> None:
        """Write ``run.json`` with its checksum: the run has ended."""
        write_atomic(self.record_path, written(record))

    def tidy(self) -> None:
        """Set a damaged record aside and remove what a killed writer left. The lock must be held."""
        if self.record_path.exists() and self.record() is None:
            set_aside(self.record_path)
        for partial in self.path.glob(f".*{PARTIAL}"):
            partial.unlink(missing_ok=True)

    def networks(self) -> list[Path]:
        """Checkpoints and networks of stages."""
        return [*self.path.glob("checkpoint*.pt"), *self.path.glob("stage-*.pt")]

    def forget(self) -> None:
        """Drop what an earlier attempt left."""
        for path in (self.record_path, self.stages_path, self.latency_path, *self.networks()):
            path.unlink(missing_ok=True)


def read_config(path: Path) -> Plain:
    """The resolved options in a ``config.yaml``, as plain data: nothing in it is looked up or run.

    Raises:
        Unreadable: It is not one of ours.
        OSError: It cannot be read.
    """
    import yaml
    from omegaconf import OmegaConf  # rarely needed, and slow to import

    try:
        text = read_file(path, MOST_CONFIG).decode()
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise ValueError("it has aliases, which no run writes: a few of them can stand for gigabytes")
        loaded = OmegaConf.to_container(OmegaConf.create(text))
    except OSError:
        raise
    except Exception as error:  # whatever a damaged YAML file raises, RecursionError among it
        raise Unreadable(f"config.yaml: {one_line(error)}") from error
    return check_options(loaded)


def _short(name: str) -> str:
    return name.encode()[-MOST_NAME:].decode(errors="ignore")


@cache
def _name_now(record: Path, _: int) -> str:
    """What the run of a record would be called today, by when the record was written; empty for one that is none."""
    try:
        found = decode(read_file(record), _Named)
        return name_now(check_options(found.config), found.id)
    except (OSError, Unreadable):
        return ""


class _Named(Struct):
    id: str
    config: Plain


class _Timed(Struct):
    seconds: Seconds


def _lines(path: Path) -> int:
    try:
        return read_file(path).count(b"\n")
    except OSError:
        return 0
