"""Networks on images that are built in, and the libraries that others come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field as Limits

from symbench.algebra.fields import Field, Grid, Logits
from symbench.base.registry import Options
from symbench.domains.common.models import ModelRow, Width
from symbench.domains.common.models.adapters import AdapterRow
from symbench.domains.images.tables.libraries import HuggingfaceOptions, TimmOptions, TorchvisionOptions


class MlpOptions(Options):
    """``mlp``: hidden layers and their width."""

    width: Width = 256
    depth: Annotated[int, Limits(ge=1, le=20)] = 2


class CnnOptions(Options):
    """``cnn``, ``circular-cnn``, ``aps-cnn``: channels of the first layer; later ones have twice as many."""

    width: Width = 24


class FourfoldOptions(Options):
    """``p4-cnn``, ``p4-orientation``, ``p2mm-cnn``: channels of the first layer, each at four orientations."""

    width: Width = 8


class SupportCnnOptions(Options):
    """``support-cnn``: channels, and which of the nine places of a filter it has."""

    width: Width = 8
    support: Literal["plus", "corner", "row", "full"] = "plus"


class BlurCnnOptions(Options):
    """``blur-cnn``: channels of the first layer; ``padding`` is what lies beyond the border."""

    width: Width = 24
    padding: Literal["zeros", "circular"] = "zeros"


class P4mCnnOptions(Options):
    """``p4m-cnn``: channels of the first layer, each at eight orientations."""

    width: Width = 6


class RotConvOptions(Options):
    """``rotconv-...``: channels of the first layer; ``n`` rotated copies of every filter, by 360/n degrees."""

    width: Width = 16
    n: Annotated[int, Limits(ge=2, le=16)] = 4


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


class PixelMlpOptions(Options):
    """``pixel-mlp``: hidden layers and their width."""

    width: Width = 32
    depth: Annotated[int, Limits(ge=1, le=20)] = 2


class CircularFcnOptions(Options):
    """``circular-fcn``: channels of the first layer; later ones have twice as many."""

    width: Width = 12


Halvings = Annotated[int, Limits(ge=1, le=6)]


class UnetOptions(Options):
    """``unet``: channels of the first layer, how often sides are halved, and what lies beyond the border."""

    width: Width = 8
    depth: Halvings = 2
    padding: Literal["zeros", "circular"] = "zeros"


class P4UnetOptions(Options):
    """``p4-unet``: channels of the first layer, each at four orientations, and how often sides are halved."""

    width: Width = 4
    depth: Halvings = 2


class SteerableOptions(Options):
    """``escnn`` and ``e2cnn``: the group, features of the first layer, and pixels of its filters."""

    group: Literal["C4", "C8", "C16", "D4", "D8", "SO2", "O2"] = "C8"
    width: Width = 4
    kernel: Literal[5, 7] = 5


CLASSIFIER: Mapping[str, Field] = {"logits": Logits()}
MAPS: Mapping[str, Field] = {"masks": Logits().over(Grid("image"))}

ADAPTERS = {
    "detector": AdapterRow(
        "symbench.domains.images.models.detection:detector",
        "detectors like those of torchvision, which take a list of images and, to learn, targets",
        takes=frozenset({"images", "targets"}),
    ),
}
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
        FourfoldOptions,
        aliases=("g-cnn", "gcnn", "p4"),
        group="C4",
    ),
    "p4-orientation": ModelRow(
        "symbench.domains.images.models.p4_orientation:P4Orientation",
        "p4-cnn that scores each orientation by itself: its 4 (or 2) classes turn with the image, exactly",
        FourfoldOptions,
        aliases=("orientation", "equivariant-head", "regular-head"),
        group="C4",
    ),
    "support-cnn": ModelRow(
        "symbench.domains.images.models.support_cnn:SupportCnn",
        "two layers whose filters have a symmetric support or not: what trainings break alike depends on it",
        SupportCnnOptions,
    ),
    "circular-cnn": ModelRow(
        "symbench.domains.images.models.circular_cnn:CircularCnn",
        "circular padding and no strides: exact under rolls, at nine times the cost of cnn",
        CnnOptions,
        aliases=("torus-cnn", "cyclic-cnn"),
    ),
    "blur-cnn": ModelRow(
        "symbench.domains.images.models.blur_cnn:BlurCnn",
        "anti-aliased strides (Zhang 2019): less broken under shifts than cnn, and not exact",
        BlurCnnOptions,
        aliases=("blurpool", "blur-pool", "antialiased-cnn"),
    ),
    "aps-cnn": ModelRow(
        "symbench.domains.images.models.aps_cnn:ApsCnn",
        "adaptive polyphase sampling (Chaman & Dokmanic 2021): exact under rolls, for sides divisible by 4",
        CnnOptions,
        aliases=("aps", "polyphase-cnn"),
    ),
    "p4m-cnn": ModelRow(
        "symbench.domains.images.models.p4m_cnn:P4mCnn",
        "group convolutions with quarter turns and mirrors: exact under D4 on odd and even sizes",
        P4mCnnOptions,
        aliases=("p4m", "d4-cnn"),
        group="D4",
    ),
    "p2mm-cnn": ModelRow(
        "symbench.domains.images.models.p2mm_cnn:P2mmCnn",
        "group convolutions with flips and half turns: exact under D2, a wrong group of p4's order",
        FourfoldOptions,
        aliases=("p2mm", "pmm", "d2-cnn"),
        group="D2",
    ),
    "rotconv-published": ModelRow(
        "symbench.domains.images.models.rotconv:published",
        "the widely copied rotated-filter convolution with its faults: claims quarter turns, breaks them",
        RotConvOptions,
        aliases=("rotconv", "rotated-filters"),
    ),
    "rotconv-fixed": ModelRow(
        "symbench.domains.images.models.rotconv:fixed",
        "the same with its axes right: exact under quarter turns if 4 divides n, on odd sizes, by isotropic filters",
        RotConvOptions,
    ),
    "rotconv-max": ModelRow(
        "symbench.domains.images.models.rotconv:maximum",
        "the same with the maximum over rotations: exact under quarter turns if 4 divides n, on odd sizes",
        RotConvOptions,
    ),
    "regular-cnn": ModelRow(
        "symbench.domains.images.models.regular_cnn:RegularCnn",
        "steerable filters at N orientations (Weiler et al. 2018): near C_N, exact in its quarter turns",
        RegularCnnOptions,
        aliases=("steerable-cnn", "c8-cnn", "c16-cnn", "cn-cnn"),
        group="C{order}",
    ),
    "harmonic-cnn": ModelRow(
        "symbench.domains.images.models.harmonic_cnn:HarmonicCnn",
        "circular harmonics (Worrall et al. 2017): exact under quarter turns and mirrors, near under O(2)",
        HarmonicCnnOptions,
        aliases=("h-net", "hnet", "harmonic-net", "o2-cnn"),
        group="O2",
    ),
    "vit": ModelRow(
        "symbench.domains.images.models.vit:Vit",
        "a vision transformer: with encoding: none exact under permutations of its patches",
        VitOptions,
        aliases=("vision-transformer", "transformer"),
    ),
    "pixel-mlp": ModelRow(
        "symbench.domains.images.models.pixel_mlp:PixelMlp",
        "maps by 1 x 1 convolutions: exact under every permutation of pixels, and blind to shape",
        PixelMlpOptions,
        aliases=("1x1", "conv1x1", "pixelwise"),
        outputs=MAPS,
    ),
    "circular-fcn": ModelRow(
        "symbench.domains.images.models.circular_fcn:CircularFcn",
        "maps by circular convolutions without strides: exact under rolls",
        CircularFcnOptions,
        aliases=("fcn", "torus-fcn"),
        outputs=MAPS,
    ),
    "unet": ModelRow(
        "symbench.domains.images.models.unet:Unet",
        "maps by strided pooling and back: with padding: circular exact under rolls by multiples of 2^depth alone",
        UnetOptions,
        aliases=("u-net", "segmenter"),
        outputs=MAPS,
    ),
    "p4-unet": ModelRow(
        "symbench.domains.images.models.p4_unet:P4Unet",
        "the same by group convolutions: maps turn with the image, exact under quarter turns on odd and even sizes",
        P4UnetOptions,
        aliases=("p4-u-net", "c4-unet"),
        group="C4",
        outputs=MAPS,
    ),
    "torchvision/<NAME>": ModelRow(
        "symbench.domains.images.models.torchvision:Torchvision",
        "a classifier, segmentation or detector of torchvision.models, such as torchvision/resnet18",
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
        "an image classifier or detector of transformers, by organisation/name or from a folder",
        HuggingfaceOptions,
        aliases=("hf/<PATH>", "transformers/<PATH>"),
        source=True,
        outputs=CLASSIFIER,
        library="transformers",
    ),
    "escnn": ModelRow(
        "symbench.domains.images.models.steerable:Escnn",
        "steerable layers of escnn (Weiler & Cesa 2019), such as group: C8, near exact, or group: O2",
        SteerableOptions,
        source=True,
        outputs=CLASSIFIER,
        library="escnn",
        group="{group}",
    ),
    "e2cnn": ModelRow(
        "symbench.domains.images.models.steerable:E2cnn",
        "the same layers of e2cnn, escnn's predecessor",
        SteerableOptions,
        aliases=("e2-cnn",),
        source=True,
        outputs=CLASSIFIER,
        library="e2cnn",
        group="{group}",
    ),
}
