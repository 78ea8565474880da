"""The plug-in's rows: what symbench reads before it imports anything heavy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from symbench.algebra.actions import ActionRow
from symbench.algebra.controls import ControlRow
from symbench.algebra.groups import GroupRow
from symbench.algebra.metrics import MetricRow
from symbench.base.registry import Options
from symbench.domains.common.datasets import DatasetRow
from symbench.domains.common.models import ModelRow
from symbench.read.report.figures import FigureRow
from symbench_example.fields import RING, Arrow


class StripesOptions(Options):
    """Options of ``example/stripes``."""

    samples: Annotated[int, Field(ge=1)] = 12


HALF_TURN = GroupRow("symbench_example.things:HalfTurn", "the turn by 180 degrees", Options, "plane")
SPINS = GroupRow(
    "symbench_example.things:Spins", "twelve spins", Options, "spins", actions=("symbench_example.rows:SPIN",)
)
SPIN = ActionRow("symbench_example.things:SpinImage", "roll the rows of the image", Options, "spins", "Grid")
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


# A domain of its own: arrows round a ring, for our groups of the plane and for one that it brings.

ROLL = ActionRow("symbench_example.rings:Roll", "roll the ring by the angle", Options, "plane", "example.Ring")
TURN = ActionRow("symbench_example.rings:Turn", "turn the arrows", Options, "plane", "example.Arrow")
ROTOR_ROLL = ActionRow("symbench_example.rings:Roll", "roll the ring", Options, "rotors", "example.Ring")
ROTOR_TURN = ActionRow("symbench_example.rings:Turn", "turn the arrows", Options, "rotors", "example.Arrow")
ROTOR = GroupRow(
    "symbench_example.rings:Rotor",
    "eight turns of a ring",
    Options,
    "rotors",
    actions=(ROTOR_ROLL, "symbench_example.rows:ROTOR_TURN"),
    alone=frozenset({"Axis"}),
)


class RingsOptions(Options):
    """Options of ``example/rings``."""

    split: Literal["train", "test"] = "test"
    samples: Annotated[int, Field(ge=2)] = 48


class RingNetOptions(Options):
    """Options of ``example/ring-net``."""

    exact: bool = True


RINGS = DatasetRow(
    "symbench_example.rings:load",
    "arrows round a ring, and how they pull",
    RingsOptions,
    {"arrows": Arrow().over(RING)},
)
RING_NET = ModelRow(
    "symbench_example.rings:RingNet",
    "a pull of all arrows, equivariant if it is to be",
    RingNetOptions,
    {"arrows": Arrow().over(RING)},
    {"pull": Arrow()},
)
AT_REST = ControlRow(
    "symbench_example.rings:at_rest",
    "what a model answers to arrows of length 0, which every turn leaves alone",
    suits={"arrows": Arrow().over(RING)},
)
PULL_AT_REST = MetricRow(
    "symbench_example.things:pull_at_rest",
    "length of the answer to arrows of length 0: nothing, where turns are respected",
    unit="N",
    better="lower",
    scope="model",
    heading="pull at rest",
    shown=(),
)
TURNING = FigureRow(
    "symbench_example.drawings:turning",
    "what rotors come to",
    section="turning",
    heading="Rotors",
    text="What rotors come to.",
    families=("rotors",),
)
