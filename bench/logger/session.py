"""A session with wandb that asks nothing, prints nothing and waits for nobody for long."""

from __future__ import annotations

import importlib
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.core.errors import require, require_choice
from bench.logger.guard import NotHere

MODES = ("offline", "online", "disabled")

PATIENCE = 10.0
"""Seconds that a server has to answer when a session begins."""

UPLOAD = 30.0
"""Seconds that uploading may take at the end; what is left stays on disk for ``wandb sync``."""

PAUSE = 600.0
"""Seconds for which this process does not try a server again that gave no session."""

QUIET = {
    "silent": True,
    "console": "off",
    "disable_code": True,
    "disable_git": True,
    "disable_job_creation": True,
    "save_code": False,
    "init_timeout": PATIENCE,
    "login_timeout": 1.0,
    "finish_timeout": UPLOAD,
    "summary_timeout": int(PATIENCE),
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_graphql_timeout_seconds": PATIENCE,
    "x_save_requirements": False,
    "x_service_wait": PATIENCE,
    "x_transaction_log_flush_interval": 1.0,  # what a killed run may lose
}
"""Settings of wandb, of which older versions lack some.

The record has the machine and the code's version; probing for them again takes time.
"""

_unreachable: dict[str, tuple[float, str]] = {}
"""By server: until when it is not tried again, and why."""


@dataclass(frozen=True)
class Config:
    """Where curves go.

    Attributes:
        project: Project of the runs.
        entity: User or team that owns the project; None for the account's own.
        group: Group of the runs; None for data set and backbone.
        tags: Tags of the runs.
        mode: offline, to be sent later by ``wandb sync``; online; or disabled.
        dir: Folder that gets wandb's folder ``wandb``; None for the run's own folder.
    """

    project: str = "growth-bench"
    entity: str | None = None
    group: str | None = None
    tags: list[str] = field(default_factory=list)
    mode: str = "offline"
    dir: str | None = None

    def __post_init__(self) -> None:
        require(bool(self.project), "logger.project", self.project, "a name")
        require_choice("logger.mode", self.mode, MODES)
        tags_ok = all(1 <= len(tag) <= 64 for tag in self.tags)
        require(tags_ok, "logger.tags", self.tags, "tags of 1 to 64 characters")


def begin(config: Config, folder: Path, /, **identity: Any) -> Any:
    """Begin a session.

    Args:
        config: Where it goes.
        folder: Where wandb's folder is made if the configuration names none.
        **identity: More arguments of ``wandb.init``: id, name, group, config ...

    Returns:
        The ``wandb.Run``.

    Raises:
        NotHere: wandb is not installed, or there is no account, or no answer from the server.
        Exception: wandb raises.
    """
    wandb = _load()
    kept = {name: value for name, value in QUIET.items() if name in wandb.Settings.model_fields}
    base = wandb.setup(settings=wandb.Settings(**kept)).settings  # as wandb's own state, so that it never asks
    server = str(base.base_url) if config.mode == "online" else ""
    _require_hope(server)
    place = Path(config.dir or folder)
    place.mkdir(parents=True, exist_ok=True)
    try:
        return wandb.init(
            project=config.project,
            entity=config.entity,
            tags=config.tags,
            mode=config.mode,
            dir=str(place),
            reinit="create_new",
            settings=wandb.Settings(**kept),
            **identity,
        )
    except Exception as error:
        if server:
            _unreachable[server] = (time.monotonic() + PAUSE, f"{server}: {error}")
            raise NotHere(_unreachable[server][1]) from error
        raise


def _load() -> Any:
    try:
        import wandb
    except ModuleNotFoundError as error:
        if error.name != "wandb":
            raise
        raise NotHere("wandb is not installed (pip install wandb)") from None
    # wandb 0.31 sends statistics of its use, for offline sessions too, and the process waits at
    # its end until the server has taken them.
    with suppress(ImportError, AttributeError):
        importlib.import_module("wandb.analytics.opentelemetry.opentelemetry_proxy").disable()
    return wandb


def _require_hope(server: str) -> None:
    """Raise `NotHere` if the server gave no session a short while ago."""
    until, why = _unreachable.get(server, (0.0, ""))
    if time.monotonic() < until:
        raise NotHere(why)
