"""Any sequence of ``(image, label)`` pairs or of bare images, as a dataset: users' own and torchvision's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence, Sized
from typing import Any

import numpy as np
import torch
from PIL import Image as Pil
from torch import Tensor

from symbench.code import foreign
from symbench.datasets.base import Batch, Canvas, Dataset, Frame, resize
from symbench.datasets.decode import framed
from symbench.errors import ConfigError, DataError, Problem
from symbench.fields import Category, Image


class Items(Dataset):
    """Wraps an object with ``__len__`` and ``__getitem__``; nothing is kept in memory.

    An image is a PIL image, or ``(c, h, w)`` (or ``(h, w)``) as a tensor or array, uint8 or float in [0, 1].
    A label is a class index; without labels accuracy is null and consistency still means something. An object that
    has a method ``valid(label, element)`` says with it which elements keep a label; a list ``classes`` names them.
    """

    def __init__(self, source: Any, *, where: str = "dataset", classes: Sequence[str] | None = None) -> None:
        if not isinstance(source, Sized) or not callable(getattr(source, "__getitem__", None)):
            raise ConfigError(
                Problem(where, f"got a {type(source).__name__}", "a sequence with len() and [index]", None)
            )
        if len(source) == 0:
            raise ConfigError(Problem(where, "the dataset is empty", "at least one sample"))
        self.source: Any = source
        self.where = where
        self.labelled = isinstance(self._item(0), tuple)
        self.fields = {"image": Image()}
        self.targets = {"label": Category(len(classes) if classes else None)} if self.labelled else {}
        self.classes = classes if classes is not None else _names(source)
        own = getattr(source, "valid", None)
        self.valid = own if callable(own) else None

    def __len__(self) -> int:
        return len(self.source)

    def batch(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Batch:
        """Decode the samples one by one."""
        images, labels = [], []
        for index in indices:
            image, label = self._pair(index, canvas)
            images.append(image)
            labels.append(label)
        shapes = {tuple(image.shape) for image in images}
        if len(shapes) > 1:
            raise DataError(
                Problem(
                    self.where,
                    f"images have {len(shapes)} shapes, such as {sorted(shapes)[0]} and {sorted(shapes)[-1]}",
                    "one shape",
                    "Give the model a size, and every image is brought to it."
                    if len({shape[0] for shape in shapes}) == 1
                    else "Convert them to one number of channels.",
                )
            )
        targets = {"label": torch.tensor(labels, dtype=torch.int64)} if self.labelled else {}
        return Batch({"image": torch.stack(images)}, targets)

    def digest(self) -> str:
        """Of every sample's decoded pixels and label."""
        digest = hashlib.sha256()
        for index in range(len(self)):
            image, label = self._pair(index)
            digest.update(f"{tuple(image.shape)} {label}\0".encode())
            digest.update(image.numpy().tobytes())
        return digest.hexdigest()

    def _item(self, index: int) -> Any:
        with foreign(DataError, f"{self.where}, sample {index}", "reading it"):
            return self.source[index]

    def _pair(self, index: int, canvas: Canvas | None = None) -> tuple[Tensor, int]:
        where = f"{self.where}, sample {index}"
        item = self._item(index)
        if not self.labelled:
            return _framed(item, canvas, where=where), -1
        if not isinstance(item, tuple) or len(item) != 2:
            raise DataError(Problem(where, f"got a {type(item).__name__}", "a pair (image, label)"))
        image, label = item
        return _framed(image, canvas, where=where), _to_label(label, where=where)


def _names(source: Any) -> Sequence[str] | None:
    """The classes' names where the object has them as torchvision's sets do."""
    own = getattr(source, "classes", None)
    return own if isinstance(own, (list, tuple)) and all(isinstance(name, str) for name in own) and own else None


def _framed(value: Any, canvas: Canvas | None, *, where: str) -> Tensor:
    """One image on its canvas; Pillow's are framed by Pillow, as libraries do, which rounds where tensors do not."""
    if isinstance(canvas, Frame) and isinstance(value, Pil.Image) and value.mode in {"L", "RGB"}:
        return torch.from_numpy(framed(value, canvas)).float() / 255
    return resize(to_image(value, where=where)[None], canvas)[0]


def to_image(value: Any, *, where: str) -> Tensor:
    """One image as float32 ``(c, h, w)`` in [0, 1].

    Raises:
        DataError: the value is no image, or leaves [0, 1].
    """
    if isinstance(value, Pil.Image):
        if value.mode in {"I", "F"}:
            raise DataError(Problem(where, f"got an image of mode {value.mode}", "8 or 16 bits a channel"))
        whole = value.mode in {"L", "RGB"} or value.mode.startswith("I;16")
        array = np.array(value if whole else value.convert("RGB"))
        image = torch.from_numpy(array.astype(np.int32) if array.dtype.itemsize == 2 else array)
        if array.dtype.itemsize == 2:
            image = image.float() / 65535
        image = image[None] if image.ndim == 2 else image.movedim(-1, 0)
    elif isinstance(value, (Tensor, np.ndarray)):
        image = _from_array(value, where=where)
        image = image[None] if image.ndim == 2 else image
    else:
        raise DataError(Problem(where, f"got a {type(value).__name__}", "a PIL image, a tensor or an array"))
    if image.ndim != 3 or 0 in image.shape:
        raise DataError(Problem(where, f"got an image of shape {tuple(image.shape)}", "(c, h, w)"))
    if image.dtype == torch.uint8:
        return image.float() / 255
    if not image.is_floating_point():
        raise DataError(Problem(where, f"got an image of {image.dtype}", "uint8, or float in [0, 1]"))
    image = image.float()
    low, high = image.min().item(), image.max().item()
    if not (low >= 0 and high <= 1):  # written so that NaN fails
        raise DataError(
            Problem(
                where,
                f"got pixels from {low:.4g} to {high:.4g}",
                "values in [0, 1]",
                "Normalisation belongs to the model's entry (mean, std), after the transformation.",
            )
        )
    return image


def _from_array(value: Tensor | np.ndarray, *, where: str) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if value.dtype == np.uint16:
        return torch.from_numpy(value.astype(np.float32) / 65535)
    try:
        return torch.from_numpy(np.ascontiguousarray(value))
    except TypeError as error:
        raise DataError(Problem(where, f"got an array of {value.dtype}", "uint8, or float in [0, 1]")) from error


def _to_label(value: Any, *, where: str) -> int:
    array = np.asarray(value)
    if array.size != 1 or not np.issubdtype(array.dtype, np.integer):
        raise DataError(Problem(where, f"got label {value!r}", "one class index"))
    label = int(array.reshape(-1)[0])
    if label < 0:
        raise DataError(Problem(where, f"got label {label}", "0 or more"))
    return label
