"""Hydra's grammar: arguments as overrides, and their values."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString


def parsed(arguments: Sequence[str]) -> list[Override]:
    """Arguments in Hydra's grammar."""
    return OverridesParser.create().parse_overrides(list(arguments))


def plain_values(override: Override) -> list[object]:
    """The values of an override: of a sweep, of a list, or the one; texts without quotes."""
    values = list(override.sweep_iterator()) if override.is_sweep_override() else [override.value()]
    several = values[0] if len(values) == 1 and isinstance(values[0], list) else values
    return [one.text if isinstance(one, QuotedString) else one for one in several]
