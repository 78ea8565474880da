"""The report's tables as LaTeX, with booktabs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from symbench.escape import LATEX_PREAMBLE, latex
from symbench.report.tables import Board, Cell

WHOLE = r"""\documentclass{article}
\usepackage[utf8]{inputenc}
\usepackage[T1]{fontenc}
\usepackage{booktabs,graphicx}
\begin{document}
%s
\end{document}
""".replace("{{", "{").replace("}}", "}")


def table(board: Board) -> str:
    """A board as a table that a paper can ``\\input``; a sentence stands for each model without numbers."""
    lines = [
        "% needs \\usepackage{booktabs} and \\usepackage{graphicx}",
        LATEX_PREAMBLE,
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex(board.title)}: {latex(board.note)}.}}",
        rf"\label{{tab:{name(board)}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{l{'r' * (len(board.columns) - 1)}}}",
        r"\toprule",
        " & ".join(latex(column) for column in board.columns) + r" \\",
        r"\midrule",
        *(line for model, cells in board.rows for line in _rows(model, cells)),
        r"\bottomrule",
        r"\end{tabular}}",
        *(rf"\par\smallskip {latex(model)}: {latex(reason.rstrip('.'))}." for model, reason in board.failed),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _rows(model: str, cells: Sequence[Cell]) -> list[str]:
    """The values, and their intervals below."""
    values = " & ".join([latex(model), *(latex(cell.value) for cell in cells)])
    details = [rf"\scriptsize {latex(cell.detail)}" if _has_detail(cell) else "" for cell in cells]
    return [rf"{values} \\", *([rf" & {' & '.join(details)} \\[2pt]"] if any(details) else [])]


def _has_detail(cell: Cell) -> bool:
    return bool(cell.detail) and cell.estimate is not None


def name(board: Board) -> str:
    """A name for files and labels."""
    return re.sub(r"[^a-z0-9_]+", "-", board.title.lower()).strip("-") or "table"


def whole(names: Sequence[str]) -> str:
    """A document that shows all the tables, to be compiled as it is."""
    return WHOLE % "\n".join(rf"\input{{{name}}}" for name in names)
