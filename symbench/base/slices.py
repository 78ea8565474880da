"""Many things a few at a time: what would not fit into memory at once is done slice by slice."""

from __future__ import annotations


def slices(count: int, size: int) -> list[slice]:
    """The indices from 0 to ``count`` in consecutive slices of ``size``; the last may be shorter."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]
