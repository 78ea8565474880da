"""Many things a few at a time: what would not fit into memory at once is done slice by slice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def slices(count: int, size: int) -> list[slice]:
    """The indices from 0 to ``count`` in consecutive slices of ``size``; the last may be shorter."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def ahead(
    pool: Executor, work: Callable[[T], R], parts: Sequence[Sequence[T]]
) -> Iterator[tuple[Sequence[T], list[R]]]:
    """Every part with what comes of its items; the next part is worked on while the caller is busy with this one.

    Two parts are in hand at once. What the work raises is raised where its part is asked for.
    """
    started = pool.map(work, parts[0]) if parts else None
    for part, following in pairwise([*parts, None]):
        if started is None or part is None:
            return
        found = list(started)
        started = None if following is None else pool.map(work, following)
        yield part, found
