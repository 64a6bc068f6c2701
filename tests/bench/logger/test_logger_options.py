"""Loggers are chosen by name, have typed options, load nothing before they are needed, and leave a run as it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from bench.core.errors import ConfigError
from bench.core.options import CONF
from bench.core.store import RunFolder
from bench.logger import log_report, loggers, make
from tests.bench.logger.logger_helpers import options
from tests.chaos import ROOT


@pytest.mark.parametrize("entry", [*loggers], ids=lambda e: e.name)
def test_defaults_stand_in_the_files(entry: Any) -> None:
    path = CONF / "logger" / f"{entry.name}.yaml"
    assert OmegaConf.to_container(OmegaConf.load(path)) == entry.defaults()
    assert entry.configure(entry.defaults()) == entry.config()


def test_every_file_has_its_logger() -> None:
    assert {path.stem for path in (CONF / "logger").glob("*.yaml")} == set(loggers.names())
    assert loggers.names() == ["none", "tensorboard", "wandb"]
    assert not loggers.broken()


@pytest.mark.parametrize(
    ("logger", "message"),
    [
        ({"name": "wandb", "mode": "maybe"}, "logger.mode=maybe: expected one of offline, online, disabled"),
        ({"name": "wandb", "project": ""}, "logger.project=: expected a name"),
        ({"name": "wandb", "tags": ["", "a"]}, "logger.tags="),
        ({"name": "wandb", "tags": 3}, "logger.tags=3: expected a list of texts, as in [a,b]"),
        ({"name": "wandb", "team": "us"}, "logger.team=us: expected one of dir, entity, group, mode, project, tags"),
        ({"name": "none", "mode": "online"}, "logger.mode=online: expected one of no options"),
        ({"name": "wandbb"}, "logger=wandbb: expected one of none, tensorboard, wandb (did you mean wandb?)"),
    ],
)
def test_bad_options_are_one_line(logger: dict[str, Any], message: str, tmp_path: Path) -> None:
    chosen = {**options(tmp_path), "logger": logger}
    for attempt in (lambda: make(chosen, RunFolder(tmp_path, chosen)), lambda: log_report(tmp_path, chosen)):
        with pytest.raises(ConfigError) as caught:
            attempt()
        assert str(caught.value).startswith(message)
        assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_none_and_disabled_tell_nobody(tmp_path: Path) -> None:
    for overrides in (["logger=none"], ["logger=wandb", "logger.mode=disabled"]):
        chosen = options(tmp_path, *overrides)
        assert make(chosen, RunFolder(tmp_path, chosen)) == []
        assert not log_report(tmp_path, chosen)


def test_a_logger_does_not_change_a_runs_identity(tmp_path: Path) -> None:
    choices = (["logger=none"], ["logger=tensorboard"], ["logger=wandb", "logger.tags=[a,b]", "logger.group=mine"])
    assert len({RunFolder(tmp_path, options(tmp_path, *overrides)).id for overrides in choices}) == 1


def test_nothing_is_loaded_or_written_before_there_is_something_to_tell(tmp_path: Path) -> None:
    chosen = json.dumps(options(tmp_path, "logger=wandb"))
    script = f"""
import json, sys
from bench.logger import loggers, make
from bench.core.store import RunFolder
options = json.loads({chosen!r})
for name in loggers.names():
    for guard in make({{**options, "logger": {{"name": name}}}}, RunFolder({str(tmp_path)!r}, options)):
        with guard:
            pass
print([name for name in ("torch", "wandb", "tensorboard") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert not list(tmp_path.iterdir())
