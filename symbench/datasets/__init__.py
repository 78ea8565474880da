"""Datasets: batches with declared fields and targets.

To add one: write its file here, and add a row to ``DATASETS``. A user's own dataset needs neither: any sequence
of ``(image, label)`` will do (``datasets/items.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field as Limits

from symbench.fields import Category, Field, Image, Nodes, Scalar
from symbench.registry import Options, Row, Table

Split = Literal["train", "test"]


@dataclass(frozen=True)
class DatasetRow(Row):
    """A dataset in the table.

    Attributes:
        fields: the field of every leaf that its batches hold.
        targets: the field of every target.
    """

    fields: Mapping[str, Field] = field(default_factory=lambda: {"image": Image()})
    targets: Mapping[str, Field] = field(default_factory=lambda: {"label": Category()})


class DigitsOptions(Options):
    """``digits``: 1,797 handwritten digits, 450 of them for testing."""

    split: Split = "test"
    size: Annotated[int, Limits(ge=9, le=257)] = 33


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


class TorchvisionOptions(Options):
    """``torchvision/<NAME>``: any labelled image set of torchvision, read from ``root``."""

    split: Split = "test"
    root: str = "data"
    download: bool = False


DATASETS = Table(
    "dataset",
    DatasetRow,
    {
        "digits": DatasetRow(
            "symbench.datasets.digits:load",
            "scikit-learn's handwritten digits, 33 x 33, 10 classes",
            DigitsOptions,
        ),
        "sets": DatasetRow(
            "symbench.datasets.sets:load",
            "point sets with an exact, order-free target: how spread out are they?",
            SetsOptions,
            {"set": Nodes("items", Scalar())},
        ),
        "torchvision/<NAME>": DatasetRow(
            "symbench.datasets.torchvision:load",
            "a labelled image set of torchvision.datasets, such as torchvision/FashionMNIST",
            TorchvisionOptions,
        ),
    },
)
