"""How long forward passes take."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence

from symbench.base.environment import synchronise

Taken = Sequence[tuple[int, float]]
"""Passes in their order: how many samples each had, and the seconds that the module took for all of them."""


class Stopwatch:
    """Times passes, each from an idle device to an idle device; a pass that fails is none."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.taken: list[tuple[int, float]] = []

    @contextlib.contextmanager
    def of(self, count: int) -> Iterator[None]:
        """To be entered around the work on ``count`` samples."""
        synchronise(self.device)
        start = time.perf_counter()
        yield
        synchronise(self.device)
        self.taken.append((count, time.perf_counter() - start))
