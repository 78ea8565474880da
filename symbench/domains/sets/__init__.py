"""Sets: values along one axis in no particular order."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Limits

from symbench.algebra.fields import ANY, Axis, Scalar
from symbench.base.registry import Options
from symbench.domains.common.datasets import DatasetRow, Split
from symbench.domains.common.models import ModelRow, Width


class SetsOptions(Options):
    """``sets``: how spread out are the points of a set?

    ``target: class`` asks for the quarter of the range that the spread falls into, ``value`` for the spread.
    ``order: sorted`` lists every set by its first coordinate, as real files often do; ``random`` shuffles.
    """

    split: Split = "test"
    items: Annotated[int, Limits(ge=2, le=256)] = 16
    samples: Annotated[int, Limits(ge=2, le=1_000_000)] = 1000
    target: Literal["class", "value"] = "class"
    order: Literal["sorted", "random"] = "sorted"
    seed: Annotated[int, Limits(ge=0)] = 0


class SetOptions(Options):
    """``deep-sets`` and ``set-mlp``: width of the hidden layers."""

    width: Width = 128


DATASETS = {
    "sets": DatasetRow(
        "symbench.domains.sets.data:load",
        "point sets with an exact, order-free target: how spread out are they?",
        SetsOptions,
        {"set": Scalar().over(Axis("items"))},
    ),
}
ON_A_SET = (Scalar().over(Axis(ANY)),)
MODELS = {
    "deep-sets": ModelRow(
        "symbench.domains.sets.deep_sets:DeepSets",
        "sum pooling over the rows (Zaheer et al. 2017): exact under permutations",
        SetOptions,
        ON_A_SET,
        aliases=("set", "pointnet"),
    ),
    "set-mlp": ModelRow(
        "symbench.domains.sets.set_mlp:SetMlp",
        "fully connected on the rows end to end: order matters",
        SetOptions,
        ON_A_SET,
    ),
}
