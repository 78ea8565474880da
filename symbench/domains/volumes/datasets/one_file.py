"""One volume in a file of its own: NIfTI, in the patient's axes, or a NumPy array."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from symbench.algebra.statistics import Array
from symbench.base.code import foreign, require
from symbench.base.errors import ConfigError, Problem

NIFTI = (".nii", ".nii.gz")
SUFFIXES = (*NIFTI, ".npy")
"""How files of volumes end."""


@dataclass(frozen=True)
class Header:
    """What a file says of its volume before it is read.

    Attributes:
        shape: ``(c, d, h, w)``.
        spacing: of d, h and w, in the file's unit; empty where nothing says so.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...] = ()

    @property
    def said(self) -> str:
        """``5 x 1 x 1``."""
        return " x ".join(f"{each:.4g}" for each in self.spacing) or "nobody knows"


def stem(file: Path) -> str:
    """A file's name without its ending, ``.nii.gz`` being one."""
    ending = next(each for each in (".nii.gz", ".nii", ".npy") if file.name.lower().endswith(each))
    return file.name[: -len(ending)]


def header(file: Path, where: str) -> Header:
    """The shape and spacing of a file.

    Raises:
        ConfigError: it cannot be read, or holds no volume.
    """
    with foreign(ConfigError, where, f"reading {file.name}", "a file that is whole"):
        if not file.stat().st_size:
            raise ConfigError(Problem(where, f"{file.name} is empty", "a volume"))
        if file.name.lower().endswith(NIFTI):
            image = _canonical(file, where)
            shape = _with_channels(tuple(image.shape), file, where)
            # to five digits: headers hold numbers in float32 that were rounded before, and alike is alike
            spacing = tuple(float(f"{each:.5g}") for each in image.header.get_zooms()[2::-1])
            if not all(0 < each < np.inf for each in spacing):
                got = f"{file.name} says that places are at distances {spacing}"
                raise ConfigError(Problem(where, got, "three above 0", "Say spacing: [d, h, w]."))
            return Header((shape[3], *shape[2::-1]), () if len(set(spacing)) == 1 else spacing)
        shape = np.load(file, mmap_mode="r", allow_pickle=False).shape
        if len(shape) not in {3, 4} or 0 in shape:
            raise ConfigError(Problem(where, f"{file.name} has shape {shape}", "(d, h, w) or (c, d, h, w)"))
        return Header(shape if len(shape) == 4 else (1, *shape))


def values_of(file: Path, where: str) -> Array:
    """The numbers of a file, ``(c, d, h, w)``.

    Raises:
        ConfigError: it cannot be read.
    """
    with foreign(ConfigError, where, f"reading {file.name}", "a file that is whole"):
        if file.name.lower().endswith(NIFTI):
            values = np.asarray(_canonical(file, where).dataobj)
            wide = values[..., None] if values.ndim == 3 else values
            # (right, front, up, channel), each growing: rows h are counted downwards, against the second
            return np.ascontiguousarray(wide.transpose(3, 2, 1, 0)[:, :, ::-1])
        values = np.load(file, allow_pickle=False)
        return values if values.ndim == 4 else values[None]


def _canonical(file: Path, where: str) -> Any:
    """A NIfTI image with its axes exchanged and turned round so that they point right, front and up."""
    nibabel = require("nibabel", "volumes", where)
    return nibabel.as_closest_canonical(nibabel.load(file))


def _with_channels(shape: tuple[int, ...], file: Path, where: str) -> tuple[int, ...]:
    """The shape with an axis of channels behind.

    Raises:
        ConfigError: it is no volume's.
    """
    if len(shape) not in {3, 4} or 0 in shape:
        raise ConfigError(
            Problem(where, f"{file.name} has shape {shape}", "a volume of three axes, or with channels")
        )
    return shape if len(shape) == 4 else (*shape, 1)
