"""Growth methods, one file each, and their registry.

A method is a class with ``propose(context) -> GrowthPlan``, a frozen dataclass of options and a name::

    @register("my_method", Config)
    class MyMethod:
        def __init__(self, config: Config) -> None: ...
        def propose(self, context: GrowthContext) -> GrowthPlan: ...

Files in this folder are found by themselves; other packages offer theirs by the entry-point group
``growth_bench.methods``. The package is imported as ``bench.methods``. ``python -m bench.check method=my_method`` tells
whether a method keeps the rules.
"""

from __future__ import annotations

from bench.growth.method import methods as registry

__all__ = ["register", "registry"]

register = registry.register
