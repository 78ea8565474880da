"""Passes of one shape as a graph on a CUDA device: the device is told once what to do, and not layer by layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from symbench.base.code import shortened

Given = Mapping[str, Tensor]
Pass = Callable[[Given], Any]

AFTER, MOST = 2, 4
"""Passes of one shape after which it is recorded, since more of them are to come; shapes of which graphs are kept,
each of which holds the memory of a whole pass."""
ALIKE = 32
"""Roundings by which a graph's outputs may differ from those of a plain pass."""


class Replayed:
    """Runs passes plainly at first, and those whose shape has come up before from a graph.

    What cannot be recorded, as where a number is read back from the device to decide what comes next, runs plainly.

    Attributes:
        refused: why nothing is recorded any more; None while that may be.
        off: every pass runs plainly, and none is recorded.
    """

    def __init__(self, plain: Pass, record: Callable[[Pass, Given], Pass] | None = None) -> None:
        self.plain = plain
        self.record = record or recorded
        self.refused: str | None = None
        self.off = False
        self.met: Counter[Any] = Counter()
        self.graphs: dict[Any, Pass] = {}

    def __call__(self, given: Given) -> Any:
        """What the pass returns."""
        if self.off:
            return self.plain(given)
        shape = tuple((name, tuple(x.shape), x.dtype) for name, x in given.items())
        if shape in self.graphs:
            return self.graphs[shape](given)
        self.met[shape] += 1
        returned = self.plain(given)
        if self.refused is None and self.met[shape] > AFTER and len(self.graphs) < MOST:
            self._record(shape, given)
        return returned

    def _record(self, shape: Any, given: Given) -> None:
        try:
            graph = self.record(self.plain, given)
            other = {name: _turned_round(x) for name, x in given.items()}
            if _differ(self.plain(other), graph(other)):
                self.refused = "its passes cannot be replayed as a graph: the outputs are others"
            else:
                self.graphs[shape] = graph
        except Exception as error:  # whatever a user's module does while it is recorded
            self.refused = f"its passes cannot be recorded as a graph: {shortened(error)}"


def recorded(plain: Pass, given: Given) -> Pass:
    """Record a pass on the current CUDA device; what comes back takes inputs of the same shapes.

    Raises:
        RuntimeError: it asks the host for something on the way.
    """
    static = {name: x.clone(memory_format=torch.preserve_format) for name, x in given.items()}
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):  # libraries choose and reserve what they need before, not while it is recorded
        plain(static)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        returned = plain(static)

    def replay(now: Given) -> Any:
        for name, x in now.items():
            static[name].copy_(x)
        graph.replay()
        return tree_map(lambda x: x.clone() if isinstance(x, Tensor) else x, returned)

    return replay


def _turned_round(x: Tensor) -> Tensor:
    """Another input ``(n, ...)`` of the same kind: the samples in reverse, or the numbers of a single one."""
    return x.flip(0) if len(x) > 1 or not x.is_floating_point() else x.flip(tuple(range(x.ndim)))


def _differ(one: Any, other: Any) -> bool:
    """Whether two returned values are more than rounding apart; NaN differs from everything."""
    a, b = (tree_leaves(value) for value in (one, other))
    return len(a) != len(b) or not all(_alike(x, y) for x, y in zip(a, b, strict=True))


def _alike(x: Any, y: Any) -> bool:
    if not isinstance(x, Tensor) or not x.is_floating_point():
        return True
    limit = ALIKE * torch.finfo(x.dtype).eps * x.abs().max()
    return x.shape == y.shape and bool(((x - y).abs() <= limit).all())
