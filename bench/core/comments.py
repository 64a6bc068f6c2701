"""What is said of an option where it is defined: a comment in a YAML file, or a line of a dataclass's docstring."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import yaml

FIELD = re.compile(r" {4}(\w+): (.*)")


def of_file(path: Path) -> dict[str, str]:
    """The comment of each option of a YAML file, on its line and the lines below; empty where it has none."""
    text = path.read_text()
    lines, root, found = text.splitlines(), yaml.compose(text, Loader=yaml.SafeLoader), dict[str, str]()
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if isinstance(value, yaml.ScalarNode) or value.flow_style:
            first, *below = lines[value.end_mark.line :]
            said = [first[value.end_mark.column :]]
            for line in below:
                if not line.lstrip().startswith("#"):
                    break
                said.append(line)
            found[str(key.value)] = " ".join(one.strip().lstrip("#").strip() for one in said).strip()
    return found


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
