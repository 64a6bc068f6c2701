"""Templates of text files, and what all of them may ask of a block."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bench.report.views.base import Prose
from bench.report.views.chart import Chart

if TYPE_CHECKING:
    from jinja2 import Template

FOLDER = Path(__file__).parent / "templates"


@cache
def template(name: str, escape: Callable[[str], str] | None = None, brackets: str = "{}") -> Template:
    """A file of `FOLDER`, with an ``escape`` for its filter ``e``; without one, everything is escaped for HTML."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    left, right = brackets[0], brackets[1]
    environment = Environment(
        *(f"{left}%", f"%{right}", left * 2, right * 2),
        loader=FileSystemLoader(FOLDER),
        autoescape=escape is None,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests |= {"chart": lambda one: isinstance(one, Chart), "prose": lambda one: isinstance(one, Prose)}
    environment.filters |= {"e": escape} if escape else {}
    return environment.get_template(name)
