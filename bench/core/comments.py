"""What is said of an option where it is defined: a comment in a YAML file, or a line of a dataclass's docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path

import yaml

FIELD = re.compile(r" {4}(\w+): (.*)")


def of_file(path: Path) -> dict[str, str]:
    """The comment of each option of a YAML file, on its line and the lines below; empty where it has none.

    An option of a group in it is called ``GROUP.OPTION``.
    """
    text = path.read_text()
    return dict(_said(yaml.compose(text, Loader=yaml.SafeLoader), text.splitlines(), ""))


def _said(node: yaml.Node | None, lines: Sequence[str], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        name = f"{prefix}{key.value}"
        if isinstance(value, yaml.ScalarNode) or value.flow_style:
            first, *below = lines[value.end_mark.line :]
            comments = takewhile(lambda line: line.lstrip().startswith("#"), below)
            said = (first[value.end_mark.column :], *comments)
            yield name, " ".join(one.strip().lstrip("#").strip() for one in said).strip()
        else:
            yield from _said(value, lines, f"{name}.")


def of_dataclass(kind: type) -> dict[str, str]:
    """What docstrings, of its bases too, say of each field under ``Attributes:`` or ``Args:``."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        name = ""
        for line in inspect.cleandoc(one.__dict__.get("__doc__") or "").splitlines():
            field = FIELD.fullmatch(line)
            if field:
                name, found[field[1]] = field[1], field[2]
            elif name and line.startswith(" " * 8):
                found[name] += f" {line.strip()}"
            else:
                name = ""
    return found
