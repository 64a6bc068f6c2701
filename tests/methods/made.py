"""Methods by name, and a growth context for any net."""

from __future__ import annotations

from typing import Any

from bench.growth.method import GrowthContext, GrowthMethod
from bench.methods import registry
from tests.nets import Net, grow_context

COSTS = ("params", "macs", "energy")


def method(name: str, **options: object) -> GrowthMethod:
    """A method with these options, else its defaults."""
    made: GrowthMethod = registry[name].make(options)
    return made


def context_of(net: Net, **options: Any) -> GrowthContext:
    """A fresh net's context; options as of `grow_context`."""
    return grow_context(net.graph(), *net.sample(), **options)
