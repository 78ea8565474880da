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


class SupportCnnOptions(Options):
    """``support-cnn``: channels, and which of the nine places of a filter it has."""

    width: Width = 8
    support: Literal["plus", "corner", "full"] = "plus"


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
    "support-cnn": ModelRow(
        "symbench.domains.images.models.support_cnn:SupportCnn",
        "two layers whose filters have a symmetric support or not: what trainings break alike depends on it",
        SupportCnnOptions,
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
