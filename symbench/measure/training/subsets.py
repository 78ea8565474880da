"""Which samples of a training split a model learns from, and which of them it is validated on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from symbench.algebra.fields import Category
from symbench.base.errors import DataError, Problem
from symbench.domains.common.datasets.base import Dataset
from symbench.domains.common.datasets.reading import seeded
from symbench.measure.assemble import seed_for
from symbench.measure.suite import Recipe

READ = 1024
"""Samples that are read at a time where their labels are not at hand."""


@dataclass(frozen=True)
class Parts:
    """Samples by their indices in the training split, int64 each.

    Attributes:
        learnt: those that the model learns from.
        validated: those that it is validated on, and never learns from; empty where the recipe asks for none.
    """

    learnt: Tensor
    validated: Tensor

    @property
    def used(self) -> Tensor:
        """Both."""
        return torch.cat([self.learnt, self.validated])


def parts_of(data: Dataset, digest: str, recipe: Recipe, *, seed: int, where: str) -> Parts:
    """The samples of a recipe. They are the same for every model of a suite, and for every replica too unless the
    recipe says ``subset: own``.

    Without labels none is read, and the order is a plain permutation.

    With n1 < n2 samples, those of n1 are among those of n2: the first of one order each. A validation part is taken
    out of them, sample by sample in the same way for either, so that both parts are nested too.

    Args:
        data: the training split.
        digest: of it.
        recipe: says how many.
        seed: the suite's.
        where: the recipe's place, for messages.

    Raises:
        DataError: there are fewer samples, or a part would be empty.
    """
    count = len(data)
    if recipe.samples is None and recipe.validation is None:
        return Parts(torch.arange(count), torch.arange(0))
    wanted = count if recipe.samples is None else recipe.samples
    if wanted > count:
        got = f"got {wanted:,} samples, and the training split of {recipe.on} has {count:,}"
        raise DataError(Problem(where, got, f"{count:,} or less", "Lower samples, or leave it out to train on all."))
    labels = labels_of(data) if recipe.self_supervised is None else np.zeros(count, dtype=np.int64)
    own = [str(recipe.seed)] if recipe.subset == "own" else []
    whole = balanced_order(labels, seed=seed_for(seed, "samples", digest, *own))
    order = whole[:wanted]
    held = np.zeros(wanted, dtype=bool)
    if recipe.validation is not None:
        # of all that there are, so that no sample changes sides where another class comes in
        held = validation_part(labels[whole], recipe.validation)[:wanted]
        for part, size in (("validate on", held.sum()), ("learn from", (~held).sum())):
            if not size:
                got = f"validation: {recipe.validation:g} of {wanted:,} samples leaves none to {part}"
                raise DataError(Problem(where, got, "at least one for either", "Take more samples, or another part."))
    chosen = torch.from_numpy(order)
    taken = torch.from_numpy(held)
    return Parts(chosen[~taken], chosen[taken])


def balanced_order(labels: np.ndarray, *, seed: int) -> np.ndarray:
    """A seeded permutation of which every beginning has as many samples of each class as of any other, or one less.

    One of each class comes after the other, round after round, the classes of a round and the samples of a class in
    random order. A class that has run out is left out of the later rounds: only from there on the classes' own shares
    show, and in all samples they are what they are.

    Args:
        labels: a class for each sample, ``(n,)`` int; all 0 where there are no classes.
        seed: of the permutation.

    Returns:
        Indices, ``(n,)`` int64.
    """
    permutation = np.random.Generator(np.random.PCG64(seed)).permutation(len(labels))
    chosen: np.ndarray = permutation[np.argsort(_ranked(labels[permutation])[1], kind="stable")]
    return chosen


def validation_part(labels: np.ndarray, share: float) -> np.ndarray:
    """Which samples of a beginning of :func:`balanced_order` are held back, ``(n,)`` bool: a share of each class.

    Every ``1 / share``-th of a class, so that it is known of each sample by its rank in its class, however many come
    after it. Classes do not begin at the same rank: of ten classes with three samples, a fifth is six samples in all
    and neither none nor ten.
    """
    numbers, ranks = _ranked(labels)
    offset = (numbers + 0.5) / (1 + numbers.max())
    held: np.ndarray = np.floor((ranks + 1) * share + offset) > np.floor(ranks * share + offset)
    return held


def _ranked(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each sample in this order: the number of its class, and its rank in it."""
    _, numbers, counts = np.unique(labels, return_inverse=True, return_counts=True)
    together = np.argsort(numbers, kind="stable")
    starts = np.cumsum(counts) - counts
    ranks = np.empty(len(labels), dtype=np.int64)
    ranks[together] = np.arange(len(labels)) - starts[numbers[together]]
    return numbers, ranks


def labels_of(data: Dataset) -> np.ndarray:
    """The class of each sample, where the first target is one; else all are of one."""
    name, field = next(iter(data.targets.items()))
    if not isinstance(field, Category):
        return np.zeros(len(data), dtype=np.int64)
    known = data.labels_at_hand(name)
    if known is None:
        with seeded(0):
            batches = (range(i, min(i + READ, len(data))) for i in range(0, len(data), READ))
            known = np.concatenate([data.batch(indices).targets[name].numpy() for indices in batches])
    return np.asarray(known).astype(np.int64)
