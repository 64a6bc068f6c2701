"""What was found as CSV and as Markdown: a table for each library, means, and what is left by cause."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from bench.core.files import write_atomic
from bench.core.numbers import DASH, scientific
from bench.core.numbers import share as percent
from bench.core.survey import Row, markdown, write_csv
from bench.networks.measure import Network

LIBRARIES = ("timm", "torchvision")
OUTPUT = "network output"
"""How the one cause begins that every network has."""


def write(out: Path, found: Sequence[Network]) -> None:
    """Write ``networks.csv`` and ``networks.md``.

    Args:
        out: Created if absent.
        found: In the order of the rows.

    Raises:
        StorageError: The folder cannot be written.
    """
    rows = [_exact(one) for one in found]
    write_csv(out / "networks.csv", list(_exact(Network(":"))), rows)
    parts = ["# What can be grown of other people's networks", ABOUT, "## In short", markdown(_summary(found))]
    for library in LIBRARIES:
        own = of(library, found)
        parts += [f"## {library}", markdown([_shown(one) for one in own])] if own else []
    parts += ["## What is left", LEFT, markdown(_causes(found))]
    write_atomic(out / "networks.md", "\n\n".join(parts) + "\n")


ABOUT = """\
By `python -m bench.networks`. Share: of the parameters in layers whose weight grows, in rows or in columns. Gap: how
far random signed splits of a quarter of the neurons of every group, all at once, move the outputs, relative to the
largest, in float64. Heads: groups whose neurons are attention heads. Seconds: to read the network."""

LEFT = f"""\
Layers whose rows cannot be split, by cause, in all networks; without the last layers, whose rows are the {OUTPUT}."""


def of(library: str, found: Sequence[Network]) -> list[Network]:
    """The networks of a library."""
    return [one for one in found if one.name.startswith(f"{library}:")]


def _exact(one: Network) -> Row:
    library, _, name = one.name.partition(":")
    numbers = {"groups": one.groups, "heads": one.heads, "share": one.share, "gap": one.gap, "seconds": one.seconds}
    return {
        "name": name,
        "library": library,
        "read": one.failed or "yes",
        **{key: "" if value is None else f"{value:.4g}" for key, value in numbers.items()},
        "left": "; ".join(f"{cause.layers} x {cause.reason}" for cause in one.left),
    }


def _shown(one: Network) -> Row:
    exact = _exact(one)
    left = [f"{cause.layers} x {cause.reason}" for cause in one.left if not cause.reason.startswith(OUTPUT)]
    return {
        "network": exact["name"],
        "read": exact["read"],
        "groups": exact["groups"],
        "heads": exact["heads"],
        "share": DASH if one.share is None else percent(one.share),
        "gap": DASH if one.gap is None else scientific(one.gap),
        "seconds": DASH if one.seconds is None else f"{one.seconds:.1f}",
        "left": "; ".join(left),
    }


def _summary(found: Sequence[Network]) -> list[Row]:
    rows = []
    for library in LIBRARIES:
        own = of(library, found)
        shares, gaps = [n.share for n in own if n.share is not None], [n.gap for n in own if n.gap is not None]
        rows.append(
            {
                "library": library,
                "networks": str(len(own)),
                "read and grown": str(sum(n.failed is None for n in own)),
                "mean share": percent(mean(shares)) if shares else DASH,
                "least share": percent(min(shares)) if shares else DASH,
                "largest gap": scientific(max(gaps)) if gaps else DASH,
            }
        )
    return rows


def _causes(found: Sequence[Network]) -> list[Row]:
    layers: dict[str, int] = {}
    networks: dict[str, set[str]] = {}
    for one in found:
        for cause in one.left:
            if not cause.reason.startswith(OUTPUT):
                layers[cause.reason] = layers.get(cause.reason, 0) + cause.layers
                networks.setdefault(cause.reason, set()).add(one.name)
    ordered = sorted(layers, key=lambda reason: (-len(networks[reason]), -layers[reason]))
    return [{"cause": r, "layers": str(layers[r]), "networks": str(len(networks[r]))} for r in ordered]
