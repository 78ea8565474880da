"""A linear probe, fitted: multinomial logistic regression on the embeddings of a training split.

What a linear classifier makes of embeddings that are left as they are (Alain & Bengio, "Understanding intermediate
layers using linear classifier probes", 2017). Nothing of it is chosen: the strength of its regularisation is fixed,
so that it needs no validation part, and no test sample is ever looked at.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from symbench.base.code import foreign
from symbench.base.errors import CellError, DataError, ModelError, Problem
from symbench.base.slices import slices
from symbench.domains.common.datasets.base import Dataset
from symbench.domains.common.datasets.reading import seeded
from symbench.domains.common.models.base import Model
from symbench.domains.common.models.linear_probe import LinearlyProbed
from symbench.domains.common.models.running import dtypes_of
from symbench.measure.assemble import normalised_leaves, seed_for
from symbench.measure.plan.document import Cell
from symbench.measure.plan.workspace import Workspace
from symbench.measure.training.subsets import balanced_order, labels_of

C = 1.0
"""The inverse strength of the squared penalty, for features of unit variance: scikit-learn's default."""
TOLERANCE, MOST_ITERATIONS = 1e-6, 10_000
ROUNDINGS = 16
"""How many roundings an embedding's number has to vary by if it is to tell anything."""
AT_ONCE = 256
"""Samples whose embeddings are computed at a time."""


@dataclass(frozen=True)
class Fitted:
    """Scores of classes are ``weight (z - mean) + bias``, of embeddings as the model gives them.

    Attributes:
        mean: ``(d,)``, float64.
        weight: ``(classes, d)``, likewise.
        bias: ``(classes,)``, likewise.
    """

    mean: np.ndarray
    weight: np.ndarray
    bias: np.ndarray


def probed(space: Workspace, model: Model, cell: Cell, device: str) -> Model:
    """A model with its linear probe beside its embedding; the same where its entry asks for none.

    Args:
        space: with the training split that it is fitted on.
        model: with its weights, on the device, as it will be measured.
        cell: one of the model's.
        device: where.

    Raises:
        CellError: the training split cannot be read, the model raised, or no probe can be fitted.
    """
    name = cell.pair.model
    entry = space.suite.models[name]
    probe = entry.linear_probe
    if probe is None:
        return model
    data = space.training_of(probe.on)
    if data.broken is not None:
        raise data.broken
    labels = labels_of(data.dataset)
    order = balanced_order(labels, seed=seed_for(space.suite.seed, "samples", data.digest))
    samples = [i for i in order[: probe.samples].tolist() if i not in data.dataset.unusable]
    with foreign(CellError, f"{name}.linear_probe", "fitting it"):
        embeddings, epsilon = embeddings_of(model, data.dataset, samples, cell.takes, entry.size, device)
        found = fitted(embeddings, labels[samples], name, 1 + int(labels.max()), epsilon)
    # in half precision scores would tie, and float64 is for models that have it
    dtype = torch.float64 if dtypes_of(model.module)[0] == torch.float64 else torch.float32
    mean, weight, bias = (torch.from_numpy(x).to(dtype).to(device) for x in (found.mean, found.weight, found.bias))
    module = LinearlyProbed(model.module, model.outputs, name, mean=mean, weight=weight, bias=bias)
    return replace(model, module=module.eval(), outputs=module.declared)


def embeddings_of(
    model: Model, data: Dataset, samples: Sequence[int], takes: Sequence[str], size: int | None, device: str
) -> tuple[np.ndarray, float]:
    """The embeddings of samples as they are, ``(n, d)``, float64, and the relative rounding of the model's numbers.

    Raises:
        DataError: a sample cannot be read.
        ModelError: the model raised, or gave no vectors, or some that are not finite.
    """
    images = [leaf for leaf in normalised_leaves(data) if leaf in takes]
    dtype, epsilon, found = dtypes_of(model.module)[0], 0.0, []
    for piece in slices(len(samples), AT_ONCE):
        with foreign(DataError, model.name, "reading samples of its linear probe"), seeded(0):
            leaves = data.batch(list(samples[piece]), canvas=size).leaves
        given = {leaf: leaves[leaf].to(device, dtype if leaves[leaf].is_floating_point() else None) for leaf in takes}
        with torch.no_grad():
            (output,) = model(given, images).values()
        epsilon = torch.finfo(output.dtype).eps
        found.append(output.cpu().double().numpy())
    embeddings = np.concatenate(found)
    if embeddings.ndim != 2 or not np.isfinite(embeddings).all():
        got = (
            f"its embeddings are of shape {embeddings.shape}"
            if embeddings.ndim != 2
            else "an embedding is not finite"
        )
        raise ModelError(Problem(model.name, got, "finite vectors (n, d) for a linear probe"))
    return embeddings, epsilon


def fitted(embeddings: np.ndarray, labels: np.ndarray, name: str, classes: int, epsilon: float) -> Fitted:
    """The minimiser of ``sum_i -log p(y_i | x_i) + |W|^2 / (2 C)``, the bias not penalised.

    ``x`` are embeddings that are standardised by these samples' own mean and standard deviation; a number that is the
    same for all, to rounding, is left out. Of two classes one row is fitted and penalised, as scikit-learn does, and
    ``W`` is half of it with either sign.

    Args:
        embeddings: ``(n, d)``, float64.
        labels: a class for each, ``(n,)`` int.
        name: the model's, for messages.
        classes: how many there are.
        epsilon: the relative rounding of embeddings.

    Raises:
        DataError: some class has no sample, or there is one class alone.
        ModelError: the embeddings are all one, or the fit does not converge.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    known = np.unique(labels)
    if len(known) < max(2, classes):
        got = f"the {len(labels):,} samples of its linear probe are of {len(known)} of {max(2, classes)} classes"
        remedy = "Raise linear_probe.samples, unless these are all that there are."
        raise DataError(Problem(name, got, "some of each, and two classes or more", remedy))
    mean, scale = embeddings.mean(0), embeddings.std(0)
    # a constant has a deviation of rounding alone, by which nothing may be divided
    moves = scale > ROUNDINGS * epsilon * np.abs(embeddings).max(0)
    if not moves.any():
        got = f"its embeddings of {len(labels):,} samples are all one: they have collapsed, and nothing can be fitted"
        raise ModelError(Problem(name, got, "embeddings that differ"))
    standard = (embeddings - mean)[:, moves] / scale[moves]
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            model = LogisticRegression(C=C, tol=TOLERANCE, max_iter=MOST_ITERATIONS).fit(standard, labels)
        except ConvergenceWarning as error:
            got = f"its linear probe did not converge in {MOST_ITERATIONS:,} iterations"
            raise ModelError(Problem(name, got)) from error
    of_two = len(known) == 2  # one row for the second class against the first
    rows = np.concatenate([-model.coef_, model.coef_]) / 2 if of_two else model.coef_
    bias = np.concatenate([-model.intercept_, model.intercept_]) / 2 if of_two else model.intercept_
    weight = np.zeros((len(known), len(mean)))
    weight[:, moves] = rows / scale[moves]
    return Fitted(mean, weight, bias)
