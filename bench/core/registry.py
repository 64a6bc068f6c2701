"""One registry for methods, backbones, data sets and more: a decorator, found by name, typed options.

A plugin is a factory with a frozen dataclass of options beside it::

    backbones = Registry("backbone", "bench.backbones", "growth_bench.backbones")

    @dataclass(frozen=True)
    class Config:
        width: int = 8

    @backbones.register("mlp", Config)
    def mlp(config: Config, ...) -> nn.Module: ...

Modules of the registry's package are imported when a name is first asked for, and so are the entry points of other
packages. Hydra takes the options' defaults from ``conf/KIND/NAME.yaml``, which holds comments for those who read it, or
where there is no such file from the dataclass (`bench.plugins`).
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, is_dataclass, replace
from functools import partial
from importlib.metadata import entry_points
from os.path import realpath
from posixpath import normpath
from typing import Any, Generic, TypeVar, cast

from bench.core.errors import BenchError, ConfigError, did_you_mean, foreign, one_line
from bench.core.options import Options, typed
from bench.core.provenance import Source, source_of

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class NoOptions:
    """The options of a plugin that has none."""


@dataclass(frozen=True)
class Entry(Generic[F]):
    """A registered plugin.

    Attributes:
        kind: What the registry calls its plugins.
        name: Its name.
        factory: Makes it.
        config: The dataclass of its options.
        library: Whether its name is of a library's.
        common: Names of options that all of its kind have and that are not its own.
        there: Raises, given the options, if what a name with a colon names is not there; None: nothing can tell.
    """

    kind: str
    name: str
    factory: F
    config: type
    library: bool = False
    common: tuple[str, ...] = ()
    there: Callable[..., object] | None = None

    @property
    def source(self) -> Source:
        """Its code; of ``import:package.module:factory`` that module, of ``torchvision:NAME`` the library."""
        prefix, _, rest = self.name.partition(":")
        if prefix == "import":
            return source_of(rest.partition(":")[0])
        if self.library:
            return source_of(prefix, is_library=True)
        return source_of(getattr(self.factory, "func", self.factory).__module__)

    def defaults(self) -> dict[str, Any]:
        """The options' defaults as plain data, with the plugin's name, as its YAML file holds them.

        Raises:
            BenchError: The options are no dataclass, one has no default or a type that no file can hold, or the
                dataclass refuses its own.
        """
        with foreign(f"{self.kind}={self.name}: its options have no defaults"):
            if not is_dataclass(self.config):
                raise TypeError(f"{self.config!r} is no dataclass")
            defaults = asdict(self.config())
        self.configure({})
        return {"name": self.name, **defaults}

    def configure(self, options: Options) -> Any:
        """Build the typed options.

        Args:
            options: The options by name, ``name`` among them or not; what is absent has its default.

        Raises:
            ConfigError: An option is unknown, or its value has the wrong type or is out of range.
            BenchError: The options cannot be read at all.
        """
        with foreign(f"{self.kind}={self.name}: its options cannot be read"):
            own = {key: value for key, value in options.items() if key not in ("name", *self.common)}
            return typed(f"{self.kind}.", self.config, own)

    def require_there(self, options: Options) -> None:
        """Check, before anything is made, that the file, folder or function is there that the name names.

        Raises:
            BenchError: It is not, or an option cannot work.
        """
        config = self.configure(options)
        if self.there is not None:
            with foreign(f"{self.kind}={self.name}"):
                self.there(config)

    def make(self, options: Options, *arguments: Any) -> Any:
        """What the factory makes of the options and ``arguments``.

        Raises:
            BenchError: An option cannot work, or the plugin raises.
        """
        return self.started(self.configure(options), *arguments)

    def started(self, config: object, *arguments: Any) -> Any:
        """What the factory makes of typed options and ``arguments``.

        Raises:
            BenchError: The plugin raises.
        """
        with foreign(f"{self.kind}={self.name}"):
            return self.factory(config, *arguments)


class Registry(Generic[F]):
    """Plugins of one kind by name.

    Args:
        kind: What users call it, and the name of its Hydra group: ``"method"``.
        package: The package whose modules are imported to find plugins; None for none.
        group: The entry-point group in which other packages offer theirs.
        common: Options that are set beside every plugin's own, and that no plugin is told.
    """

    def __init__(
        self, kind: str, package: str | None = None, group: str | None = None, common: tuple[str, ...] = ()
    ) -> None:
        self.kind, self.package, self.group, self.common = kind, package, group, common
        self._entries: dict[str, Entry[F]] = {}
        self._families: dict[str, Entry[F]] = {}
        self._broken: dict[str, str] = {}
        self._unfit: dict[str, str] = {}
        self._found = False

    def register(
        self,
        name: str,
        config: type = NoOptions,
        library: bool = False,
        there: Callable[[str, Any], object] | None = None,
    ) -> Callable[[F], F]:
        """Decorator: offer a factory under ``name`` with options of the dataclass ``config``.

        A name with a colon, as ``torchvision:NAME``, stands for all names that begin with ``torchvision:``; its factory
        is given what follows the colon before all else. A path, as in ``folder:PATH``, is one however it is spelt. With
        ``library`` what it makes is the work of the library before the colon, whose version says what that was.
        ``there``, given what follows the colon and the options, raises if that is missing.

        Raises:
            BenchError: Another factory has this name.
        """
        family, colon, _ = name.partition(":")
        kept, key = (self._families, family) if colon else (self._entries, name)

        def keep(factory: F) -> F:
            known = kept.get(key)
            if known is not None and _source(known.factory) != _source(factory):
                raise BenchError(
                    f"{self.kind} {name} is registered twice: {known.factory.__module__}, {factory.__module__}"
                )
            kept[key] = Entry(self.kind, name, factory, config, library, self.common, there)
            return factory

        return keep

    def _discover(self) -> None:
        if self._found:
            return
        self._found = True
        plugins: list[tuple[str, Callable[[], object]]] = []
        if self.package is not None:
            plugins += [
                (module.name, partial(importlib.import_module, f"{self.package}.{module.name}"))
                for module in pkgutil.iter_modules(importlib.import_module(self.package).__path__)
            ]
        if self.group is not None:
            plugins += [(point.name, point.load) for point in entry_points(group=self.group)]
        for name, load in plugins:
            try:
                load()
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # somebody's plugin may raise anything; the others still work
                self._broken[name] = one_line(error)
        for kept in (self._entries, self._families):
            for name, entry in list(kept.items()):
                try:
                    entry.defaults()
                except BenchError as error:
                    self._unfit[entry.name] = str(error).removeprefix(f"{self.kind}={entry.name}: ")
                    del kept[name]

    def __getitem__(self, name: str) -> Entry[F]:
        """The plugin of this name.

        Raises:
            ConfigError: No plugin has it; the message lists the known names.
            BenchError: Its file or package cannot be imported, or its options not be read.
        """
        self._discover()
        found = self._entries.get(name) or self._member(name)
        if found is not None:
            return found
        if name in self._broken:
            raise BenchError(f"{self.kind}={name}: cannot be imported: {self._broken[name]}")
        if name in self._unfit:
            raise BenchError(f"{self.kind}={name}: {self._unfit[name]}")
        known = self.choices()
        unread = "".join(f"; {line}" for line in self.broken())
        raise ConfigError(self.kind, name, f"one of {', '.join(known)}{did_you_mean(name, known)}{unread}")

    def _member(self, name: str) -> Entry[F] | None:
        prefix, colon, rest = name.partition(":")
        family = self._families.get(prefix) if colon else None
        if family is None:
            return None
        if rest and family.name.endswith(":PATH"):
            rest = normpath(rest)
        there = partial(family.there, rest) if family.there is not None else None
        return replace(family, name=f"{prefix}:{rest}", factory=cast(F, partial(family.factory, rest)), there=there)

    def names(self) -> list[str]:
        """All names, sorted."""
        self._discover()
        return sorted(self._entries)

    def choices(self) -> list[str]:
        """What can be typed: all names, and the patterns of those with a colon."""
        return [*self.names(), *sorted(family.name for family in self._families.values())]

    def broken(self) -> list[str]:
        """Plugins that cannot be used, each with the reason."""
        self._discover()
        unread = [(name, why) for name, why in self._broken.items() if name not in self._entries]
        unfit = [f"{name}: {why}" for name, why in self._unfit.items()]
        return [f"{name} cannot be imported: {why}" for name, why in unread] + unfit

    def __iter__(self) -> Iterator[Entry[F]]:
        """The plugins, in the order in which they were found."""
        self._discover()
        return iter(list(self._entries.values()))


def _source(factory: Callable[..., Any]) -> tuple[str, str]:
    """Where a factory is written: a module that is imported under two names, or anew, is the same."""
    module = sys.modules.get(factory.__module__)
    return realpath(getattr(module, "__file__", None) or factory.__module__), factory.__qualname__
