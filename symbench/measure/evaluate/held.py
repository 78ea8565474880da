"""Samples that stay on a device for a whole run: each is read and sent over once, for all models and symmetries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from symbench.base.environment import sent
from symbench.domains.common.canvas import Canvas
from symbench.domains.common.datasets.base import Aligned, Batch, Dataset
from symbench.domains.common.datasets.stored import Stored

SHARE = 0.5
"""Of the memory that a device has free: the rest is for models."""


@dataclass
class Held:
    """Samples of one dataset on one canvas, as they are kept: pixels in 8 bits where the dataset has them so.

    Attributes:
        dataset: whose labels are its own.
        canvas: what images are brought to.
        device: where leaves are; targets stay on the CPU.
        count: how many samples may come.
        room: bytes that they may take.
        rows: where each sample is, by its index.
        kept: room for all of them; None before the first.
        refused: the dataset keeps none, or they do not fit.
    """

    dataset: Dataset
    canvas: Canvas | None
    device: str
    count: int
    room: float
    rows: dict[int, int] = field(default_factory=dict)
    kept: Stored | None = None
    refused: bool = False

    def batch(self, indices: Sequence[int]) -> Batch | None:
        """As ``dataset.batch``, with the leaves on the device; None where samples cannot be held.

        Raises:
            DataError: as ``dataset.batch``.
        """
        missing = [index for index in indices if index not in self.rows]
        if missing and not self.refused:
            self._take(missing)
        if self.refused or self.kept is None:
            return None
        rows = [self.rows[index] for index in indices]
        leaves = self.kept.made({name: _some(x, rows) for name, x in self.kept.leaves.items()})
        return Batch(leaves, {name: _some(x, rows) for name, x in self.kept.targets.items()})

    @property
    def bytes(self) -> int:
        """What leaves take on the device."""
        return 0 if self.kept is None else sum(x.numel() * x.element_size() for x in self.kept.leaves.values())

    def _take(self, missing: Sequence[int]) -> None:
        """Read samples and send them over."""
        new = self.dataset.stored(missing, canvas=self.canvas)
        first = len(self.rows)
        if new is not None and self.kept is None:
            self.kept = self._allotted(new)
        if new is None or self.kept is None or first + len(missing) > self.count:
            self.refused, self.kept = True, None
            return
        for whole, some in ((self.kept.leaves, new.leaves), (self.kept.targets, new.targets)):
            for name, x in some.items():
                whole[name][first : first + len(missing)] = sent(x, whole[name].device)
        self.rows |= {index: first + i for i, index in enumerate(missing)}

    def _allotted(self, new: Stored) -> Stored | None:
        """Memory for all samples, of which some are given; None where that is more than there may be."""
        if sum(x[0].numel() * x.element_size() for x in new.leaves.values()) * self.count > self.room:
            return None
        leaves = {name: x.new_empty((self.count, *x.shape[1:]), device=self.device) for name, x in new.leaves.items()}
        targets = {name: x.new_empty((self.count, *x.shape[1:])) for name, x in new.targets.items()}
        return replace(new, leaves=leaves, targets=targets)


def _some(x: Tensor, rows: Sequence[int]) -> Tensor:
    """Rows of a tensor; a view where they follow one another, as they do in the order of a cell."""
    if list(rows) == list(range(rows[0], rows[0] + len(rows))):
        return x[rows[0] : rows[0] + len(rows)]
    return x.index_select(0, sent(torch.tensor(rows), x.device))


@dataclass
class Shelf:
    """What a run holds on its device, by dataset and canvas; nothing on the CPU, where samples are already."""

    held: dict[tuple[str, Canvas | None], Held] = field(default_factory=dict)

    def of(self, name: str, dataset: Dataset, canvas: Canvas | None, device: str, limit: int | None) -> Held | None:
        """The samples of a dataset, as far as they have been asked for.

        Args:
            name: the dataset's.
            dataset: with whatever labels.
            canvas: what images are brought to.
            device: where models run.
            limit: how many samples will be asked for; None for all.
        """
        if not device.startswith("cuda"):
            return None
        if (name, canvas) not in self.held:
            whole = dataset.whole if isinstance(dataset, Aligned) else dataset
            count = len(whole) if limit is None else min(limit, len(whole))
            taken = sum(held.bytes for held in self.held.values())
            room = SHARE * (torch.cuda.mem_get_info(device)[0] + taken) - taken  # all of them together
            self.held[name, canvas] = Held(whole, canvas, device, count, room)
        return self.held[name, canvas]
