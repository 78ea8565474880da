"""Reference models on volumes, with and without the symmetries of a cube built in; their rows and options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field as Limits

from symbench.algebra.fields import Field, Grid, Logits
from symbench.base.registry import Options
from symbench.domains.common.models import ModelRow, Width
from symbench.domains.volumes.fields import NAME, Volume


class VolumeCnnOptions(Options):
    """``cnn-3d``: channels of the first layer."""

    width: Width = 8


class OhCnnOptions(Options):
    """``oh-cnn``: channels of the first layer, and the ``stride`` of two of its four: 1, or 2 as others have it."""

    width: Width = 8
    stride: Annotated[int, Limits(ge=1, le=2)] = 2


class VolumeUnetOptions(Options):
    """``unet-3d`` and ``oh-unet``: channels of the first layer, and how often sides are halved."""

    width: Width = 8
    depth: Annotated[int, Limits(ge=0, le=5)] = 2


INPUTS = (Volume(),)
MAPS: Mapping[str, Field] = {"masks": Logits().over(Grid(NAME, 3))}
CLASSIFIER: Mapping[str, Field] = {"logits": Logits()}
HOME = "symbench.domains.volumes.models"
MODELS = {
    "cnn-3d": ModelRow(
        f"{HOME}.cnn:VolumeCnn",
        "classes by convolutions with strides: no turns built in",
        VolumeCnnOptions,
        INPUTS,
        outputs=CLASSIFIER,
        aliases=("3d-cnn", "resnet-3d", "conv3d"),
    ),
    "oh-cnn": ModelRow(
        f"{HOME}.octahedral:OhCnn",
        "the same with kernels averaged over Oh: exact under it at stride: 1, and at stride: 2 on odd sides",
        OhCnnOptions,
        INPUTS,
        outputs=CLASSIFIER,
        group="Oh",
    ),
    "unet-3d": ModelRow(
        f"{HOME}.unet:VolumeUnet",
        "maps by strided pooling and back: no turns built in",
        VolumeUnetOptions,
        INPUTS,
        outputs=MAPS,
        aliases=("3d-unet", "nnunet", "v-net", "vnet"),
    ),
    "oh-unet": ModelRow(
        f"{HOME}.octahedral:OhUnet",
        "the same with kernels averaged over Oh: exact under it at depth: 0, and deeper on sides that stay odd",
        VolumeUnetOptions,
        INPUTS,
        outputs=MAPS,
        aliases=("octahedral-unet",),
        group="Oh",
    ),
}
