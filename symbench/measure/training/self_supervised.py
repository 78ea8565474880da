"""Training without labels: two views of each sample are drawn to each other, and away from those of other samples.

What is learnt are directions: lengths are taken out of embeddings before anything is compared, in the loss and in a
term that softens it alike, so that neither is lowered by shrinking them all.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from symbench.algebra.fields import Embedding
from symbench.base.errors import ConfigError, Problem
from symbench.domains.common.datasets.base import Dataset
from symbench.measure.assemble import outputs_of
from symbench.measure.objective import Objective
from symbench.measure.suite import ModelEntry
from symbench.measure.training.augment import Augmentation, augmented

Tensors = dict[str, Tensor]
SPREAD_AT = 256
"""Samples that the spread of embeddings is computed from, at most."""
COLLAPSED = 0.01
"""The spread below which embeddings are said to have collapsed."""


@dataclass(frozen=True)
class Contrast:
    """The loss of a recipe without labels.

    Attributes:
        views: how a view of a sample is drawn.
        temperature: cosines are divided by it.
    """

    views: Augmentation
    temperature: float

    def pair(
        self, data: Dataset, leaves: Tensors, indices: Tensor, generator: torch.Generator
    ) -> tuple[Tensors, Tensors]:
        """Two views of each sample, each of leaves ``(n, ...)`` under an element of its own. No label is asked."""
        first, second = (augmented(data, leaves, {}, indices, self.views, generator)[0] for _ in range(2))
        return first, second

    def loss(self, objective: Objective, first: Tensors, second: Tensors) -> Tensor:
        """:func:`nt_xent` of the model's directions for two views."""
        name = objective.task_of(first).output
        return nt_xent(first[name], second[name], self.temperature)


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """SimCLR's normalised temperature-scaled cross-entropy (Chen et al., 2020, equation 1); no projection head.

    ``mean_i -log(exp(s(i, j(i)) / t) / sum_{k != i} exp(s(i, k) / t))`` over all 2n views, where ``s`` is the cosine
    and ``j(i)`` the other view of the same sample.

    Args:
        first: directions of one view of each sample, ``(n, d)`` of length 1.
        second: those of the other view, likewise.
        temperature: ``t``.
    """
    both, count = torch.cat([first, second]), len(first)
    scores = both @ both.T / temperature  # (2n, 2n)
    itself = torch.eye(2 * count, dtype=torch.bool, device=both.device)
    other = torch.arange(2 * count, device=both.device).roll(count)
    return cross_entropy(scores.masked_fill(itself, -torch.inf), other)


def spread(embeddings: Tensor) -> float:
    """How far embeddings ``(n, d)`` differ over samples, by their size: 0 where all are one, 1 around the origin.

    ``sqrt(sum_i |z_i - m|^2 / sum_i |z_i|^2)`` with the mean ``m``, of directions, float64.
    """
    units = normalize(embeddings.double(), dim=-1)
    return float((units - units.mean(0)).square().sum().div(units.square().sum().clamp(min=1e-300)).sqrt())


def collapsed(found: float) -> str | None:
    """What is to be said of embeddings of such a :func:`spread`."""
    if found >= COLLAPSED:
        return None
    return (
        f"its embeddings have collapsed: over samples their directions differ by {100 * found:.2g} % of their length"
    )


def check_embedding(entry: ModelEntry, module: nn.Module, what: str, where: str) -> str:
    """The name of a model's only output, an embedding.

    Args:
        entry: the suite's entry.
        module: built.
        what: who asks for it, for messages.
        where: the key that does.

    Raises:
        ConfigError: it has others, or is not declared to be one.
    """
    outputs = outputs_of(entry, module)
    (name, field), *others = outputs.items()
    if not others and isinstance(field, Embedding):
        return name
    shown = ", ".join(f"{each!r} ({field})" for each, field in outputs.items())
    own = f"Say outputs: {{{name}: embedding}} in the model's entry"
    remedy = f"{own}." if ":" in entry.use else f"{own}, or embedding: 32 for one of 32 numbers."
    raise ConfigError(Problem(where, f"{what} is of an embedding, and its outputs are {shown}", "one alone", remedy))
