"""What a row says of a figure: where it stands, and which symmetries and tasks it suits. Needs no Matplotlib."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from symbench.base.registry import Row

CLASSES = ("classification", "binary", "multi-label", "segmentation", "keypoints")
"""Tasks whose outputs are right or wrong."""
MOVED = ("segmentation", "detection", "keypoints")
"""Tasks of maps, boxes and points, which move with the sample."""
SINGLE_SAMPLES = (
    "Left, a dot is a sample, by the mean and the largest deviation over its orbit; on the grey line it "
    "deviates alike at all elements. Right, the worst samples, a line each over the elements by their sizes. "
    "Numbers are those of the samples in their dataset."
)
"""What to know of a figure of single samples."""


@dataclass(frozen=True)
class FigureRow(Row):
    """A figure in the table. ``path`` names a function ``Scene -> Iterator[Sketch]``, of one symmetry on one dataset.

    Attributes:
        section: the id of the page's section that it stands in.
        heading: of that section, where it holds figures alone.
        text: what to know of such a section's figures.
        families: of the symmetry's group, one of which it must be; empty for any. What the elements are is known from
            there: two groups may call quite different parameters by one name.
        over: the parameters of the elements that it is drawn over; the scene tells the function.
        rank: lower ones stand before others on the page.
        tasks: of the outputs, one of which there must be; empty for any.
        multiples: what elements are called whose parameters ``over`` are all multiples of a whole number, with braces
            for that number, where a model may be exact under these alone; empty where there is no sense in that.
    """

    _: KW_ONLY
    section: str = "more"
    heading: str = "More"
    text: str = ""
    families: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    over: tuple[str, ...] = ()
    rank: int = 1
    multiples: str = ""

    def suits(self, family: str | None, tasks: frozenset[str]) -> bool:
        """Whether it is for a symmetry of this family, and outputs of these tasks."""
        return (not self.families or family in self.families) and (not self.tasks or bool(tasks & set(self.tasks)))
