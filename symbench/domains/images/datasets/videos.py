"""Videos in one array: images ``(n, frames, ...)``, read as images are, one frame after the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from symbench.algebra.fields import Field
from symbench.algebra.statistics import Array
from symbench.domains.common.canvas import Canvas
from symbench.domains.common.datasets.base import Batch, Dataset
from symbench.domains.common.datasets.stored import Stored
from symbench.domains.images.fields import Video


class VideoArray(Dataset):
    """Videos ``(n, frames, c, h, w)`` of an array of images.

    Args:
        frames: all frames of all videos, end to end, without labels.
        each: how many frames a video has.
        labels: of the videos, with their field.
    """

    def __init__(self, frames: Dataset, each: int, labels: tuple[Field, Array] | None) -> None:
        self.frames = frames
        self.each = each
        self.fields = {"image": Video()}
        self.labels = None if labels is None else labels[1]
        self.targets: dict[str, Field] = {} if labels is None else {"label": labels[0]}

    def __len__(self) -> int:
        return len(self.frames) // self.each

    def labels_at_hand(self, target: str) -> Array | None:
        """All of them, where there are some."""
        del target
        return self.labels

    def batch(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Batch:
        """Videos by their index, pixels in [0, 1].

        Raises:
            DataError: pixels leave their range.
        """
        found = self.stored(indices, canvas=canvas)
        return Batch(found.made(), found.targets)

    def stored(self, indices: Sequence[int], *, canvas: Canvas | None = None) -> Stored:
        """The same, as their frames are kept."""
        rows = np.asarray(indices, dtype=np.int64)
        every = (rows[:, None] * self.each + np.arange(self.each)).flatten()
        found = self.frames.stored(every.tolist(), canvas=canvas)
        if found is None:
            raise TypeError("frames are kept by nobody")
        leaves = {name: x.unflatten(0, (len(rows), self.each)) for name, x in found.leaves.items()}
        targets: dict[str, Tensor] = {}
        if self.labels is not None:
            targets = {"label": torch.from_numpy(self.labels[rows])}
        return Stored(leaves, targets, found.white)

    def digest(self) -> str:
        """That of the frames, which says how many each video has."""
        return self.frames.digest()

    def remarks(self) -> list[str]:
        """Those of the frames."""
        return self.frames.remarks()
