"""Folders of volumes: NIfTI files, or one array in each, with classes or label maps."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from symbench.algebra.fields import Category, Field
from symbench.algebra.statistics import Array
from symbench.base.errors import ConfigError, DataError, Problem
from symbench.domains.common.canvas import Canvas
from symbench.domains.common.datasets.base import Batch, Dataset
from symbench.domains.common.datasets.paths import checked_path
from symbench.domains.volumes.datasets.maps import class_map, sha256_of, standardised, written
from symbench.domains.volumes.datasets.one_file import SUFFIXES, Header, header, stem, values_of
from symbench.domains.volumes.fields import Volume, labels_of

CLOSE = 1e-3
"""Of a distance: by how much the spacing of files may differ that are taken for alike."""


class VolumeFiles(Dataset):
    """Volumes ``(c, d, h, w)`` in a file each, read when they are asked for.

    Args:
        files: of the volumes.
        labels: a class for each; or of each the file of its label map.
        head: what is alike in all files.
        classes: names of classes where labels are classes, else how many a map may hold.
    """

    def __init__(
        self,
        files: Sequence[Path],
        labels: Array | Sequence[Path] | None,
        head: Header,
        *,
        names: Sequence[str] | None,
        classes: int | None,
        ignore: int | None,
        standardise: bool,
        where: str,
    ) -> None:
        self.files = list(files)
        self.head = head
        self.classes = names
        self.where = where
        self.ignore, self.standardise = ignore, standardise
        self.fields = {"volume": Volume(head.spacing)}
        self.labels = labels if isinstance(labels, np.ndarray) else None
        self.maps = None if labels is None or isinstance(labels, np.ndarray) else list(labels)
        self.said: list[str] = []
        self.targets: dict[str, Field] = {}
        if labels is not None:
            maps = self.maps is not None
            self.targets = {"label": labels_of(classes, head.spacing) if maps else Category(classes)}

    def __len__(self) -> int:
        return len(self.files)

    def labels_at_hand(self, target: str) -> Array | None:
        """The classes of all volumes; None where labels are maps."""
        del target
        return self.labels

    def called(self, index: int) -> str:
        """The name of its file."""
        return self.files[index].name

    def batch(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Batch:
        """Volumes by their index, float32 ``(n, c, d, h, w)``.

        Raises:
            DataError: a file cannot be read any more, or holds numbers that are not finite.
        """
        del canvas
        volumes = np.stack([self._volume(index) for index in indices])
        volumes = standardised(volumes) if self.standardise else volumes
        targets = {}
        if self.labels is not None:
            targets = {"label": torch.from_numpy(self.labels[list(indices)])}
        elif self.maps is not None:
            targets = {"label": torch.from_numpy(np.stack([self.map(index) for index in indices]))}
        return Batch({"volume": torch.from_numpy(volumes)}, targets)

    def _volume(self, index: int) -> Array:
        values = values_of(self.files[index], self.where).astype(np.float32)
        if not np.isfinite(values).all():
            raise DataError(Problem(f"{self.where}: {self.called(index)}", "holds numbers that are not finite"))
        return values

    def map(self, index: int) -> Array:
        """The label map of a volume, int64 ``(d, h, w)``.

        Raises:
            DataError: it is of another shape, or holds no classes.
        """
        file = (self.maps or [])[index]
        values = values_of(file, self.where)
        where = f"{self.where}: {file.name}"
        if len(values) != 1:
            raise DataError(Problem(where, f"has {len(values)} channels", "a label map of one"))
        return class_map(values[0], self.head.shape[1:], self.ignore, where, DataError)

    def remarks(self) -> list[str]:
        """A sentence about label maps that are not used."""
        return self.said

    def digest(self) -> str:
        """SHA-256 of all files, and of how they are read."""
        digest = hashlib.sha256(f"{self.head.spacing} {self.ignore} {self.standardise}".encode())
        for index, file in enumerate(self.files):
            digest.update(sha256_of(file).encode())
            if self.labels is not None:
                digest.update(str(int(self.labels[index])).encode())
            if self.maps is not None:
                digest.update(sha256_of(self.maps[index]).encode())
        return digest.hexdigest()


def load(
    *,
    root: str,
    split: str,
    labels: str,
    suffix: str,
    ignore: int | None,
    spacing: tuple[float, float, float] | None,
    standardise: bool,
    folder: Path = Path(),
    where: str = "",
) -> VolumeFiles:
    """The volumes of a folder, in the order of their names.

    Args:
        root: the folder, relative to the suite's; ``{split}`` in it stands for the split.
        split: ``train`` or ``test``.
        labels: ``folders``, ``maps`` or ``none``.
        suffix: what names of label maps end with, before the file's own ending.
        ignore: the label of places without a class.
        spacing: of d, h and w; None for that of the files.
        standardise: whether each volume is brought to mean 0 and standard deviation 1.
        folder: what a relative ``root`` starts from.
        where: the suite's key, for messages.

    Raises:
        ConfigError: there are no volumes, they differ in shape or spacing, or a label map is missing or none.
    """
    where = where or "volumes"
    top = checked_path(folder, root, split, key="root", where=where)
    if not top.is_dir():
        raise ConfigError(Problem(where, f"{top} is a file", "a folder of volumes"))
    every = sorted(file for file in top.rglob("*") if file.is_file() and file.name.lower().endswith(SUFFIXES))
    maps = {file.parent / stem(file).removesuffix(suffix): file for file in every if stem(file).endswith(suffix)}
    files = [file for file in every if file not in maps.values()]
    if not files:
        raise ConfigError(Problem(where, f"no volumes below {top}", f"files that end in {', '.join(SUFFIXES)}"))
    head = _one_header(files, spacing, where)
    names, known = _labels(labels, top, files, maps, suffix, where)
    found = VolumeFiles(
        files,
        known,
        head,
        names=names,
        classes=None if names is None else len(names),
        ignore=ignore,
        standardise=standardise,
        where=where,
    )
    if labels == "maps":
        found.targets = {"label": labels_of(_classes_in(found), head.spacing)}
    elif maps:
        found.said = [
            f"{where}: {len(maps)} files that end with {suffix} are not used. For labels, say labels: maps."
        ]
    return found


def _one_header(files: Sequence[Path], spacing: tuple[float, float, float] | None, where: str) -> Header:
    """What all files have in common.

    Raises:
        ConfigError: they differ in it, with the first that does.
    """
    first = header(files[0], where)
    for file in files[1:]:
        other = header(file, where)
        if other.shape != first.shape:
            got = f"{file.name} has {written(other.shape)} numbers, and {files[0].name} {written(first.shape)}"
            remedy = "Crop or resample them to one shape, or measure those of each shape as a dataset."
            raise ConfigError(Problem(where, got, "volumes of one shape", remedy))
        if spacing is None and not np.allclose(other.spacing or 1.0, first.spacing or 1.0, rtol=CLOSE):
            got = f"places of {file.name} are at distances {other.said}, and of {files[0].name} {first.said}"
            raise ConfigError(Problem(where, got, "one spacing", "Resample them, or say spacing: what all have."))
    return first if spacing is None else Header(first.shape, spacing)


def _labels(
    labels: str, top: Path, files: Sequence[Path], maps: dict[Path, Path], suffix: str, where: str
) -> tuple[list[str] | None, Array | list[Path] | None]:
    """The names of classes, where there are some, and the label of each file.

    Raises:
        ConfigError: a volume has none.
    """
    if labels == "none":
        return None, None
    if labels == "maps":
        lacking = [file for file in files if file.parent / stem(file) not in maps]
        if lacking:
            got = f"{lacking[0].name} has no label map {stem(lacking[0])}{suffix}{_ending(lacking[0])} beside it"
            raise ConfigError(Problem(where, got, "one for each volume", "Say suffix: what their names end with."))
        return None, [maps[file.parent / stem(file)] for file in files]
    loose = [file for file in files if file.parent == top]
    if loose:
        raise ConfigError(Problem(where, f"{loose[0].name} stands in no folder", "a sub-folder for each class"))
    own = [file.relative_to(top).parts[0] for file in files]
    names = sorted(set(own))
    return names, np.array([names.index(each) for each in own], dtype=np.int64)


def _classes_in(found: VolumeFiles) -> int:
    """How many classes all maps hold.

    Raises:
        ConfigError: a map is none.
    """
    try:
        return 1 + max(int(found.map(index).max()) for index in range(len(found)))
    except DataError as error:
        raise ConfigError(error.problems) from error


def _ending(file: Path) -> str:
    return file.name[len(stem(file)) :]
