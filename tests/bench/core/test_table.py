"""Tables fold where the terminal ends."""

from __future__ import annotations

import pytest
from rich.console import Console

from bench.core.table import Folding


def drawn(width: int, columns: int = 6) -> list[str]:
    """Lines of a table of words, each of a column's name and a row's number."""
    table = Folding("a title")
    for c in range(columns):
        table.add_column(f"column{c}", "right" if c else "left")
    for row in range(2):
        table.add_row(*(f"cell-{c}-{row}" for c in range(columns)))
    table.caption = "a caption"
    console = Console(width=width)
    with console.capture() as captured:
        console.print(table)
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.mark.parametrize(("width", "folds"), [(100, 1), (61, 1), (60, 2), (40, 3), (31, 3), (30, 5), (24, 5)])
def test_columns_that_do_not_fit_go_on_below_beside_the_first(width: int, folds: int) -> None:
    lines = drawn(width)
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    assert [words.count(f"column{c}") for c in range(6)] == [folds, 1, 1, 1, 1, 1]
    assert [words.count(f"cell-{c}-1") for c in range(6)] == [folds, 1, 1, 1, 1, 1]


def test_title_and_caption_stand_once() -> None:
    lines = drawn(24)
    assert [line.strip() for line in (lines[0], lines[-1])] == ["a title", "a caption"]
    assert " ".join(lines).count("a title") == " ".join(lines).count("a caption") == 1
