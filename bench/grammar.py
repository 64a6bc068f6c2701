"""Hydra's grammar: arguments as overrides, their values, and how one is typed that it does not read."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString

from bench.core.options import as_text


def parsed(arguments: Sequence[str]) -> list[Override]:
    """Arguments in Hydra's grammar."""
    return OverridesParser.create().parse_overrides(list(arguments))


def plain_values(override: Override) -> list[object]:
    """The values of an override: of a sweep, of a list, or the one; texts without quotes."""
    values = list(override.sweep_iterator()) if override.is_sweep_override() else [override.value()]
    several = values[0] if len(values) == 1 and isinstance(values[0], list) else values
    return [one.text if isinstance(one, QuotedString) else one for one in several]


def quoted(argument: str) -> str:
    """What to type in a shell so that all behind ``=`` is the value, whatever is in it."""
    key, _, value = argument.partition("=")
    plain = f"{key}={as_text(value.replace(chr(34), ''))}"
    return shlex.quote(plain) if set("$`\\!") & set(plain) else f'"{plain}"'


def unreadable(argument: str, command: str = "python -m bench") -> str:
    """What is said of an argument that is not in the grammar, in one line."""
    key, is_option, _ = argument.partition("=")
    if not key or not is_option:
        return f"cannot read the argument {argument!r}: expected OPTION=VALUE ({command} --help)"
    return f"{argument}: cannot be read; a value with odd characters is quoted, as in {quoted(argument)}"
