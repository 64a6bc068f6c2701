"""``python -m bench.check method=NAME``: does a growth method keep the rules?

The rules (`bench.growth.rules`) are tried on small networks that between them have every kind of chain. They are the
generic tests of the suite, so a method that passes here passes there. Exit status 1 and the reasons if one fails.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial

from omegaconf import OmegaConf
from rich.table import Table
from rich.text import Text

from bench.core.errors import Refused, one_line
from bench.core.options import Options
from bench.core.table import screen
from bench.growth.method import make
from bench.growth.rules import RULES, Broken, require, settle
from bench.growth.trial import NETWORKS
from bench.methods import registry
from bench.run.config import Settings


def outcomes(name: str, options: Options | None = None) -> Iterator[tuple[str, str, str | None]]:
    """Try every rule on every network: rule, network, and the reason if it is broken.

    Raises:
        ConfigError: The method or an option is unknown.
    """
    entry, chosen = registry[name], {**(options or {}), "name": name}
    entry.configure(chosen)
    made = partial(make, chosen)
    yield "options survive YAML", "", _failure(lambda: _round_trip(entry.defaults()))
    for rule in RULES:
        for title, network in NETWORKS.items():
            yield (rule.__doc__ or rule.__name__).splitlines()[0], title, _failure(partial(rule, made, network))


def _round_trip(defaults: Options) -> None:
    kept = OmegaConf.create(dict(defaults))
    again = OmegaConf.create(OmegaConf.to_yaml(kept))
    require(again == kept, "the defaults change when written as YAML")


def _failure(attempt: Callable[[], None]) -> str | None:
    try:
        attempt()
    except Refused:
        return None  # declining a network is within the rules
    except Broken as broken:
        return str(broken)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a method may fail in any way
        return one_line(error)
    finally:
        settle()
    return None


def check(options: Options) -> None:
    """Print each outcome; exit status 1 if a rule is broken.

    Raises:
        ConfigError: An option cannot work.
    """
    Settings.of(options)
    name = str(options["method"]["name"])
    failures, console = 0, screen()
    for rule, network, reason in outcomes(name, options["method"]):
        failures += reason is not None
        line = Table.grid(padding=(0, 1))
        said = f"{rule}{f' [{network}]' if network else ''}{f': {reason}' if reason else ''}"
        line.add_row("ok  " if reason is None else "FAIL", Text(said))
        console.print(line, highlight=False)
    if failures:
        sys.exit(f"method={name} breaks the rules: {failures} checks failed")
    print(f"method={name} keeps the rules")


def main() -> None:
    """``python -m bench.check``."""
    from bench.cli import application

    application(check)()


if __name__ == "__main__":
    main()
