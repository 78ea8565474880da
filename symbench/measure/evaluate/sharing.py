"""The parts of a cell, each measured by the process that comes first: several may work on one cell at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from filelock import FileLock, Timeout

from symbench.measure.evaluate.scratch import Scratch

LOOK_SECONDS = 0.05
"""How often it is looked whether another process has finished its part."""


def shared_out(
    scratch: Scratch,
    what: str,
    firsts: Sequence[int],
    done: Callable[[int], bool],
    halt: Callable[[], None],
    *,
    whole: bool = True,
) -> Iterator[tuple[int, bool]]:
    """Each part that no other process is at, held against them until the next is asked for.

    Args:
        scratch: of the cell.
        what: is done with the parts, as it stands in a file's name.
        firsts: each part's first sample.
        done: whether a part is finished, by its first sample.
        halt: raises where it is time to stop; asked before there is something to be done, and while waiting.
        whole: whether to wait for parts that others are at, so that all are finished in the end. A process that ends
            in mid-part gives it back.

    Yields:
        The first sample of a part, and whether it is finished already.
    """
    left = list(firsts)
    while left:
        elsewhere = []
        for first in left:
            with _held(scratch, what, first) as mine:
                if not mine:
                    elsewhere.append(first)
                    continue
                finished = done(first)
                if not finished:
                    halt()
                yield first, finished
        if elsewhere and not whole:
            return
        if elsewhere == left:
            halt()
            time.sleep(LOOK_SECONDS)
        left = elsewhere


@contextmanager
def _held(scratch: Scratch, what: str, first: int) -> Iterator[bool]:
    """Whether this process holds the part; the system takes a hold back from whoever ends.

    Raises:
        FileNotFoundError: another process has closed the cell.
    """
    scratch.check_begun()
    lock = FileLock(scratch.folder / f"{what}-{first:08d}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    try:
        scratch.check_begun()  # once more: whoever held it may have closed the cell after that
        yield True
    finally:
        lock.release()
