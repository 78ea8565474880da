"""Images that were read once, held for the rest of a run: in a file without a name, which goes with the process."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from symbench.base.paths import cache_folder
from symbench.domains.common.canvas import Canvas
from symbench.domains.images.datasets.cache import GIB, limit_bytes, write_all

WHITE = 255


class Nameless:
    """A file without a name, made when there is something to put into it, and how much it may take.

    Attributes:
        most: bytes; never more than the pixel cache may take.
        full: why nothing more is held; None while there is room.
    """

    def __init__(self, most: int | None = None) -> None:
        limit = limit_bytes()
        self.most = limit if most is None else min(most, limit)
        self.full: str | None = None
        self._size = 0
        self._mapped = np.empty(0, dtype=np.uint8)
        self._opened: Any = None

    def append(self, numbers: np.ndarray) -> int | None:
        """Write numbers behind all others; where they begin, or None where there is no room."""
        if self.full is None and self._size + numbers.nbytes > self.most:
            self.full = f"they take more than {self.most / GIB:.3g} GiB, which SYMBENCH_CACHE_GIB allows"
        if self.full is not None:
            return None
        start = self._size
        try:
            if self._opened is None:
                cache_folder().mkdir(parents=True, exist_ok=True)
                self._opened = tempfile.TemporaryFile(dir=cache_folder(), buffering=0)  # noqa: SIM115  (for the run)
                weakref.finalize(self, self._opened.close)
            self._opened.seek(start)
            # Written and not mapped: through a map, a full disk would end the process.
            write_all(self._opened, numbers.data.cast("B"))
        except OSError as error:
            self.full = f"{cache_folder()} cannot be written: {error.strerror or error}"
            return None
        self._size += numbers.nbytes
        return start

    def read(self, start: int, length: int) -> np.ndarray:
        """Bytes of the file, not to be written into."""
        if start + length > len(self._mapped):
            self._mapped = np.memmap(self._opened, np.uint8, "r", shape=(self._size,))
        return self._mapped[start : start + length]


class Readings:
    """The images of one dataset on one canvas, each of any size, in 8 bits where that is all they are.

    Attributes:
        there: which images are held, ``(n,)``.
    """

    def __init__(self, file: Nameless, count: int) -> None:
        self.file = file
        self.there = np.zeros(count, dtype=np.bool_)
        self._starts = np.zeros(count, dtype=np.int64)
        self._shapes = np.zeros((count, 3), dtype=np.int32)
        self._wide = np.zeros(count, dtype=np.bool_)

    def are_all(self, canvas: Canvas | None) -> bool:
        """Whether every image of the dataset is held, and on this canvas as it is."""
        return bool(self.there.all()) and (canvas is None or bool((self._shapes[:, 1:] == canvas).all()))

    def put(self, index: int, image: Tensor) -> None:
        """Hold an image ``(c, h, w)``, float32 in [0, 1], where there is room for it."""
        eight = in_eight_bits(image)
        start = self.file.append((image if eight is None else eight).contiguous().numpy())
        if start is not None:
            self._starts[index], self._shapes[index] = start, image.shape
            self._wide[index], self.there[index] = eight is None, True

    def read(self, indices: Sequence[int]) -> Tensor | None:
        """Images ``(n, c, h, w)``: uint8 where all that are held are in 8 bits, else float32 in [0, 1].

        None where one of them is not held, or they have several sizes.
        """
        rows = np.asarray(indices, dtype=np.int64)
        if not self.there[rows].all() or len(np.unique(self._shapes[rows], axis=0)) != 1:
            return None
        wide = bool(self._wide[self.there].any())
        images = np.empty((len(rows), *self._shapes[rows[0]]), dtype=np.float32 if wide else np.uint8)
        for place, row in enumerate(rows.tolist()):
            images[place] = self._one(row) if wide else self._numbers(row)
        return torch.from_numpy(images)

    def one(self, index: int) -> Tensor | None:
        """An image ``(c, h, w)``, float32 in [0, 1]; None where it is not held."""
        return torch.from_numpy(self._one(index)) if self.there[index] else None

    def _one(self, index: int) -> np.ndarray:
        numbers = self._numbers(index)
        return np.array(numbers) if self._wide[index] else numbers.astype(np.float32) / np.float32(WHITE)

    def _numbers(self, index: int) -> np.ndarray:
        """An image as it stands in the file, not to be written into."""
        shape, dtype = self._shapes[index], np.dtype(np.float32 if self._wide[index] else np.uint8)
        data = self.file.read(int(self._starts[index]), int(np.prod(shape)) * dtype.itemsize)
        return np.frombuffer(data, dtype).reshape(shape)


def in_eight_bits(image: Tensor) -> Tensor | None:
    """The uint8 of which ``uint8 / 255`` is this image, bit for bit; None where there is none."""
    eight = image.mul(WHITE).round_().to(torch.uint8)
    again = eight.float().div_(WHITE)
    # As integers: of a negative zero nothing would remain.
    return eight if torch.equal(again.view(torch.int32), image.contiguous().view(torch.int32)) else None
