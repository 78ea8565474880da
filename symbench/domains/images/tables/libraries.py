"""Options of models that libraries know by their names."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field as Limits
from pydantic import model_validator

from symbench.base.registry import Options


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
    """``timm/<NAME>``: the weights that the name stands for, with its tag where it has one.

    ``features: true`` returns what the head would be given, maps of a convolutional network; a number those of one
    of its stages, counted from 0.
    """

    pretrained: bool = False
    features: bool | Annotated[int, Limits(ge=0)] = False

    @model_validator(mode="after")
    def _features_have_no_classes(self) -> TimmOptions:
        if self.features is not False and self.classes is not None:
            raise ValueError("features have no classes")
        return self


class HuggingfaceOptions(LibraryOptions):
    """``huggingface/<PATH>``: weights and all, or the configuration alone.

    Class scores of a segmentation are brought to the size of its images, as its processor does, unless
    ``upsample: false`` leaves them on their coarser grid.
    """

    pretrained: bool = True
    upsample: bool = True
