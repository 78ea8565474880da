"""Reading the samples of a batch: from memory where all of them fit, else from the dataset each time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from symbench.domains.common.datasets.base import Dataset
from symbench.domains.common.datasets.reading import seeded
from symbench.measure.assemble import seed_for
from symbench.measure.suite import ModelEntry

PRELOAD_BYTES = 2 << 30
"""Training sets up to this size are decoded once and kept in memory, unless they are others each time."""
Reader = Callable[[Tensor, str], tuple[dict[str, Tensor], dict[str, Tensor]]]
"""Leaves and targets of samples by their indices ``(n,)``, for the batch of this name."""


def read_anew(data: Dataset, entry: ModelEntry, seed: int, key: str) -> Reader:
    """Batches of samples that are others each time: read when they are shown, each batch under a seed of its own."""

    def read(indices: Tensor, name: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        with seeded(seed_for(seed, "reading", key, name)):
            batch = data.batch(indices.tolist(), canvas=entry.size)
        return batch.leaves, batch.targets

    return read


def read_again(data: Dataset, entry: ModelEntry, used: Tensor) -> Reader:
    """Batches by index: from memory where all that are ``used`` fit, else decoded each time."""
    one = data.batch([0], canvas=entry.size)
    size = sum(leaf.numel() * leaf.element_size() for leaf in one.leaves.values()) * len(used)
    if size > PRELOAD_BYTES:

        def decode(indices: Tensor, name: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
            del name
            batch = data.batch(indices.tolist(), canvas=entry.size)
            return batch.leaves, batch.targets

        return decode
    whole = data.batch(used.tolist(), canvas=entry.size)
    rows = torch.full((len(data),), -1)
    rows[used] = torch.arange(len(used))

    def select(indices: Tensor, name: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        del name
        chosen = rows[indices]
        return (
            {leaf: values[chosen] for leaf, values in whole.leaves.items()},
            {target: values[chosen] for target, values in whole.targets.items()},
        )

    return select
