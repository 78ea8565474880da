"""Targets of users' own data that stand on their images: label maps, boxes with classes, joints."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image as Pil
from torch import Tensor

from symbench.algebra.fields import Boxes, Category, Field, Grid
from symbench.base.errors import ConfigError, DataError, Problem
from symbench.domains.common.canvas import Canvas
from symbench.domains.images.datasets.following import IGNORED, NO_OBJECT, followed
from symbench.domains.images.datasets.objects import checked

EXPECTED = "a mapping with boxes (objects, 4), left, top, right and bottom, and labels (objects,)"


class Kept:
    """A target as it belongs to its image, compressed: maps are long and mostly of one class.

    Attributes:
        size: height and width of the image.
    """

    def __init__(self, values: np.ndarray, size: tuple[int, int]) -> None:
        self.size = size
        self._shape, self._dtype = values.shape, values.dtype
        self._bytes = zlib.compress(np.ascontiguousarray(values).tobytes(), 1)

    @property
    def values(self) -> Tensor:
        """The target, with the axis of samples before it."""
        flat = np.frombuffer(bytearray(zlib.decompress(self._bytes)), self._dtype)
        return torch.from_numpy(flat.reshape(1, *self._shape))

    def __str__(self) -> str:
        return hashlib.sha256(f"{self._shape} {self._dtype}\0".encode() + zlib.decompress(self._bytes)).hexdigest()


@dataclass(frozen=True)
class Standing:
    """How such labels are read, all in the same way.

    Attributes:
        name: of the target.
        field: likewise.
        classes: how many have names; None where nobody says.
        ignored: the number of places that count nowhere.
        most: rows of boxes for each image.
    """

    name: str
    field: Field
    classes: int | None = None
    ignored: int | None = 255
    most: int = 0
    kind: str = "on the image"

    def read(self, value: Any, size: tuple[int, int], where: str) -> Kept:
        """A label of an image of this height and width.

        Raises:
            DataError: it is of another kind than those before, or belongs to no such image.
        """
        if isinstance(self.field, Boxes):
            return Kept(self._boxes(value, size, where), size)
        drawn = _map(value)
        if drawn is None:
            raise DataError(Problem(where, f"got a {type(value).__name__}", "a label map, as the samples before"))
        if drawn.shape != size:
            got = f"its map has {drawn.shape[0]} x {drawn.shape[1]} pixels, and its image {size[0]} x {size[1]}"
            raise DataError(Problem(where, got, "one size"))
        return Kept(classes_of(drawn, self.classes, self.ignored, where).astype(np.int32), size)

    def targets(
        self, kept: Sequence[Kept], canvas: Canvas | None, longest: Sequence[int | None]
    ) -> dict[str, Tensor]:
        """The target of several samples, as it belongs to them on a canvas."""
        each = [
            followed(self.field, one.values, one.size, canvas, longest=most)
            for one, most in zip(kept, longest, strict=True)
        ]
        shapes = {tuple(one.shape) for one in each}
        if len(shapes) > 1:
            raise DataError(Problem(self.name, f"have {len(shapes)} shapes", "one shape", "Give the model a size."))
        whole = torch.cat(each)
        return {self.name: whole if whole.is_floating_point() else whole.long()}

    def _boxes(self, value: Any, size: tuple[int, int], where: str) -> np.ndarray:
        """Rows ``(most, 6)`` of a mapping."""
        edges, labels = _objects(value, where)
        if len(edges) > self.most:
            got = f"it has {len(edges)} objects"
            raise DataError(
                Problem(where, got, f"at most {self.most}", f"Say most: {len(edges)} on the dataset's entry.")
            )
        rows = np.tile(np.asarray(NO_OBJECT), (self.most, 1))
        for number, (box, label) in enumerate(zip(edges, labels, strict=True)):
            if label < 0 or (self.classes is not None and label >= self.classes):
                expected = f"0 to {self.classes - 1}" if self.classes else "0 or more"
                raise DataError(Problem(where, f"object {number} is of class {label}", expected))
            try:
                rows[number] = [*checked(box, size[::-1], f"object {number}", where), 1.0, label]
            except ConfigError as error:  # the suite is right, and the sample is not
                raise DataError(error.problems) from error
        return rows


def standing(
    first: Any,
    labels: Iterable[tuple[Any, str]],
    *,
    classes: int | None,
    ignored: int | None,
    most: int | None,
    where: str,
) -> Standing | None:
    """How labels such as the first are read; None where it stands on no image.

    Args:
        first: the label of the first sample.
        labels: all of them, with what messages call each; read to see how many objects an image has, unless ``most``
            says so.
        classes: how many have names.
        ignored: the number of places that count nowhere.
        most: rows of boxes.
        where: what messages call the first.

    Raises:
        DataError: one of them is not like the first.
    """
    if isinstance(first, Mapping) and {"boxes", "labels"} <= first.keys():
        _objects(first, where)
        count = most or max(1, *(len(_objects(value, called)[0]) for value, called in labels))
        return Standing("boxes", Boxes(classes), classes, most=count)
    if _map(first) is None:
        return None
    return Standing("masks", Category(classes).over(Grid("image")), classes, ignored)


def classes_of(stored: np.ndarray, classes: int | None, ignored: int | None, where: str) -> np.ndarray:
    """Classes of places, int64, -1 for those to ignore.

    Raises:
        DataError: a number is none of the classes.
    """
    whole = stored.astype(np.int64)
    whole[whole == (IGNORED if ignored is None else ignored)] = IGNORED
    wrong = (whole < IGNORED) | (whole >= (np.iinfo(np.int32).max if classes is None else classes))
    if wrong.any():
        got = f"its map has class {int(whole[wrong][0])}, which is none"
        expected = "0 or more" if classes is None else f"0 to {classes - 1}, or -1 for places to ignore"
        raise DataError(Problem(where, got, expected, "Name all classes, or say ignore:."))
    return whole


def _map(value: Any) -> np.ndarray | None:
    """The numbers of a label map ``(h, w)`` or ``(1, h, w)``; None of what is none."""
    if isinstance(value, Pil.Image):
        value = np.asarray(value) if value.mode in {"1", "L", "P", "I"} or value.mode.startswith("I;16") else None
    plain = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
    if not isinstance(plain, np.ndarray) or not (np.issubdtype(plain.dtype, np.integer) or plain.dtype == np.bool_):
        return None
    flat: np.ndarray = plain[0] if plain.ndim == 3 and len(plain) == 1 else plain
    return flat if flat.ndim == 2 else None


def _objects(value: Any, where: str) -> tuple[np.ndarray, list[int]]:
    """Edges ``(objects, 4)`` and classes of a mapping such as torchvision's detectors are trained on."""
    if not isinstance(value, Mapping) or not {"boxes", "labels"} <= value.keys():
        got = f"got a {type(value).__name__}" + (
            f" with {sorted(map(str, value))}" if isinstance(value, Mapping) else ""
        )
        raise DataError(Problem(where, got, EXPECTED))
    form = getattr(getattr(value["boxes"], "format", None), "name", "XYXY")
    edges, labels = (np.asarray(torch.as_tensor(value[key]).cpu()) for key in ("boxes", "labels"))
    edges = edges.reshape(0, 4) if not edges.size else edges
    if form != "XYXY" or edges.ndim != 2 or edges.shape[1] != 4 or labels.shape != edges.shape[:1]:
        got = f"got boxes of shape {tuple(edges.shape)}, {form}, and labels of shape {tuple(labels.shape)}"
        raise DataError(Problem(where, got, EXPECTED))
    return edges, [int(label) for label in labels]
