"""Memory that a process has used and keeps for its next batch, instead of giving it back and fetching it anew."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator

TRIM, MOST_MAPPED = -1, -4
"""What glibc's ``mallopt`` calls the free bytes that it keeps at the end of its heap, and the number of buffers that
it maps apart."""
KEPT = 2**31 - 1
"""Free bytes that stay: as many as ``mallopt`` can be told."""
USUAL = {TRIM: 64 << 20, MOST_MAPPED: 65_536}
"""Where glibc's own settings end, which follow what a process asks for."""
OWN = ("GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_")
"""Environment variables of those who know better."""


@contextlib.contextmanager
def kept_buffers() -> Iterator[None]:
    """Keep large buffers that are freed for the next ones of their size, for the time being; a matter of speed alone.

    glibc maps whatever is larger than 32 MB, gives it back when it is freed, and has the kernel clear as many pages
    again a moment later: 32 images of 65 x 65 pixels through four convolutions are 108,000 page faults for each
    forward pass, 280 ms of which 120 are the faults'. Without glibc, or where the environment sets its allocator,
    nothing is changed.
    """
    settable = sys.platform == "linux" and not any(name in os.environ for name in OWN)
    library = ctypes.CDLL(None) if settable else None
    if library is None or not hasattr(library, "mallopt") or not hasattr(library, "malloc_trim"):
        yield
        return
    try:
        library.mallopt(MOST_MAPPED, 0)
        library.mallopt(TRIM, KEPT)
        yield
    finally:
        for name, value in USUAL.items():
            library.mallopt(name, value)
        library.malloc_trim(0)
