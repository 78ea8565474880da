"""Any sequence of ``(image, label)`` pairs or of bare images, as a dataset: users' own and torchvision's.

Nobody knows what it costs to read a sample, nor whether it is the same when it is read again. So a run reads each
once, for the digest, and holds what it was: models and symmetries are all measured on that reading.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence, Sized
from typing import Any

import numpy as np
import torch
from PIL import Image as Pil
from torch import Tensor

from symbench.algebra.fields import Category
from symbench.base.code import foreign
from symbench.base.errors import ConfigError, DataError, Interrupted, Problem
from symbench.base.events import Advanced, Finished, Listener, Started, ignore, never
from symbench.domains.common.canvas import Canvas, Frame
from symbench.domains.common.datasets.base import Batch, Dataset
from symbench.domains.common.datasets.stored import Stored
from symbench.domains.common.datasets.targets import LabelReader, is_open, of_all, of_first
from symbench.domains.common.datasets.wrappers import declared, is_rule
from symbench.domains.images.datasets.decode import LONG, framed
from symbench.domains.images.datasets.pixels import Range, Use, stored_dtype, to_image
from symbench.domains.images.datasets.readings import WHITE, Nameless, Readings
from symbench.domains.images.datasets.resize import resize
from symbench.domains.images.datasets.standing import Standing, standing
from symbench.domains.images.fields import Image

READ_BYTES = 2 << 30
"""Bytes of images that are held at the sizes they are read in; the others are read once more for their canvases."""


class Items(Dataset):
    """Wraps an object with ``__len__`` and ``__getitem__``; what was read is held on the disk while the run lasts.

    An image is a PIL image, or ``(c, h, w)`` (or ``(h, w)``) as a tensor or array: uint8, uint16, float in [0, 1], or
    anything in a declared range. A label is a class index, a number or an array of them, or 0 and 1 for each of
    several labels; a map ``(h, w)`` of class indices; boxes with classes, as a mapping; None, or an image by itself,
    is none. An object that has a method ``valid(label, element)`` says with it which elements keep a label; a list
    ``classes`` names them. Both may stand behind wrappers such as ``Subset``.
    """

    def __init__(
        self,
        source: Any,
        *,
        where: str = "dataset",
        classes: Sequence[str] | None = None,
        range: Range | None = None,
        layout: str = "auto",
        ignore: int | None = 255,
        most: int | None = None,
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
        self.span, self.layout, self.ignored, self.most = range, layout, ignore, most
        self._said = [f"{where}: {remark}." for remark in said.remarks] if classes is None else []
        rule = getattr(source, "valid", None)
        if callable(rule) and not is_rule(rule):
            self._said += [
                f"{where}: its method valid takes other arguments than (label, element), and is not asked."
            ]
        self._hold_nothing()
        item = self._item(0)
        self.paired = isinstance(item, tuple)
        image, label = self._split(item, 0)
        self._use, self._stored = Use(), stored_dtype(image)
        self.labels, self._one_hot = self._reader(label), False
        field, name = self.labels.field, "label" if isinstance(self.labels, LabelReader) else self.labels.name
        counted = isinstance(field, Category) and field.classes is None and classes
        self.targets = {} if field is None else {name: Category(len(classes)) if counted and classes else field}

    def __len__(self) -> int:
        return len(self.source)

    def batch(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Batch:
        """A batch of samples: those that :meth:`prepare` has seen as they were then, others read one by one."""
        kept = self.stored(indices, canvas=canvas)
        if kept is not None:
            return Batch(kept.made(), kept.targets)
        samples = [self._sample(index, canvas) for index in indices]
        images = [image for image, _ in samples]
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
        return Batch({"image": torch.stack(images)}, self._targets([label for _, label in samples], indices, canvas))

    def stored(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Stored | None:
        """Samples that :meth:`prepare` has seen, in 8 bits where all of them are; None where some are not held."""
        rows = self._held.get(canvas)
        images = None if rows is None else rows.read(indices)
        if images is None:
            return None
        white = {"image": WHITE} if images.dtype == torch.uint8 else {}
        return Stored({"image": images}, self._targets([self._labels[i] for i in indices], indices, canvas), white)

    def prepare(
        self,
        indices: Sequence[int],
        canvases: Sequence[Canvas | None],
        *,
        listen: Listener = ignore,
        stopped: Callable[[], bool] = never,
    ) -> None:
        """Hold samples on all canvases from now on: as they were read for the digest, or else read once more."""
        for canvas in canvases:
            if canvas not in self._held:
                whole = self._read.are_all(canvas)
                self._held[canvas] = self._read if whole else Readings(self._file, len(self))
        wanted = {canvas: self._held[canvas] for canvas in canvases}
        missing = [index for index in indices if not all(rows.there[index] for rows in wanted.values())]
        if not missing:
            return
        listen(Started(f"reading {self.where.rpartition('.')[2]}", len(missing), "images"))
        try:
            for done, index in enumerate(missing):
                if stopped():
                    got = f"stopped after {done:,} of {len(missing):,} images"
                    raise Interrupted(Problem(self.where, got, None, "The same command resumes."))
                if self._file.full is None:
                    self._hold(index, wanted)
                listen(Advanced(1))
        finally:
            listen(Finished())

    def digest(self) -> str:
        """SHA-256 of every sample's decoded pixels and label: reads the whole dataset once."""
        digest, self._use, occurring, sums = hashlib.sha256(), Use(), set(), set()
        self._hold_nothing()
        for index in range(len(self)):
            image, label = self._fresh(index)
            self._read.put(index, image)
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
        if self._file.full:
            said.append(f"{self.where}: samples are read anew for every model and symmetry: {self._file.full}.")
        if self._one_hot:
            got = "each sample has one of several labels, and they are measured one by one"
            said.append(f"{self.where}: {got}; where that is its class, give its index instead.")
        return said

    def _item(self, index: int) -> Any:
        """A sample as the user's object gives it; whatever that raises becomes an error of ours."""
        with foreign(DataError, f"{self.where}, sample {index}", "reading it"):
            return self.source[index]

    def _hold_nothing(self) -> None:
        """Forget what was read."""
        self._file = Nameless()
        self._read = Readings(Nameless(READ_BYTES), len(self))
        self._held: dict[Canvas | None, Readings] = {}
        self._labels: dict[int, Any] = {}
        self._framed = np.zeros(len(self), dtype=np.bool_)

    def _fresh(self, index: int) -> tuple[Tensor, Any]:
        """A sample read from the object: its image as it is, float in [0, 1], and its label."""
        where = f"{self.where}, sample {index}"
        value, label = self._parts(index)
        image = to_image(value, where=where, span=self.span, layout=self.layout)
        self._framed[index] = isinstance(value, Pil.Image) and value.mode in {"L", "RGB"} and self.span is None
        height, width = image.shape[-2:]
        reader = self.labels
        self._labels[index] = (
            reader.read(label, (height, width), where) if isinstance(reader, Standing) else reader.read(label, where)
        )
        return image, self._labels[index]

    def _sample(self, index: int, canvas: Canvas | None) -> tuple[Tensor, Any]:
        """A sample on a canvas: as it is held, or else read."""
        rows = self._held.get(canvas)
        held = None if rows is None else rows.one(index)
        if held is not None:
            return held, self._labels[index]
        image, label = self._fresh(index)
        return self._on(image, index, canvas), label

    def _hold(self, index: int, wanted: Mapping[Canvas | None, Readings]) -> None:
        """Put a sample on every canvas that lacks it."""
        image = self._read.one(index)
        image = self._fresh(index)[0] if image is None else image
        for canvas, rows in wanted.items():
            if not rows.there[index]:
                rows.put(index, self._on(image, index, canvas))

    def _on(self, image: Tensor, index: int, canvas: Canvas | None) -> Tensor:
        """A sample's image ``(c, h, w)``, as it was read, on a canvas.

        Images of Pillow's are framed by Pillow, as libraries do: it rounds to 8 bits, which tensors do not.
        """
        if isinstance(canvas, Frame) and self._framed[index]:
            pixels = image.mul(WHITE).round_().to(torch.uint8).permute(1, 2, 0).numpy()
            picture = Pil.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
            return torch.from_numpy(framed(picture, canvas)).float() / WHITE
        return resize(image[None], canvas)[0]

    def _targets(self, labels: Sequence[Any], indices: Sequence[int], canvas: Canvas | None) -> dict[str, Tensor]:
        """The targets of samples with these labels, on a canvas where they stand on images."""
        if isinstance(self.labels, Standing):
            cut = [LONG if isinstance(canvas, Frame) and self._framed[index] else None for index in indices]
            return self.labels.targets(labels, canvas, cut)
        return {"label": self.labels.stack(list(labels))} if self.targets else {}

    def _parts(self, index: int) -> tuple[Any, Any]:
        """A sample's image and label, as the object gives them; no label where it gives an image by itself."""
        return self._split(self._item(index), index)

    def _split(self, item: Any, index: int) -> tuple[Any, Any]:
        """What the object gave for a sample, as its image and label."""
        if not self.paired:
            return item, None
        if isinstance(item, tuple) and len(item) == 1:
            return item[0], None
        if not isinstance(item, tuple) or len(item) != 2:
            where, got = f"{self.where}, sample {index}", f"got a {type(item).__name__}"
            raise DataError(Problem(where, got, "a pair (image, label)"))
        return item

    def _reader(self, first: Any) -> LabelReader | Standing:
        """How labels are read: by the first, or by all of them where that leaves it open."""
        where = f"{self.where}, sample 0"
        every = ((self._parts(index)[1], f"{self.where}, sample {index}") for index in range(len(self)))
        named = len(self.classes) if self.classes else None
        found = standing(first, every, classes=named, ignored=self.ignored, most=self.most, where=where)
        if found is not None:
            return found
        if not is_open(first, where):
            return of_first(first, where)
        return of_all(every, named)
