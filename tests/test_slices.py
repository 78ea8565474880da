"""Many things a few at a time."""

from __future__ import annotations

import pytest

from symbench.base.slices import slices


@pytest.mark.parametrize(("count", "size"), [(0, 3), (1, 3), (3, 3), (7, 3), (7, 1), (2, 100)])
def test_slices_cover_everything_once_in_order(count: int, size: int) -> None:
    things = list(range(count))
    taken = [things[part] for part in slices(count, size)]
    assert [thing for part in taken for thing in part] == things
    assert all(len(part) == size for part in taken[:-1]), "only the last is shorter"
    assert all(part for part in taken), "and none is empty"


def test_a_slice_ends_where_the_things_do() -> None:
    """Its length is asked for, as of the draws that are to be made."""
    assert [part.stop - part.start for part in slices(7, 3)] == [3, 3, 1]
