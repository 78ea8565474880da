"""Where images come from, and the options of each."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BeforeValidator, model_validator
from pydantic import Field as Limits
from pydantic_core import PydanticCustomError

from symbench.base.registry import Options, otherwise
from symbench.domains.common.datasets import DatasetRow, Split
from symbench.domains.images.fields import Image, Video


def _tupled(value: object) -> object:
    """A list, as suites have them, as a tuple."""
    return tuple(value) if isinstance(value, list) else value


Byte = Annotated[int, Limits(ge=0, le=255)]
Colour = Annotated[tuple[Byte, Byte, Byte], BeforeValidator(_tupled)]
Joint = Annotated[int, Limits(ge=0)]
Pair = Annotated[tuple[Joint, Joint], BeforeValidator(_tupled)]
Pairs = Annotated[tuple[Pair, ...], BeforeValidator(_tupled)]
Names = list[str]


class DigitsOptions(Options):
    """``digits``: 1,797 handwritten digits, 450 of them for testing; ``upside_down`` says what a 6 turned over is.

    ``label`` says what is asked: which digit, how it is turned, or whether a 6 stands on its head.
    """

    split: Split = "test"
    size: Annotated[int, Limits(ge=9, le=257)] = 33
    upside_down: Literal["another", "the same"] = "another"
    label: Literal["digit", "orientation", "overturned-six"] = "digit"

    @model_validator(mode="after")
    def _six_of_digits(self) -> DigitsOptions:
        if self.label != "digit" and self.upside_down != "another":
            raise ValueError(f"upside_down is of label: digit, and says nothing of label: {self.label}")
        return self


class ScenesOptions(Options):
    """``scenes``: one to ``objects`` discs, squares and triangles on a textured ground.

    ``target: masks`` asks which shape each pixel shows, ``boxes`` for boxes about them. ``halves`` asks for the left
    and the right half of the only triangle, as seen along its tip, which mirrors exchange: of the ``group``, ``D1``
    or ``D4``. ``keypoints`` asks for its tip and corners. ``pose: random`` turns objects, ``upright`` points
    triangles up. ``mirrored: true`` makes every image its own mirror image.
    """

    split: Split = "test"
    size: Annotated[int, Limits(ge=10, le=1025)] = 33
    samples: Annotated[int, Limits(ge=1, le=1_000_000)] = 300
    objects: Annotated[int, Limits(ge=1, le=64)] = 3
    target: Literal["masks", "halves", "boxes", "keypoints", "all"] = "masks"
    pose: Literal["upright", "random"] = "upright"
    mirrored: bool = False
    group: Literal["D1", "D4"] = "D4"
    seed: Annotated[int, Limits(ge=0)] = 0

    @model_validator(mode="after")
    def _room(self) -> ScenesOptions:
        rows = self.objects if self.mirrored else math.isqrt(self.objects - 1) + 1
        if self.size < LEAST * rows:
            raise ValueError(f"{self.objects} objects need {LEAST * rows} pixels a side, and size is {self.size}")
        if self.mirrored and self.pose == "random":
            raise ValueError("mirrored is of pose: upright, since turned objects are not their own mirror images")
        return self


class PagesOptions(Options):
    """``pages``: ``samples`` pages of text, ``size`` pixels a side."""

    split: Split = "test"
    samples: Annotated[int, Limits(ge=1, le=100_000)] = 100
    size: Annotated[int, Limits(ge=64, le=2048)] = 256


def _rising(value: object) -> object:
    """A list of two numbers, the second the larger, as a pair."""
    pair = tuple(value) if isinstance(value, (list, tuple)) else ()
    if len(pair) != 2 or not all(isinstance(end, (int, float)) and not isinstance(end, bool) for end in pair):
        raise PydanticCustomError("range", "what black and white are stored as, such as [0, 4095]")
    if not pair[0] < pair[1]:
        raise PydanticCustomError("range", "black and white, the smaller number first")
    return pair


Range = Annotated[tuple[float, float], BeforeValidator(_rising)]
Layout = Literal["auto", "nchw", "nhwc"]


class ItemsOptions(Options):
    """Data of a user's own code: what black and white are stored as, and where the channels of an array are.

    ``ignore`` is the number of places of label maps that count nowhere, ``most`` how many boxes an image may have.
    """

    range: Range | None = None
    layout: Layout = "auto"
    ignore: Annotated[int, Limits(ge=0)] | None = 255
    most: Annotated[int, Limits(ge=1)] | None = None


class TorchvisionOptions(Options):
    """``torchvision/<NAME>``: any labelled image set of torchvision, read from ``root``.

    ``target`` says what is asked of sets that have several, such as segmentation of OxfordIIITPet.
    """

    split: Split = "test"
    root: str = "data"
    download: bool = False
    target: str | None = None


Channels = Literal[1, 3]


class ImagesOptions(Options):
    """``images``: a folder of images, with a sub-folder for each class or without labels.

    ``labels: none`` takes everything below it as unlabelled. ``{split}`` in ``root`` stands for the split.
    """

    root: str
    split: Split = "test"
    labels: Literal["folders", "none"] = "folders"
    channels: Channels = 3


class CsvOptions(Options):
    """``csv``: a table with a column of paths, relative to its file, and one of labels if there are any."""

    path: str
    split: Split = "test"
    image: str = "image"
    label: str | None = None
    delimiter: Annotated[str, Limits(min_length=1, max_length=1)] = ","
    channels: Channels = 3


class ArraysOptions(Options):
    """``arrays``: images, and labels if there are any, in a ``.npz``, ``.npy`` or ``.safetensors`` file.

    ``frames: true`` says that they are videos, of which each is images ``(frames, ...)`` one after the other.
    Labels of pixels may hold ``ignore``; ``boxes`` and ``keypoints`` are keys too, ``pairs`` what a mirror exchanges.
    """

    path: str
    split: Split = "test"
    images: str = "images"
    labels: str | None = None
    layout: Layout = "auto"
    range: Range | None = None
    frames: bool = False
    boxes: str | None = None
    keypoints: str | None = None
    pairs: Pairs = ()
    classes: Names | None = None
    ignore: Annotated[int, Limits(ge=0)] | None = 255


CLASSES = "names of classes, or how many there are"
IGNORE = "a number, 0 or more such as 255, or a colour [r, g, b], each 0 to 255"


class MasksOptions(Options):
    """``masks``: folders of images and of masks of the same names, whose pixels are classes.

    ``classes`` are their names, or how many there are; ``colours`` says which colour is which instead. ``ignore`` is
    the number, or the colour, of what counts nowhere. ``ending`` is what masks' names have behind the images'.
    """

    root: str
    images: str = "images"
    masks: str | None = "masks"
    classes: Annotated[Annotated[int, Limits(ge=1)] | Names | None, otherwise(CLASSES)] = None
    colours: dict[str, Annotated[Colour, otherwise("a colour [r, g, b], each 0 to 255")]] | None = None
    ignore: Annotated[Annotated[int, Limits(ge=0)] | Colour | None, otherwise(IGNORE)] = 255
    ending: str = ""
    channels: Channels = 3
    split: Split = "test"


class CocoOptions(Options):
    """``coco``: images with boxes, outlines or joints in a JSON file of COCO's format.

    ``most`` is how many objects an image may have; as many as the file needs where it is not said.
    """

    path: str
    images: str
    target: Literal["boxes", "masks", "keypoints", "all"] = "boxes"
    most: Annotated[int, Limits(ge=1)] | None = None
    channels: Channels = 3
    split: Split = "test"


class VocOptions(Options):
    """``voc``: a folder as PASCAL VOC has it: pictures, lists of them, boxes in XML and masks.

    ``list`` is ``val``, and ``train`` for training, where it is not said; ``classes`` VOC's own 20.
    """

    root: str
    target: Literal["boxes", "masks", "all"] = "boxes"
    list: str | None = None
    classes: Names | None = None
    most: Annotated[int, Limits(ge=1)] | None = None
    channels: Channels = 3
    split: Split = "test"


class HuggingfaceOptions(Options):
    """``huggingface``: a folder that Hugging Face's ``datasets`` saved, or the name of a dataset in its cache."""

    path: str
    split: str = "test"
    image: str = "image"
    label: str | None = None
    channels: Channels = 3
    download: bool = False


LEAST = 10
"""Pixels a side that an object of scenes has for itself."""

DATASETS = {
    "digits": DatasetRow(
        "symbench.domains.images.datasets.digits:load",
        "scikit-learn's handwritten digits, 33 x 33, 10 classes",
        DigitsOptions,
    ),
    "pages": DatasetRow(
        "symbench.domains.images.datasets.pages:load",
        "pages of text, drawn; the label says by how many quarter turns each was turned clockwise",
        PagesOptions,
        aliases=("documents", "text"),
    ),
    "scenes": DatasetRow(
        "symbench.domains.images.datasets.scenes:load",
        "shapes on a textured ground, for maps, left and right halves, boxes and points",
        ScenesOptions,
        aliases=("synthetic", "shapes2d"),
    ),
    "images": DatasetRow(
        "symbench.domains.images.datasets.images:load",
        "a folder of images: a sub-folder for each class, or unlabelled",
        ImagesOptions,
        aliases=("folder", "imagefolder", "image-folder", "directory", "photos", "pictures", "jpg", "png"),
    ),
    "csv": DatasetRow(
        "symbench.domains.images.datasets.csv:load",
        "a CSV file with a column of image files and one of labels",
        CsvOptions,
        aliases=("tsv", "table", "dataframe", "excel"),
    ),
    "arrays": DatasetRow(
        "symbench.domains.images.datasets.arrays:load",
        "images in a .npz, .npy or .safetensors file",
        ArraysOptions,
        varying=lambda options: {"image": Video() if options.get("frames") else Image()},
        aliases=("npz", "npy", "numpy", "array", "tensor", "tensors", "safetensors"),
    ),
    "masks": DatasetRow(
        "symbench.domains.images.datasets.masks:load",
        "folders of images and of masks of the same names",
        MasksOptions,
        aliases=("segmentation", "mask", "label-maps", "pairs"),
    ),
    "coco": DatasetRow(
        "symbench.domains.images.datasets.coco:load",
        "images with boxes, outlines or joints in a JSON file of COCO's format",
        CocoOptions,
        aliases=("json", "detection", "instances", "keypoints"),
    ),
    "voc": DatasetRow(
        "symbench.domains.images.datasets.voc:load",
        "a folder as PASCAL VOC has it, with boxes, masks or both",
        VocOptions,
        aliases=("pascal", "pascal-voc", "VOC2012", "VOC2007", "xml"),
    ),
    "huggingface": DatasetRow(
        "symbench.domains.images.datasets.huggingface:load",
        "images of Hugging Face's datasets, from a folder or its cache",
        HuggingfaceOptions,
        aliases=("hf", "hub", "datasets", "load_dataset"),
    ),
    "huggingface/<PATH>": DatasetRow(
        "symbench.domains.images.datasets.huggingface:load",
        "the same by the name of the dataset, such as huggingface/cifar10",
        HuggingfaceOptions,
        aliases=("hf/<PATH>", "datasets/<PATH>"),
    ),
    "torchvision/<NAME>": DatasetRow(
        "symbench.domains.images.datasets.torchvision:load",
        "a labelled image set of torchvision.datasets, such as torchvision/FashionMNIST",
        TorchvisionOptions,
        aliases=("MNIST", "FashionMNIST", "KMNIST", "CIFAR10", "CIFAR100", "SVHN", "STL10", "ImageNet"),
    ),
}
SEQUENCES = {
    "items": DatasetRow("symbench.domains.images.datasets.items:Items", "a sequence of images", ItemsOptions),
}
