"""Parts by the names of arrays: ``train_inputs`` and ``test_targets``, ``x_train`` and ``y_test``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bench.core.output import notice
from bench.data.tensors import Given, given

PARTS = {"train": "train", "training": "train", "validation": "validation", "valid": "validation"}
PARTS |= {"val": "validation", "test": "test"}
ROLES = {"inputs": "inputs", "x": "inputs", "images": "inputs", "data": "inputs", "features": "inputs"}
ROLES |= {"targets": "targets", "y": "targets", "labels": "targets"}
CLASSES = "classes"
EXPECTED = "arrays inputs and targets (x and y, images and labels), each with train_, validation_ or test_ before it"


def of_arrays(name: str, arrays: Mapping[str, object]) -> Given:
    """Parts from arrays by name; without a part in it, a name is of the training part.

    Args:
        name: What the user types for these data.
        arrays: Arrays by name; ``classes`` has the names of the classes.

    Raises:
        ValueError: A part is missing or has inputs or targets alone, or two arrays are of the same.
    """
    found: dict[tuple[str, str], str] = {}
    unused = []
    for key in arrays:
        part, role = _meaning(key)
        if role is None:
            unused += [key] if key != CLASSES else []
        elif (part, role) in found:
            raise ValueError(f"arrays {found[part, role]} and {key} are both {role} of the {part} part; expected one")
        else:
            found[part, role] = key
    there = ", ".join(arrays) or "nothing"
    for part in {part for part, _ in found} | {"train"}:
        for role in ("inputs", "targets"):
            if (part, role) not in found:
                raise ValueError(f"no {role} of the {part} part among {there}; expected {EXPECTED}")
    if unused:
        notice(f"data={name}: not used: {', '.join(unused)}")
    keys = {part: (found[part, "inputs"], found[part, "targets"]) for part, _ in found}
    classes = arrays.get(CLASSES, ())
    return given({part: (arrays[x], arrays[y]) for part, (x, y) in keys.items()}, classes)  # type: ignore[arg-type]


def _meaning(key: str) -> tuple[str, str | None]:
    """Part and role that a name speaks of; no role where it says anything else."""
    words = re.split(r"[_.\s-]+", key.lower())
    roles = [ROLES[word] for word in words if word in ROLES]
    parts = [PARTS[word] for word in words if word in PARTS]
    if len(roles) != 1 or len(roles) + len(parts) != len(words) or len(parts) > 1:
        return "train", None
    return (parts or ["train"])[0], roles[0]
