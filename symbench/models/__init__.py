"""Models: modules with declared inputs and outputs, and the reference models that symbench trains itself.

To add one: write its file here, and add a row to ``MODELS``. A user's own ``nn.Module`` needs neither: images in,
logits out is what is taken for granted (``models/base.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field as Limits

from symbench.fields import Field, Image, Nodes, Scalar
from symbench.registry import Options, Row, Table


@dataclass(frozen=True)
class ModelRow(Row):
    """A model in the table. ``path`` names a factory called with ``shape``, ``outputs`` and the options.

    Attributes:
        inputs: the fields of the leaves that it takes, by key; names of axes do not matter.
        outputs: the field of every output.
        builds_itself: the factory takes the options alone, because it knows its shapes (most plug-ins).
    """

    inputs: tuple[Field, ...] = (Image(),)
    outputs: Mapping[str, Field] = field(default_factory=lambda: {"logits": Scalar()})
    builds_itself: bool = False


Width = Annotated[int, Limits(ge=1, le=4096)]


class MlpOptions(Options):
    """``mlp``: hidden layers and their width."""

    width: Width = 256
    depth: Annotated[int, Limits(ge=1, le=20)] = 2


class CnnOptions(Options):
    """``cnn``: channels of the first layer; later ones have twice as many."""

    width: Width = 24


class P4CnnOptions(Options):
    """``p4-cnn``: channels of the first layer, each at four orientations."""

    width: Width = 8


class SetOptions(Options):
    """``deep-sets`` and ``set-mlp``: width of the hidden layers."""

    width: Width = 128


SETS = (Nodes("*", Scalar()),)

MODELS = Table(
    "model",
    ModelRow,
    {
        "mlp": ModelRow("symbench.models.mlp:Mlp", "fully connected on the pixels: no symmetry built in", MlpOptions),
        "cnn": ModelRow(
            "symbench.models.cnn:Cnn",
            "a small convolutional network: translation, up to its strides",
            CnnOptions,
        ),
        "p4-cnn": ModelRow(
            "symbench.models.p4_cnn:P4Cnn",
            "group-equivariant convolutions (Cohen & Welling 2016): exact under quarter turns on odd sizes",
            P4CnnOptions,
        ),
        "deep-sets": ModelRow(
            "symbench.models.deep_sets:DeepSets",
            "sum pooling over the rows (Zaheer et al. 2017): exact under permutations",
            SetOptions,
            SETS,
        ),
        "set-mlp": ModelRow(
            "symbench.models.set_mlp:SetMlp",
            "fully connected on the rows end to end: order matters",
            SetOptions,
            SETS,
        ),
    },
)
