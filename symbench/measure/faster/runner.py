"""A copy of a model that runs faster: merged layers, channels last, half precision, pieces that stay in the cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from symbench.domains.common.models.running import Habits, handed, named
from symbench.measure.faster.replay import Replayed

IMAGES = 4
"""Axes of what can be laid out with its channels last."""


@dataclass(frozen=True)
class Way:
    """One way of running a model faster.

    Attributes:
        half: the dtype that it computes in; None leaves it in its own.
        merged: layers are merged and channels come last.
    """

    half: torch.dtype | None
    merged: bool


class Unrounded(nn.Module):
    """The last linear layer in float32, so that class scores are not rounded to the few digits of half precision."""

    def __init__(self, linear: nn.Module) -> None:
        super().__init__()
        self.linear = linear.float()

    def forward(self, x: Tensor) -> Tensor:
        """Features in any precision to outputs in float32."""
        out: Tensor = self.linear(x.float())
        return out


class Runner(nn.Module):
    """A module behind casts of its inputs, called piece by piece.

    Args:
        module: made ready for it; it is this runner's own.
        way: how.
        piece: samples in one call; None for any number.
        habits: of the model.
        did: what was done to the module, in words.
    """

    def __init__(
        self, module: nn.Module, way: Way, piece: int | None, habits: Habits, did: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.module = module
        self.way = way
        self.piece = piece
        self.habits = habits
        self.did = did
        self.replayed = Replayed(self._call)

    def forward(self, *only: Tensor, **leaves: Tensor) -> Any:
        """What the module returns, of the inputs that it takes itself."""
        given = {"": only[0]} if only else leaves
        ready = {name: self._cast(x) for name, x in given.items()}
        count = len(next(iter(ready.values())))
        if self.piece is None or count <= self.piece:
            return self._run(ready)
        first = self._run({name: x[: self.piece] for name, x in ready.items()})
        if not _is_rows(first, self.piece):
            self.piece = None  # what it returns cannot be put together from pieces
            return self._run(ready)
        starts = range(self.piece, count, self.piece)
        return _joined([first, *(self._run({n: x[s : s + self.piece] for n, x in ready.items()}) for s in starts)])

    def _run(self, ready: Mapping[str, Tensor]) -> Any:
        device = next(iter(ready.values())).device.type
        if device == "cuda" and not self.habits.differentiates:
            return self.replayed(dict(ready))
        return self._call(ready)

    def _call(self, ready: Mapping[str, Tensor]) -> Any:
        return handed(self.module, ready)

    def _cast(self, x: Tensor) -> Tensor:
        x = x.to(self.way.half) if self.way.half is not None and x.is_floating_point() else x
        return x.contiguous(memory_format=torch.channels_last) if self.way.merged and x.ndim == IMAGES else x

    def described(self) -> str:
        """What was done, in words."""
        half = [named(self.way.half)] if self.way.half is not None else []
        return ", ".join([*half, *self.did])


@contextmanager
def plainly(module: nn.Module) -> Iterator[None]:
    """While entered, no pass of a module is replayed from a graph, which keeps what its layers hold out of sight."""
    replayed = module.replayed if isinstance(module, Runner) else None
    if replayed is None:
        yield
        return
    replayed.off = True
    try:
        yield
    finally:
        replayed.off = False


def _is_rows(returned: Any, count: int) -> bool:
    """Whether what came back is made of tensors with a row for each sample."""
    leaves = tree_flatten(returned)[0]
    return bool(leaves) and all(isinstance(x, Tensor) and x.ndim > 0 and len(x) == count for x in leaves)


def _joined(returned: Sequence[Any]) -> Any:
    leaves, spec = zip(*map(tree_flatten, returned), strict=True)
    return tree_unflatten([torch.cat(pieces) for pieces in zip(*leaves, strict=True)], spec[0])
