"""The command line: Hydra's configuration, plugins without YAML, and errors as single lines.

python -m bench method=s3d
python -m bench method=s2d data=mnist backbone=lenet seed=3
python -m bench -m method=net2net,s2d,fast_s2d,s3d seed=0,1,2
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bench.errors import BenchError

ROOT = Path(__file__).resolve().parent.parent
CONF = ROOT / "conf"


def application(task: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
    """A Hydra command from a task on the resolved configuration.

    A user's mistake ends with one line on standard error and exit status 1. What is a bug of ours keeps its traceback.
    """

    @hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
    def command(config: DictConfig) -> None:
        options = OmegaConf.to_container(config, resolve=True)
        assert isinstance(options, dict)
        task({str(key): value for key, value in options.items()})

    def run() -> None:
        os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come here instead of being printed by Hydra
        try:
            offer_plugins()
            command()
        except KeyboardInterrupt:
            sys.exit("stopped; the same command goes on from the last checkpoint")
        except BenchError as error:
            sys.exit(f"error: {error}")
        except (HydraException, OmegaConfBaseException) as error:
            sys.exit(f"error: {one_line(error)}")

    return run


def offer_plugins() -> None:
    """Give Hydra the methods that have no file in ``conf/method``: new files in ``methods/`` and other packages'."""
    known = {path.stem for path in (CONF / "method").glob("*.yaml")}
    new = {path.stem for path in (ROOT / "methods").glob("[!_]*.py")} - known
    if not new and not entry_points(group="growth_bench.methods"):
        return
    from methods import registry  # imports torch; needed only now

    for entry in registry:
        if entry.name not in known:
            ConfigStore.instance().store(group="method", name=entry.name, node=entry.defaults())


def one_line(error: Exception) -> str:
    """Hydra's many-line messages as one that names the option, the value and what would be right."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines)
    missing = re.search(r"Could not find '([\w/]+)/([^/']+)'.*?Available options in '[\w/]+':\s*(.*)", text)
    if missing:
        group, name, choices = missing[1], missing[2], missing[3].split(" Config search path")[0].split()
        return f"{group}={name}: expected one of {', '.join(choices)}"
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown:
        cause = re.search(r"Key '[^']*' is not in struct|No match in the defaults list", text)
        if cause or "not in struct" in text:
            return f"{unknown[1]}: no such option; python -m bench --help lists them"
    return text


def _task(options: dict[str, Any]) -> None:
    from bench.run import run  # torch only after the options are read

    run(options)


def main() -> None:
    """``python -m bench``."""
    application(_task)()
