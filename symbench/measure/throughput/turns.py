"""Models timed in turns: warm-up until settled, then rounds in which each has a block, so that drift hits all alike.

Knows no model and no device: what is timed is a function, and the clock is handed in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from symbench.algebra.statistics import quantile
from symbench.base.errors import CellError
from symbench.base.passes import TimedBatch
from symbench.measure.throughput.clocks import Clock

ROUNDS = 5
"""Blocks of each model: drift within a pass is spread over so many of them."""
WARM, MOST_WARM, SETTLED = 3, 15, 0.05
"""Forward passes in a block of the warm-up, how many blocks there are at most, and how close the medians of two
successive ones have to be."""
MOST_AT_ONCE, MOST = 256, 20_000
"""Forward passes that are queued before the device is waited for, and those of one block."""

Around = Callable[[], AbstractContextManager[None]]
Forward = Callable[[Around], object]
"""Runs one forward pass, and enters what it is given around it."""


@dataclass
class Lane:
    """One model at one batch size, to be timed.

    Attributes:
        forward: runs it once.
        batch: samples in a forward pass.
        apart: each pass begins on an idle device.
        times: seconds of the passes that count, in their order.
        warm_up: passes before the first that counts.
        settled: whether the warm-up ended because successive medians agreed.
        usual: about the seconds of a warm pass.
        failure: why it is timed no longer.
    """

    forward: Forward
    batch: int
    apart: bool = False
    times: list[float] = field(default_factory=list)
    warm_up: int = 0
    settled: bool = False
    usual: float = 0.0
    failure: CellError | None = None

    def block(self, clock: Clock, count: int) -> list[float]:
        """The seconds of so many passes.

        Raises:
            CellError: the model raised.
        """
        try:
            for _ in range(count):
                self.forward(partial(clock.of, apart=self.apart))
        except CellError:
            clock.taken()
            raise
        return clock.taken()

    def timed(self) -> TimedBatch:
        """What the passes came to."""
        times = np.array(self.times)
        middle = quantile(times[None], 0.5)
        first, second = (float(np.median(half)) for half in np.array_split(times, 2))
        p90, p99 = np.quantile(times, [0.9, 0.99]).tolist()
        return TimedBatch(
            batch=self.batch, iterations=len(times), median=middle.estimate, low=middle.low, high=middle.high,
            p90=p90, p99=p99, halves=(first, second), warm_up=self.warm_up, settled=self.settled,
        )  # fmt: skip


@dataclass(frozen=True)
class Least:
    """How long each batch size is timed at least."""

    iterations: int
    seconds: float


def in_turns(
    lanes: Sequence[Lane],
    clock: Clock,
    least: Least,
    turn: Callable[[Lane], None],
    halt: Callable[[], None] = lambda: None,
) -> None:
    """Time lanes: each is warmed up, and then has a block in every round. One that raises is left out from then on.

    Args:
        lanes: what is timed; it holds its times afterwards, or its failure.
        clock: times it.
        least: how long each is timed.
        turn: called before each block that counts, and to end it all by raising.
        halt: called before each block of the warm-up, to end it all by raising.
    """
    share = Least(math.ceil(least.iterations / ROUNDS), least.seconds / ROUNDS)
    for lane in lanes:
        _guarded(lane, lambda lane: warm_up(lane, clock, halt))
    for _ in range(ROUNDS):
        for lane in lanes:
            turn(lane)
            _guarded(lane, lambda lane: _block(lane, clock, share))


def _guarded(lane: Lane, work: Callable[[Lane], None]) -> None:
    if lane.failure is None:
        try:
            work(lane)
        except CellError as error:
            lane.failure = error


def warm_up(lane: Lane, clock: Clock, halt: Callable[[], None] = lambda: None) -> None:
    """Run a lane until the medians of two successive blocks agree, or there were enough of them.

    Raises:
        CellError: the model raised.
    """
    before = math.inf
    for _ in range(MOST_WARM):
        halt()
        lane.usual = float(np.median(lane.block(clock, WARM)))
        lane.warm_up += WARM
        lane.settled = abs(lane.usual - before) <= SETTLED * before < math.inf
        if lane.settled:
            return
        before = lane.usual


def _block(lane: Lane, clock: Clock, least: Least) -> None:
    """One model's block of a round. Its first pass does not count: caches hold another model's numbers."""
    lane.block(clock, 1)
    times: list[float] = []
    while (len(times) < least.iterations or sum(times) < least.seconds) and len(times) < MOST:
        lacking = math.ceil((least.seconds - sum(times)) / max(lane.usual, 1e-9))
        count = max(least.iterations - len(times), lacking, 1)
        times += lane.block(clock, min(count, MOST_AT_ONCE, MOST - len(times)))
    lane.times += times
