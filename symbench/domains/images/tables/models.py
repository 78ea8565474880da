"""Networks on images that are built in, and the libraries that others come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field as Limits
from pydantic import model_validator

from symbench.algebra.fields import Field, Logits
from symbench.base.registry import Options
from symbench.domains.common.models import ModelRow, Width


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


class RegularCnnOptions(Options):
    """``regular-cnn``: channels of the first layer at each of ``order`` orientations, and pixels of its filters."""

    width: Width = 5
    order: Annotated[int, Limits(ge=4, le=16)] = 8
    kernel: Literal[5, 7] = 5


class HarmonicCnnOptions(Options):
    """``harmonic-cnn``: channels of the first layer for each rotation order, and pixels of its filters."""

    width: Width = 8
    kernel: Literal[5, 7] = 5


class VitOptions(Options):
    """``vit``: channels of a token, blocks, their heads, pixels of a patch, and how positions are encoded."""

    width: Width = 48
    depth: Annotated[int, Limits(ge=1, le=48)] = 3
    heads: Annotated[int, Limits(ge=1, le=64)] = 4
    patch: Annotated[int, Limits(ge=1, le=256)] | None = None
    encoding: Literal["learned", "sinusoidal", "rotary", "none"] = "learned"


class LibraryOptions(Options):
    """What models of libraries have in common: ``classes`` in place of the data's, for weights drawn at random."""

    classes: Annotated[int, Limits(ge=1, le=1_000_000)] | None = None

    @model_validator(mode="after")
    def _weights_have_their_classes(self) -> LibraryOptions:
        if self.classes is not None and getattr(self, "pretrained", False):
            raise ValueError("classes needs pretrained: false, since weights have classes of their own")
        return self


class TorchvisionOptions(LibraryOptions):
    """``torchvision/<NAME>``: the name of a weights enum's member; ``true`` is ``DEFAULT``."""

    pretrained: bool | str = False


class TimmOptions(LibraryOptions):
    """``timm/<NAME>``: the weights that the name stands for, with its tag where it has one."""

    pretrained: bool = False


class HuggingfaceOptions(LibraryOptions):
    """``huggingface/<PATH>``: weights and all, or the configuration alone."""

    pretrained: bool = True


CLASSIFIER: Mapping[str, Field] = {"logits": Logits()}

MODELS = {
    "mlp": ModelRow(
        "symbench.domains.images.models.mlp:Mlp",
        "fully connected on the pixels: no symmetry built in",
        MlpOptions,
        aliases=("linear", "dense", "fc"),
    ),
    "cnn": ModelRow(
        "symbench.domains.images.models.cnn:Cnn",
        "a small convolutional network: translation, up to its strides",
        CnnOptions,
        aliases=("convnet", "conv"),
    ),
    "p4-cnn": ModelRow(
        "symbench.domains.images.models.p4_cnn:P4Cnn",
        "group-equivariant convolutions (Cohen & Welling 2016): exact under quarter turns on odd sizes",
        P4CnnOptions,
        aliases=("g-cnn", "gcnn", "p4", "escnn", "e2cnn"),
    ),
    "regular-cnn": ModelRow(
        "symbench.domains.images.models.regular_cnn:RegularCnn",
        "steerable filters at N orientations (Weiler et al. 2018): near C_N, exact in its quarter turns",
        RegularCnnOptions,
        aliases=("steerable-cnn", "c8-cnn", "c16-cnn", "cn-cnn"),
    ),
    "harmonic-cnn": ModelRow(
        "symbench.domains.images.models.harmonic_cnn:HarmonicCnn",
        "circular harmonics (Worrall et al. 2017): exact under quarter turns and mirrors, near under O(2)",
        HarmonicCnnOptions,
        aliases=("h-net", "hnet", "harmonic-net", "o2-cnn"),
    ),
    "vit": ModelRow(
        "symbench.domains.images.models.vit:Vit",
        "a vision transformer: with encoding: none exact under permutations of its patches",
        VitOptions,
        aliases=("vision-transformer", "transformer"),
    ),
    "torchvision/<NAME>": ModelRow(
        "symbench.domains.images.models.torchvision:Torchvision",
        "a classifier of torchvision.models, such as torchvision/resnet18",
        TorchvisionOptions,
        aliases=(
            "resnet<n>",
            "vgg<n>",
            "densenet<n>",
            "alexnet",
            "vit_b_<n>",
            "mobilenet_v<n>",
            "efficientnet_b<n>",
        ),
        source=True,
        outputs=CLASSIFIER,
        library="torchvision",
    ),
    "timm/<NAME>": ModelRow(
        "symbench.domains.images.models.timm:Timm",
        "a network of timm, such as timm/resnet10t.c3_in1k",
        TimmOptions,
        source=True,
        outputs=CLASSIFIER,
        library="timm",
    ),
    "huggingface/<PATH>": ModelRow(
        "symbench.domains.images.models.huggingface:Huggingface",
        "an image classifier of transformers, by organisation/name or from a folder",
        HuggingfaceOptions,
        aliases=("hf/<PATH>", "transformers/<PATH>"),
        source=True,
        outputs=CLASSIFIER,
        library="transformers",
    ),
}
