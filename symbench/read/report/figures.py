"""Figures: what a report draws of its estimates, each a row that says which symmetries and tasks it suits.

To add one: write a function of :class:`~symbench.read.report.scene.Scene` in a file here, and add a row to
``FIGURES``. A plug-in offers rows through the entry point ``symbench.figures``.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from symbench.base.registry import Row, Table

CLASSES = ("classification", "binary", "multi-label")


@dataclass(frozen=True)
class FigureRow(Row):
    """A figure in the table. ``path`` names a function ``Scene -> Iterator[Sketch]``, of one symmetry on one dataset.

    Attributes:
        section: the id of the page's section that it stands in.
        heading: of that section, where it holds figures alone.
        text: what to know of such a section's figures.
        families: of the symmetry's group, one of which it must be; empty for any. What the elements are is known from
            there: two groups may call quite different parameters by one name.
        tasks: of the outputs, one of which there must be; empty for any.
    """

    _: KW_ONLY
    section: str = "more"
    heading: str = "More"
    text: str = ""
    families: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()

    def suits(self, family: str | None, tasks: frozenset[str]) -> bool:
        """Whether it is for a symmetry of this family, and outputs of these tasks."""
        return (not self.families or family in self.families) and (not self.tasks or bool(tasks & set(self.tasks)))


FIGURES = Table(
    "figure",
    FigureRow,
    {
        "polar": FigureRow(
            "symbench.read.report.polar:sketches", "accuracy over the angle of rotation",
            section="polar", heading="Over angles", families=("plane",), tasks=CLASSES,
            text="Accuracy is the radius; the angle is counter-clockwise. Bands are 95 % intervals, and the dotted "
            "circle is chance: always predicting the most frequent label.",
        ),
        "shifts": FigureRow(
            "symbench.read.report.shifts:sketches", "accuracy over shifts",
            section="shifts", heading="Over shifts", families=("translations", "slides"), tasks=CLASSES,
            text="Accuracy at each shift; the unshifted place is framed, and dots across the scale are chance.",
        ),
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
        "attribution": FigureRow(
            "symbench.read.report.shares:sketches", "the model's share of E and resampling's", section="attribution"
        ),
    },
)  # fmt: skip
