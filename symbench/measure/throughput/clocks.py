"""What times a forward pass: the host's clock around a device that is waited for, or the device's own events."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

import torch

from symbench.base.environment import synchronise


class Clock(Protocol):
    """Times forward passes, of which each enters :meth:`of`."""

    def of(self, *, apart: bool) -> AbstractContextManager[None]:
        """To be entered around one forward pass; one that raises is none.

        Args:
            apart: the device has nothing else to do when it begins, as for a sample that comes alone.
        """

    def taken(self) -> list[float]:
        """Seconds of each pass since this was last asked; waits for the device."""


class HostClock:
    """Times from an idle device to an idle device."""

    def __init__(self, device: str, now: Callable[[], float] = time.perf_counter) -> None:
        self.device, self.now = device, now
        self._taken: list[float] = []

    @contextlib.contextmanager
    def of(self, *, apart: bool) -> Iterator[None]:
        """See :class:`Clock`."""
        del apart
        synchronise(self.device)
        start = self.now()
        yield
        synchronise(self.device)
        self._taken.append(self.now() - start)

    def taken(self) -> list[float]:
        """See :class:`Clock`."""
        found, self._taken = self._taken, []
        return found


class EventClock:
    """Times by CUDA events: passes queue up behind one another, and the host is not waited for in between."""

    def __init__(self, device: str) -> None:
        self.device = device
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    @contextlib.contextmanager
    def of(self, *, apart: bool) -> Iterator[None]:
        """See :class:`Clock`."""
        if apart:
            synchronise(self.device)
        stream = torch.cuda.current_stream(self.device)
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record(stream)
        yield
        end.record(stream)
        self._events.append((begin, end))

    def taken(self) -> list[float]:
        """See :class:`Clock`."""
        synchronise(self.device)
        found, self._events = self._events, []
        return [begin.elapsed_time(end) / 1000 for begin, end in found]  # from milliseconds


def clock_of(device: str) -> Clock:
    """The clock for a device."""
    return EventClock(device) if device.startswith("cuda") else HostClock(device)
