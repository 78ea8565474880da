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


class LinearOptions(Options):
    """``linear``: a linear target of ``items`` normal numbers, the ground on which theory knows every risk.

    The training split has ``pool`` samples, with ``noise`` on their targets; the test split ``samples``, without any.
    ``broken`` is the norm of a part of the target that depends on the order of the items.
    """

    split: Split = "test"
    items: Annotated[int, Limits(ge=2, le=256)] = 5
    samples: Annotated[int, Limits(ge=2, le=1_000_000)] = 2000
    pool: Annotated[int, Limits(ge=2, le=1_000_000)] = 20_000
    noise: Annotated[float, Limits(ge=0, le=1e6)] = 1.0
    broken: Annotated[float, Limits(ge=0, le=1e6)] = 0.0
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
    "linear": DatasetRow(
        "symbench.domains.sets.linear_data:load",
        "normal numbers with a linear target, of which the risk of least squares is known in closed form",
        LinearOptions,
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
        aliases=("set",),
    ),
    "set-mlp": ModelRow(
        "symbench.domains.sets.set_mlp:SetMlp",
        "fully connected on the rows end to end: order matters",
        SetOptions,
        ON_A_SET,
    ),
    "set-linear": ModelRow(
        "symbench.domains.sets.linear:Linear",
        "one weight for each number, no intercept: order matters",
        Options,
        ON_A_SET,
    ),
    "symmetric-linear": ModelRow(
        "symbench.domains.sets.linear:SymmetricLinear",
        "the linear functions that permutations of the rows leave alone, no intercept: exact",
        Options,
        ON_A_SET,
    ),
}
