"""Volumes in one array: ``.npy``, or ``.npz`` with labels beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from symbench.algebra.fields import Field
from symbench.algebra.statistics import Array
from symbench.base.code import foreign
from symbench.base.errors import ConfigError, DataError, Problem, near_miss, one_of, quoted
from symbench.domains.common.canvas import Canvas
from symbench.domains.common.datasets.base import Batch, Dataset
from symbench.domains.common.datasets.paths import checked_path
from symbench.domains.common.datasets.stored import Stored
from symbench.domains.common.datasets.targets import of_array
from symbench.domains.volumes.datasets.maps import class_map, sha256_of, standardised, written
from symbench.domains.volumes.fields import Volume, labels_of


class VolumeArray(Dataset):
    """Volumes ``(n, d, h, w)`` or ``(n, c, d, h, w)``, read from the array batch by batch.

    Args:
        volumes: as they are kept, of any numbers.
        labels: classes ``(n,)`` or maps ``(n, d, h, w)``, with their field; None where there are none.
        spacing: of d, h and w; empty where they are alike.
        standardise: whether each volume is brought to mean 0 and standard deviation 1.
        digest: of the contents, and of how they are read.
        where: for messages.
    """

    def __init__(
        self,
        volumes: Array,
        labels: tuple[Field, Array] | None,
        *,
        spacing: tuple[float, ...],
        standardise: bool,
        digest: str,
        where: str,
    ) -> None:
        self.volumes = volumes
        self.standardise = standardise
        self.where = where
        self.fields = {"volume": Volume(spacing)}
        self.labels = None if labels is None else labels[1]
        self.targets: dict[str, Field] = {} if labels is None else {"label": labels[0]}
        self._digest = digest

    def __len__(self) -> int:
        return len(self.volumes)

    def labels_at_hand(self, target: str) -> Array | None:
        """All of them, where there are some."""
        del target
        return self.labels

    def batch(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Batch:
        """Volumes by their index, float32 ``(n, c, d, h, w)``.

        Raises:
            DataError: one holds numbers that are not finite.
        """
        found = self.stored(indices, canvas=canvas)
        return Batch(found.leaves, found.targets)

    def stored(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Stored:
        """The same."""
        del canvas
        rows = np.asarray(indices, dtype=np.int64)
        values = np.asarray(self.volumes[rows]).astype(np.float32)
        values = values[:, None] if values.ndim == 4 else values
        for row, volume in zip(rows.tolist(), values, strict=True):
            if not np.isfinite(volume).all():
                raise DataError(Problem(f"{self.where}, sample {row}", "holds numbers that are not finite"))
        values = standardised(values) if self.standardise else values
        targets = {} if self.labels is None else {"label": torch.from_numpy(self.labels[rows])}
        return Stored({"volume": torch.from_numpy(values)}, targets)

    def digest(self) -> str:
        """SHA-256 of the file, of what is taken from it, and how it is read."""
        return self._digest


def load(
    *,
    path: str,
    split: str,
    volumes: str,
    labels: str | None,
    ignore: int | None,
    spacing: tuple[float, float, float] | None,
    standardise: bool,
    folder: Path = Path(),
    where: str = "",
) -> VolumeArray:
    """The volumes of an array file.

    Args:
        path: ``.npz`` or ``.npy``, relative to the suite's folder; ``{split}`` in it stands for the split.
        split: ``train`` or ``test``.
        volumes: the key of the volumes; a ``.npy`` file has none.
        labels: the key of the labels; without it there are none.
        ignore: the label of places without a class.
        spacing: of d, h and w.
        standardise: whether each volume is brought to mean 0 and standard deviation 1.
        folder: what a relative ``path`` starts from.
        where: the suite's key, for messages.

    Raises:
        ConfigError: the file cannot be read, or holds no such arrays.
    """
    where = where or "volume-arrays"
    file = checked_path(folder, path, split, key="path", where=where)
    with foreign(ConfigError, where, f"reading {file.name}", "an array file that is whole"):
        arrays = _arrays(file, where)
        found = _chosen(arrays, volumes, file, where)
        _check(found, where)
        known = (
            None if labels is None else _labels(_chosen(arrays, labels, file, where), found, ignore, where, spacing)
        )
        said = f"{sha256_of(file)} {volumes} {labels} {ignore} {spacing} {standardise}"
    digest = hashlib.sha256(said.encode()).hexdigest()
    return VolumeArray(found, known, spacing=spacing or (), standardise=standardise, digest=digest, where=where)


def _arrays(file: Path, where: str) -> dict[str, Array]:
    """Every array of the file by its key; one of a ``.npy`` file is mapped, and answers to any name of volumes."""
    if file.suffix == ".npy":
        return {"volumes": np.load(file, mmap_mode="r", allow_pickle=False)}
    if file.suffix == ".npz":
        with np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    raise ConfigError(Problem(where, f"got {file.name}", "a file that ends in .npz or .npy"))


def _chosen(arrays: dict[str, Array], key: str, file: Path, where: str) -> Array:
    """The array under a key; one that is not there, or empty, is refused."""
    if key not in arrays:
        got, expected = f"{file.name} has no array {quoted(key)}", f"one of {one_of(arrays) or 'none'}"
        raise ConfigError(Problem(where, got, expected, near_miss(key, arrays)))
    if arrays[key].size == 0:
        raise ConfigError(Problem(where, f"{file.name}, array {quoted(key)}, is empty", "at least one sample"))
    return arrays[key]


def _check(volumes: Array, where: str) -> None:
    """Refuse what are no volumes.

    Raises:
        ConfigError: with their shape, or dtype.
    """
    if volumes.ndim not in {4, 5}:
        remedy = "Images are read by the dataset arrays." if volumes.ndim == 3 else None
        got = f"volumes have shape {volumes.shape}"
        raise ConfigError(Problem(where, got, "(n, d, h, w) or (n, c, d, h, w)", remedy))
    if not (np.issubdtype(volumes.dtype, np.integer) or np.issubdtype(volumes.dtype, np.floating)):
        raise ConfigError(Problem(where, f"volumes are {volumes.dtype}", "whole numbers or floats"))


def _labels(
    values: Array, volumes: Array, ignore: int | None, where: str, spacing: tuple[float, ...] | None
) -> tuple[Field, Array]:
    """Labels with their field: a class for each volume, or a map.

    Raises:
        ConfigError: they are neither.
    """
    sides = volumes.shape[-3:]
    if len(values) != len(volumes) or values.ndim not in {1, 4}:
        got = f"labels have shape {values.shape}"
        expected = f"({len(volumes)},), or maps of {written(sides)} places for {len(volumes)} volumes"
        raise ConfigError(Problem(where, got, expected))
    if values.ndim == 1:
        return of_array(values, where)
    maps = class_map(values, sides, ignore, where, ConfigError)
    return labels_of(int(maps.max()) + 1, spacing or ()), maps
