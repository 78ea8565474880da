"""Where volumes come from, and the options of each."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, model_validator
from pydantic import Field as Limits
from pydantic_core import PydanticCustomError

from symbench.base.registry import Options
from symbench.domains.common.datasets import DatasetRow, Split
from symbench.domains.volumes.axes import some_axes
from symbench.domains.volumes.fields import Volume

VOLUME = {"volume": Volume()}


def _distances(value: object) -> object:
    """A list of three numbers above 0 as a tuple."""
    given = tuple(value) if isinstance(value, (list, tuple)) else ()
    numbers = [each for each in given if isinstance(each, (int, float)) and not isinstance(each, bool)]
    if len(given) != 3 or len(numbers) != 3 or not all(0 < each < math.inf for each in numbers):
        raise PydanticCustomError("spacing", "three distances above 0, of d, h and w, such as [5, 1, 1]")
    return tuple(map(float, numbers))


def _sides(value: object) -> object:
    """A list of three sides as a tuple."""
    given = tuple(value) if isinstance(value, (list, tuple)) else ()
    if len(given) != 3 or not all(isinstance(each, int) and 4 <= each <= 256 for each in given):
        raise PydanticCustomError("shape", "the sides d, h and w, 4 to 256 each, such as [16, 16, 16]")
    return given


Spacing = Annotated[tuple[float, float, float], BeforeValidator(_distances)]


class OrgansOptions(Options):
    """``organs``: round blobs in volumes of this ``shape`` (d, h, w), with places at these distances.

    ``label: inside`` is a map of what is inside a blob, ``sides`` tells the left from the right of it besides, and
    ``number`` is one class for each volume, how many blobs it holds. ``mirrors: x`` says that the mirror at the plane
    of y and z exchanges left and right, and which others there may be: ``xyz`` for all.
    """

    split: Split = "test"
    samples: Annotated[int, Limits(ge=2, le=1_000_000)] = 100
    shape: Annotated[tuple[int, int, int], BeforeValidator(_sides)] = (16, 16, 16)
    spacing: Spacing | None = None
    label: Literal["inside", "sides", "number"] = "inside"
    mirrors: Annotated[str, AfterValidator(some_axes)] | None = None
    symmetric: bool = False
    noise: Annotated[float, Limits(ge=0, le=10)] = 0.1
    seed: Annotated[int, Limits(ge=0)] = 0

    @model_validator(mode="after")
    def _exchanges_sides(self) -> OrgansOptions:
        if self.mirrors is not None and self.label != "sides":
            raise ValueError(f"mirrors is of label: sides, and says nothing of label: {self.label}")
        return self


class VolumeArraysOptions(Options):
    """``volume-arrays``: volumes, and labels if there are any, in a ``.npz`` or ``.npy`` file.

    Volumes are ``(n, d, h, w)`` or ``(n, c, d, h, w)``; labels a class for each, ``(n,)``, or maps ``(n, d, h, w)``,
    in which ``ignore`` stands where there is no class. ``spacing`` is that of d, h and w; ``standardise`` brings each
    volume to mean 0 and standard deviation 1.
    """

    path: str
    split: Split = "test"
    volumes: str = "volumes"
    labels: str | None = None
    ignore: int | None = None
    spacing: Spacing | None = None
    standardise: bool = False


class VolumesOptions(Options):
    """``volumes``: a folder of NIfTI files, or of volumes in ``.npy`` files, all of one shape.

    ``labels: folders`` takes sub-folders for classes, ``maps`` the label map that stands beside each volume under the
    same name and ``suffix``: ``a.nii.gz`` and ``a_seg.nii.gz``. NIfTI volumes are brought into the patient's axes by
    exchanging and turning round axes: x to the right, y to the front, z upwards; their spacing is that of the file.
    """

    root: str
    split: Split = "test"
    labels: Literal["folders", "maps", "none"] = "none"
    suffix: Annotated[str, Limits(min_length=1, max_length=64)] = "_seg"
    ignore: int | None = None
    spacing: Spacing | None = None
    standardise: bool = False


DATASETS = {
    "organs": DatasetRow(
        "symbench.domains.volumes.datasets.organs:load",
        "synthetic volumes of blobs with label maps, whose left and right a mirror exchanges",
        OrgansOptions,
        VOLUME,
        aliases=("blobs", "blobs-3d", "medmnist", "synthetic-volumes"),
    ),
    "volume-arrays": DatasetRow(
        "symbench.domains.volumes.datasets.arrays:load",
        "volumes in a .npz or .npy file",
        VolumeArraysOptions,
        VOLUME,
        aliases=("voxels", "volumes-npz"),
    ),
    "volumes": DatasetRow(
        "symbench.domains.volumes.datasets.files:load",
        "a folder of volumes in NIfTI or .npy files, with classes or label maps",
        VolumesOptions,
        VOLUME,
        aliases=("nifti", "nii", "nii.gz", "scans", "mri", "ct"),
    ),
}
