"""The report's tables as LaTeX, with booktabs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from symbench.base.escape import LATEX_PREAMBLE, latex
from symbench.read.report.tables import Board, Cell

LONG = 25
"""Models; tables of more go over several pages."""
WHOLE = r"""\documentclass{article}
\usepackage[utf8]{inputenc}
\usepackage[T1]{fontenc}
\usepackage[margin=2cm]{geometry}
\usepackage{booktabs,graphicx,longtable}
\begin{document}
%s
\end{document}
"""


def table(board: Board) -> str:
    """A board as a table that a paper can ``\\input``; a sentence stands for each model without numbers."""
    caption = [rf"\caption{{{latex(board.title)}: {latex(board.note)}.}}", rf"\label{{tab:{name(board)}}}"]
    heading = [r"\toprule", " & ".join(latex(column) for column in board.columns) + r" \\", r"\midrule"]
    columns = f"l{'r' * (len(board.columns) - 1)}"
    failed = [rf"\par\smallskip {latex(model)}: {latex(reason.rstrip('.'))}." for model, reason in board.failed]
    long = len(board.rows) + len(board.failed) > LONG
    size = r"\tiny" if long else r"\scriptsize"
    rows = [line for model, cells in board.rows for line in _rows(model, cells, size)]
    return "\n".join([*(_long if long else _float)(columns, caption, heading, rows, failed), ""])


def _float(columns: str, caption: list[str], heading: list[str], rows: list[str], failed: list[str]) -> list[str]:
    """A table on one page, scaled to the text's width where it is wider."""
    return [
        r"% needs \usepackage{booktabs} and \usepackage{graphicx}",
        LATEX_PREAMBLE,
        r"\begin{table}",
        r"\centering",
        *caption,
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{columns}}}",
        *heading,
        *rows,
        r"\bottomrule",
        r"\end{tabular}}",
        *failed,
        r"\end{table}",
    ]


def _long(columns: str, caption: list[str], heading: list[str], rows: list[str], failed: list[str]) -> list[str]:
    """A table over several pages, in small print."""
    return [
        r"% needs \usepackage{booktabs} and \usepackage{longtable}",
        LATEX_PREAMBLE,
        r"\begingroup\scriptsize\setlength{\tabcolsep}{3pt}",
        rf"\begin{{longtable}}{{{columns}}}",
        *caption,
        r"\\",
        *heading,
        r"\endfirsthead",
        *heading,
        r"\endhead",
        r"\bottomrule",
        r"\endlastfoot",
        *rows,
        r"\end{longtable}",
        *failed,
        r"\par\endgroup",
    ]


def _rows(model: str, cells: Sequence[Cell], size: str) -> list[str]:
    """The lines of one model: its values, and their intervals below."""
    values = " & ".join([latex(model), *(latex(cell.value) for cell in cells)])
    details = [rf"{size} {latex(cell.detail)}" if _has_detail(cell) else "" for cell in cells]
    if not any(details):
        return [rf"{values} \\"]
    return [rf"{values} \\*", rf" & {' & '.join(details)} \\[2pt]"]


def _has_detail(cell: Cell) -> bool:
    return bool(cell.detail) and cell.estimate is not None


def name(board: Board) -> str:
    """A name for files and labels."""
    return re.sub(r"[^a-z0-9_]+", "-", board.title.lower()).strip("-") or "table"


def whole(names: Sequence[str]) -> str:
    """A document that shows all the tables, to be compiled as it is."""
    return WHOLE % "\n".join(rf"\input{{{name}}}" for name in names)
