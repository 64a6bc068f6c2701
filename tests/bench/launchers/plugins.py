"""Which launchers' plugins are installed."""

from __future__ import annotations

from importlib.util import find_spec

PLUGINS = {
    "joblib": "hydra_joblib_launcher",
    "submitit_local": "hydra_submitit_launcher",
    "ray": "hydra_ray_launcher",
}


def installed(launcher: str) -> bool:
    """Whether a launcher's plugin is there."""
    try:
        return find_spec(f"hydra_plugins.{PLUGINS[launcher]}") is not None
    except ModuleNotFoundError:
        return False
