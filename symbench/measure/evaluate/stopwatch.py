"""How long forward passes take."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence

import torch

from symbench.base.environment import synchronise

Taken = Sequence[tuple[int, float]]
"""Passes in their order: how many samples each had, and the seconds that the module took for all of them."""


class Stopwatch:
    """Times passes; a pass that fails is none.

    A GPU times them itself, and is not waited for until somebody asks; others are, before and after each.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self._taken: list[tuple[int, Callable[[], float]]] = []

    @contextlib.contextmanager
    def of(self, count: int) -> Iterator[None]:
        """To be entered around the work on ``count`` samples."""
        if self.device.startswith("cuda"):
            begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begun.record()
            yield
            ended.record()
            self._taken.append((count, lambda: begun.elapsed_time(ended) / 1e3))
            return
        synchronise(self.device)
        start = time.perf_counter()
        yield
        synchronise(self.device)
        seconds = time.perf_counter() - start
        self._taken.append((count, lambda: seconds))

    @property
    def taken(self) -> Taken:
        """What the passes took so far, in their order."""
        synchronise(self.device)
        return [(count, seconds()) for count, seconds in self._taken]
