"""Runs that different code, data or numerics made are not mixed: those of the newest version stay."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from bench.core.provenance import Provenance
from bench.run.cell import Cell


def outdated(cells: Sequence[Cell]) -> dict[str, str]:
    """Runs that were made by another version of something than newer runs with the same options, and of what.

    Returns:
        What is of another version, by the run's name by content.
    """
    newest: dict[str, tuple[float, object]] = {}
    made = {cell.id: dict(_versions(cell)) for cell in cells if cell.record is not None}
    times = {cell.id: cell.folder.record_path.stat().st_mtime for cell in cells if cell.id in made}
    for id_, versions in made.items():
        for what, version in versions.items():
            newest[what] = max(newest.get(what, (0.0, None)), (times[id_], version), key=lambda one: one[0])
    found = {}
    for id_, versions in made.items():
        old = [what.partition(" of ")[0] for what, version in versions.items() if version != newest[what][1]]
        if old:
            found[id_] = ", ".join(old)
    return found


def _versions(cell: Cell) -> Iterator[tuple[str, object]]:
    """What made a run, each under a name that runs share which should have the same."""
    assert cell.record is not None
    made, options = cell.record.provenance or Provenance(), cell.options
    data = json.dumps(options["data"], sort_keys=True)
    yield "the suite's numerics", made.numerics
    for group in ("method", "backbone", "data"):
        source = made.sources.get(group)
        yield f"{group}={cell.name(group)}", (source.files, source.release) if source else None
    yield f"the data of {data} {cell.seed}", made.data
