"""What signs and changes of basis do to eigenvectors; eigenvalues stay."""

from __future__ import annotations

import torch
from torch import Tensor

from symbench.algebra.actions.base import Action, Kind, Move
from symbench.base.environment import sent
from symbench.base.registry import Options
from symbench.domains.graphs.bases import Bases, Signs


class OfEigenvectors(Action):
    """Base of both: on ``(n, places, k, 2)``."""

    moves_values = True

    def __init__(self, group: Signs | Bases, options: Options) -> None:
        del options
        self.group = group

    def check(self, shape: tuple[int, ...]) -> str | None:
        """k must be the number of eigenvectors."""
        if len(shape) >= 2 and shape[-2:] == (self.group.k, 2):
            return None
        vectors = shape[-2] if len(shape) >= 2 else 0
        return f"{self.group.name} is of {self.group.k} eigenvectors, got {vectors}"

    def reference(self, g: Tensor, *, steps: int = 1) -> Move:
        """Exact already."""
        del steps
        return lambda x: self.act(g, x)


class Negate(OfEigenvectors):
    """``v_i -> s_i v_i``."""

    def kinds(self, g: Tensor) -> list[Kind]:
        """The stored numbers up to sign, bit for bit."""
        return ["permutation"] * len(g)

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """Signs beside ones for the eigenvalues."""
        wide = g if g.ndim == 3 else g[:, None]
        factors = sent(torch.stack([wide, torch.ones_like(wide)], dim=-1), like.device).to(like.dtype)
        return lambda x: (x[None] * factors[:, :, None]).contiguous()  # (k, n, places, vectors, 2)


class Turn(OfEigenvectors):
    """``V -> V Q^T`` in every eigenspace, by the matrix of the run of columns that it is in this sample."""

    def kinds(self, g: Tensor) -> list[Kind]:
        """A formula, right to rounding."""
        return ["exact"] * len(g)

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """Elements alone: matrices are chosen by the eigenvalues of each sample, in float64."""
        wide = sent(g if g.ndim == 5 else g[:, None], like.device)
        number = {run: at for at, run in enumerate(self.group.runs if isinstance(self.group, Bases) else [])}

        def turn(x: Tensor) -> Tensor:
            matrices = _chosen(wide.expand(-1, len(x), -1, -1, -1), runs_of(x, number))
            vectors = x[..., 0].double() @ matrices.mT  # (k, n, places, vectors)
            return torch.stack([vectors.to(x.dtype), x[..., 1].expand(vectors.shape)], dim=-1)

        return turn


def runs_of(x: Tensor, number: dict[tuple[int, int], int]) -> Tensor:
    """The number of the run that each column belongs to, ``(n, vectors)``, of ``(n, places, vectors, 2)``.

    Neighbours with one eigenvalue, bit for bit, are of one eigenspace. The first place is never padding.
    """
    found = []
    for values in x[:, 0, :, 1].tolist():
        starts = [at for at, value in enumerate(values) if at == 0 or value != values[at - 1]]
        bounds = zip(starts, [*starts[1:], len(values)], strict=True)
        found.append([number[run] for run in bounds for _ in range(*run)])
    return torch.tensor(found, device=x.device)


def _chosen(g: Tensor, runs: Tensor) -> Tensor:
    """One matrix for each sample, ``(k, n, vectors, vectors)``: every column from the matrix of its run."""
    columns = g.movedim(-1, 2)  # (k, n, vectors, runs, vectors): columns first
    index = runs[None, :, :, None, None].expand(len(g), -1, -1, 1, g.shape[-1])
    chosen = columns.gather(3, index)[:, :, :, 0]
    return chosen.mT
