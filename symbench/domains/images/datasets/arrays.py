"""Images in one array: ``.npy``, ``.npz`` or ``.safetensors``, memory-mapped where the file allows it."""

from __future__ import annotations

import contextlib
import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open

from symbench.algebra.fields import Field
from symbench.base.code import foreign
from symbench.base.errors import ConfigError, DataError, Problem, near_miss, one_of, quoted
from symbench.domains.common.canvas import Canvas
from symbench.domains.common.datasets.base import Batch, Dataset
from symbench.domains.common.datasets.paths import checked_path
from symbench.domains.common.datasets.some import spread
from symbench.domains.common.datasets.stored import Stored
from symbench.domains.common.datasets.targets import of_array
from symbench.domains.images.datasets.decode import Unreadable
from symbench.domains.images.datasets.facts import remembered_sha256
from symbench.domains.images.datasets.naming import unused
from symbench.domains.images.datasets.pixels import FULL, Range, Use, as_tensor, to_unit
from symbench.domains.images.datasets.resize import fits, resize
from symbench.domains.images.datasets.stacked import Stacked, boxes_of, maps_of, points_of
from symbench.domains.images.datasets.videos import VideoArray
from symbench.domains.images.fields import Image

CHANNELS = (1, 3)


class ImageArray(Dataset):
    """Images ``(n, c, h, w)``, ``(n, h, w, c)`` or ``(n, h, w)``, read from the file batch by batch."""

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray | None,
        *,
        channels_last: bool,
        digest: str,
        where: str,
        span: Range | None = None,
        remarks: Sequence[str] = (),
        stacked: Sequence[Stacked] = (),
        classes: Sequence[str] | None = None,
    ) -> None:
        self.span = span
        self.images = images
        self.channels_last = channels_last
        self.where = where
        self.fields = {"image": Image()}
        self.labels: np.ndarray | None = None
        self.targets: dict[str, Field] = {}
        if labels is not None:
            field, self.labels = of_array(labels, where)
            self.targets = {"label": field}
        self.stacked = stacked
        self.targets |= {each.name: each.field for each in stacked}
        self.classes = classes
        self._digest = digest
        self._said = list(remarks)
        self._use = Use()

    def labels_at_hand(self, target: str) -> np.ndarray | None:
        """All of them, where there are some."""
        del target
        return self.labels

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Batch:
        """Samples by their index, pixels in [0, 1]; uint8 becomes ``uint8 / 255``.

        Raises:
            DataError: pixels leave their range.
        """
        found = self.stored(indices, canvas=canvas)
        return Batch(found.made(), found.targets)

    def stored(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Stored:
        """The same; in 8 bits, where they stand so in the file and are not resized."""
        rows = np.asarray(indices, dtype=np.int64)
        targets = {} if self.labels is None else {"label": torch.from_numpy(self.labels[rows])}
        pixels = as_tensor(self.images[rows], self.where)
        if pixels.ndim == 3:
            pixels = pixels[:, None]
        elif self.channels_last:
            pixels = pixels.movedim(-1, 1)
        height, width = pixels.shape[-2:]
        for each in self.stacked:
            targets[each.name] = each.batch(rows, (height, width), canvas, self.where)
        if pixels.dtype == torch.uint8 and self.span is None and fits(pixels, canvas):
            return Stored({"image": pixels.contiguous()}, targets, {"image": FULL[torch.uint8]})
        images = to_unit(pixels, self.span, lambda row: f"{self.where}, sample {rows[row]}")
        return Stored({"image": resize(images, canvas).contiguous()}, targets)

    def digest(self) -> str:
        """SHA-256 of the file's digest and of which arrays are taken from it, and how they are read."""
        return self._digest

    def remarks(self) -> list[str]:
        """Sentences about arrays that are not used, and about images that seem to be of another range."""
        with contextlib.suppress(DataError):  # what is beyond its range is said where it is read
            for index in () if self._use.samples else spread(len(self)).tolist():
                self._use.see(self.batch([index]).leaves["image"], getattr(torch, self.images.dtype.name, None))
        return [*self._said, *self._use.remark(self.span, self.where)]


def load(
    *,
    path: str,
    split: str,
    images: str,
    labels: str | None,
    layout: str,
    range: Range | None = None,
    frames: bool = False,
    boxes: str | None = None,
    keypoints: str | None = None,
    pairs: Sequence[tuple[int, int]] = (),
    classes: Sequence[str] | None = None,
    ignore: int | None = 255,
    folder: Path = Path(),
    where: str = "",
) -> Dataset:
    """The images of an array file.

    Args:
        path: ``.npz``, ``.npy`` or ``.safetensors``, relative to the suite's folder; ``{split}`` in it stands for the
            split. A compressed ``.npz`` is read into memory, everything else is mapped.
        split: ``train`` or ``test``.
        images: the key of the images, uint8, uint16 or float in [0, 1]; a ``.npy`` file has none.
        labels: the key of the labels: class indices ``(n,)``, numbers ``(n,)`` or ``(n, d)``, or 0 and 1 for each
            of several labels ``(n, labels)``, or a class for each pixel ``(n, h, w)``; without it there are none.
        layout: ``nchw``, ``nhwc``, or ``auto``: the axis that is 1 or 3 long holds the channels.
        range: what black and white are stored as, of any numbers.
        frames: whether they are videos: images with an axis of frames behind that of the samples.
        boxes: the key of boxes ``(n, most, 5)``: left, top, right, bottom and class, -1 for no object.
        keypoints: the key of joints ``(n, joints, 2 or 3)``: x, y and whether each is visible.
        pairs: the numbers of joints that a mirror exchanges.
        classes: the names of the classes of pixels and boxes.
        ignore: the number of pixels that count nowhere.
        folder: what a relative ``path`` starts from.
        where: the suite's key, for messages.

    Raises:
        ConfigError: the file cannot be read, or holds no such arrays.
    """
    where = where or "arrays"
    file = checked_path(folder, path, split, key="path", where=where)
    with foreign(ConfigError, where, f"reading {file.name}", "an array file that is whole"):
        arrays = _arrays(file, where)
        pixels = _chosen(arrays, images, file, where)
        chosen = {
            name: _labels(_chosen(arrays, key, file, where), len(pixels), name, where)
            for name, key in (("labels", labels), ("boxes", boxes), ("keypoints", keypoints))
            if key is not None
        }
        _check_numbers(pixels, range, where)
        each = _frames(pixels, where) if frames else 0
        last = _channels_last(pixels[:, 0] if frames else pixels, layout, where)
        size = _size(pixels[:, 0] if frames else pixels, last)
        stacked = [] if frames else _stacked(chosen, size, where, classes=classes, ignored=ignore, pairs=pairs)
        said = f"{_file_digest(file)} {images} {labels} {last}" + ("" if range is None else f" {range}")
        said += f" {boxes} {keypoints} {list(pairs)} {classes} {ignore}" if stacked else ""
        said += f" {each} frames" if frames else ""
        digest = hashlib.sha256(said.encode()).hexdigest()
    single = chosen.get("labels")
    if frames:
        if boxes or keypoints or classes:
            raise ConfigError(Problem(where, "boxes, keypoints and classes are of images", "none of them for videos"))
        end_to_end = pixels.reshape(-1, *pixels.shape[2:])
        whole = ImageArray(
            end_to_end, None, channels_last=last, digest=digest, where=f"{where}, frames end to end", span=range
        )
        return VideoArray(whole, each, None if single is None else of_array(np.array(single), where))
    return ImageArray(
        pixels,
        None if single is None or single.ndim > 2 else np.array(single),
        channels_last=last,
        digest=digest,
        where=where,
        span=range,
        remarks=unused("labels", "labels", arrays, where) if labels is None else [],
        stacked=stacked,
        classes=classes,
    )


def _stacked(
    chosen: Mapping[str, np.ndarray],
    size: tuple[int, int],
    where: str,
    *,
    classes: Sequence[str] | None,
    ignored: int | None,
    pairs: Sequence[tuple[int, int]],
) -> list[Stacked]:
    """The targets that stand on images of this size.

    Raises:
        ConfigError: one belongs to no such images, or classes are named and none of them has any.
    """
    found = []
    if "labels" in chosen and chosen["labels"].ndim > 2:
        found.append(maps_of(chosen["labels"], size, classes=classes, ignored=ignored, where=where))
    if "boxes" in chosen:
        found.append(boxes_of(chosen["boxes"], size, classes=classes, where=where))
    if classes and not found:
        got = "classes are named, and there are neither labels of pixels nor boxes"
        raise ConfigError(Problem(where, got, None, "Give the key of either, or leave classes out."))
    return [*found, *([points_of(chosen["keypoints"], pairs=pairs, where=where)] if "keypoints" in chosen else [])]


def _size(images: np.ndarray, channels_last: bool) -> tuple[int, int]:
    """Height and width of images."""
    height, width = images.shape[1:] if images.ndim == 3 else images.shape[1:3] if channels_last else images.shape[2:]
    return height, width


def _frames(videos: np.ndarray, where: str) -> int:
    """How many frames each video has.

    Raises:
        ConfigError: the array holds no videos.
    """
    if videos.ndim not in {4, 5} or 0 in videos.shape:
        got = f"videos have shape {videos.shape}"
        raise ConfigError(Problem(where, got, "(n, frames, c, h, w), (n, frames, h, w, c) or (n, frames, h, w)"))
    return int(videos.shape[1])


def _file_digest(path: Path) -> str:
    try:
        return remembered_sha256(path)
    except Unreadable as error:
        raise OSError(str(error)) from error


def _arrays(path: Path, where: str) -> Mapping[str, Any]:
    """Every array of the file by its key, none of them read yet."""
    if path.suffix == ".npy":
        return {"images": lambda: np.load(path, mmap_mode="r", allow_pickle=False)}
    if path.suffix == ".npz":
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        return {key: lambda info=info: _member(path, info) for key, info in members.items()}
    if path.suffix == ".safetensors":
        with safe_open(path, "pt") as file:
            return {key: lambda key=key: _tensor(path, key) for key in file.keys()}  # noqa: SIM118  (it is no mapping)
    raise ConfigError(Problem(where, f"got {path.name}", "a file that ends in .npz, .npy or .safetensors"))


def _member(path: Path, info: zipfile.ZipInfo) -> np.ndarray:
    """An array of a ``.npz`` file: mapped where it is stored as it is, as ``numpy.savez`` does, else read.

    Raises:
        ValueError: it is no array, or one of Python objects.
    """
    if info.compress_type != zipfile.ZIP_STORED:
        with np.load(path, allow_pickle=False) as archive:
            values: np.ndarray = archive[info.filename.removesuffix(".npy")]
            return values
    with path.open("rb") as file, zipfile.ZipFile(file) as archive, archive.open(info):
        # To open a member, zipfile reads the header before it and no further: our file now stands at its first byte.
        # That is how zipfile works, not what it promises; ``read_magic`` refuses whatever else might be there.
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
        if dtype.hasobject:
            raise ValueError("its elements are Python objects")
        return np.memmap(file, dtype, "r", file.tell(), shape, "F" if fortran else "C")


def _tensor(path: Path, key: str) -> np.ndarray:
    """An array of a ``.safetensors`` file, mapped.

    safetensors maps a tensor for torch and copies it for NumPy: hence the way by torch, which costs no memory.

    Raises:
        TypeError: NumPy has no such numbers, as of bfloat16.
    """
    with safe_open(path, "pt") as file:
        values: np.ndarray = file.get_tensor(key).numpy()
    return values


def _chosen(arrays: Mapping[str, Any], key: str, path: Path, where: str) -> np.ndarray:
    """The array under a key; one that is not there, or empty, is refused."""
    if key not in arrays:
        got, expected = f"{path.name} has no array {quoted(key)}", f"one of {one_of(arrays) or 'none'}"
        raise ConfigError(Problem(where, got, expected, near_miss(key, arrays)))
    values: np.ndarray = arrays[key]()
    if not len(values):
        raise ConfigError(Problem(where, f"{path.name}, array {quoted(key)}, is empty", "at least one sample"))
    return values


def _labels(values: np.ndarray, count: int, name: str, where: str) -> np.ndarray:
    if values.shape[:1] != (count,):
        got = f"{name} are {values.dtype} of shape {values.shape}"
        raise ConfigError(Problem(where, got, f"{count} {name}, one for each image"))
    return values


def _check_numbers(images: np.ndarray, span: Range | None, where: str) -> None:
    """Refuse numbers of which nothing says what black and white are.

    Raises:
        ConfigError: with the option that would say it.
    """
    known = images.dtype.name in {"uint8", "uint16", "bool"} or np.issubdtype(images.dtype, np.floating)
    if not known and (span is None or not np.issubdtype(images.dtype, np.integer)):
        got, remedy = f"images are {images.dtype}", "Say what black and white are, as range: [0, 4095]."
        raise ConfigError(Problem(where, got, "uint8, uint16, or float in [0, 1]", remedy))


def _channels_last(images: np.ndarray, layout: str, where: str) -> bool:
    """Whether the channels stand in the last axis.

    Raises:
        ConfigError: the array holds no images, or the axis cannot be told.
    """
    if images.ndim not in {3, 4} or 0 in images.shape:
        got = f"images have shape {images.shape}"
        raise ConfigError(Problem(where, got, "(n, c, h, w), (n, h, w, c) or (n, h, w)"))
    if images.ndim == 3 or layout != "auto":
        return layout == "nhwc"
    first, last = images.shape[1] in CHANNELS, images.shape[3] in CHANNELS
    if first == last:
        got = f"images have shape {images.shape}, whose axis of channels cannot be told"
        raise ConfigError(Problem(where, got, "one axis of 1 or 3", "Say layout: nchw or layout: nhwc."))
    return last
