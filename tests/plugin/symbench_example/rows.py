"""The plug-in's rows: what symbench reads before it imports anything heavy."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from symbench.algebra.actions import ActionRow
from symbench.algebra.groups import GroupRow
from symbench.algebra.metrics import MetricRow
from symbench.base.registry import Options
from symbench.domains.common.datasets import DatasetRow
from symbench.domains.common.models import ModelRow
from symbench.read.report.figures import FigureRow


class StripesOptions(Options):
    """Options of ``example/stripes``."""

    samples: Annotated[int, Field(ge=1)] = 12


HALF_TURN = GroupRow("symbench_example.things:HalfTurn", "the turn by 180 degrees", Options, "plane")
SPINS = GroupRow(
    "symbench_example.things:Spins", "twelve spins", Options, "spins", actions=("symbench_example.rows:SPIN",)
)
SPIN = ActionRow("symbench_example.things:SpinImage", "roll the rows of the image", Options, "spins", "Image")
STRIPES = DatasetRow("symbench_example.things:stripes", "horizontal or vertical stripes", StripesOptions)
AVERAGE = ModelRow("symbench_example.things:Average", "two logits from the mean of the pixels")
CERTAINTY = MetricRow(
    "symbench_example.things:certainty", "share of samples with no deviation", Options, "share", "higher"
)
SPINNING = FigureRow(
    "symbench_example.drawings:spinning",
    "what spins come to",
    section="spinning",
    heading="Spins",
    text="What spins come to.",
    families=("spins",),
)
