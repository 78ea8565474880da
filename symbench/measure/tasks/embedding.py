"""A vector that stands for its sample among others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from symbench.measure.tasks.base import Columns, Task, Unfit, Views, shaped
from symbench.measure.tasks.classification import Classification
from symbench.measure.tasks.scores import sum_to_one

TIED = 1e-13
"""Cosines this close are equal, in float64: the angle between neighbours may be 1e-5, and its cosine 1 - 5e-11."""


@dataclass(frozen=True)
class Embedding(Task):
    """``(n, d)``, compared as vectors, by direction, and by which sample it is nearest to."""

    kind: ClassVar[str] = "embedding"
    looks_around: ClassVar[bool] = True

    def compared(self, output: Tensor) -> Tensor:
        """The vector itself."""
        return output.double()

    def columns(self, views: Views) -> Columns:
        """``cosine`` of ``f(g.x)`` and ``f(x)``; ``retrieved``, 1 where the nearest unmoved sample is the own one."""
        moved, still = directions(views.output), directions(views.raw)
        cosine = (moved * still).sum(-1).clamp(-1, 1)
        if views.others is None or views.own is None:
            return {"cosine": cosine}
        return {"cosine": cosine, "retrieved": retrieved(moved, cosine, views.others, views.own)}

    def check(self, shape: tuple[int, ...]) -> None:
        """Anything but ``(n, d)`` is refused."""
        if len(shape) != 1:
            got = f"output {self.output!r} has shape {shaped(shape)}"
            remedy = f"Say {self.declaration('image')} in the model's entry of maps that move along."
            raise Unfit(got, "an embedding (n, d)", remedy if len(shape) == 3 else None)

    def settled(self, outputs: Iterable[Tensor], eps: float) -> Task:
        """Where nothing was declared, rows of probabilities show that it holds class scores."""
        if self.said == "declared" or not sum_to_one(outputs, eps):
            return self
        return self.taken(Classification, form="probabilities", said="noticed")

    @property
    def noticed(self) -> str | None:
        """That nothing was said."""
        if self.said == "declared":
            return None
        return "its output is taken for an embedding, for nothing says that it holds class scores"

    @property
    def word(self) -> str:
        """Itself."""
        return self.kind

    @property
    def certain(self) -> str:
        """How to say what it is."""
        lines = " or ".join(self.declaration(word) for word in ("embedding", "logits"))
        return f"{lines} in the model's entry says which it is"


def directions(vectors: Tensor) -> Tensor:
    """Vectors ``(..., d)`` of length 1, float64; those of length 0 stay so."""
    return normalize(vectors.double(), dim=-1, eps=torch.finfo(torch.float64).tiny)


def retrieved(moved: Tensor, cosine: Tensor, others: Tensor, own: Tensor) -> Tensor:
    """Recall at 1: whether each moved sample is nearest to itself, by cosine, among unmoved ones.

    Args:
        moved: directions ``(k, n, d)``.
        cosine: with the own sample, ``(k, n)``.
        others: directions of unmoved samples, ``(m, d)``, among which the own one may be.
        own: its number there, ``(n,)``; m or more where it is not there.

    Returns:
        ``(k, n)``, float64: 1 or 0; of t samples that are equally near, the own one among them, 1 / t each. So a
        model that says the same of all comes to chance.
    """
    nearness = moved @ others.T  # (k, n, m)
    mine = own[:, None] == torch.arange(len(others), device=own.device)  # (n, m)
    nearness = torch.where(mine, -torch.inf, nearness)
    nearer = (nearness > cosine[..., None] + TIED).any(-1)
    tied = (nearness >= cosine[..., None] - TIED).sum(-1)
    return torch.where(nearer, 0.0, 1.0 / (1 + tied)).double()
