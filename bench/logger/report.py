"""A report's figures and its page, sent where its runs were logged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.core.options import Options
from bench.logger.base import loggers
from bench.logger.guard import reason, say
from bench.logger.session import Config, begin


def log_report(folder: str | Path, options: Options) -> bool:
    """Log a report's figures as images, its page as HTML, and all its files as an artifact.

    Does nothing unless ``logger=wandb``. What fails is said in one line on standard error; nothing is raised.

    Args:
        folder: The report's folder.
        options: The resolved configuration, with ``logger`` and ``runs_dir``; wandb's files go to
            ``runs_dir/.report`` unless ``logger.dir`` names a place, so none come into the report's folder.

    Returns:
        Whether it was logged.

    Raises:
        ConfigError: The logger's name or an option is unknown, or a value cannot work.
    """
    chosen = options.get("logger", {"name": "none"})
    entry = loggers[str(chosen.get("name"))]
    config = entry.configure(chosen)
    if not isinstance(config, Config) or config.mode == "disabled":
        return False
    try:
        _send(Path(folder), Path(options.get("runs_dir", "results/runs")) / ".report", config)
    except Exception as error:  # the report is on disk, which is what counts
        say(f"logger={entry.name}: {reason(error)}; the report is in {folder} alone")
        return False
    return True


def _send(folder: Path, place: Path, config: Config) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    session = begin(config, place, name=f"report {folder.name}", group=config.group, job_type="report")
    try:
        import wandb

        media: dict[str, Any] = {}
        for path in files:
            name = f"report/{path.relative_to(folder).as_posix()}"
            if path.suffix == ".png":
                media[name] = wandb.Image(str(path))
            elif path.suffix == ".html" or (path.suffix == ".svg" and not path.with_suffix(".png").exists()):
                media[name] = wandb.Html(path.read_text(encoding="utf-8"), inject=False)
        if media:
            session.log(media)
        artifact = wandb.Artifact(f"report-{_plain(folder.name)}", type="report")
        for path in files:
            artifact.add_file(str(path), path.relative_to(folder).as_posix())
        session.log_artifact(artifact)
    finally:
        session.finish()


def _plain(name: str) -> str:
    """A name that an artifact may have."""
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name) or "report"
