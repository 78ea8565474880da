"""Any sequence of ``(image, label)`` pairs or of bare images, as a dataset: users' own and torchvision's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence, Sized
from typing import Any

import torch
from PIL import Image as Pil
from torch import Tensor

from symbench.algebra.fields import Category
from symbench.base.code import foreign
from symbench.base.errors import ConfigError, DataError, Problem
from symbench.domains.common.canvas import Canvas, Frame
from symbench.domains.common.datasets.base import Batch, Dataset
from symbench.domains.common.datasets.targets import LabelReader, is_open, of_all, of_first
from symbench.domains.common.datasets.wrappers import declared, is_rule
from symbench.domains.images.datasets.decode import framed
from symbench.domains.images.datasets.pixels import Range, Use, stored_dtype, to_image
from symbench.domains.images.datasets.resize import resize
from symbench.domains.images.fields import Image


class Items(Dataset):
    """Wraps an object with ``__len__`` and ``__getitem__``; nothing is kept in memory.

    An image is a PIL image, or ``(c, h, w)`` (or ``(h, w)``) as a tensor or array: uint8, uint16, float in [0, 1], or
    anything in a declared range. A label is a class index, a number or an array of them, or 0 and 1 for each of
    several labels; None, or an image by itself, is none. An object that has a method ``valid(label, element)`` says
    with it which elements keep a label; a list ``classes`` names them. Both may stand behind wrappers such as
    ``Subset``.
    """

    def __init__(
        self,
        source: Any,
        *,
        where: str = "dataset",
        classes: Sequence[str] | None = None,
        range: Range | None = None,
        layout: str = "auto",
    ) -> None:
        if not isinstance(source, Sized) or not callable(getattr(source, "__getitem__", None)):
            raise ConfigError(
                Problem(where, f"got a {type(source).__name__}", "a sequence with len() and [index]", None)
            )
        if len(source) == 0:
            raise ConfigError(Problem(where, "the dataset is empty", "at least one sample"))
        self.source: Any = source
        self.where = where
        self.fields = {"image": Image()}
        said = declared(source)
        self.classes, self.valid = classes if classes is not None else said.classes, said.valid
        self.span, self.layout = range, layout
        self._said = [f"{where}: {remark}." for remark in said.remarks] if classes is None else []
        rule = getattr(source, "valid", None)
        if callable(rule) and not is_rule(rule):
            self._said += [
                f"{where}: its method valid takes other arguments than (label, element), and is not asked."
            ]
        self.paired = isinstance(self._item(0), tuple)
        image, label = self._parts(0)
        self._use, self._stored = Use(), stored_dtype(image)
        self.labels, self._one_hot = self._reader(label), False
        field = self.labels.field
        counted = isinstance(field, Category) and field.classes is None and classes
        self.targets = {} if field is None else {"label": Category(len(classes)) if counted and classes else field}

    def __len__(self) -> int:
        return len(self.source)

    def batch(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Batch:
        """A batch of samples, read and decoded one by one."""
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
        targets = {"label": self.labels.stack(labels)} if self.targets else {}
        return Batch({"image": torch.stack(images)}, targets)

    def digest(self) -> str:
        """SHA-256 of every sample's decoded pixels and label: reads the whole dataset once."""
        digest, self._use, occurring, sums = hashlib.sha256(), Use(), set(), set()
        for index in range(len(self)):
            image, label = self._pair(index)
            self._use.see(image, self._stored)
            occurring |= {label} if isinstance(label, int) and self.targets else set()
            sums |= {sum(label)} if self.labels.kind == "each label" else set()
            digest.update(f"{tuple(image.shape)} {label}\0".encode())
            digest.update(image.numpy().tobytes())
        self.occurring, self._one_hot = sorted(occurring), sums == {1}
        return digest.hexdigest()

    def remarks(self) -> list[str]:
        """Sentences about where classes' names come from, the range that images use, and labels that look one-hot."""
        said = [*self._said, *self._use.remark(self.span, self.where)]
        if self._one_hot:
            got = "each sample has one of several labels, and they are measured one by one"
            said.append(f"{self.where}: {got}; where that is its class, give its index instead.")
        return said

    def _item(self, index: int) -> Any:
        """A sample as the user's object gives it; whatever that raises becomes an error of ours."""
        with foreign(DataError, f"{self.where}, sample {index}", "reading it"):
            return self.source[index]

    def _pair(self, index: int, canvas: Canvas | None = None) -> tuple[Tensor, Any]:
        where = f"{self.where}, sample {index}"
        image, label = self._parts(index)
        return self._image(image, canvas, where), self.labels.read(label, where)

    def _parts(self, index: int) -> tuple[Any, Any]:
        """A sample's image and label, as the object gives them; no label where it gives an image by itself."""
        item = self._item(index)
        if not self.paired:
            return item, None
        if isinstance(item, tuple) and len(item) == 1:
            return item[0], None
        if not isinstance(item, tuple) or len(item) != 2:
            where, got = f"{self.where}, sample {index}", f"got a {type(item).__name__}"
            raise DataError(Problem(where, got, "a pair (image, label)"))
        return item

    def _reader(self, first: Any) -> LabelReader:
        """How labels are read: by the first, or by all of them where that leaves it open."""
        where = f"{self.where}, sample 0"
        if not is_open(first, where):
            return of_first(first, where)
        every = ((self._parts(index)[1], f"{self.where}, sample {index}") for index in range(len(self)))
        return of_all(every, len(self.classes) if self.classes else None)

    def _image(self, value: Any, canvas: Canvas | None, where: str) -> Tensor:
        """One image on its canvas, float in [0, 1].

        Images of Pillow's are framed by Pillow, as libraries do: it rounds to 8 bits, which tensors do not.
        """
        eight_bits = isinstance(value, Pil.Image) and value.mode in {"L", "RGB"} and self.span is None
        if isinstance(canvas, Frame) and eight_bits:
            return torch.from_numpy(framed(value, canvas)).float() / 255
        return resize(to_image(value, where=where, span=self.span, layout=self.layout)[None], canvas)[0]
