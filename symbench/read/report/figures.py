"""Figures: what a report draws of its estimates, each a row that says which symmetries and tasks it suits.

To add one: write a function of :class:`~symbench.read.report.scene.Scene` in a file here, and add a row to
``FIGURES``, here or in the domain whose elements it shows. A plug-in offers rows through the entry point
``symbench.figures``.
"""

from __future__ import annotations

from symbench.base.registry import Table
from symbench.domains.common.figures import CLASSES, FigureRow

__all__ = ["CLASSES", "FIGURES", "FigureRow", "in_order"]

FIGURES = Table(
    "figure",
    FigureRow,
    {
        "sizes": FigureRow(
            "symbench.read.report.curves:sketches", "accuracy and E over how far an element moves",
            section="sizes", heading="Over sizes",
            text="Means over the elements that move as far; bands, of accuracy only, are the means of their "
            "intervals. The dotted line is chance: always predicting the most frequent label.",
        ),
        "ranks": FigureRow(
            "symbench.read.report.ranks:sketches", "accuracy as it is, over the orbit and in the worst case",
            section="robustness", tasks=CLASSES,
        ),
        "tradeoffs": FigureRow(
            "symbench.read.report.tradeoffs:sketches", "accuracy, robustness and cost",
            section="tradeoffs", heading="Trade-offs", tasks=CLASSES,
            text="Filled marks are accuracy over the orbit, hollow ones accuracy as it is. Rings and the grey line "
            "are the Pareto front: no other model is better at no more cost. Models that are no better than chance, "
            "the dotted line, are left out of it.",
        ),
        "rim": FigureRow(
            "symbench.read.report.rim:sketches", "E of maps by the distance from the edge of the frame",
            section="rim", heading="From the edge of the frame", rank=2,
            text="E of the places at each distance, a line for each model. What deviates at the edge alone is "
            "padding, as far as the model's reach does not hold all of the frame.",
        ),
        "attribution": FigureRow(
            "symbench.read.report.shares:sketches", "the model's share of E and resampling's", section="attribution"
        ),
    },
)  # fmt: skip


def in_order(table: Table[FigureRow] = FIGURES) -> list[tuple[str, FigureRow]]:
    """The rows as the page shows them: by their rank, and in the order of the table within one."""
    return sorted(table, key=lambda each: each[1].rank)
