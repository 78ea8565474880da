"""Models: modules with declared inputs and outputs, the reference models that symbench trains itself, and sources.

To add one: write its file here, and add a row to ``MODELS``. A user's own ``nn.Module`` needs neither: images in,
logits out is what is taken for granted (``models/base.py``). A source (``models/source.py``) is where models come
from that are not defined here: a library that knows them by name, or a file that holds a whole program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field as Limits
from pydantic import model_validator

from symbench.fields import Field, Image, Logits, Undeclared
from symbench.registry import Options, Row, Table


@dataclass(frozen=True)
class ModelRow(Row):
    """A model in the table. ``path`` names a factory called with ``shape``, ``outputs`` and the options.

    Attributes:
        inputs: the fields of the leaves that it takes: of an only one without a name, of several by their names. The
            factory then gets ``shapes``, by the name of each, in place of ``shape``.
        outputs: the field of every output.
        builds_itself: the factory takes the options alone, because it knows its shapes (most plug-ins).
        source: ``path`` names a :class:`~symbench.models.source.Source`.
        library: the package that defines the model, whose code is part of what the model is.
    """

    inputs: tuple[Field, ...] | Mapping[str, Field] = (Image(),)
    outputs: Mapping[str, Field] = field(default_factory=lambda: {"logits": Undeclared()})
    builds_itself: bool = False
    source: bool = False
    library: str | None = None

    def is_shaped(self, options: Mapping[str, Any]) -> bool:
        """Whether the model is made for the images and classes that it meets; pretrained ones are as they are."""
        return not self.builds_itself and not options.get("pretrained")

    @property
    def is_file(self) -> bool:
        """Whether the name is that of a file."""
        return self.source and self.library is None


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

MODELS = Table(
    "model",
    ModelRow,
    {
        "mlp": ModelRow(
            "symbench.models.mlp:Mlp",
            "fully connected on the pixels: no symmetry built in",
            MlpOptions,
            aliases=("linear", "dense", "fc"),
        ),
        "cnn": ModelRow(
            "symbench.models.cnn:Cnn",
            "a small convolutional network: translation, up to its strides",
            CnnOptions,
            aliases=("convnet", "conv"),
        ),
        "p4-cnn": ModelRow(
            "symbench.models.p4_cnn:P4Cnn",
            "group-equivariant convolutions (Cohen & Welling 2016): exact under quarter turns on odd sizes",
            P4CnnOptions,
            aliases=("g-cnn", "gcnn", "p4", "escnn", "e2cnn"),
        ),
        "torchvision/<NAME>": ModelRow(
            "symbench.models.torchvision:Torchvision",
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
            "symbench.models.timm:Timm",
            "a network of timm, such as timm/resnet10t.c3_in1k",
            TimmOptions,
            source=True,
            outputs=CLASSIFIER,
            library="timm",
        ),
        "huggingface/<PATH>": ModelRow(
            "symbench.models.huggingface:Huggingface",
            "an image classifier of transformers, by organisation/name or from a folder",
            HuggingfaceOptions,
            aliases=("hf/<PATH>", "transformers/<PATH>"),
            source=True,
            outputs=CLASSIFIER,
            library="transformers",
        ),
        "<FILE.pt2>": ModelRow(
            "symbench.models.exported:Exported",
            "a program saved by torch.export, relative to the suite",
            builds_itself=True,
            source=True,
            runs_code=True,
        ),
        "<FILE.onnx>": ModelRow(
            "symbench.models.onnx:Onnx",
            "an ONNX program, run by onnxruntime on the CPU",
            builds_itself=True,
            source=True,
        ),
        "<FILE.torchscript|ts|ptc|pt>": ModelRow(
            "symbench.models.torchscript:Torchscript",
            "a TorchScript program",
            builds_itself=True,
            source=True,
            runs_code=True,
        ),
    },
)
