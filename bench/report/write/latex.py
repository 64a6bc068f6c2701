"""LaTeX tables for booktabs, with every value escaped."""

from __future__ import annotations

import unicodedata

from bench.report.views.document import Cell, Table

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "±": r"\ensuremath{\pm}",
    "\u00d7": r"\ensuremath{\times}",
    "≤": r"\ensuremath{\leq}",
    "\u2212": r"\ensuremath{-}",
    "\u2013": "--",
    "†": r"\dag{}",
    "·": r"\ensuremath{\cdot}",
    "…": r"\dots{}",
}


def escape(text: str) -> str:
    """Text that LaTeX sets as it is; control characters are dropped."""
    plain = "".join(c for c in " ".join(text.split()) if unicodedata.category(c)[0] != "C")
    return "".join(_SPECIAL.get(character, character) for character in plain)


def render(table: Table, label: str) -> str:
    """A ``table`` environment; needs the packages booktabs and textcomp."""
    columns = "".join("l" if i in table.text_columns else "r" for i in range(len(table.header)))
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(table.title)}. {escape(table.about)}}}",
        rf"\label{{tab:{label}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(escape(title) for title in table.header) + r" \\",
        r"\midrule",
        *(" & ".join(_cell(cell) for cell in row) + r" \\" for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _cell(cell: Cell) -> str:
    text = rf"\texttt{{{escape(cell.text)}}}" if cell.code else escape(cell.text)
    if cell.best:
        text = rf"\textbf{{{text}}}"
    return rf"{text} {{\footnotesize({escape(cell.note)})}}" if cell.note else text
