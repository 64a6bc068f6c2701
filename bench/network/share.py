"""In short: how much of a network can grow, and what keeps the rest from it."""

from __future__ import annotations

from bench.network.graph import Graph


def share(graph: Graph) -> float:
    """The share of the parameters that lie in layers whose weight grows, in rows or in columns.

    A layer's parameters are all that its module has itself: of a linear layer, weight and bias.
    """
    slots = [slot for group in graph.groups.values() for slot in [*group.rows, *group.consumers]]
    growing = {_owner(slot.tensor) for slot in slots}
    sizes = {name: parameter.numel() for name, parameter in graph.model.named_parameters()}
    return sum(size for name, size in sizes.items() if _owner(name) in growing) / sum(sizes.values())


def causes(graph: Graph) -> dict[tuple[str, str], list[str]]:
    """Layers that cannot be split by reason and place, ``file:line``; the most frequent cause first."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in graph.unsplittable:
        found.setdefault((one.reason, one.where), []).append(one.name)
    return dict(sorted(found.items(), key=lambda cause: -len(cause[1])))


def _owner(tensor: str) -> str:
    return tensor.rpartition(".")[0]
