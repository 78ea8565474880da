"""Whether a dataset gives the same samples each time it is read, and reading it under seeds where it does not."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from symbench.domains.common.datasets.base import Batch, Dataset
from symbench.domains.common.datasets.some import spread


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global generators of torch (on the CPU), NumPy and Python, and restore them afterwards.

    Transforms of torchvision's and of users draw from these, and from nothing that could be handed to them.
    """
    before = torch.default_generator.get_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    random.seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        random.setstate(before[2])


def change(data: Dataset) -> str | None:
    """In words, how a sample differs between two readings in a row; None where none of those looked at does."""
    with seeded(0):
        words = (_difference(index, data.batch([index]), data.batch([index])) for index in _some(data))
        return next((said for said in words if said is not None), None)


def change_under_seeds(data: Dataset) -> str | None:
    """:func:`change` between two readings under the same global seeds, which make most random transforms repeat.

    What still differs draws from a generator of its own, which nobody can seed from outside.
    """
    for index in _some(data):
        with seeded(index):
            one = data.batch([index])
        with seeded(index):
            said = _difference(index, one, data.batch([index]))
        if said is not None:
            return said
    return None


def _some(data: Dataset) -> list[int]:
    """The samples that are read twice: some, or none where they come from files that are checked anyway."""
    return [] if data.fixed else [index for index in spread(len(data)).tolist() if index not in data.unusable]


def _difference(index: int, one: Batch, other: Batch) -> str | None:
    """In words, how two readings of a sample differ; None where they do not."""
    again = {**other.leaves, **other.targets}
    for name, first in {**one.leaves, **one.targets}.items():
        second = again[name]
        if first.shape != second.shape:
            how = f"has shape {tuple(first.shape[1:])}, then {tuple(second.shape[1:])}"
        elif _same(first, second).all():
            continue
        elif first.numel() == 1:
            how = f"is {first.item():.6g}, then {second.item():.6g}"
        else:
            wrong = ~_same(first, second)
            most = float((first.double() - second.double()).abs().max())
            how = f"differs in {int(wrong.sum()):,} of {wrong.numel():,} numbers, by up to {most:.3g}"
        return f"sample {index} is another each time it is read: {name!r} {how}"
    return None


def _same(one: Tensor, other: Tensor) -> Tensor:
    """Where two tensors hold the same number, NaN among them."""
    return (one == other) | ((one != one) & (other != other))
