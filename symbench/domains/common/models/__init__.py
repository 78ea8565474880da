"""Models: modules with declared inputs and outputs, the reference models that symbench trains itself, and sources.

To add one: write its file here, and add a row to ``MODELS``. A user's own ``nn.Module`` needs neither: images in,
logits out is what is taken for granted (``base.py``). A source (``source.py``) is where models come
from that are not defined here: a library that knows them by name, or a file that holds a whole program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field as Limits

from symbench.algebra.fields import USUAL, Axis, Field, Mask, Undeclared
from symbench.base.registry import Row, Table


@dataclass(frozen=True)
class ModelRow(Row):
    """A model in the table. ``path`` names a factory called with ``shape``, ``outputs`` and the options.

    Attributes:
        inputs: the fields of the leaves that it takes: of an only one without a name, of several by their names. The
            factory then gets ``shapes``, by the name of each, in place of ``shape``.
        optional: further leaves, by their names, that it takes where the dataset has them; its factory and its module
            take them as keywords.
        outputs: the field of every output.
        builds_itself: the factory takes the options alone, because it knows its shapes (most plug-ins).
        pads: padding is nothing to it, so that samples of several sizes can be fed to it without their masks.
        source: ``path`` names a :class:`~symbench.domains.common.models.source.Source`.
        library: the package that defines the model, whose code is part of what the model is.
        complete: it comes with all that it knows: no weights are drawn, and none can be loaded into it.
        group: that it is built for, as suites name groups, with its options in braces; empty where it has none.
    """

    inputs: tuple[Field, ...] | Mapping[str, Field] = (USUAL,)
    optional: Mapping[str, Field] = field(default_factory=dict, kw_only=True)
    outputs: Mapping[str, Field] = field(default_factory=lambda: {"logits": Undeclared()})
    builds_itself: bool = False
    pads: bool = False
    source: bool = False
    library: str | None = None
    complete: bool = field(default=False, kw_only=True)
    group: str = ""

    @property
    def one_size(self) -> bool:
        """Whether samples along an axis have to have equally many places: it would take padding for what is real."""
        inputs = self.inputs.values() if isinstance(self.inputs, Mapping) else self.inputs
        masked = any(isinstance(field.value, Mask) for field in inputs)
        return not self.pads and not masked and any(isinstance(at, Axis) for field in inputs for at in field.places)

    def is_shaped(self, options: Mapping[str, Any]) -> bool:
        """Whether the model is made for the images and classes that it meets; pretrained ones are as they are."""
        return not self.builds_itself and not options.get("pretrained")

    @property
    def is_file(self) -> bool:
        """Whether the name is that of a file."""
        return self.source and self.library is None


Width = Annotated[int, Limits(ge=1, le=4096)]


MODELS = Table(
    "model",
    ModelRow,
    {
        "<FILE.pt2>": ModelRow(
            "symbench.domains.common.models.exported:Exported",
            "a program saved by torch.export, relative to the suite",
            builds_itself=True,
            source=True,
            runs_code=True,
        ),
        "<FILE.onnx>": ModelRow(
            "symbench.domains.common.models.onnx:Onnx",
            "an ONNX program, run by onnxruntime on the CPU",
            builds_itself=True,
            source=True,
        ),
        "<FILE.torchscript|ts|ptc|pt>": ModelRow(
            "symbench.domains.common.models.torchscript:Torchscript",
            "a TorchScript program",
            builds_itself=True,
            source=True,
            runs_code=True,
        ),
    },
)
